#!/usr/bin/env bash
# Writes a backup into the tables of a deployed stack: see --help.
# shellcheck source=scripts/lib/operate.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib/operate.sh" restore "$@" #
