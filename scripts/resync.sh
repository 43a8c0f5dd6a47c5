#!/usr/bin/env bash
# Starts the contact sync by hand: for every account, or for those that the options name. Prints
# the execution's name and its address in the console; with --follow, waits for the result.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"

ACCOUNT_PATTERN='^[0-9]{12}$'
UNIT_PATTERN='^ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}$'
TYPE_PATTERN='^(primary|billing|operations|security)$'
NAME_PATTERN='^[0-9A-Za-z_-]{1,80}$'
MOST_REASON_CHARACTERS=1000
TAB=$'\t'

POLL_SECONDS=2
# A run takes hours where there are many accounts; a lost connection is no reason to stop looking.
MOST_FAILED_POLLS=5
# The index that shows which run did a queued request is a moment behind.
MOST_POLLS_WITHOUT_REQUEST=5
# Between two runs nobody holds the lock, for a minute or two where one of them died.
MOST_POLLS_WITHOUT_HOLDER=150

usage() {
  cat <<'USAGE'
Usage: scripts/resync.sh [OPTION...]

  --environment ENV    dev, staging or prod (prod)
  --account ID...      only these accounts
  --ou ID...           only the accounts under these organizational units, at any depth
  --type T...          only these contacts: primary, billing, operations, security
  --dry-run            compare and report, write to no account
  --retry-of SYNC_ID   only the accounts that failed in this run (an execution's name); not
                       together with --account, --ou or --type
  --reason TEXT        free text for the audit trail
  --follow             show the progress, wait for the end, and exit with the run's result
  --region R, --profile P
                       of the AWS CLI, where its own defaults are not meant
  -h, --help

--account, --ou and --type take several values and can be repeated; accounts and organizational
units add up. The execution's name and its address in the console go to standard output.

Exits with 0 where the execution was started (with --follow: where it SUCCEEDED), 1 where it was
not, 2 where an option is wrong.
USAGE
}

main() {
  if [[ -n "${DEBUG:-}" ]]; then
    set -x
  fi
  read_options "$@"
  local outputs machine execution
  outputs=$(stack_outputs "$(stack_name "$environment")")
  machine=$(output_of "$outputs" StateMachineArn)
  execution=$(aws_cli stepfunctions start-execution --state-machine-arn "$machine" \
    --input "$(execution_input)" --query executionArn --output text)
  show_execution "$execution"
  if [[ -n "$follow" ]]; then
    table=$(output_of "$outputs" StateTableName)
    when_interrupted "No longer following; the execution goes on."
    follow "$execution"
  fi
}

read_options() {
  environment=prod accounts=() units=() types=() dry_run="" retry_of="" reason="" follow=""
  while (($#)); do
    case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --dry-run) dry_run=yes ;;
    --follow) follow=yes ;;
    --account | --ou | --type)
      require_value "$1" "${2:-}"
      local option="$1"
      while (($# > 1)) && [[ "$2" != -* ]]; do
        add_value "$option" "$2"
        shift
      done
      ;;
    --environment | --retry-of | --reason | --region | --profile)
      require_value "$1" "${2:-}"
      set_value "$1" "$2"
      shift
      ;;
    *) die_of_usage "unknown option: $1" ;;
    esac
    shift
  done
  if [[ -n "$retry_of" ]] && ((${#accounts[@]} + ${#units[@]} + ${#types[@]})); then
    die_of_usage "--retry-of stands alone, without --account, --ou and --type"
  fi
}

add_value() {
  case "$1" in
  --account)
    require_match "$1" "$2" "$ACCOUNT_PATTERN" "account id of 12 digits"
    accounts+=("$2")
    ;;
  --ou)
    require_match "$1" "$2" "$UNIT_PATTERN" "organizational unit such as ou-ab12-cdefgh34"
    units+=("$2")
    ;;
  --type)
    require_match "$1" "$2" "$TYPE_PATTERN" "contact type: primary, billing, operations, security"
    types+=("$2")
    ;;
  esac
}

set_value() {
  case "$1" in
  --retry-of)
    require_match "$1" "$2" "$NAME_PATTERN" "execution's name"
    retry_of="$2"
    ;;
  --reason)
    if ((${#2} > MOST_REASON_CHARACTERS)); then
      die_of_usage "--reason: more than $MOST_REASON_CHARACTERS characters"
    fi
    reason="$2"
    ;;
  *) set_where "$1" "$2" ;;
  esac
}

# Prints the execution input; `{}` is everything.
execution_input() {
  local members=()
  if ((${#accounts[@]})); then
    members+=("\"account_ids\": $(json_list "${accounts[@]}")")
  fi
  if ((${#units[@]})); then
    members+=("\"organizational_units\": $(json_list "${units[@]}")")
  fi
  if ((${#types[@]})); then
    members+=("\"contact_types\": $(json_list "${types[@]}")")
  fi
  if [[ -n "$dry_run" ]]; then
    members+=('"dry_run": true')
  fi
  if [[ -n "$retry_of" ]]; then
    members+=("\"retry_of\": $(json_string "$retry_of")")
  fi
  if [[ -n "$reason" ]]; then
    members+=("\"reason\": $(json_string "$reason")")
  fi
  printf '{%s}\n' "$(joined ${members[@]+"${members[@]}"})"
}

json_list() {
  local value members=()
  for value in "$@"; do
    members+=("$(json_string "$value")")
  done
  printf '[%s]' "$(joined "${members[@]}")"
}

joined() {
  local separator="" member
  for member in "$@"; do
    printf '%s%s' "$separator" "$member"
    separator=", "
  done
}

# Quotes any text; with awk, which is where Python or jq may not be.
json_string() {
  printf '%s' "$1" | LC_ALL=C awk '
    BEGIN {
      for (i = 1; i < 32; i++) escaped[sprintf("%c", i)] = sprintf("\\u%04x", i)
      escaped["\\"] = "\\\\"
      escaped["\""] = "\\\""
      printf "\""
    }
    NR > 1 { printf "\\n" }
    {
      for (i = 1; i <= length($0); i++) {
        character = substr($0, i, 1)
        printf "%s", character in escaped ? escaped[character] : character
      }
    }
    END { printf "\"" }'
}

show_execution() {
  printf '%s\n%s\n' "${1##*:}" "$(console_link "$1")"
}

# follow EXECUTION_ARN - shows the progress to the end; the exit code is the execution's.
follow() {
  local execution="$1" status holder
  while :; do
    # Three fields between tabs; the last may have any characters.
    ask "$execution" stepfunctions describe-execution --execution-arn "$execution" \
      --query "[status, error || '', cause || output || '']"
    status=${answer%%"$TAB"*}
    if [[ "$status" != RUNNING && "$status" != PENDING_REDRIVE ]]; then
      break
    fi
    show_progress "$(progress_of "$execution")"
    sleep "$POLL_SECONDS"
  done
  clear_progress
  holder=$(holder_in "$answer")
  if [[ -n "$holder" ]]; then
    log "Queued behind $holder. Waiting for the run that does this request."
    follow_queued "$execution"
  else
    show_result "${execution##*:}" "$answer"
  fi
}

# follow_queued EXECUTION_ARN - waits for the run that does a queued request, and follows it.
follow_queued() {
  local name="${1##*:}" arns="${1%:*}" queued run progress gone=0 idle=0
  while :; do
    ask "$1" dynamodb get-item --table-name "$table" --consistent-read \
      --key "{\"pk\": {\"S\": \"LOCK\"}, \"sk\": {\"S\": \"QUEUE#$name\"}}" --query Item.sk.S
    queued="$answer"
    # A run notes that it did the request before it removes it from the queue.
    ask "$1" dynamodb query --table-name "$table" --index-name GSI1 \
      --key-condition-expression 'gsi1pk = :run AND gsi1sk = :kind' --expression-attribute-values \
      "{\":run\": {\"S\": \"RUN#$name\"}, \":kind\": {\"S\": \"RUN\"}}" --query 'Items[0].done_by.S'
    run="$answer"
    if [[ "$run" != None ]]; then
      break
    elif [[ "$queued" == None ]] && ((++gone > MOST_POLLS_WITHOUT_REQUEST)); then
      clear_progress
      die "the run that took this request was stopped, and the request is dropped: start it again"
    fi
    ask "$1" dynamodb get-item --table-name "$table" --consistent-read \
      --key '{"pk": {"S": "LOCK"}, "sk": {"S": "LOCK"}}' --query Item.holder.S
    if [[ "$answer" != None ]]; then
      idle=0
      progress=$(progress_of "$arns:$answer")
      show_progress "${progress:+$answer: $progress}"
    elif ((++idle > MOST_POLLS_WITHOUT_HOLDER)); then
      clear_progress
      die "no run is under way; the next execution does this request, whatever starts it"
    fi
    sleep "$POLL_SECONDS"
  done
  clear_progress
  show_execution "$arns:$run"
  follow "$arns:$run"
}

# ask EXECUTION_ARN ARGUMENT... - sets answer to what AWS says; repeats a call that fails.
ask() {
  local execution="$1" failed
  shift
  for ((failed = 0; ; failed++)); do
    if answer=$(aws_cli "$@" --output text 2>&1); then
      return
    elif ((failed == MOST_FAILED_POLLS)); then
      clear_progress
      log "$answer"
      die "cannot follow ${execution##*:} any longer; it goes on"
    fi
    sleep "$POLL_SECONDS"
  done
}

# Prints the execution that the described one queued behind, if it did.
holder_in() {
  local pattern='"queued_behind": *"([^"]+)"'
  if [[ "$1" == SUCCEEDED* && "$1" =~ $pattern ]]; then
    printf '%s\n' "${BASH_REMATCH[1]}"
  fi
}

# progress_of EXECUTION_ARN - prints how many of its accounts are done.
progress_of() {
  local run counts total pending running
  run=$(aws_cli stepfunctions list-map-runs --execution-arn "$1" --output text \
    --query 'mapRuns[0].mapRunArn' 2>/dev/null) || return 0
  if [[ "$run" == None ]]; then
    printf 'preparing\n'
    return
  fi
  counts=$(aws_cli stepfunctions describe-map-run --map-run-arn "$run" --output text \
    --query 'itemCounts.[total, pending, running]' 2>/dev/null) || return 0
  IFS=$'\t' read -r total pending running <<<"$counts"
  printf '%s of %s accounts done, %s under way\n' \
    "$((total - pending - running))" "$total" "$running"
}

# In a terminal one line that changes, elsewhere a line for each change.
shown=""
show_progress() {
  if [[ -z "$1" || "$1" == "$shown" ]]; then
    return
  fi
  shown="$1"
  if [[ -t 2 ]]; then
    printf '\r\033[K%s' "$1" >&2
  else
    log "$1"
  fi
}

clear_progress() {
  if [[ -t 2 && -n "$shown" ]]; then
    printf '\r\033[K' >&2
  fi
  shown=""
}

# show_result NAME DESCRIPTION - tells how the execution ended, and exits so.
show_result() {
  local status rest error told pattern='"summary": *"(([^"\\]|\\.)*)"'
  status=${2%%"$TAB"*}
  rest=${2#*"$TAB"}
  error=${rest%%"$TAB"*}
  told=${rest#*"$TAB"}
  if [[ "$status" == SUCCEEDED && "$told" =~ $pattern ]]; then
    told="${BASH_REMATCH[1]}"
  fi
  printf '%s %s%s%s\n' "$1" "$status" "${error:+: $error}" "${told:+: $told}"
  if [[ "$status" != SUCCEEDED ]]; then
    exit 1
  fi
}

main "$@"
