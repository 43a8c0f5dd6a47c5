#!/usr/bin/env bash
# Reports the state of every account and contact type: see --help.
self="${BASH_SOURCE[0]}"                                                            #
while link=$(readlink "$self"); do                                                  #
  case "$link" in /*) self="$link" ;; *) self="$(dirname -- "$self")/$link" ;; esac #
done                                                                                #
# shellcheck source=scripts/lib/operate.sh
source "$(dirname -- "$self")/lib/operate.sh" report "$@" #
