#!/usr/bin/env bash
# Deploys one environment: first checks everything that would fail later, then builds, deploys,
# writes the default configuration where there is none, and keeps the release for rollback.sh.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source=scripts/lib/stacks.sh
source "$REPOSITORY/scripts/lib/stacks.sh"

ACCOUNT_PATTERN='^[0-9]{12}$'
EMAIL_PATTERN='^[^@ ]+@[^@ ]+\.[^@ ]+$'
SCHEDULE_PATTERN='^(off|rate\(.+\)|cron\(.+\))$'
LEVEL_PATTERN='^(DEBUG|INFO|WARNING|ERROR)$'
PARAMETER_PATTERN='^[A-Za-z0-9]+=.*$'
ALL_TYPES="primary billing operations security"

# The first that know python3.13 and how to reach another endpoint.
OLDEST_AWS=1.32.0
OLDEST_SAM=1.128.0

TRUSTED_SERVICE=account.amazonaws.com

usage() {
  cat <<'USAGE'
Usage: scripts/deploy.sh --environment ENV --account-id ID [OPTION...]

  --environment ENV    dev, staging or prod
  --account-id ID      the organization's management account, which must be the one signed in to
  --notification-email ADDRESS
                       who receives the notifications
  --schedule EXPRESSION
                       when every account is compared, in UTC: "rate(1 day)", "cron(0 3 * * ? *)"
                       or off
  --contact-types T... of primary, billing, operations, security: the default configuration's
                       (all four); without effect once there is a configuration
  --log-level LEVEL    DEBUG, INFO, WARNING or ERROR instead of the environment's own
  --no-trail           where no trail logs management events, go on without instead of making one;
                       then changes are found by the schedule only
  --control-tower-region R
                       Control Tower's home region, where it is another than the stack's; or none
  --parameter NAME=VALUE
                       any other parameter of template.yaml, such as QuotaShare=0.5; repeatable
  --enable-trusted-access
                       let the organization trust account management, where it does not yet
  --yes                do not ask
  --region R, --profile P
                       of the AWS CLI, where its own defaults are not meant
  -h, --help

Repeat it to update: an option that is left out keeps what the stack has. Every preflight check is
made before the first change. The dashboard's address goes to standard output.

Exits with 0 where the stack is deployed (or was already), 1 where it is not, 2 where an option is
wrong.
USAGE
}

main() {
  if [[ -n "${DEBUG:-}" ]]; then
    set -x
  fi
  read_options "$@"
  cd "$REPOSITORY"
  # A busy organization throttles its own management account.
  export AWS_RETRY_MODE="${AWS_RETRY_MODE:-standard}" AWS_MAX_ATTEMPTS="${AWS_MAX_ATTEMPTS:-8}"
  export SAM_CLI_TELEMETRY="${SAM_CLI_TELEMETRY:-0}"
  work=$(mktemp -d "${TMPDIR:-/tmp}/contact-sync.XXXXXX")
  trap 'rm -rf "$work"' EXIT

  problems=0
  log "Checking what the deployment needs"
  check_tools
  check_account
  check_organization
  check_stack
  choose_parameters
  check_python
  check_source
  check_other_stacks
  check_trail
  if ((problems)); then
    die "$problems of the checks failed; nothing was changed"
  fi

  show_plan
  if [[ -z "$yes" ]]; then
    confirm "Deploy $stack?"
  fi
  when_interrupted "What CloudFormation has begun goes on; run this again to finish."
  enable_trusted_access
  remove_failed_stack
  build
  deploy
  protect
  write_configuration
  keep_release
  keep_forwarding
  show_result
}

# Options.

read_options() {
  environment="" account_id="" contact_types="" no_trail="" new_tower_region="" yes=""
  enable_trust="" given=()
  while (($#)); do
    case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --no-trail) no_trail=yes ;;
    --yes) yes=yes ;;
    --enable-trusted-access) enable_trust=yes ;;
    --contact-types)
      require_value "$1" "${2:-}"
      while (($# > 1)) && [[ "$2" != -* ]]; do
        add_types "$2"
        shift
      done
      ;;
    --environment | --account-id | --notification-email | --schedule | --log-level | \
      --control-tower-region | --parameter | --region | --profile)
      require_value "$1" "${2:-}"
      set_value "$1" "$2"
      shift
      ;;
    *) die_of_usage "unknown option: $1" ;;
    esac
    shift
  done
  if [[ -z "$environment" || -z "$account_id" ]]; then
    die_of_usage "--environment and --account-id are required"
  fi
  stack=$(stack_name "$environment")
}

# add_types TYPES - with commas between them or one at a time.
add_types() {
  local name
  for name in ${1//,/ }; do
    case " $ALL_TYPES " in
    *" $name "*) ;;
    *) die_of_usage "--contact-types: '$name' is no contact type: ${ALL_TYPES// /, }" ;;
    esac
    case " $contact_types " in
    *" $name "*) ;;
    *) contact_types="${contact_types:+$contact_types }$name" ;;
    esac
  done
}

set_value() {
  case "$1" in
  --account-id)
    require_match "$1" "$2" "$ACCOUNT_PATTERN" "account id of 12 digits"
    account_id="$2"
    ;;
  --notification-email)
    require_match "$1" "$2" "$EMAIL_PATTERN" "e-mail address"
    given+=("NotificationEmail=$2")
    ;;
  --schedule)
    require_match "$1" "$2" "$SCHEDULE_PATTERN" "schedule: rate(...), cron(...) or off"
    if [[ "$2" == off ]]; then
      given+=("ScheduleExpression=")
    else
      given+=("ScheduleExpression=$2")
    fi
    ;;
  --log-level)
    require_match "$1" "$2" "$LEVEL_PATTERN" "level: DEBUG, INFO, WARNING, ERROR"
    given+=("LogLevel=$2")
    ;;
  --control-tower-region)
    require_match "$1" "$2" "$REGION_PATTERN|^none$" "region such as us-east-1, nor none"
    new_tower_region="$2"
    ;;
  --parameter)
    require_match "$1" "$2" "$PARAMETER_PATTERN" "NAME=VALUE"
    if ! has_parameter "${2%%=*}"; then
      die_of_usage "--parameter: template.yaml has no parameter ${2%%=*}"
    fi
    given+=("$2")
    ;;
  *) set_where "$1" "$2" ;;
  esac
}

# Parameters, as NAME=VALUE; bash 3.2 has no other maps.

template_parameters() {
  awk '/^[A-Za-z]/ { inside = $1 == "Parameters:" }
    inside && /^  [A-Za-z0-9]+:/ { gsub(/[ :]/, ""); print }' "$REPOSITORY/template.yaml"
}

has_parameter() {
  grep -qx -- "$1" <<<"$(template_parameters)"
}

set_parameter() {
  local i
  for ((i = 0; i < ${#parameters[@]}; i++)); do
    if [[ "${parameters[i]%%=*}" == "$1" ]]; then
      parameters[i]="$1=$2"
      return
    fi
  done
  parameters+=("$1=$2")
}

# get_parameter NAME - prints its value, or the template's default.
get_parameter() {
  local each
  for each in ${parameters[@]+"${parameters[@]}"}; do
    if [[ "${each%%=*}" == "$1" ]]; then
      printf '%s\n' "${each#*=}"
      return
    fi
  done
  awk -v name="  $1:" '$0 == name { inside = 1; next } inside && /^  [^ ]/ { exit }
    inside && $1 == "Default:" { sub(/^ *Default: */, ""); gsub(/"/, ""); print; exit }' \
    "$REPOSITORY/template.yaml"
}

choose_parameters() {
  local each
  parameters=()
  for each in ${deployed[@]+"${deployed[@]}"} ${given[@]+"${given[@]}"} \
    "Environment=$environment" "ManagementAccountId=$account_id" "OrganizationId=$organization"; do
    if has_parameter "${each%%=*}"; then
      set_parameter "${each%%=*}" "${each#*=}"
    fi
  done
}

# was_given NAME - whether an option set this parameter.
was_given() {
  local each
  for each in ${given[@]+"${given[@]}"}; do
    if [[ "${each%%=*}" == "$1" ]]; then
      return 0
    fi
  done
  return 1
}

# Preflight. A check that fails counts, so that one run tells of everything; only what makes the
# others meaningless ends the script.

problem() {
  printf 'failed: %s\n' "$*" >&2
  problems=$((problems + 1))
}

check_tools() {
  local version
  if ! command -v aws >/dev/null; then
    problem "the AWS CLI is missing: install it (https://aws.amazon.com/cli/)"
  else
    version=$(aws --version 2>&1) || die "the AWS CLI does not run: $version"
    version=${version#aws-cli/}
    require_version "the AWS CLI" "${version%% *}" "$OLDEST_AWS"
  fi
  if ! command -v sam >/dev/null; then
    problem "the SAM CLI is missing: install it" \
      "(https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/install-sam-cli.html)"
  else
    version=$(sam --version 2>&1) || die "the SAM CLI does not run: $version"
    require_version "the SAM CLI" "${version##* }" "$OLDEST_SAM"
  fi
  if ! python=$(find_python); then
    problems=$((problems + 1))
  fi
  if ((problems)); then
    die "install what is missing, then try again; nothing was changed"
  fi
}

# require_version NAME VERSION OLDEST
require_version() {
  local have want i
  IFS=. read -r -a have <<<"$2"
  IFS=. read -r -a want <<<"$3"
  for i in 0 1 2; do
    if [[ ! "${have[i]:-0}" =~ ^[0-9]+$ ]] || ((have[i] > want[i])); then
      return
    fi
    if ((have[i] < want[i])); then
      problem "$1 is $2: update it to $3 or later"
      return
    fi
  done
}

check_account() {
  local told
  resolve_region
  told=$(aws_cli sts get-caller-identity --query '[Account, Arn]' --output text)
  IFS=$'\t' read -r caller caller_arn <<<"$told"
  if [[ "$caller" != "$account_id" ]]; then
    die "signed in to account $caller, not $account_id: sign in there, or name another" \
      "--profile or --account-id; nothing was changed"
  fi
  events_home=$(events_region "$caller_arn")
}

check_organization() {
  local told management features trusted
  told=$(aws_unless AWSOrganizationsNotInUseException organizations describe-organization \
    --query 'Organization.[Id, MasterAccountId, FeatureSet]' --output text)
  if [[ -z "$told" ]]; then
    die "account $account_id is in no organization: create one, or sign in to another account"
  fi
  IFS=$'\t' read -r organization management features <<<"$told"
  if [[ "$management" != "$account_id" ]]; then
    die "account $account_id is not the organization's management account, which is $management:" \
      "deploy there; nothing was changed"
  fi
  if [[ "$features" != ALL ]]; then
    problem "the organization has consolidated billing only: enable all features with" \
      "'aws organizations enable-all-features'"
    return
  fi
  trusted=$(aws_cli organizations list-aws-service-access-for-organization --output text \
    --query "length(EnabledServicePrincipals[?ServicePrincipal=='$TRUSTED_SERVICE'])")
  if [[ "$trusted" != 0 ]]; then
    enable_trust=""
  elif [[ -z "$enable_trust" ]]; then
    problem "the organization does not trust account management: use --enable-trusted-access, or" \
      "'aws organizations enable-aws-service-access --service-principal $TRUSTED_SERVICE'"
  fi
}

# Sets `status` and `deployed`, the parameters that the stack has.
check_stack() {
  local told line
  deployed=()
  status=$(stack_status "$stack")
  case "$status" in
  "" | REVIEW_IN_PROGRESS) return ;;
  ROLLBACK_COMPLETE) ;; # removed before it is deployed anew
  *_IN_PROGRESS)
    problem "$stack is being changed ($status): wait for the end, then try again"
    ;;
  UPDATE_FAILED | UPDATE_ROLLBACK_FAILED)
    problem "$stack is stuck in $status: free it with 'scripts/rollback.sh --environment" \
      "$environment', then try again"
    ;;
  CREATE_FAILED | ROLLBACK_FAILED | DELETE_FAILED)
    problem "$stack is $status: delete it with 'scripts/rollback.sh --environment $environment" \
      "--delete', then try again"
    ;;
  esac
  told=$(stack_parameters "$stack")
  while IFS= read -r line; do
    deployed+=("$line")
  done <<<"$told"
}

# `sam build` wants the very version that the functions run on.
check_python() {
  runtime=$(get_parameter Runtime)
  if ! "$runtime" -m pip --version >/dev/null 2>&1; then
    problem "sam build needs $runtime with pip, and there is none on PATH: install it, or choose" \
      "one that you have, such as --parameter Runtime=python3.12"
  fi
}

# The contacts of the management account, checked by what the functions check them with. They go
# from one program to the other, and into no variable or file.
check_source() {
  local name faults set_types="" table
  configured=""
  table=$(stack_query "$stack" "Outputs[?OutputKey=='ConfigTableName'].OutputValue | [0]")
  if [[ -n "$table" && "$table" != None ]]; then
    configured=$(aws_unless ResourceNotFoundException dynamodb get-item --table-name "$table" \
      --key '{"config_key": {"S": "default"}}' --consistent-read --output text \
      --query "join(' ', Item.contact_types.L[].S || \`[]\`)")
  fi
  types=${configured:-${contact_types:-$ALL_TYPES}}
  for name in $types; do
    faults=$(source_faults "$name") || exit 1
    case "$faults" in
    "") set_types="$set_types $name" ;;
    absent) warn "the management account has no $name contact: it is left alone everywhere" ;;
    *)
      set_types="$set_types $name"
      problem "AWS would refuse the management account's $name contact for members: ${faults//$'\n'/; }"
      ;;
    esac
  done
  if [[ -z "$set_types" ]]; then
    problem "the management account has none of the contacts to synchronize ($types): set them first"
  fi
}

# source_faults TYPE - prints what is wrong with the contact, `absent` where it is not set.
source_faults() {
  local told command=(get-contact-information --query ContactInformation)
  if [[ "$1" != primary ]]; then
    command=(get-alternate-contact --query AlternateContact --alternate-contact-type
      "$(tr '[:lower:]' '[:upper:]' <<<"$1")")
  fi
  if call_aws account "${command[@]}" --output json 2>"$work/errors" |
    deployment_helper faults "$1"; then
    return
  fi
  told=$(cat "$work/errors")
  if [[ "$told" == *ResourceNotFoundException* ]]; then
    printf 'absent\n'
  else
    die "$(explain_aws_error "$told")"
  fi
}

deployment_helper() {
  PYTHONPATH="$REPOSITORY/functions" PYTHONDONTWRITEBYTECODE=1 \
    "$python" "$REPOSITORY/scripts/lib/deployment.py" "$@"
}

# EventBridge gets events of API calls only where a trail logs management events.
check_trail() {
  local trails arn name home everywhere
  if [[ "$(get_parameter Triggers)" == DISABLED ]]; then
    create_trail false
    return
  fi
  trails=$(in_region "$events_home" aws_cli cloudtrail describe-trails --output text \
    --query 'trailList[].[TrailARN, Name, HomeRegion, IsMultiRegionTrail]')
  while IFS=$'\t' read -r arn name home everywhere; do
    # The stack's own would vanish once it is taken for one that is there anyway; another
    # environment's goes with that.
    if [[ -n "$home" && "$name" != aws-contact-sync-*-trail ]] &&
      [[ "$everywhere" == True || "$home" == "$events_home" ]] &&
      in_region "$home" logs_management_events "$arn"; then
      log "Trail $name logs management events"
      create_trail false
      return
    fi
  done <<<"$trails"
  if [[ -n "$no_trail" ]]; then
    create_trail false
  else
    create_trail true
  fi
  if [[ "$(get_parameter CreateTrail)" == true ]]; then
    log "No other trail logs management events: the stack has its own"
  else
    warn "no trail logs management events: a change is found only by the schedule"
  fi
}

create_trail() {
  if ! was_given CreateTrail; then
    set_parameter CreateTrail "$1"
  fi
}

# logs_management_events TRAIL_ARN - whether it is on, and logs what changes something.
logs_management_events() {
  local told basic advanced
  # As a condition's part, this would go on where a command fails.
  told=$(aws_cli cloudtrail get-trail-status --name "$1" --query IsLogging --output text) || exit 1
  if [[ "$told" != True ]]; then
    return 1
  fi
  basic="EventSelectors[?IncludeManagementEvents && ReadWriteType!='ReadOnly']"
  advanced="AdvancedEventSelectors[?FieldSelectors[?Field=='eventCategory' &&
    contains(Equals || \`[]\`, 'Management')] &&
    !(FieldSelectors[?Field=='readOnly' && contains(Equals || \`[]\`, 'true')])]"
  told=$(aws_cli cloudtrail get-event-selectors --trail-name "$1" --output text \
    --query "length($basic || \`[]\`) > \`0\` || length($advanced || \`[]\`) > \`0\`") ||
    exit 1
  [[ "$told" == True ]]
}

# Only one stack of an account acts by itself: all share the same quotas. Every stack is seen from
# here or from where events come up, by its forwarding stack.
check_other_stacks() {
  local found active="" elsewhere="" name triggers home
  found=$(list_own_stacks)
  if [[ "$events_home" != "$AWS_REGION_OPTION" ]]; then
    found="$found"$'\n'$(in_region "$events_home" list_own_stacks "$events_home")
  fi
  while IFS=$'\t' read -r name triggers home; do
    case "$name" in
    "") ;;
    "$stack" | "$(forwarding_stack "$stack")")
      if [[ "$home" != None && "$home" != "$AWS_REGION_OPTION" ]]; then
        elsewhere="$home"
      fi
      ;;
    *)
      if [[ "$triggers" == ENABLED ]]; then
        active=${name%-forwarding}
      fi
      ;;
    esac
  done <<<"$found"
  if [[ -n "$elsewhere" ]]; then
    problem "$stack is deployed in $elsewhere already: use --region $elsewhere, or delete it there" \
      "with 'scripts/rollback.sh --environment $environment --delete --region $elsewhere'"
  elif [[ -n "$active" ]]; then
    disable_triggers "$active"
  elif [[ "$(get_parameter Triggers)" == DISABLED ]] && ! was_given Triggers; then
    warn "rules and schedule of $stack are disabled, and stay so: enable them with" \
      "--parameter Triggers=ENABLED"
  fi
}

# list_own_stacks [REGION] - prints the stacks of every environment: name, triggers, and the
# region that a forwarding stack serves (of others the region given).
list_own_stacks() {
  aws_cli cloudformation describe-stacks --output text --query \
    "Stacks[?starts_with(StackName, 'aws-contact-sync-') && StackStatus!='DELETE_COMPLETE'].[
      StackName, Parameters[?ParameterKey=='Triggers'].ParameterValue | [0],
      (Parameters[?ParameterKey=='HomeRegion'].ParameterValue | [0]) || '${1:-None}']"
}

# disable_triggers STACK - because that stack has its own enabled.
disable_triggers() {
  if was_given Triggers && [[ "$(get_parameter Triggers)" == ENABLED ]]; then
    problem "$1 acts by itself already, and only one stack of an account may: deploy that one with" \
      "--parameter Triggers=DISABLED first"
  fi
  set_parameter Triggers DISABLED
  warn "$1 acts by itself, and all share the account's quotas: $stack is deployed with its rules" \
    "and schedule disabled, and runs only by hand"
}

# What is about to be done.

show_plan() {
  local each
  log "$stack in account $account_id, organization $organization, region $AWS_REGION_OPTION:" \
    "${status:-not deployed yet}"
  for each in "${parameters[@]}"; do
    log "  $each"
  done
  if [[ -z "$configured" ]]; then
    log "  contact types: $types"
    case " $types " in
    *" primary "*)
      warn "'primary' replaces each member account's whole primary contact: name, company," \
        "address, phone and website. Leave it out with --contact-types if they differ on purpose."
      ;;
    esac
  elif [[ -n "$contact_types" && "$contact_types" != "$configured" ]]; then
    warn "there is a configuration already, with: $configured. It stays as it is;" \
      "--contact-types has no effect."
  fi
  if ! was_given NotificationEmail && [[ -z "$(get_parameter NotificationEmail)" ]]; then
    warn "nobody is notified: --notification-email says who should be"
  fi
}

# Deployment.

enable_trusted_access() {
  if [[ -n "$enable_trust" ]]; then
    log "Enabling trusted access for $TRUSTED_SERVICE"
    aws_cli organizations enable-aws-service-access --service-principal "$TRUSTED_SERVICE"
  fi
}

# A first deployment that failed leaves a stack that can only be deleted, and holds nothing.
remove_failed_stack() {
  if [[ "$status" == ROLLBACK_COMPLETE ]]; then
    log "Removing what a failed first deployment left"
    delete_stack "$stack"
  fi
}

build() {
  log "Building"
  call_sam build --template-file template.yaml --build-dir "$work/build/out" \
    --parameter-overrides "Runtime=$runtime" "Architecture=$(get_parameter Architecture)"
  log "Uploading"
  call_sam package --template-file "$work/build/out/template.yaml" --resolve-s3 \
    --s3-prefix "$stack" --output-template-file "$work/template.yaml"
  bucket=$(artifact_bucket)
}

call_sam() {
  local output
  if ! output=$(sam "$@" --region "$AWS_REGION_OPTION" \
    ${AWS_PROFILE_OPTION:+--profile "$AWS_PROFILE_OPTION"} 2>&1 </dev/null); then
    log "$output"
    die "sam $1 failed"
  fi
}

deploy() {
  local before after query='[StackId, LastUpdatedTime]'
  log "Deploying $stack"
  before=$(stack_query "$stack" "$query")
  update_stack "$stack" "$work/template.yaml" --s3-bucket "$bucket" --s3-prefix "$stack" \
    --parameter-overrides "${parameters[@]}"
  after=$(stack_query "$stack" "$query")
  if [[ "$before" == "$after" ]]; then
    log "No change: $stack is up to date"
  else
    log "Deployed $stack"
  fi
  outputs=$(stack_outputs "$stack")
}

protect() {
  if [[ "$(output_of "$outputs" TerminationProtection)" == true ]]; then
    aws_cli cloudformation update-termination-protection --stack-name "$stack" \
      --enable-termination-protection >/dev/null
    log "Termination protection is on"
  fi
}

write_configuration() {
  local item
  if [[ -n "$configured" ]]; then
    return
  fi
  # shellcheck disable=SC2086 # types are words
  item=$(output_of "$outputs" DefaultConfiguration | deployment_helper item $types)
  aws_unless ConditionalCheckFailedException dynamodb put-item --item "$item" \
    --table-name "$(output_of "$outputs" ConfigTableName)" \
    --condition-expression 'attribute_not_exists(config_key)'
  log "Wrote the default configuration"
}

keep_release() {
  stack_parameters "$stack" >"$work/parameters"
  store_release "$bucket" "$stack" "$work"
}

# Where events come up in other regions, a stack there forwards them.
keep_forwarding() {
  local tower old_tower kind=Account name
  name=$(forwarding_stack "$stack")
  old_tower=$(control_tower_region "$bucket" "$stack")
  tower=${new_tower_region:-${old_tower:-none}}
  if [[ "$tower" == "$events_home" ]]; then
    kind=Both
  fi
  if [[ "$AWS_REGION_OPTION" != "$events_home" ]]; then
    forward_from "$events_home" "$kind"
  fi
  if [[ "$tower" != none && "$tower" != "$AWS_REGION_OPTION" && "$tower" != "$events_home" ]]; then
    forward_from "$tower" ControlTower
  fi
  if [[ -n "$old_tower" && "$old_tower" != "$tower" && "$old_tower" != none &&
    "$old_tower" != "$events_home" && "$old_tower" != "$AWS_REGION_OPTION" ]]; then
    log "Removing $name from $old_tower"
    in_region "$old_tower" delete_stack "$name"
  fi
  if [[ "$old_tower" != "$tower" && (-n "$old_tower" || "$tower" != none) ]]; then
    keep_control_tower_region "$bucket" "$stack" "$tower"
  fi
}

# forward_from REGION KIND
forward_from() {
  log "Forwarding the events of $1 ($2)"
  in_region "$1" update_stack "$name" scripts/forwarding.yaml --parameter-overrides "Kind=$2" \
    "HomeRegion=$AWS_REGION_OPTION" "ManagementAccountId=$account_id" \
    "NotificationEmail=$(get_parameter NotificationEmail)" \
    "Triggers=$(get_parameter Triggers)"
}

show_result() {
  local waiting options="--environment $environment --region $AWS_REGION_OPTION"
  options="$options${AWS_PROFILE_OPTION:+ --profile $AWS_PROFILE_OPTION}"
  waiting=$(aws_cli sns list-subscriptions-by-topic --output text \
    --topic-arn "$(output_of "$outputs" NotificationTopicArn)" \
    --query "Subscriptions[?SubscriptionArn=='PendingConfirmation'].[Endpoint]")
  if [[ -n "$waiting" && "$waiting" != None ]]; then
    log "Not subscribed yet: ${waiting//$'\n'/, } must follow the link in the message of AWS" \
      "Notifications; until then nobody is told of failures"
  fi
  log "Next, see what a run would change, without changing anything:"
  log "  scripts/resync.sh $options --dry-run --follow"
  output_of "$outputs" DashboardUrl
}

main "$@"
