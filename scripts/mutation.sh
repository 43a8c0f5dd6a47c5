#!/usr/bin/env bash
# Makes small breaking changes to the functions' pure modules, one at a time, runs the unit tests on
# each, and lists the changes that no test detects. Installs its requirements.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/mutation.sh [MUTANT...]

  scripts/mutation.sh                             every module of [tool.mutmut] in pyproject.toml
  scripts/mutation.sh 'contact_sync.comparison*'   only these
USAGE
}

main() {
  if [[ "${1:-}" == "-h" || "${1:-}" == "--help" ]]; then
    usage
    return
  fi
  local environment="$REPOSITORY/.build/mutation" copy="$REPOSITORY/.build/mutants"
  ensure_environment "$environment" \
    --requirement "$REPOSITORY/functions/requirements.txt" \
    --group "$REPOSITORY/pyproject.toml:dev" --group "$REPOSITORY/pyproject.toml:mutation"
  # mutmut identifies a module by its path below src/, and writes next to it.
  rm -rf "$copy"
  mkdir -p "$copy"
  cp -R "$REPOSITORY/functions" "$copy/src"
  cp -R "$REPOSITORY/scripts" "$REPOSITORY/tests" "$REPOSITORY/pyproject.toml" "$copy/"
  cd "$copy"
  "$environment/bin/mutmut" run --max-children 1 "$@" >mutmut.log ||
    die "mutmut stopped: see .build/mutants/mutmut.log"
  "$environment/bin/mutmut" results
}

main "$@"
