# shellcheck shell=bash
# What deploy.sh and rollback.sh share: the state of a stack, and the releases that it had.
# Meant to be sourced after common.sh.
#
# A release is what a deployment was made of, the packaged template and the parameters. It lies in
# SAM's bucket beside the code that the template names, under `<stack>/releases/<time>/`; the
# newest is what the stack runs. `parameters` is written last: without it there is no release.

SAM_STACK=aws-sam-cli-managed-default
KEPT_RELEASES=10

STACK_POLL_SECONDS=2
MOST_STACK_POLLS=1800

# aws_unless TEXT ARGUMENT... - calls AWS; where the error has the text, prints nothing.
aws_unless() {
  local expected="$1" errors status=0
  require_aws
  shift
  {
    errors=$(call_aws "$@" 2>&1 >&3) || status=$?
  } 3>&1
  if ((status != 0)) && [[ "$errors" != *"$expected"* ]]; then
    die "$(explain_aws_error "$errors")"
  fi
}

# in_region REGION COMMAND... - as if --region were this one.
in_region() {
  local AWS_REGION_OPTION="$1"
  shift
  "$@"
}

# stack_query STACK QUERY - prints what describe-stacks tells of it, nothing where there is none.
stack_query() {
  aws_unless "does not exist" cloudformation describe-stacks --stack-name "$1" --output text \
    --query "Stacks[0].$2"
}

stack_status() {
  stack_query "$1" StackStatus
}

# stack_parameters STACK - prints each parameter as NAME=VALUE.
stack_parameters() {
  local name value
  stack_query "$1" "sort_by(Parameters || \`[]\`, &ParameterKey)[].[ParameterKey, ParameterValue]" |
    while IFS=$'\t' read -r name value; do
      printf '%s=%s\n' "$name" "$value"
    done
}

# wait_for_stack STACK - waits while the stack is being changed; prints how that ended.
wait_for_stack() {
  local status polls=0
  while :; do
    # Said out loud, as bash does not end a substitution's commands at the first that fails.
    status=$(stack_status "$1") || exit 1
    if [[ "$status" != *_IN_PROGRESS || "$status" == REVIEW_IN_PROGRESS ]]; then
      printf '%s\n' "$status"
      return
    fi
    polls=$((polls + 1))
    if ((polls > MOST_STACK_POLLS)); then
      die "$1 is still $status: see its events in the console, and try again when they end"
    fi
    sleep "$STACK_POLL_SECONDS"
  done
}

# update_stack STACK TEMPLATE ARGUMENT... - creates or updates it, waits, and tells what failed.
update_stack() {
  local stack="$1" template="$2" output
  shift 2
  if output=$(call_aws cloudformation deploy --stack-name "$stack" --template-file "$template" \
    --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --no-fail-on-empty-changeset \
    "$@" 2>&1); then
    return
  fi
  log "$(explain_aws_error "$output")"
  show_failed_resources "$stack"
  die "$stack was not deployed; it is $(stack_status "$stack")"
}

# show_failed_resources STACK - tells what failed in the last operation, first things first.
show_failed_resources() {
  aws_unless "does not exist" cloudformation describe-stack-events --stack-name "$1" \
    --max-items 500 --output text --query \
    "StackEvents[].[LogicalResourceId, ResourceStatus, ResourceStatusReason || '']" |
    awk -F '\t' -v stack="$1" '
      earlier { next } # but read on, or the AWS CLI fails for want of a reader
      $2 ~ /FAILED$/ && $1 != stack && $3 !~ /cancelled/ { failed[++n] = "  " $1 ": " $3 }
      $1 == stack && $2 ~ /^(CREATE|UPDATE|DELETE)_IN_PROGRESS$/ { earlier = 1 }
      END { while (n) print failed[n--] }' >&2
  # What CloudFormation refuses before it begins is told elsewhere; an older AWS CLI cannot ask.
  call_aws cloudformation describe-events --stack-name "$1" --filters FailedEvents=true \
    --output text --query \
    "OperationEvents[].[OperationId, LogicalResourceId, ValidationStatusReason || '']" 2>/dev/null |
    awk -F '\t' '
      NR == 1 { last = $1 }
      $1 == last && $3 != "" { print "  " $2 ": " $3 }' >&2 || true
}

# delete_stack STACK - deletes it and waits until it is gone.
delete_stack() {
  local status
  aws_cli cloudformation delete-stack --stack-name "$1"
  status=$(wait_for_stack "$1")
  if [[ -n "$status" && "$status" != DELETE_COMPLETE ]]; then
    show_failed_resources "$1"
    die "$1 was not deleted; it is $status: remove what failed by hand, then try again"
  fi
}

# The release store.

# Prints the bucket that `sam package` makes, nothing where it has not yet.
artifact_bucket() {
  stack_query "$SAM_STACK" "Outputs[?OutputKey=='SourceBucket'].OutputValue | [0]"
}

# list_releases BUCKET STACK - prints the releases, oldest first.
list_releases() {
  aws_cli s3api list-objects-v2 --bucket "$1" --prefix "$2/releases/" --output text \
    --query "Contents[?ends_with(Key, '/parameters')].[Key]" |
    awk -F / 'NF > 2 { print $(NF - 1) }' | LC_ALL=C sort
}

# fetch_release BUCKET STACK RELEASE FOLDER - leaves `template.yaml` and `parameters` there.
fetch_release() {
  local name
  mkdir -p "$4"
  for name in template.yaml parameters; do
    aws_cli s3 cp --only-show-errors "s3://$1/$2/releases/$3/$name" "$4/$name"
  done
}

# store_release BUCKET STACK FOLDER - keeps what the folder has, unless the newest is the same.
store_release() {
  local bucket="$1" stack="$2" folder="$3" releases newest release name
  releases=$(list_releases "$bucket" "$stack")
  newest=${releases##*$'\n'}
  if [[ -n "$newest" ]]; then
    fetch_release "$bucket" "$stack" "$newest" "$folder/newest"
    if cmp -s "$folder/template.yaml" "$folder/newest/template.yaml" &&
      cmp -s "$folder/parameters" "$folder/newest/parameters"; then
      return
    fi
  fi
  release=$(date -u +%Y%m%dT%H%M%SZ)
  for name in template.yaml parameters; do
    aws_cli s3 cp --only-show-errors "$folder/$name" "s3://$bucket/$stack/releases/$release/$name"
  done
  log "Stored release $release"
  forget_old_releases "$bucket" "$stack"
}

forget_old_releases() {
  local releases surplus release
  releases=$(list_releases "$1" "$2")
  surplus=$(($(wc -l <<<"$releases") - KEPT_RELEASES))
  if ((surplus > 0)); then
    for release in $(head -n "$surplus" <<<"$releases"); do
      forget_release "$1" "$2" "$release"
    done
  fi
}

forget_release() {
  aws_cli s3 rm --only-show-errors --recursive "s3://$1/$2/releases/$3/"
}

# Events that another region has are forwarded by a stack there; where Control Tower's home is,
# only the option tells, so the answer is kept beside the releases.

forwarding_stack() {
  printf '%s-forwarding\n' "$1"
}

# events_region ARN - prints the region that has the events of accounts in the ARN's partition.
events_region() {
  case "$1" in
  arn:aws-cn:*) printf 'cn-northwest-1\n' ;;
  arn:aws-us-gov:*) printf 'us-gov-west-1\n' ;;
  arn:aws-eusc:*) printf 'eusc-de-east-1\n' ;;
  *) printf 'us-east-1\n' ;;
  esac
}

control_tower_region() {
  aws_unless "404" s3 cp --only-show-errors "s3://$1/$2/control-tower-region" -
}

keep_control_tower_region() {
  printf '%s\n' "$3" | aws_cli s3 cp --only-show-errors - "s3://$1/$2/control-tower-region"
}

# resolve_region - sets AWS_REGION_OPTION to the region that the AWS CLI would take.
resolve_region() {
  if [[ -z "$AWS_REGION_OPTION" ]]; then
    AWS_REGION_OPTION=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(call_aws configure get region || true)}}
  fi
  if [[ -z "$AWS_REGION_OPTION" ]]; then
    die "no AWS region: name the one of the stack with --region"
  fi
}
