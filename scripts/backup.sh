#!/usr/bin/env bash
# Saves both tables, and what the stack was deployed with: see --help.
self="${BASH_SOURCE[0]}"                                                            #
while link=$(readlink "$self"); do                                                  #
  case "$link" in /*) self="$link" ;; *) self="$(dirname -- "$self")/$link" ;; esac #
done                                                                                #
# shellcheck source=scripts/lib/operate.sh
source "$(dirname -- "$self")/lib/operate.sh" backup "$@" #
