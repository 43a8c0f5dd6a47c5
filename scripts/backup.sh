#!/usr/bin/env bash
# Saves both tables, and what the stack was deployed with: see --help.
# shellcheck source=scripts/lib/operate.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib/operate.sh" backup "$@" #
