#!/usr/bin/env bash
# Starts the contact sync by hand and follows it: see --help.
# shellcheck source=scripts/lib/operate.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib/operate.sh" resync "$@" #
