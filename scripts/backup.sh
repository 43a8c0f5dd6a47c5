#!/usr/bin/env bash
# Writes both tables to files that `aws dynamodb batch-write-item` takes as they are. Lock and queue
# are left out: they are true of the running stack only.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source=scripts/lib/tables.sh
source "$REPOSITORY/scripts/lib/tables.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/backup.sh --environment ENV [OPTION...]

  --environment ENV    dev, staging or prod
  --output DIR         the folder to write to (backup); it may not hold anything yet
  --region R, --profile P
                       of the AWS CLI, where its own defaults are not meant
  -h, --help

Writes at most 25 items a file, config-table-backup.json, state-table-backup.json,
state-table-backup-00002.json and so on, and counts them again. The folder appears once all is
there, and its name goes to standard output. scripts/restore.sh writes it back.

Exits with 0 where the backup is complete, 1 where there is none, 2 where an option is wrong.
USAGE
}

main() {
  if [[ -n "${DEBUG:-}" ]]; then
    set -x
  fi
  read_options "$@"
  umask 077
  local holder
  python=$(find_python)
  check_output
  find_tables "$environment"
  make_folders
  read_tables "$pages"
  holder=$(lock_holder)
  if [[ -n "$holder" ]]; then
    warn "execution $holder is under way; the backup has part of what it does"
  fi
  table_backup pack "$pages" "$partial" "$config_table" "$state_table" >&2
  if [[ -d "$output" ]]; then
    rmdir -- "$output"
  fi
  mv -- "$partial" "$output"
  printf '%s\n' "$output"
}

read_options() {
  environment="" output=backup
  while (($#)); do
    case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --environment | --output | --region | --profile)
      require_value "$1" "${2:-}"
      set_value "$1" "$2"
      shift
      ;;
    *) die_of_usage "unknown option: $1" ;;
    esac
    shift
  done
  require_environment
}

set_value() {
  case "$1" in
  --output) output="${2%/}" ;;
  *) set_where "$1" "$2" ;;
  esac
}

check_output() {
  if [[ -e "$output" && ! -d "$output" ]]; then
    die "$output is no folder"
  fi
  if [[ -d "$output" && -n "$(ls -A -- "$output")" ]]; then
    die "$output holds something already, perhaps an earlier backup: name another with --output"
  fi
}

# The partial backup is beside the whole one, which it can be renamed to.
make_folders() {
  local parent
  parent=$(dirname -- "$output")
  mkdir -p -- "$parent"
  # Named here and not by mktemp, so that the trap knows it from the very first.
  partial="$parent/.backup.$$"
  pages="$partial.pages"
  trap 'rm -rf -- "$partial" "$pages"' EXIT
  mkdir -- "$partial" "$pages"
}

main "$@"
