#!/usr/bin/env bash
# Checks a deployed environment: see --help.
# shellcheck source=scripts/lib/operate.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib/operate.sh" validate "$@" #
