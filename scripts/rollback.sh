#!/usr/bin/env bash
# Rolls one environment back to its previous release, or deletes it: see --help.
# shellcheck source=scripts/lib/operate.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib/operate.sh" rollback "$@" #
