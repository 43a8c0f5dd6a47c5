#!/usr/bin/env bash
# Does what the events in the dead-letter queue should have done: see --help.
# shellcheck source=scripts/lib/operate.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib/operate.sh" redrive-dlq "$@" #
