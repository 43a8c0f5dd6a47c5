#!/usr/bin/env bash
# Saves both tables and the stack's deployment settings: see --help.
# shellcheck source=scripts/lib/operate.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib/operate.sh" backup "$@" #
