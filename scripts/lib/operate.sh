# shellcheck shell=bash
# Starts `python -m operate COMMAND OPTION...`. Sourced by scripts/<command>.sh, whose lines end in
# `#` so that Windows line endings cause no other error before the check below reports them.
WINDOWS="scripts/ has Windows line ends: git config core.autocrlf input, then clone again" #
grep -q $'\r' "${BASH_SOURCE[0]}" && echo "error: $WINDOWS" >&2 && exit 1                  #
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

OPERATE_ENVIRONMENT="$REPOSITORY/.build/operate"

# Prints the path of a Python with the packages of the dependency group `operate`: $PYTHON, the one
# in the development environment, or the one in `.build/operate`, which is created if necessary.
operate_python() {
  local python
  for python in ${PYTHON:+"$PYTHON"} "$REPOSITORY/.venv/bin/python"; do
    if has_operate_group "$python"; then
      printf '%s\n' "$python"
      return
    fi
  done
  ensure_environment "$OPERATE_ENVIRONMENT" --group "$REPOSITORY/pyproject.toml:operate" >&2
  printf '%s\n' "$OPERATE_ENVIRONMENT/bin/python"
}

has_operate_group() {
  "$1" - "$REPOSITORY/pyproject.toml" >/dev/null 2>&1 <<'SCRIPT'
import importlib.metadata, sys, tomllib
with open(sys.argv[1], "rb") as file:
    for line in tomllib.load(file)["dependency-groups"]["operate"]:
        name, _, wanted = line.partition("==")
        if importlib.metadata.version(name) != wanted:
            sys.exit(1)
SCRIPT
}

python=$(operate_python)
# Keep bytecode away from the functions' code, which is packaged unchanged; -P excludes modules in
# the user's folder, and files and output are UTF-8 in every locale.
PYTHONPATH="$REPOSITORY/scripts:$REPOSITORY/functions" \
  PYTHONPYCACHEPREFIX="$REPOSITORY/.build/bytecode" exec "$python" -X utf8 -P -m operate "$@"
