#!/usr/bin/env bash
# Writes a backup of backup.sh into the tables of a deployed stack, and compares them afterwards.
# What the tables have besides stays. It can be repeated.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source=scripts/lib/tables.sh
source "$REPOSITORY/scripts/lib/tables.sh"

MOST_ATTEMPTS=8
PROGRESS_FILES=100

usage() {
  cat <<'USAGE'
Usage: scripts/restore.sh --environment ENV [OPTION...]

  --environment ENV    dev, staging or prod
  --input DIR          the folder that backup.sh wrote (backup)
  --yes                do not ask
  --region R, --profile P
                       of the AWS CLI, where its own defaults are not meant
  -h, --help

Exits with 0 where the tables agree with the backup, 1 where they do not, 2 where an option is
wrong.
USAGE
}

main() {
  if [[ -n "${DEBUG:-}" ]]; then
    set -x
  fi
  read_options "$@"
  umask 077
  python=$(find_python)
  find_tables "$environment"
  table_backup check "$input" "$config_table" "$state_table" >&2
  check_lock
  if [[ -z "$assume_yes" ]]; then
    confirm "Write this over the items of the same keys?"
  fi
  work=$(mktemp -d)
  trap 'rm -rf -- "$work"' EXIT
  when_interrupted "Part of the backup is written; run this again to write all of it."
  write_all
  read_tables "$work"
  table_backup compare "$work" "$input" "$config_table" "$state_table"
}

read_options() {
  environment="" input=backup assume_yes=""
  while (($#)); do
    case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --yes) assume_yes=yes ;;
    --environment | --input | --region | --profile)
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
  --input) input="${2%/}" ;;
  *) set_where "$1" "$2" ;;
  esac
}

# An execution would go on with what it read before, and write over what is restored.
check_lock() {
  local holder
  holder=$(lock_holder)
  if [[ -n "$holder" ]]; then
    die "execution $holder is under way; nothing was written: wait for its end, or stop it"
  fi
}

write_all() {
  local file count=0
  table_backup files "$input" "$config_table" "$state_table" >"$work/files"
  while IFS= read -r -u 4 file; do
    write_items "$file"
    count=$((count + 1))
    if ((count % PROGRESS_FILES == 0)); then
      log "$count files written"
    fi
  done 4<"$work/files"
}

# write_items FILE - writes its items; DynamoDB answers with those that it was too busy for.
write_items() {
  local file="$1" left attempt
  for ((attempt = 1; attempt <= MOST_ATTEMPTS; attempt++)); do
    left=$(aws_cli dynamodb batch-write-item --request-items "file://$file" --output json \
      --query UnprocessedItems)
    # Of an empty answer the AWS CLI prints nothing.
    if [[ -z "$left" || "$left" == "{}" || "$left" == null ]]; then
      return
    fi
    file="$work/left.json"
    printf '%s\n' "$left" >"$file"
    sleep "$attempt"
  done
  die "DynamoDB left items of $1 unwritten $MOST_ATTEMPTS times: restore again later"
}

main "$@"
