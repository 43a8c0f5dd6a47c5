#!/usr/bin/env bash
# Measures runs of the contact sync against the quotas of the Account API, in the local stand-in
# for AWS, and what they cost. Sets up what it needs; needs no AWS account.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"

main() {
  local python benchmark="$REPOSITORY/scripts/benchmark.py"
  if [[ -n "${DEBUG:-}" ]]; then
    set -x
  fi
  python=$(find_python)
  case " $* " in
  *" -h "* | *" --help "*) exec "$python" "$benchmark" --help ;;
  esac
  # A wrong option is told before anything is installed.
  "$python" "$benchmark" --check-options "$@" || exit
  ensure_dev_environment
  ensure_standin_environment
  exec "$REPOSITORY/.venv/bin/python" "$benchmark" "$@"
}

main "$@"
