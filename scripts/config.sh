#!/usr/bin/env bash
# Shows, checks and changes the configuration: see --help.
# shellcheck source=scripts/lib/operate.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib/operate.sh" config "$@" #
