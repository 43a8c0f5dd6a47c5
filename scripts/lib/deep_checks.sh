# shellcheck shell=bash
# The checks that validate.sh makes with --deep: what happens when something happens.
# Meant to be sourced by validate.sh, whose way of telling they use.
# shellcheck disable=SC2154 # validate.sh sets what is not assigned here

TEST_SOURCE=aws-contact-sync.validate
# A new rule is not in force at once, and an event before that is lost.
EVENT_ATTEMPTS=8
POLLS_AN_EVENT=8
POLL_SECONDS=2
# What a run needs besides its calls of the Account API, and how far from the estimate is odd.
SPARE_SECONDS=60
MOST_ESTIMATES=2

# A rule of the stack, an event of tests/events that it is for, or must not be.
SAMPLES="contact-changed put-alternate-contact True
contact-changed put-alternate-contact-member False
billing-contact-changed set-additional-contacts True
billing-contact-changed put-contact-information-console True
contact-changed put-contact-information-console False
account-created create-account-result True
account-joined account-joined-organization-invited True
unnamed-account-joined account-joined-organization-unnamed True
managed-account-created create-managed-account True
managed-account-updated update-managed-account True
account-departed account-departed-organization-left True
account-closed close-account-result True
recovery execution-failed True
recovery execution-failed-recovery False
recovery execution-succeeded False
execution-stopped execution-aborted True
execution-stopped execution-failed-recovery True
execution-stopped execution-failed False"
SAMPLE_ACCOUNT=999999999999
SAMPLE_MACHINE=arn:aws:states:us-east-1:$SAMPLE_ACCOUNT:stateMachine
SAMPLE_MACHINE=$SAMPLE_MACHINE:aws-contact-sync-dev-contact-sync

check_deeply() {
  machine=$(output_of "$outputs" StateMachineArn)
  check_patterns
  check_message
  check_event
  check_dry_run
}

# PutEvents takes no event of an AWS service, so the patterns are asked about one by one.
check_patterns() {
  local patterns rule sample wanted pattern count=0
  begin "patterns"
  if ask events list-rules --name-prefix "$stack-" --query 'Rules[].[Name, EventPattern]' \
    --output text; then
    patterns="$answer"
    while read -r -u 4 rule sample wanted; do
      pattern=$(state_in "$patterns" "$stack-$rule")
      if [[ -z "$pattern" ]]; then
        note fail "$stack-$rule $GONE"
      elif ask events test-event-pattern --event-pattern "$pattern" \
        --event "$(sample_event "$sample")" --query Result --output text; then
        count=$((count + 1))
        if [[ "$answer" != "$wanted" ]]; then
          note fail "$stack-$rule should say $wanted to $sample: it was changed by hand; create" \
            "it again as template.yaml has it"
        fi
      fi
    done 4<<<"$SAMPLES"
  fi
  end "$count events of AWS tell the rules what they should"
}

# sample_event NAME - prints the event as it would be in this account, of this state machine.
sample_event() {
  local event sample execution
  sample=${SAMPLE_MACHINE/:stateMachine:/:execution:}
  execution=${machine/:stateMachine:/:execution:}
  event=$(sed -e "s|$SAMPLE_MACHINE\"|$machine\"|" -e "s|$sample:|$execution:|" \
    "$REPOSITORY/tests/events/$1.json")
  printf '%s\n' "${event//$SAMPLE_ACCOUNT/$(parameter ManagementAccountId)}"
}

check_message() {
  begin "test message"
  ask sns publish --topic-arn "$(output_of "$outputs" NotificationTopicArn)" \
    --subject "[$environment] Test of the contact sync's notifications" --output text \
    --query MessageId --message \
    "scripts/validate.sh --deep sent this to see whether it arrives. Nothing is to be done." || true
  end "published; each subscriber should have it now"
}

# Sends an event through a rule of its own, which starts a dry run; sets execution to it.
check_event() {
  local token role attempt
  begin "test event"
  execution=""
  token="validate-$(date -u +%Y%m%dT%H%M%SZ)-$$"
  test_rule="$stack-$token"
  if ask events list-targets-by-rule --rule "$stack-contact-changed" --output text \
    --query 'Targets[0].RoleArn'; then
    role="$answer"
    known=$(latest_executions) || known=""
    trap remove_test_rule EXIT
    if [[ "$role" == None ]]; then
      note fail "$stack-contact-changed has no role that could start it"
    elif put_test_rule "$token" "$role"; then
      for ((attempt = 0; attempt < EVENT_ATTEMPTS; attempt++)); do
        put_test_event "$token" || break
        execution=$(execution_of "$token")
        [[ -z "$execution" ]] || break
      done
    fi
    remove_test_rule
    if [[ -z "$execution" && "$level" == pass ]]; then
      note fail "it started nothing: see the role of $stack-contact-changed, and the dead letters"
    fi
  fi
  end "a rule started ${execution##*:}"
}

# put_test_rule TOKEN ROLE
put_test_rule() {
  local target
  # The input is JSON in a string of JSON.
  target=$(printf '[{"Id": "test", "Arn": "%s", "RoleArn": "%s", "Input": "{%s, %s: {%s, %s}}"}]' \
    "$machine" "$2" '\"dry_run\": true, \"reason\": \"scripts/validate.sh --deep\"' '\"trigger\"' \
    '\"source\": \"test\", \"event_name\": \"Test\"' \
    "\\\"event_id\\\": \\\"$1\\\", \\\"event_time\\\": \\\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\\\"")
  ask events put-rule --name "$test_rule" --description "Test; may be deleted." --event-pattern \
    "{\"source\": [\"$TEST_SOURCE\"], \"detail\": {\"token\": [\"$1\"]}}" &&
    ask events put-targets --rule "$test_rule" --query FailedEntries --output text \
      --targets "$target"
}

put_test_event() {
  ask events put-events --query FailedEntryCount --output text --entries \
    "[{\"Source\": \"$TEST_SOURCE\", \"DetailType\": \"Test\",
      \"Detail\": \"{\\\"token\\\": \\\"$1\\\"}\"}]" || return 1
  if [[ "$answer" != 0 ]]; then
    note fail "EventBridge did not take it: try again"
    return 1
  fi
}

remove_test_rule() {
  trap - EXIT
  call_aws events remove-targets --rule "$test_rule" --ids test >/dev/null 2>&1 || true
  call_aws events delete-rule --name "$test_rule" >/dev/null 2>&1 ||
    warn "the rule $test_rule is left: aws events delete-rule --name $test_rule"
}

latest_executions() {
  aws_cli stepfunctions list-executions --state-machine-arn "$machine" --max-items 20 \
    --query 'executions[].[executionArn]' --output text
}

# execution_of TOKEN - prints the new execution whose input has the token, once there is one.
execution_of() {
  local polls name input
  for ((polls = 0; polls < POLLS_AN_EVENT; polls++)); do
    while IFS= read -r -u 4 name; do
      if [[ "$name" == arn:* && $'\n'"$known"$'\n' != *$'\n'"$name"$'\n'* ]]; then
        input=$(aws_cli stepfunctions describe-execution --execution-arn "$name" --query input \
          --output text)
        if [[ "$input" == *"$1"* ]]; then
          printf '%s\n' "$name"
          return
        fi
      fi
    done 4<<<"$(latest_executions)"
    sleep "$POLL_SECONDS"
  done
}

# Follows the dry run that the event started, or one that is started now.
check_dry_run() {
  local told status summary="" pattern='"summary": *"(([^"\\]|\\.)*)"'
  begin "dry run"
  if [[ -z "$execution" ]]; then
    ask stepfunctions start-execution --state-machine-arn "$machine" --query executionArn \
      --output text --input '{"dry_run": true, "reason": "scripts/validate.sh --deep"}' &&
      execution="$answer"
  fi
  if [[ -n "$execution" ]]; then
    log "Following the dry run ${execution##*:}"
    status=RUNNING
    while [[ "$status" == RUNNING ]]; do
      sleep "$POLL_SECONDS"
      ask stepfunctions describe-execution --execution-arn "$execution" --output text \
        --query "[status, error || '-', cause || output || '-']" || break
      IFS="$TAB" read -r status told summary <<<"$answer"
    done
    if [[ "$status" != SUCCEEDED && "$level" == pass ]]; then
      note fail "$status: $told: $summary"
    elif [[ "$summary" =~ $pattern ]]; then
      summary="${BASH_REMATCH[1]}"
    fi
  fi
  end "$summary"
  if [[ "$level" == pass ]]; then
    check_time
  fi
}

# Compares the time of the dry run with its estimate by the Account API's quotas.
check_time() {
  local estimate="" seconds="" accounts=""
  begin "time"
  if ask dynamodb query --table-name "$(output_of "$outputs" StateTableName)" --index-name GSI1 \
    --key-condition-expression 'gsi1pk = :run AND gsi1sk = :kind' --expression-attribute-values \
    "{\":run\": {\"S\": \"RUN#${execution##*:}\"}, \":kind\": {\"S\": \"RUN\"}}" --output text \
    --query 'Items[0].[estimated_seconds.N, seconds.N, sum(map(&to_number(@), accounts.M.*.N))]'; then
    IFS="$TAB" read -r estimate seconds accounts <<<"$answer"
    if [[ ! "$estimate$seconds" =~ ^[0-9]+$ ]]; then
      note warn "the run recorded no time: deploy this version"
    elif ((seconds > estimate * MOST_ESTIMATES + SPARE_SECONDS)); then
      note warn "the run of $accounts accounts took $seconds s, and the quotas allow" \
        "$estimate s: other tools may use them too; lower QuotaShare, or look at the dashboard for" \
        "throttling"
    fi
  fi
  end "$seconds s for $accounts accounts; the quotas allow $estimate s"
}
