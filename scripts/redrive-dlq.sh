#!/usr/bin/env bash
# Does what the events in the dead-letter queue should have done: starts the execution of each, by
# its identifiers only, and then deletes the message. What a message says is never printed.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"

TAB=$'\t'
# For so long a message is hidden from others; then it is in the queue again, whatever happened.
HOLD_SECONDS=900
WAIT_SECONDS=2

usage() {
  cat <<'USAGE'
Usage: scripts/redrive-dlq.sh --environment ENV [OPTION...]

  --environment ENV    dev, staging or prod
  --forwarding-region R
                       the queue of the forwarding stack in this region, in place of the stack's
  --yes                do not ask
  --region R, --profile P
                       of the AWS CLI, where its own defaults are not meant
  -h, --help

Prints a line for each message: its id, the rule or schedule that could not deliver it, why, and
the execution that was started for it. It can be repeated: an event's execution is started once.

Exits with 0 where every message was redriven, 1 where one was not, 2 where an option is wrong.
USAGE
}

main() {
  if [[ -n "${DEBUG:-}" ]]; then
    set -x
  fi
  read_options "$@"
  local stack outputs
  stack=$(stack_name "$environment")
  outputs=$(stack_outputs "$stack")
  queue=$(queue_of "$stack" "$outputs")
  # Left to itself, version 1 of the AWS CLI calls another host than the queue's own.
  at_queue=(--queue-url "$queue" --endpoint-url "${queue%/*/*}")
  if [[ -n "$forwarding_region" ]]; then
    at_queue+=(--region "$forwarding_region")
  fi
  machine=$(output_of "$outputs" StateMachineArn)
  topic=$(output_of "$outputs" NotificationTopicArn)
  python=$(find_python)
  if [[ -z "$assume_yes" ]]; then
    ask
  fi
  redriven=0 seen=" " left=0 held=()
  trap release EXIT
  when_interrupted "What was not redriven is still in the queue; run this again."
  redrive_all
  log "$redriven redriven, $left left in the queue"
  ((left == 0)) || exit 1
}

read_options() {
  environment="" forwarding_region="" assume_yes=""
  while (($#)); do
    case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --yes) assume_yes=yes ;;
    --environment | --forwarding-region | --region | --profile)
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
  --forwarding-region)
    require_match "$1" "$2" "$REGION_PATTERN" "region such as us-east-1"
    forwarding_region="$2"
    ;;
  *) set_where "$1" "$2" ;;
  esac
}

# queue_of STACK OUTPUTS - prints the queue's URL, of the stack or of what forwards to it.
queue_of() {
  local outputs="$2"
  if [[ -n "$forwarding_region" ]]; then
    AWS_REGION_OPTION="$forwarding_region"
    outputs=$(stack_outputs "$1-forwarding")
  fi
  output_of "$outputs" DeadLetterQueueUrl
}

ask() {
  local count
  count=$(aws_cli sqs get-queue-attributes "${at_queue[@]}" --output text \
    --attribute-names ApproximateNumberOfMessages \
    --query Attributes.ApproximateNumberOfMessages)
  confirm "About $count messages in ${queue##*/}. Start the execution of each and delete it?"
}

redrive_all() {
  local plan
  while :; do
    plan=$(receive)
    if [[ -z "$plan" ]]; then
      break
    fi
    hold "$plan"
    redrive_each "$plan"
  done
}

# Prints a line for each of up to ten messages; their bodies pass through this pipe only.
receive() {
  aws_cli sqs receive-message "${at_queue[@]}" --output json --message-attribute-names All \
    --max-number-of-messages 10 --visibility-timeout "$HOLD_SECONDS" \
    --wait-time-seconds "$WAIT_SECONDS" |
    "$python" "$REPOSITORY/scripts/lib/dead_letters.py" "$machine"
}

hold() {
  local id receipt
  while IFS="$TAB" read -r id receipt _; do
    held+=("$receipt")
  done <<<"$1"
}

redrive_each() {
  local id receipt origin error action name payload about
  while IFS="$TAB" read -r -u 4 id receipt origin error action name payload about; do
    case "$action" in
    start)
      start_execution "$name" "$payload"
      finish "$receipt"
      printf '%s (%s, %s): %s, %s %s\n' "$id" "$origin" "$error" "$about" "$started" "$name"
      ;;
    drop)
      finish "$receipt"
      printf '%s (%s, %s): %s starts nothing, deleted\n' "$id" "$origin" "$error" "$about"
      ;;
    publish)
      aws_cli sns publish --topic-arn "$topic" --message "$payload" >/dev/null
      finish "$receipt"
      printf '%s (%s, %s): %s, published\n' "$id" "$origin" "$error" "$about"
      ;;
    *)
      # A message comes again where the others take longer than it is held.
      if [[ "$seen" != *" $id "* ]]; then
        seen="$seen$id "
        left=$((left + 1))
        warn "message $id ($origin, $error) is not understood; it stays in the queue"
      fi
      ;;
    esac
  done 4<<<"$1"
}

# start_execution NAME INPUT - one that was started before by this name is what is wanted, too.
start_execution() {
  local told
  if told=$(aws_cli stepfunctions start-execution --state-machine-arn "$machine" --name "$1" \
    --input "$2" 2>&1); then
    started="started as"
  elif [[ "$told" == *ExecutionAlreadyExists* ]]; then
    started="was started before as"
  else
    die "${told#error: }"
  fi
}

finish() {
  local number
  aws_cli sqs delete-message "${at_queue[@]}" --receipt-handle "$1" >/dev/null
  redriven=$((redriven + 1))
  for number in "${!held[@]}"; do
    if [[ "${held[number]}" == "$1" ]]; then
      unset "held[number]"
    fi
  done
}

# Shows what is left in the queue again, at once.
release() {
  local receipt
  for receipt in ${held[@]+"${held[@]}"}; do
    call_aws sqs change-message-visibility "${at_queue[@]}" --receipt-handle "$receipt" \
      --visibility-timeout 0 >/dev/null 2>&1 || true
  done
}

main "$@"
