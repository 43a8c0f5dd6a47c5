#!/usr/bin/env bash
# Checks a deployed environment: a line for each check, pass, warn or fail, with the remedy. Every
# check is made before it exits. No contact is ever written.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source=scripts/lib/stacks.sh
source "$REPOSITORY/scripts/lib/stacks.sh"
# shellcheck source=scripts/lib/deep_checks.sh
source "$REPOSITORY/scripts/lib/deep_checks.sh"

TAB=$'\t'
# CloudFormation does not look whether what it once created is still there.
GONE="was deleted by hand: delete the stack with scripts/rollback.sh --delete --backup-data, deploy\
 it again, and restore the backup"
TRUSTED_SERVICE=account.amazonaws.com

usage() {
  cat <<'USAGE'
Usage: scripts/validate.sh --environment ENV [OPTION...]

  --environment ENV    dev, staging or prod
  --deep               also ask each rule about an event of AWS, publish a test message, send a test
                       event through a rule of its own, and follow the dry run that it starts
  --region R, --profile P
                       of the AWS CLI, where its own defaults are not meant
  -h, --help

Prints a line for each check. `fail` keeps the synchronization from working; `warn` is for you to
decide.

Exits with 0 where no check failed, 1 where one did, 2 where an option is wrong.
USAGE
}

main() {
  if [[ -n "${DEBUG:-}" ]]; then
    set -x
  fi
  read_options "$@"
  failed=0 warned=0
  stack=$(stack_name "$environment")
  python=$(functions_python)
  if check_stack; then
    check_everything
  fi
  log "$failed failed, $warned warnings"
  ((failed == 0)) || exit 1
}

check_everything() {
  check_protection
  check_account
  check_organization
  check_functions
  check_machine
  check_tables
  check_key
  check_rules
  check_schedule
  check_trail
  check_forwarding
  check_topic
  check_alarms
  check_queue
  check_configuration
  check_last_run
  if [[ -n "$deep" ]]; then
    check_deeply
  fi
}

read_options() {
  environment="" deep=""
  while (($#)); do
    case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --deep) deep=yes ;;
    --environment | --region | --profile)
      require_value "$1" "${2:-}"
      set_where "$1" "$2"
      shift
      ;;
    *) die_of_usage "unknown option: $1" ;;
    esac
    shift
  done
  require_environment
}

# How a check tells: `begin`, a `note` for each thing that is wrong, and `end`, which prints the
# line of the check with the worst that was noted.

# begin CHECK
begin() {
  check="$1" level=pass notes=""
}

# note warn|fail TEXT...
note() {
  if [[ "$level" != fail ]]; then
    level="$1"
  fi
  shift
  notes="${notes:+$notes; }$*"
}

# end TEXT - what to tell where nothing was noted.
end() {
  case "$level" in
  warn) warned=$((warned + 1)) ;;
  fail) failed=$((failed + 1)) ;;
  esac
  printf '%-4s  %s: %s\n' "$level" "$check" "${notes:-$1}"
}

# ask ARGUMENT... - sets answer to what AWS says; where it refuses, notes that and fails.
ask() {
  if ! answer=$(aws_cli "$@" 2>&1); then
    note fail "${answer#error: }"
    return 1
  fi
}

# resources_of TYPE - prints the names of the stack's resources of a type.
resources_of() {
  local type name
  while IFS="$TAB" read -r type name; do
    if [[ "$type" == "$1" ]]; then
      printf '%s\n' "$name"
    fi
  done <<<"$resources"
}

# count_of LINES - prints how many there are.
count_of() {
  local line count=0
  while IFS= read -r line; do
    if [[ -n "$line" ]]; then
      count=$((count + 1))
    fi
  done <<<"$1"
  printf '%s\n' "$count"
}

parameter() {
  local name value
  while IFS="$TAB" read -r name value; do
    if [[ "$name" == "$1" ]]; then
      printf '%s\n' "$value"
    fi
  done <<<"$parameters"
}

# Returns 1 where there is nothing that the other checks could look at.
check_stack() {
  local status=""
  protection="" parameters="" resources=""
  begin "stack"
  outputs=$(stack_outputs "$stack" 2>&1) || {
    note fail "${outputs#error: }"
    end
    return 1
  }
  if ask cloudformation describe-stacks --stack-name "$stack" --output text \
    --query 'Stacks[0].[StackStatus, EnableTerminationProtection]'; then
    IFS="$TAB" read -r status protection <<<"$answer"
    note_status "$status"
  fi
  if ask cloudformation describe-stacks --stack-name "$stack" --output text \
    --query 'Stacks[0].Parameters[].[ParameterKey, ParameterValue]'; then
    parameters="$answer"
  fi
  if ask cloudformation list-stack-resources --stack-name "$stack" --output text \
    --query 'StackResourceSummaries[].[ResourceType, PhysicalResourceId]'; then
    resources="$answer"
  fi
  end "$stack is $status"
  [[ "$outputs" == *StateMachineArn* ]]
}

note_status() {
  case "$1" in
  CREATE_COMPLETE | UPDATE_COMPLETE | IMPORT_COMPLETE) ;;
  UPDATE_ROLLBACK_COMPLETE)
    note warn "$stack is $1: the last deployment failed and the one before is in use; deploy again"
    ;;
  *_IN_PROGRESS) note warn "$stack is $1: validate again when that has ended" ;;
  *) note fail "$stack is $1: scripts/rollback.sh frees it, then deploy again" ;;
  esac
}

check_protection() {
  begin "termination protection"
  if [[ "$environment" != prod ]]; then
    end "not meant for $environment"
    return
  fi
  if [[ "$protection" != True ]]; then
    note warn "off: aws cloudformation update-termination-protection" \
      "--enable-termination-protection --stack-name $stack"
  fi
  end "on"
}

check_account() {
  local named
  begin "account"
  named=$(parameter ManagementAccountId)
  if ask sts get-caller-identity --query Account --output text && [[ "$answer" != "$named" ]]; then
    note fail "the stack is in $answer, and its ManagementAccountId is $named: deploy it into" \
      "the management account"
  fi
  end "$named, as the stack's ManagementAccountId"
}

check_organization() {
  local manager features services
  begin "organization"
  if ask organizations describe-organization --output text \
    --query 'Organization.[MasterAccountId, FeatureSet]'; then
    IFS="$TAB" read -r manager features <<<"$answer"
    if [[ "$manager" != "$(parameter ManagementAccountId)" ]]; then
      note fail "its management account is $manager: deploy into that account"
    fi
    if [[ "$features" != ALL ]]; then
      note fail "not all features are enabled: aws organizations enable-all-features"
    fi
  fi
  if ask organizations list-aws-service-access-for-organization --output text \
    --query 'EnabledServicePrincipals[].[ServicePrincipal]'; then
    services="$answer"
    if [[ $'\n'"$services"$'\n' != *$'\n'"$TRUSTED_SERVICE"$'\n'* ]]; then
      note fail "it does not trust account management: aws organizations" \
        "enable-aws-service-access --service-principal $TRUSTED_SERVICE"
    fi
  fi
  end "all features, and trusted access for $TRUSTED_SERVICE"
}

check_functions() {
  local names name state update bucket
  begin "functions"
  names=$(resources_of AWS::Lambda::Function)
  for name in $names; do
    # Of the variables only one is read; where it is lost, all of them are.
    if ask lambda get-function-configuration --function-name "$name" --output text \
      --query '[State, LastUpdateStatus, Environment.Variables.RUNS_BUCKET_NAME]'; then
      IFS="$TAB" read -r state update bucket <<<"$answer"
      if [[ "$state" != Active && "$state" != Inactive ]] || [[ "$update" == Failed ]]; then
        note fail "$name is $state, its last update $update: deploy again"
      fi
      if [[ "$bucket" != "$(output_of "$outputs" RunsBucketName)" ]]; then
        note fail "$name has lost its environment variables: deploy with another --log-level," \
          "which puts all of them back"
      fi
    fi
  done
  end "$(count_of "$names") ready"
}

check_machine() {
  begin "state machine"
  if ask stepfunctions describe-state-machine --query status --output text \
    --state-machine-arn "$(output_of "$outputs" StateMachineArn)" && [[ "$answer" != ACTIVE ]]; then
    note fail "it is $answer: deploy again"
  fi
  end "active"
}

check_tables() {
  local name status encryption
  begin "tables"
  for name in $(output_of "$outputs" ConfigTableName) $(output_of "$outputs" StateTableName); do
    if ask dynamodb describe-table --table-name "$name" --output text \
      --query 'Table.[TableStatus, SSEDescription.Status]'; then
      IFS="$TAB" read -r status encryption <<<"$answer"
      if [[ "$status" != ACTIVE && "$status" != UPDATING ]]; then
        note fail "$name is $status: without its key or its data, delete the stack, deploy, and" \
          "restore a backup"
      fi
      if [[ "$encryption" != ENABLED && "$encryption" != UPDATING ]]; then
        note warn "$name is not encrypted with the stack's key: deploy again"
      fi
    fi
    if [[ "$environment" == prod ]]; then
      check_recovery "$name"
    fi
  done
  end "2 active"
}

check_recovery() {
  local of_it=ContinuousBackupsDescription.PointInTimeRecoveryDescription
  if ask dynamodb describe-continuous-backups --table-name "$1" --output text \
    --query "$of_it.PointInTimeRecoveryStatus" && [[ "$answer" != ENABLED ]]; then
    note warn "$1 has no point-in-time recovery: deploy again"
  fi
}

check_key() {
  begin "key"
  if ask kms describe-key --key-id "alias/$stack" --query KeyMetadata.KeyState --output text &&
    [[ "$answer" != Enabled ]]; then
    note fail "alias/$stack is $answer, so nothing can be read: aws kms cancel-key-deletion, then" \
      "aws kms enable-key"
  fi
  end "enabled"
}

check_rules() {
  local names name state states used=""
  begin "rules"
  names=$(resources_of AWS::Events::Rule)
  if ask events list-rules --name-prefix "$stack-" --output text \
    --query 'Rules[].[Name, State]'; then
    states="$answer"
    for name in $(output_of "$outputs" StateMachineArn) \
      $(output_of "$outputs" NotificationTopicArn); do
      if ask events list-rule-names-by-target --target-arn "$name" --output text \
        --query 'RuleNames[].[@]'; then
        used="$used$answer"$'\n'
      fi
    done
    for name in $names; do
      state=$(state_in "$states" "$name")
      note_rule "$name" "$state" $'\n'"$used"
    done
  fi
  if [[ "$(parameter Triggers)" == DISABLED ]]; then
    note warn "no event starts an execution, because Triggers is DISABLED"
  fi
  end "$(count_of "$names") enabled"
}

# note_rule NAME STATE USED - the names of the rules with a target are in USED.
note_rule() {
  if [[ -z "$2" ]]; then
    note fail "$1 $GONE"
  elif [[ "$3" != *$'\n'"$1"$'\n'* ]]; then
    note fail "$1 has no target: deploy again"
  elif [[ "$2" == DISABLED && "$(parameter Triggers)" != DISABLED ]]; then
    note warn "$1 is disabled: aws events enable-rule --name $1"
  fi
}

# state_in LINES NAME - prints what stands beside the name.
state_in() {
  local name state
  while IFS="$TAB" read -r name state; do
    if [[ "$name" == "$2" ]]; then
      printf '%s\n' "$state"
    fi
  done <<<"$1"
}

check_schedule() {
  local name
  begin "schedule"
  name=$(resources_of AWS::Scheduler::Schedule)
  if [[ -z "$name" ]]; then
    note warn "there is none: what is changed inside a member stays, and what a lost event told" \
      "is not found; deploy with --schedule"
  elif ask scheduler get-schedule --group-name "$stack" --name "${name##*/}" --query State \
    --output text && [[ "$answer" != ENABLED ]]; then
    note warn "it is $answer: it follows Triggers, or was switched off by hand"
  fi
  end "enabled"
}

# Which events a trail has, deploy.sh looks at in detail.
check_trail() {
  local name home everywhere events_home logging=""
  begin "trail"
  events_home=$(events_region "$(output_of "$outputs" StateMachineArn)")
  if in_region "$events_home" ask cloudtrail describe-trails --output text \
    --query 'trailList[].[TrailARN, HomeRegion, IsMultiRegionTrail]'; then
    while IFS="$TAB" read -r name home everywhere; do
      if [[ -z "$logging" && ("$everywhere" == True || "$home" == "$events_home") ]] &&
        in_region "$home" ask cloudtrail get-trail-status --name "$name" --query IsLogging \
          --output text && [[ "$answer" == True ]]; then
        logging="${name##*/}"
      fi
    done <<<"$answer"
    if [[ -z "$logging" ]]; then
      note warn "none is logging in $events_home, so that no change is an event: create one for" \
        "management events; until then only the schedule finds changes"
    fi
  fi
  end "$logging is logging"
}

# Where the stack is not where events come up, deploy.sh keeps stacks that forward them.
check_forwarding() {
  local machine home events_home tower="" kind=Account regions=""
  begin "forwarding"
  machine=$(output_of "$outputs" StateMachineArn)
  home=$(cut -d : -f 4 <<<"$machine")
  events_home=$(events_region "$machine")
  if ! tower=$(kept_tower_region 2>&1); then
    note fail "${tower#error: }"
    tower=""
  fi
  if [[ "$tower" == "$events_home" ]]; then
    kind=Both
  fi
  if [[ "$home" != "$events_home" ]]; then
    check_forwarding_of "$events_home" "$kind"
  fi
  if [[ -n "$tower" && "$tower" != none && "$tower" != "$home" && "$tower" != "$events_home" ]]; then
    check_forwarding_of "$tower" ControlTower
  fi
  end "${regions:-not needed: the events come up in $home}"
}

kept_tower_region() {
  local bucket
  bucket=$(artifact_bucket) || exit 1
  if [[ -n "$bucket" && "$bucket" != None ]]; then
    control_tower_region "$bucket" "$stack"
  fi
}

# check_forwarding_of REGION KIND
check_forwarding_of() {
  local name status kind target triggers again="deploy again"
  name=$(forwarding_stack "$stack")
  regions="${regions:+$regions, }$2 from $1"
  if ! answer=$(in_region "$1" stack_query "$name" "[StackStatus,
    Parameters[?ParameterKey=='Kind'].ParameterValue | [0],
    Parameters[?ParameterKey=='HomeRegion'].ParameterValue | [0],
    Parameters[?ParameterKey=='Triggers'].ParameterValue | [0]]" 2>&1); then
    note fail "${answer#error: }"
    return
  elif [[ -z "$answer" ]]; then
    note fail "there is no $name in $1: $again"
    return
  fi
  IFS="$TAB" read -r status kind target triggers <<<"$answer"
  case "$status" in
  CREATE_COMPLETE | UPDATE_COMPLETE | UPDATE_ROLLBACK_COMPLETE) ;;
  *) note fail "$name in $1 is $status: see its events, then $again" ;;
  esac
  if [[ "$target" != "$home" ]]; then
    note fail "$name in $1 forwards to $target, and the stack is in $home: $again"
  fi
  if [[ "$kind" != "$2" && "$kind" != Both ]]; then
    note fail "$name in $1 forwards the events of $kind, and those of $2 are needed: $again"
  fi
  if [[ "$triggers" != "$(parameter Triggers)" ]]; then
    note warn "$name in $1 has Triggers $triggers, and the stack $(parameter Triggers): $again"
  fi
  check_forwarding_rules "$1" "$name"
}

# check_forwarding_rules REGION STACK
check_forwarding_rules() {
  local rule state
  in_region "$1" ask events list-rules --name-prefix "$2-" --output text \
    --query 'Rules[].[Name, State]' || return 0
  if [[ -z "$answer" ]]; then
    note fail "$2 in $1 has no rule: delete that stack, then deploy again"
  fi
  while IFS="$TAB" read -r -u 4 rule state; do
    if [[ "$state" == DISABLED && "$(parameter Triggers)" != DISABLED ]]; then
      note warn "$rule in $1 is disabled: aws events enable-rule --region $1 --name $rule"
    fi
    if [[ -n "$rule" ]] && in_region "$1" ask events list-targets-by-rule --rule "$rule" \
      --output text --query 'Targets[].[Arn]' &&
      [[ "$answer" != *":$home:"*":event-bus/default" ]]; then
      note fail "$rule in $1 does not forward to $home: delete that stack, then deploy again"
    fi
  done 4<<<"$answer"
}

check_topic() {
  local confirmed="" pending key
  begin "topic"
  if ask sns get-topic-attributes --topic-arn "$(output_of "$outputs" NotificationTopicArn)" \
    --output text \
    --query 'Attributes.[SubscriptionsConfirmed, SubscriptionsPending, KmsMasterKeyId]'; then
    IFS="$TAB" read -r confirmed pending key <<<"$answer"
    if [[ "$key" == *alias/aws/sns ]]; then
      note fail "it has the key alias/aws/sns, which keeps alarms from publishing: deploy again"
    fi
    if [[ "$pending" != 0 ]]; then
      note warn "$pending subscriptions wait: open the link in the e-mail that AWS sent"
    elif [[ "$confirmed" == 0 ]]; then
      note warn "nobody is subscribed: deploy with --notification-email, or aws sns subscribe"
    fi
  fi
  end "$confirmed subscribed"
}

check_alarms() {
  local names name state states actions
  begin "alarms"
  names=$(resources_of AWS::CloudWatch::Alarm)
  if ask cloudwatch describe-alarms --alarm-name-prefix "$stack-" --output text \
    --query 'MetricAlarms[].[AlarmName, StateValue, ActionsEnabled]'; then
    states="$answer"
    for name in $names; do
      IFS="$TAB" read -r state actions <<<"$(state_in "$states" "$name")"
      case "$state" in
      "") note fail "$name $GONE" ;;
      ALARM) note warn "$name is in alarm: see $(output_of "$outputs" DashboardUrl)" ;;
      esac
      if [[ "$actions" == [Ff]alse ]]; then
        note warn "$name tells nobody: aws cloudwatch enable-alarm-actions --alarm-names $name"
      fi
    done
  fi
  end "$(count_of "$names"), none in alarm"
}

check_queue() {
  local queue
  begin "dead letters"
  queue=$(output_of "$outputs" DeadLetterQueueUrl)
  # Left to itself, version 1 of the AWS CLI calls another host than the queue's own.
  if ask sqs get-queue-attributes --queue-url "$queue" --endpoint-url "${queue%/*/*}" \
    --attribute-names ApproximateNumberOfMessages --output text \
    --query Attributes.ApproximateNumberOfMessages && [[ "$answer" != 0 ]]; then
    note warn "$answer events started nothing: scripts/redrive-dlq.sh --environment $environment"
  fi
  end "none"
}

check_configuration() {
  local told
  begin "configuration"
  if ask dynamodb get-item --table-name "$(output_of "$outputs" ConfigTableName)" \
    --consistent-read --key '{"config_key": {"S": "default"}}' --query Item --output json &&
    ! told=$(check_configuration_item <<<"$answer" 2>&1); then
    note fail "${told#error: }: scripts/config.sh apply FILE --environment $environment"
  fi
  end "valid"
}

# Not the last execution: after one that failed, a recovery has been started, and succeeds.
check_last_run() {
  local status name="" error
  begin "last run"
  if ask dynamodb query --table-name "$(output_of "$outputs" StateTableName)" --output text \
    --key-condition-expression 'pk = :run' --no-scan-index-forward --max-items 20 \
    --expression-attribute-values '{":run": {"S": "RUN"}}' \
    --query 'Items[?status && !(dry_run.BOOL)] | [0].[status.S, sync_id.S, error.S]'; then
    IFS="$TAB" read -r status name error <<<"$answer"
    case "$status" in
    "" | None) note warn "none yet: scripts/resync.sh --environment $environment --dry-run" ;;
    success) ;;
    *)
      note warn "$name was no success ($status, $error): its message tells what to do, and" \
        "scripts/resync.sh --environment $environment --retry-of $name repeats what failed"
      ;;
    esac
  fi
  end "$name was a success"
}

main "$@"
