#!/usr/bin/env bash
# Shows a whole run of the contact sync on this machine, without an AWS account: makes the Python
# environments that it needs, starts the local stand-in for AWS, deploys the template and syncs.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"

main() {
  local python demo="$REPOSITORY/scripts/demo.py"
  if [[ -n "${DEBUG:-}" ]]; then
    set -x
  fi
  python=$(find_python)
  case " $* " in
  *" -h "* | *" --help "*) exec "$python" "$demo" --help ;;
  esac
  # A wrong option is told before anything is installed.
  "$python" "$demo" --check-options "$@" || exit
  ensure_dev_environment
  ensure_standin_environment
  exec "$REPOSITORY/.venv/bin/python" "$demo" "$@"
}

main "$@"
