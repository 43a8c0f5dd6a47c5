# shellcheck shell=bash
# Shared by the scripts: messages and Python environments.
# Source it with `set -euo pipefail` on; it works in the bash 3.2 of macOS.

REPOSITORY=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." >/dev/null && pwd)

# Dependency groups need pip 25.1 or later.
PIP_REQUIREMENT="pip==26.3"
PYTHON_NAMES="python3.13 python3.12 python3.14 python3.11 python3"

log() {
  printf '%s\n' "$*" >&2
}

warn() {
  printf 'warning: %s\n' "$*" >&2
}

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Prints the path of a Python that runs, is recent enough, and can create virtual environments.
find_python() {
  local name
  for name in ${PYTHON:+"$PYTHON"} $PYTHON_NAMES; do
    if usable_python "$name"; then
      return
    fi
    if [[ "$name" == "${PYTHON:-}" ]]; then
      warn "PYTHON=$PYTHON is no Python 3.11 or later; looking for another"
    fi
  done
  die "no Python 3.11 or later with venv and ensurepip among: $PYTHON_NAMES." \
    "Install one (Debian: python3 and python3-venv), or set PYTHON to its path."
}

# Prints the path of the interpreter if it is usable. A name on PATH proves little: version managers
# keep shims for versions that are not installed.
usable_python() {
  "$1" - 2>/dev/null <<'SCRIPT'
import ensurepip, sys, venv
if sys.version_info < (3, 11):
    sys.exit(1)
print(sys.executable)
SCRIPT
}

# Creates `.venv`: the functions' requirements and the development tools.
ensure_dev_environment() {
  ensure_environment "$REPOSITORY/.venv" \
    --requirement "$REPOSITORY/functions/requirements.txt" --group "$REPOSITORY/pyproject.toml:dev"
}

# Creates `.build/ministack`: the stand-in, and the requirements of the programs that start it.
ensure_standin_environment() {
  ensure_environment "$REPOSITORY/.build/ministack" --group "$REPOSITORY/pyproject.toml:standin"
}

# Creates `.build/aws`: the AWS CLI for testing the scripts, which pins another botocore. Only the
# tests need it; users of the scripts have their own AWS CLI.
ensure_aws_environment() {
  ensure_environment "$REPOSITORY/.build/aws" --group "$REPOSITORY/pyproject.toml:aws"
}

# run_in_standin PACKAGE OPTION... - runs a package of scripts/ that starts the stand-in. File names
# in its options are relative to the caller's folder.
run_in_standin() {
  local python package="$1"
  shift
  export PYTHONPATH="$REPOSITORY/scripts:$REPOSITORY/functions"
  if [[ -n "${DEBUG:-}" ]]; then
    set -x
  fi
  python=$(find_python)
  case " $* " in
  *" -h "* | *" --help "*) exec "$python" -P -m "$package" --help ;;
  esac
  # Report invalid options before installing anything.
  "$python" -P -m "$package" --check-options "$@" || exit
  ensure_standin_environment
  exec "$REPOSITORY/.build/ministack/bin/python" -P -m "$package" "$@"
}

# ensure_environment FOLDER REQUIREMENT... - creates or updates a virtual environment, unless the
# files that list its packages are unchanged.
ensure_environment() {
  local folder="$1" fingerprint python
  shift
  fingerprint=$(fingerprint_of "$*")
  if [[ -x "$folder/bin/python" && "$(cat "$folder/fingerprint" 2>/dev/null)" == "$fingerprint" ]]; then
    return
  fi
  rm -f "$folder/fingerprint"
  if ! usable_python "$folder/bin/python" >/dev/null; then
    python=$(find_python)
    log "Making ${folder#"$REPOSITORY/"} with $python"
    run_to_end "$python" -m venv --clear "$folder" || die "could not make $folder"
  fi
  pip_install "$folder" "$PIP_REQUIREMENT"
  pip_install "$folder" "$@"
  printf '%s\n' "$fingerprint" >"$folder/fingerprint"
}

fingerprint_of() {
  {
    printf '%s\n' "$PIP_REQUIREMENT" "$*"
    cat "$REPOSITORY/pyproject.toml" "$REPOSITORY/functions/requirements.txt"
  } | cksum
}

# pip_install FOLDER REQUIREMENT... - keeps temporary files in the environment, so that an
# interrupted installation leaves none elsewhere. Skips compilation: Python compiles modules when it
# imports them, and it imports only some.
pip_install() {
  local folder="$1" status=0
  shift
  mkdir -p "$folder/tmp"
  log "Installing into ${folder#"$REPOSITORY/"}:"
  TMPDIR="$folder/tmp" run_to_end "$folder/bin/python" -m pip install \
    --no-compile --disable-pip-version-check "$@" > >(show_packages) || status=$?
  rm -rf "$folder/tmp"
  if ((status != 0)); then
    die "pip could not install into $folder"
  fi
}

# Shows each package that pip processes, and when it starts to unpack them.
show_packages() {
  local step name
  while read -r step name _; do
    case "$step" in
    Collecting | Processing) log "  ${name##*/}" ;;
    Installing) log "  unpacking" ;;
    esac
  done
}

# Runs a command and ends it when a signal ends the script; bash alone would leave it running.
run_to_end() {
  local child status=0 traps
  traps=$(trap -p INT TERM)
  "$@" &
  child=$!
  # shellcheck disable=SC2064 # expand the child's ID now
  trap "kill $child 2>/dev/null; wait $child || true; exit 130" INT
  # shellcheck disable=SC2064
  trap "kill $child 2>/dev/null; wait $child || true; exit 143" TERM
  wait "$child" || status=$?
  trap - INT TERM
  eval "$traps"
  return "$status"
}
