#!/usr/bin/env bash
# Shows, checks and changes the configuration, by the same rules that each run checks it by. What
# is broken never reaches the table, and what is written is shown before.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"

ID_PATTERN='^([0-9]{12}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32})$'

usage() {
  cat <<'USAGE'
Usage: scripts/config.sh COMMAND [OPTION...]

  show                 print the configuration as a file of it looks
  validate FILE        check a file; calls nothing in AWS
  apply FILE           put the file in the place of the configuration
  exclude ID...        synchronize these accounts, and the accounts under these organizational
                       units, no longer
  include ID...        synchronize them again

  --environment ENV    dev, staging or prod; required but for validate
  --yes                do not ask before it writes
  --region R, --profile P
                       of the AWS CLI, where its own defaults are not meant
  -h, --help

Exits with 0 where it was done or there was nothing to do, 1 where the configuration is broken or
was not written, 2 where an option is wrong.
USAGE
}

main() {
  if [[ -n "${DEBUG:-}" ]]; then
    set -x
  fi
  read_options "$@"
  python=$(functions_python)
  if [[ "$command" == validate ]]; then
    configuration validate "$file"
    log "$file is valid"
    return
  fi
  local outputs item
  outputs=$(stack_outputs "$(stack_name "$environment")")
  table=$(output_of "$outputs" ConfigTableName)
  item=$(aws_cli dynamodb get-item --table-name "$table" --consistent-read --output json \
    --key '{"config_key": {"S": "default"}}' --query Item)
  if [[ "$command" == show ]]; then
    configuration show <<<"$item"
  else
    change "$item"
  fi
}

read_options() {
  command="" environment="" assume_yes="" file="" ids=()
  while (($#)); do
    case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --yes) assume_yes=yes ;;
    --environment | --region | --profile)
      require_value "$1" "${2:-}"
      set_where "$1" "$2"
      shift
      ;;
    -*) die_of_usage "unknown option: $1" ;;
    *) add_word "$1" ;;
    esac
    shift
  done
  case "$command" in
  "") die_of_usage "a command is required" ;;
  apply | validate) [[ -n "$file" ]] || die_of_usage "$command needs a file" ;;
  exclude | include) ((${#ids[@]})) || die_of_usage "$command needs an id" ;;
  esac
  if [[ -z "$environment" && "$command" != validate ]]; then
    die_of_usage "--environment is required"
  fi
}

# add_word WORD - the first is the command; what may follow depends on it.
add_word() {
  case "$command" in
  "")
    require_match COMMAND "$1" '^(show|validate|apply|exclude|include)$' \
      "command: show, validate, apply, exclude, include"
    command="$1"
    ;;
  apply | validate)
    [[ -z "$file" ]] || die_of_usage "$command takes one file"
    file="$1"
    ;;
  exclude | include)
    require_match "$command" "$1" "$ID_PATTERN" \
      "account id of 12 digits, nor an organizational unit such as ou-ab12-cdefgh34"
    ids+=("$1")
    ;;
  *) die_of_usage "unexpected: $1" ;;
  esac
}

# change ITEM - shows what the command would change of the item, asks, and writes.
change() {
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  configuration "$command" "$table" "$folder" ${file:+"$file"} ${ids[@]+"${ids[@]}"} <<<"$1"
  if [[ ! -e "$folder/request.json" ]]; then
    log "nothing to change"
    return
  fi
  check_units "$folder/units"
  if [[ -z "$assume_yes" ]]; then
    confirm "Write this to $table?"
  fi
  write "$folder/request.json"
  log "written to $table; each run reads it anew"
}

# check_units FILE - a run refuses a unit that does not exist, since it would exclude nobody.
check_units() {
  local unit told
  while IFS= read -r unit; do
    if ! told=$(aws_cli organizations describe-organizational-unit \
      --organizational-unit-id "$unit" 2>&1); then
      case "$told" in
      *OrganizationalUnitNotFoundException*)
        die "excluded_organizational_units: $unit does not exist in the organization"
        ;;
      *) die "${told#error: }" ;;
      esac
    fi
  done <"$1"
}

write() {
  local told
  if ! told=$(aws_cli dynamodb put-item --cli-input-json "file://$1" 2>&1); then
    case "$told" in
    *ConditionalCheckFailed*)
      die "the configuration was changed by someone else meanwhile; nothing was written: try again"
      ;;
    *) die "${told#error: }" ;;
    esac
  fi
}

main "$@"
