#!/usr/bin/env bash
# Reports the state of every account and contact type: see --help.
# shellcheck source=scripts/lib/operate.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib/operate.sh" report "$@" #
