#!/usr/bin/env bash
# Starts the executions that events in the dead-letter queue should have started: see --help.
# shellcheck source=scripts/lib/operate.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib/operate.sh" redrive-dlq "$@" #
