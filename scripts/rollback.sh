#!/usr/bin/env bash
# Takes one environment back to its previous release, whatever state its stack is in, or deletes
# it. Going back changes code and settings; the tables keep what they have.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source=scripts/lib/stacks.sh
source "$REPOSITORY/scripts/lib/stacks.sh"

NOTHING_TO_DO=3

usage() {
  cat <<'USAGE'
Usage: scripts/rollback.sh [OPTION...]

  --environment ENV    dev, staging or prod (prod)
  --force              do not ask
  --backup-data        first save both tables with scripts/backup.sh; if that fails, nothing else
                       is done
  --output DIR         where the backup goes, instead of where backup.sh puts it
  --delete             delete the stack, its data and its releases instead of going back;
                       scripts/deploy.sh and scripts/restore.sh bring them back from a backup
  --region R, --profile P
                       of the AWS CLI, where its own defaults are not meant
  -h, --help

The previous release is the one that was deployed before the newest; what is gone back from is
forgotten, so another rollback goes one further back. A stack that is stuck in an update is freed,
which takes it back too.

Exits with 0 where it went back (or deleted), 1 where it could not, 2 where an option is wrong,
3 where there is nothing to go back to, or nothing to delete.
USAGE
}

main() {
  if [[ -n "${DEBUG:-}" ]]; then
    set -x
  fi
  read_options "$@"
  export AWS_RETRY_MODE="${AWS_RETRY_MODE:-standard}" AWS_MAX_ATTEMPTS="${AWS_MAX_ATTEMPTS:-8}"
  work=$(mktemp -d "${TMPDIR:-/tmp}/contact-sync.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  when_interrupted "What CloudFormation has begun goes on; run this again to finish."
  resolve_region
  status=$(stack_status "$stack")
  bucket=$(artifact_bucket)
  if [[ "$bucket" == None ]]; then
    bucket=""
  fi
  if [[ -n "$delete" ]]; then
    delete_everything
  else
    go_back
  fi
}

read_options() {
  environment=prod force="" backup="" delete="" output=""
  while (($#)); do
    case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --force) force=yes ;;
    --backup-data) backup=yes ;;
    --delete) delete=yes ;;
    --environment | --output | --region | --profile)
      require_value "$1" "${2:-}"
      set_value "$1" "$2"
      shift
      ;;
    *) die_of_usage "unknown option: $1" ;;
    esac
    shift
  done
  if [[ -n "$output" && -z "$backup" ]]; then
    die_of_usage "--output is where --backup-data writes"
  fi
  stack=$(stack_name "$environment")
}

set_value() {
  case "$1" in
  --output) output="$2" ;;
  *) set_where "$1" "$2" ;;
  esac
}

ask() {
  if [[ -z "$force" ]]; then
    confirm "$1"
  fi
}

nothing_to_do() {
  log "$*"
  exit "$NOTHING_TO_DO"
}

# Saves the tables; unless that succeeds, the script ends here.
back_up() {
  local tables
  if [[ -z "$backup" ]]; then
    return
  fi
  tables=$(resources AWS::DynamoDB::Table)
  if [[ -z "$tables" ]]; then
    log "There are no tables to back up"
    return
  fi
  log "Backing up"
  bash "$REPOSITORY/scripts/backup.sh" --environment "$environment" \
    --region "$AWS_REGION_OPTION" ${AWS_PROFILE_OPTION:+--profile "$AWS_PROFILE_OPTION"} \
    ${output:+--output "$output"} || die "the backup failed, so nothing was changed"
}

# resources TYPE - prints the names of the stack's resources of that type.
resources() {
  aws_unless "does not exist" cloudformation list-stack-resources --stack-name "$stack" \
    --output text --query "StackResourceSummaries[?ResourceType=='$1' && PhysicalResourceId &&
      ResourceStatus!='DELETE_COMPLETE'].[PhysicalResourceId]"
}

# Going back.

go_back() {
  case "$status" in
  "" | DELETE_COMPLETE | REVIEW_IN_PROGRESS)
    nothing_to_do "There is no stack $stack in this account and region: nothing to go back to."
    ;;
  CREATE_IN_PROGRESS | CREATE_FAILED | ROLLBACK_* | DELETE_*)
    nothing_to_do "$stack is $status, and was never deployed as a whole or is half deleted:" \
      "nothing to go back to. Remove it with --delete."
    ;;
  UPDATE_IN_PROGRESS)
    ask "$stack is being updated. Cancel that, and go back to what it was before?"
    back_up
    # It may have ended while the question waited for its answer.
    aws_unless "CancelUpdateStack cannot be called" cloudformation cancel-update-stack \
      --stack-name "$stack"
    finish_freeing
    ;;
  *_IN_PROGRESS)
    log "$stack is $status: waiting for the end"
    status=$(wait_for_stack "$stack")
    go_back
    ;;
  UPDATE_FAILED)
    ask "The last update of $stack failed halfway. Go back to what it was before?"
    back_up
    aws_cli cloudformation rollback-stack --stack-name "$stack" >/dev/null
    finish_freeing
    ;;
  UPDATE_ROLLBACK_FAILED)
    ask "The last update of $stack failed, and so did undoing it. Try to undo it again?"
    back_up
    aws_cli cloudformation continue-update-rollback --stack-name "$stack"
    finish_freeing
    ;;
  *) go_to_previous_release ;;
  esac
}

# Waits for CloudFormation to undo an update, and goes around what cannot be undone.
finish_freeing() {
  local skipped
  log "CloudFormation undoes the update"
  status=$(wait_for_stack "$stack")
  if [[ "$status" == UPDATE_ROLLBACK_FAILED ]]; then
    skipped=$(aws_cli cloudformation list-stack-resources --stack-name "$stack" --output text \
      --query "StackResourceSummaries[?ResourceStatus=='UPDATE_FAILED'].[LogicalResourceId]")
    if [[ -z "$skipped" ]]; then
      die "$stack is $status, and does not tell what could not be undone: see its events"
    fi
    show_failed_resources "$stack"
    ask "These could not be undone: ${skipped//$'\n'/, }. Leave them as they are?"
    # shellcheck disable=SC2086 # logical ids are words
    aws_cli cloudformation continue-update-rollback --stack-name "$stack" \
      --resources-to-skip $skipped
    status=$(wait_for_stack "$stack")
    warn "left as they are: ${skipped//$'\n'/, }; the next deployment sets them right"
  fi
  case "$status" in
  UPDATE_ROLLBACK_COMPLETE) log "$stack is what it was before that update" ;;
  UPDATE_COMPLETE)
    log "The update had ended before it could be cancelled"
    go_to_previous_release
    ;;
  *) die "$stack is $status: see its events in the console" ;;
  esac
}

go_to_previous_release() {
  local releases newest target line parameters=()
  if [[ -n "$bucket" ]]; then
    releases=$(list_releases "$bucket" "$stack")
  fi
  if [[ -z "${releases:-}" ]]; then
    nothing_to_do "No release of $stack is stored: nothing to go back to. deploy.sh stores them."
  fi
  newest=${releases##*$'\n'}
  target=$newest
  if runs_release "$newest"; then
    if [[ "$releases" == "$newest" ]]; then
      nothing_to_do "$stack runs its only release, $newest: nothing to go back to."
    fi
    target=${releases%$'\n'*}
    target=${target##*$'\n'}
  else
    log "What runs now was not deployed by deploy.sh"
  fi
  fetch_release "$bucket" "$stack" "$target" "$work/$target"
  show_difference "$target"
  ask "Take $stack back to release $target?"
  back_up
  while IFS= read -r line; do
    parameters+=("$line")
  done <"$work/$target/parameters"
  log "Going back"
  update_stack "$stack" "$work/$target/template.yaml" --s3-bucket "$bucket" --s3-prefix "$stack" \
    --parameter-overrides "${parameters[@]}"
  if [[ "$target" != "$newest" ]]; then
    forget_release "$bucket" "$stack" "$newest"
  fi
  log "$stack runs release $target; its tables are as they were. Check it with:"
  log "  scripts/validate.sh --environment $environment --region $AWS_REGION_OPTION"
}

# runs_release RELEASE - whether the stack runs it; leaves what runs in the work folder.
runs_release() {
  fetch_release "$bucket" "$stack" "$1" "$work/$1"
  # As a condition's part, this would go on where a command fails.
  stack_parameters "$stack" >"$work/parameters" || exit 1
  aws_cli cloudformation get-template --stack-name "$stack" --template-stage Original \
    --query TemplateBody --output text >"$work/template.yaml"
  # The AWS CLI ends the text with a line break, whatever its own end is.
  [[ "$(cat "$work/template.yaml")" == "$(cat "$work/$1/template.yaml")" ]] &&
    cmp -s "$work/parameters" "$work/$1/parameters"
}

# show_difference RELEASE - tells which parameters change; code and template only whether.
show_difference() {
  log "Release $1, compared with what runs now:"
  if [[ "$(cat "$work/template.yaml")" != "$(cat "$work/$1/template.yaml")" ]]; then
    log "  other code or template"
  fi
  diff "$work/parameters" "$work/$1/parameters" | sed -n -e 's/^[<>]/  &/p' >&2 || true
}

# Deleting.

delete_everything() {
  local told arn
  told=$(aws_cli sts get-caller-identity --query Arn --output text)
  events_home=$(events_region "$told")
  find_forwarding
  if [[ "$status" == *_IN_PROGRESS && "$status" != CREATE_IN_PROGRESS &&
    "$status" != REVIEW_IN_PROGRESS ]]; then
    log "$stack is $status: waiting for the end"
    status=$(wait_for_stack "$stack")
  fi
  if [[ -z "$status" && -z "$forwarding" ]]; then
    # An interrupted deletion leaves releases, which a later deployment must not go back to.
    if [[ -z "$bucket" || -z "$(list_releases "$bucket" "$stack")" ]]; then
      nothing_to_do "There is no stack $stack in this account and region: nothing to delete."
    fi
    log "$stack is gone, and its releases are left"
  fi
  if [[ -n "$status" ]]; then
    log "Deleting $stack ($status) takes its configuration, its state and its history with it."
    if [[ -z "$backup" ]]; then
      warn "nothing is backed up without --backup-data"
    fi
    arn=$(stack_query "$stack" "Outputs[?OutputKey=='StateMachineArn'].OutputValue | [0]")
    warn_of_runs "$arn"
  fi
  ask "Delete $stack?"
  if [[ -n "$status" ]]; then
    back_up
    delete_main_stack
  fi
  delete_forwarding
  if [[ -n "$bucket" ]]; then
    aws_cli s3 rm --only-show-errors --recursive "s3://$bucket/$stack/"
  fi
  log "Deleted $stack"
}

warn_of_runs() {
  local running
  if [[ -n "$1" && "$1" != None ]]; then
    running=$(aws_unless StateMachineDoesNotExist stepfunctions list-executions --output text \
      --state-machine-arn "$1" --status-filter RUNNING --no-paginate \
      --query 'length(executions)')
    if [[ "${running:-0}" != 0 ]]; then
      warn "a run is under way, and will be cut off"
    fi
  fi
}

delete_main_stack() {
  local name buckets
  buckets=$(resources AWS::S3::Bucket)
  aws_cli cloudformation update-termination-protection --stack-name "$stack" \
    --no-enable-termination-protection >/dev/null
  # A bucket that holds something is not deleted. What runs and the stack's own trail write there
  # is of no use afterwards.
  for name in $(resources AWS::CloudTrail::Trail); do
    aws_unless TrailNotFound cloudtrail stop-logging --name "$name"
  done
  for name in $buckets; do
    log "Emptying $name"
    aws_unless NoSuchBucket s3 rm --only-show-errors --recursive "s3://$name/"
  done
  log "Deleting $stack"
  delete_stack "$stack"
}

# Sets `forwarding`, the regions that have a forwarding stack of this one.
find_forwarding() {
  local region home regions="$events_home" tower=""
  forwarding=""
  if [[ -n "$bucket" ]]; then
    tower=$(control_tower_region "$bucket" "$stack")
  fi
  if [[ -n "$tower" && "$tower" != none && "$tower" != "$events_home" ]]; then
    regions="$regions $tower"
  fi
  for region in $regions; do
    home=$(in_region "$region" stack_query "$(forwarding_stack "$stack")" \
      "Parameters[?ParameterKey=='HomeRegion'].ParameterValue | [0]")
    if [[ "$home" == "$AWS_REGION_OPTION" ]]; then
      forwarding="$forwarding $region"
    fi
  done
}

delete_forwarding() {
  local region
  for region in $forwarding; do
    log "Deleting $(forwarding_stack "$stack") in $region"
    in_region "$region" delete_stack "$(forwarding_stack "$stack")"
  done
}

main "$@"
