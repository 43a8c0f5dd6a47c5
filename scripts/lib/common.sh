# shellcheck shell=bash
# What the scripts share: messages, options, the Python environments that they run in, and AWS.
# Meant to be sourced, with `set -euo pipefail` on; works in the bash 3.2 of macOS.

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

# For wrong options; the script that sources this file defines `usage`.
die_of_usage() {
  printf 'error: %s\n\n' "$*" >&2
  usage >&2
  exit 2
}

# require_value OPTION [VALUE] - wrong usage unless a value follows the option.
require_value() {
  if [[ -z "${2:-}" || "$2" == --* ]]; then
    die_of_usage "$1 needs a value"
  fi
}

# require_match OPTION VALUE PATTERN WANTED - wrong usage unless the value is what is wanted.
require_match() {
  if [[ ! "$2" =~ $3 ]]; then
    die_of_usage "$1: '$2' is no $4"
  fi
}

# confirm QUESTION - asks; anything but yes ends the script.
confirm() {
  local answer=""
  printf '%s [y/N] ' "$1" >&2
  read -r answer || true
  case "$answer" in
  y | Y | yes | YES | Yes) ;;
  *) die "not confirmed; nothing was done" ;;
  esac
}

# when_interrupted TEXT - Ctrl-C, or being told to end, ends the script with this text.
when_interrupted() {
  # shellcheck disable=SC2064 # the text is known now
  trap "log 'Interrupted. $1'; exit 130" INT
  # shellcheck disable=SC2064
  trap "log 'Interrupted. $1'; exit 143" TERM
}

# Prints the path of a Python that runs, is new enough and can make environments.
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

# Prints the path of the interpreter if it is usable; that a name is on PATH says little, as the
# shims of version managers are there for versions that are not.
usable_python() {
  "$1" - 2>/dev/null <<'SCRIPT'
import ensurepip, sys, venv
if sys.version_info < (3, 11):
    sys.exit(1)
print(sys.executable)
SCRIPT
}

# Makes `.venv`: the functions' requirements and the development tools.
ensure_dev_environment() {
  ensure_environment "$REPOSITORY/.venv" \
    --requirement "$REPOSITORY/functions/requirements.txt" --group "$REPOSITORY/pyproject.toml:dev"
}

# Makes `.build/ministack`: the stand-in's engine, which pins another botocore. An environment
# that STANDIN_MINISTACK_PYTHON names is used as it is.
ensure_standin_environment() {
  if [[ -z "${STANDIN_MINISTACK_PYTHON:-}" ]]; then
    ensure_environment "$REPOSITORY/.build/ministack" --group "$REPOSITORY/pyproject.toml:standin"
  fi
}

# Makes `.build/aws`: the AWS CLI that the scripts are tested with, which pins another botocore.
# For tests alone; who runs the scripts has an AWS CLI.
ensure_aws_environment() {
  ensure_environment "$REPOSITORY/.build/aws" --group "$REPOSITORY/pyproject.toml:aws"
}

# run_in_standin PACKAGE OPTION... - runs a package of scripts/ that starts the stand-in. Its options
# name files from where the caller is.
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
  # A wrong option is told before anything is installed.
  "$python" -P -m "$package" --check-options "$@" || exit
  ensure_dev_environment
  ensure_standin_environment
  exec "$REPOSITORY/.venv/bin/python" -P -m "$package" "$@"
}

# ensure_environment FOLDER REQUIREMENT... - makes or updates a virtual environment, unless the
# files that name its packages are the same as when it was made.
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
  log "Installing into ${folder#"$REPOSITORY/"}; the first time takes a minute"
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

# pip_install FOLDER REQUIREMENT... - its temporary files stay in the environment, where an
# interrupted installation leaves no litter.
pip_install() {
  local folder="$1" status=0
  shift
  mkdir -p "$folder/tmp"
  TMPDIR="$folder/tmp" run_to_end "$folder/bin/python" -m pip install \
    --quiet --disable-pip-version-check "$@" || status=$?
  rm -rf "$folder/tmp"
  if ((status != 0)); then
    die "pip could not install into $folder"
  fi
}

# Runs a command that ends when the script is told to end; by itself bash would leave it running.
run_to_end() {
  local child status=0 traps
  traps=$(trap -p INT TERM)
  "$@" &
  child=$!
  # shellcheck disable=SC2064 # the child's id is known now
  trap "kill $child 2>/dev/null; wait $child || true; exit 130" INT
  # shellcheck disable=SC2064
  trap "kill $child 2>/dev/null; wait $child || true; exit 143" TERM
  wait "$child" || status=$?
  trap - INT TERM
  eval "$traps"
  return "$status"
}

# AWS. A script that uses it reads its options into these.
AWS_REGION_OPTION=""
AWS_PROFILE_OPTION=""

ENVIRONMENT_PATTERN='^(dev|staging|prod)$'
REGION_PATTERN='^[a-z]{2,}(-[a-z]+)+-[0-9]+$'

# set_where OPTION VALUE - the options that every script has: which stack, and where.
set_where() {
  case "$1" in
  --environment)
    require_match "$1" "$2" "$ENVIRONMENT_PATTERN" "environment: dev, staging, prod"
    environment="$2"
    ;;
  --region)
    require_match "$1" "$2" "$REGION_PATTERN" "region such as us-east-1"
    AWS_REGION_OPTION="$2"
    ;;
  --profile) AWS_PROFILE_OPTION="$2" ;;
  esac
}

require_environment() {
  if [[ -z "$environment" ]]; then
    die_of_usage "--environment is required"
  fi
}

stack_name() {
  printf 'aws-contact-sync-%s\n' "$1"
}

# aws_cli ARGUMENT... - calls AWS; what it says of an error becomes one plain line with the remedy.
aws_cli() {
  local errors status=0
  require_aws
  # The error goes through the variable, and the answer around it.
  {
    errors=$(call_aws "$@" 2>&1 >&3) || status=$?
  } 3>&1
  if ((status != 0)); then
    die "$(explain_aws_error "$errors")"
  fi
}

require_aws() {
  command -v aws >/dev/null ||
    die "the AWS CLI is missing: install it (https://aws.amazon.com/cli/), then try again"
}

call_aws() {
  # A pager would wait for a key.
  AWS_PAGER="" aws ${AWS_REGION_OPTION:+--region "$AWS_REGION_OPTION"} \
    ${AWS_PROFILE_OPTION:+--profile "$AWS_PROFILE_OPTION"} "$@"
}

# explain_aws_error TEXT - prints one line: what is wrong, and what to do where that is known.
explain_aws_error() {
  local told="" line
  while IFS= read -r line; do
    # The last line is the error; before it are warnings and blank lines.
    if [[ -n "$line" ]]; then
      told="$line"
    fi
  done <<<"$1"
  case "$told" in
  *"nable to locate credentials"* | *"Partial credentials"*)
    printf 'no AWS credentials: sign in, or name a profile with --profile\n'
    ;;
  *ExpiredToken* | *"oken has expired"* | *"oken is expired"* | *InvalidClientTokenId* | \
    *UnrecognizedClient* | *"does not exist or is expired"*)
    printf 'the AWS credentials are expired or invalid: sign in again (%s)\n' "$told"
    ;;
  *"config profile"*"could not be found"*)
    printf 'no AWS profile %s: see "aws configure list-profiles"\n' "$AWS_PROFILE_OPTION"
    ;;
  *"specify a region"*)
    printf 'no AWS region: name the one of the stack with --region\n'
    ;;
  *AccessDenied* | *"not authorized"*)
    printf 'the AWS credentials do not suffice: %s\n' "$told"
    ;;
  *"Could not connect"* | *"onnection was closed"* | *"onnect timeout"*)
    printf 'AWS cannot be reached; check network and region: %s\n' "$told"
    ;;
  *) printf '%s\n' "${told:-the AWS CLI failed and did not say why}" ;;
  esac
}

# stack_outputs STACK - prints each output of the stack as a name, a tab and its value.
stack_outputs() {
  local outputs errors
  outputs=$(aws_cli cloudformation describe-stacks --stack-name "$1" --output text \
    --query 'Stacks[0].Outputs[].[OutputKey, OutputValue]' 2>&1) || {
    errors=${outputs#error: }
    case "$errors" in
    *"does not exist"*)
      die "there is no stack $1 in this account and region: deploy it, or name another with" \
        "--environment, --region or --profile"
      ;;
    *) die "$errors" ;;
    esac
  }
  printf '%s\n' "$outputs"
}

# output_of OUTPUTS NAME - prints one of the outputs.
output_of() {
  local name value
  while IFS=$'\t' read -r name value; do
    if [[ "$name" == "$2" ]]; then
      printf '%s\n' "$value"
      return
    fi
  done <<<"$1"
  die "the stack has no output $2: its first deployment failed, or was of another version;" \
    "deploy it again"
}
