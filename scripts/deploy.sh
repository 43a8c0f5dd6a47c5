#!/usr/bin/env bash
# Deploys one environment, or updates it: see --help.
# shellcheck source=scripts/lib/operate.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib/operate.sh" deploy "$@" #
