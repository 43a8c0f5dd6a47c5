"""Deletes one environment with its data and releases: scripts/rollback.sh --delete."""

import time
from argparse import Namespace
from collections.abc import Iterable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from operate.aws import FAILURES, Aws, code_of
from operate.console import OK, OperateError, confirm, confirm_name, note, warn
from operate.forwarding import find_forwarding
from operate.operations import POLL_SECONDS, delete_stack, wait_until_idle
from operate.releases import own_bucket, sam_bucket
from operate.rollback import back_up, nothing
from operate.stacks import Stack, find_stack, stack_name

GONE = ("NoSuchBucket", "ResourceNotFoundException", "TrailNotFoundException")


def delete(aws: Aws, options: Namespace) -> int:
    """Delete stack, forwarding stacks and releases; return the exit code."""
    name = stack_name(options.environment)
    stack = find_stack(aws, name)
    if stack and stack.status not in ("CREATE_IN_PROGRESS", "DELETE_IN_PROGRESS"):
        stack = wait_until_idle(aws, name)
    tower = stack.parameters.get("ControlTowerRegion", "") if stack else ""
    regions = {aws.events_region, tower} - {"", aws.region}
    forwarding = list(find_forwarding(aws, name, regions))
    bucket = own_bucket(stack) or sam_bucket(aws)
    if not (stack or forwarding):
        # An interrupted deletion leaves these.
        if not bucket or not any(_keys(aws, bucket, f"{name}/")):
            return nothing(f"There is no stack {name} in this account and region.")
        note(f"{name} is already deleted, but not its releases")
    _ask(aws, options, name, stack)
    if stack and stack.status == "DELETE_IN_PROGRESS":
        # Step Functions deletes a state machine only after its executions have ended.
        _stop_runs(stack)
        stack = wait_until_idle(aws, name)
    if stack:
        back_up(options, stack)
    try:
        _delete_stacks(aws, stack, forwarding)
    except (KeyboardInterrupt, *FAILURES):
        note(
            "Not everything is deleted, and rules and schedule may be off: run this command again, "
            "or, to keep the stack, deploy with --repair"
        )
        raise
    if bucket:
        _empty(aws, bucket, f"{name}/")
    note(f"Deleted {name}")
    return OK


def _ask(aws: Aws, options: Namespace, name: str, stack: Stack | None) -> None:
    if stack:
        note(f"Deleting {name} ({stack.status}) also deletes its configuration, state and history")
        if not options.backup_data:
            warn("no backup: add --backup-data to save the tables first")
        if stack.running_executions():
            warn("a run is in progress, and will be stopped")
    if options.environment == "prod" or options.confirm_name:
        question = f"Delete {name}?"
        confirm_name(question, aws.where(name), name, given=options.confirm_name)
    else:
        confirm(f"Delete {name}?", aws.where(name), yes=options.yes)


def _delete_stacks(aws: Aws, stack: Stack | None, forwarding: Iterable[Stack]) -> None:
    """Delete all stacks; the main one last, because its parameters say where the others are."""
    if stack:
        _clear(aws, stack)
    for each in forwarding:
        note(f"Deleting {each.name} in {each.region}")
        delete_stack(each)
    if stack:
        note(f"Deleting {stack.name}")
        try:
            delete_stack(stack)
        except OperateError:
            note("Emptying the buckets again, then retrying")
            _empty_buckets(aws, stack)
            delete_stack(stack)


def _clear(aws: Aws, stack: Stack) -> None:
    """Stop everything that the stack does, and delete what prevents its deletion."""
    _pause(aws, stack)
    _stop_runs(stack)
    stack.client.update_termination_protection(
        StackName=stack.id, EnableTerminationProtection=False
    )
    for trail in stack.names["AWS::CloudTrail::Trail"]:
        _unless_gone(aws.client("cloudtrail").stop_logging, Name=trail)
    _empty_buckets(aws, stack)


def _empty_buckets(aws: Aws, stack: Stack) -> None:
    """CloudFormation deletes only empty buckets, and CloudTrail still delivers for a while."""
    for bucket in stack.names["AWS::S3::Bucket"]:
        _empty(aws, bucket)


def _pause(aws: Aws, stack: Stack) -> None:
    """Disable all triggers; otherwise, the rule `recovery` starts a run for each stopped one."""
    for rule in stack.names["AWS::Events::Rule"]:
        _unless_gone(aws.client("events").disable_rule, Name=rule)
    for schedule in stack.names["AWS::Scheduler::Schedule"]:
        delete = aws.client("scheduler").delete_schedule
        _unless_gone(delete, Name=schedule.rpartition("/")[2], GroupName=stack.name)


def _stop_runs(stack: Stack) -> None:
    """Stop running executions; the deletion of the state machine would wait for them for hours."""
    client = stack.aws.client("stepfunctions")
    # Somebody may start another one meanwhile.
    while running := stack.running_executions():
        for execution in running:
            note(f"Stopping {execution.rpartition(':')[2]}")
            client.stop_execution(executionArn=execution, cause="The stack is deleted.")
        time.sleep(POLL_SECONDS)


def _empty(aws: Aws, bucket: str, prefix: str = "") -> None:
    client = aws.client("s3")
    keys = [{"Key": key} for key in _keys(aws, bucket, prefix)]
    for first in range(0, len(keys), 1000):
        some = {"Objects": keys[first : first + 1000], "Quiet": True}
        for refused in client.delete_objects(Bucket=bucket, Delete=some).get("Errors", []):
            raise OperateError(
                f"S3 did not delete {refused['Key']} from {bucket}: {refused['Code']}: "
                f"{refused.get('Message', '')}"
            )


def _keys(aws: Aws, bucket: str, prefix: str) -> Iterator[str]:
    pages = aws.client("s3").get_paginator("list_objects_v2")
    try:
        for page in pages.paginate(Bucket=bucket, Prefix=prefix):
            yield from (found["Key"] for found in page.get("Contents", []))
    except ClientError as error:
        if code_of(error) not in GONE:
            raise


def _unless_gone(call: Any, **request: Any) -> None:
    """Call, and ignore a resource that is already deleted."""
    try:
        call(**request)
    except ClientError as error:
        if code_of(error) not in GONE:
            raise
