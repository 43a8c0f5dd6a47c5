"""Rolls one environment back to its previous release, or deletes it: scripts/rollback.sh."""

import importlib
from argparse import Namespace
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from operate import backup
from operate.aws import FAILURES, Aws, code_of, explain, open_aws
from operate.change_sets import Wanted, change_set
from operate.console import OK, OperateError, confirm, note, out, warn
from operate.forwarding import keep_forwarding
from operate.operations import Operation, going_on, wait_until_idle
from operate.options import Parser, text
from operate.releases import Releases, own_bucket, running_release, sam_bucket
from operate.stacks import HALF, NEVER_DEPLOYED, Stack, find_stack, stack_name

NOTHING_TO_DO = 3
# Prefix of a ClientRequestToken: distinguishes an interrupted rollback from an update.
TOKEN = "roll-back-"  # noqa: S105
FREED = "UPDATE_ROLLBACK_COMPLETE"

EPILOG = """\
Rolls back to the release before the current one, and deletes the stored current release. A
rollback changes code and settings, but neither the tables nor whether rules and schedule are
paused. If an update of the stack is stuck, the command rolls that update back.

exit codes:
  0  rolled back, or deleted
  1  failed
  2  wrong options
  3  nothing to roll back to, or nothing to delete

examples:
  scripts/rollback.sh --environment prod
  scripts/rollback.sh --environment prod --backup-data
  scripts/rollback.sh --environment dev --delete --backup-data
  scripts/rollback.sh --environment prod --delete --yes --confirm-name aws-contact-sync-prod
"""


def parser() -> Parser:
    """Return the options."""
    made = Parser("rollback", "Roll back to the previous release, or delete.", EPILOG)
    made.yes()
    made.flag("--backup-data", meaning="save both tables first; if that fails, change nothing")
    made.value("--output", text, "DIR", "folder for the backup (default: backup, or a new folder)")
    made.flag("--delete", meaning="delete stack, data and releases instead")
    made.value(
        "--confirm-name", text, "STACK", "the stack's name, to delete prod without a question"
    )
    return made


def run(options: Namespace) -> int:
    """Roll back or delete; return the exit code."""
    if options.output and not options.backup_data:
        parser().error("--output needs --backup-data: add it")
    aws = open_aws(options)
    command = importlib.import_module("operate.delete").delete if options.delete else _go_back
    return int(command(aws, options))


def nothing(message: str) -> int:
    """Print that there is nothing to do; return the exit code."""
    note(message)
    return NOTHING_TO_DO


def back_up(options: Namespace, stack: Stack) -> None:
    """Save the tables with --backup-data, each time to a new folder; raise if that fails."""
    if not options.backup_data:
        return
    if not stack.names["AWS::DynamoDB::Table"]:
        note("There are no tables to back up")
        return
    try:
        out(str(backup.back_up(stack, backup.folder_for(options.output))))
    except FAILURES as error:
        told = explain(error, options.profile)
        raise OperateError(f"the backup failed, so nothing was changed: {told}") from error


def _go_back(aws: Aws, options: Namespace) -> int:
    name = stack_name(options.environment)
    stack = find_stack(aws, name)
    is_update = stack and stack.is_changing and not _is_going_back(stack)
    if stack and is_update and stack.status == "UPDATE_IN_PROGRESS":
        question = f"An update of {name} is in progress. Cancel it and roll it back?"
        return _free(aws, options, stack, question, stack.client.cancel_update_stack)
    stack = wait_until_idle(aws, name)
    if stack and is_update and stack.status == FREED:
        return _as_before(stack)
    if not stack or stack.status == "REVIEW_IN_PROGRESS":
        return nothing(
            f"There is no stack {name} in this account and region: nothing to roll back to."
        )
    stuck = {
        "UPDATE_FAILED": ("failed. Roll it back?", stack.client.rollback_stack),
        "UPDATE_ROLLBACK_FAILED": (
            "failed, and so did its rollback. Try again?",
            stack.client.continue_update_rollback,
        ),
    }
    if stack.status in stuck:
        question, undo = stuck[stack.status]
        return _free(aws, options, stack, f"The last update of {name} {question}", undo)
    if stack.status in HALF + NEVER_DEPLOYED:
        return nothing(
            f"{name} is {stack.status}: it was never completely deployed, or is partly deleted. "
            "Nothing to roll back to: delete it with --delete."
        )
    return _go_to_release(aws, options, stack)


def _is_going_back(stack: Stack) -> bool:
    newest: dict[str, Any] = next(stack.events(), {})
    return str(newest.get("ClientRequestToken", "")).startswith(TOKEN)


# Stuck updates.


def _free(
    aws: Aws, options: Namespace, stack: Stack, question: str, undo: Callable[..., Any]
) -> int:
    """Let CloudFormation roll back an update, and skip what it cannot roll back."""
    _ask(aws, options, stack, question)
    back_up(options, stack)
    operation = Operation(stack)
    try:
        undo(StackName=stack.id)
    except ClientError as error:
        # The update may have ended before the user answered.
        now = find_stack(aws, stack.name)
        if code_of(error) != "ValidationError" or not now or now.status == stack.status:
            raise
        return _go_back(aws, options)
    note("CloudFormation rolls back the update")
    status = operation.follow()
    if status == "UPDATE_ROLLBACK_FAILED":
        status = _skip(aws, options, stack)
    if status != FREED:
        raise OperateError(f"{stack.name} is {status}: see its events in the console")
    return _as_before(stack)


def _as_before(stack: Stack) -> int:
    note(f"{stack.name} is as it was before the update")
    return OK


def _skip(aws: Aws, options: Namespace, stack: Stack) -> str:
    """Skip the resources that cannot be rolled back; return the stack's status."""
    failed = [
        str(one["LogicalResourceId"])
        for one in stack.resources()
        if one["ResourceStatus"] == "UPDATE_FAILED"
    ]
    if not failed:
        raise OperateError(
            f"CloudFormation could not roll back {stack.name}, and names no failed resource: see "
            "the stack's events in the console"
        )
    names = ", ".join(failed)
    _ask(aws, options, stack, f"These could not be rolled back: {names}. Skip them?")
    operation = Operation(stack)
    stack.client.continue_update_rollback(StackName=stack.id, ResourcesToSkip=failed)
    warn(f"skipped: {names}; to correct them, deploy with --repair")
    return operation.follow()


# Rollback to a release.


def _go_to_release(aws: Aws, options: Namespace, stack: Stack) -> int:
    bucket = own_bucket(stack) or sam_bucket(aws)
    releases = Releases(aws, stack.name, bucket or "")
    # Older releases belong to an earlier stack of this name.
    names = releases.names(stack.described["CreationTime"]) if bucket else []
    running = running_release(stack)
    if not names:
        return nothing(f"No release of {stack.name} is stored: nothing to roll back to.")
    target, left = names[-1], []
    if running in names:
        before, left = names[: names.index(running)], names[names.index(running) + 1 :]
        if left:
            note(f"{stack.name} is already rolled back to release {running}")
            return _finish(stack, releases, left)
        if not before:
            return nothing(
                f"{stack.name} has only one release, {running}: nothing to roll back to."
            )
        target, left = before[-1], [running]
    else:
        note("The current release is not stored: its deployment was interrupted, or manual")
    parameters = releases.parameters(target)
    parameters |= {"Triggers": stack.parameters.get("Triggers", "ENABLED")}
    _show_difference(stack.parameters, parameters)
    wanted = Wanted(stack.name, releases.template(target), parameters, stack.tags)
    with change_set(aws, wanted) as changes:
        changes.show(note)
        if changes.is_empty:
            return nothing(f"{stack.name} equals release {target}: nothing to roll back to.")
        if stack.running_executions():
            warn("a run is in progress: its remaining accounts may fail")
        _ask(aws, options, stack, f"Roll {stack.name} back to release {target}?")
        back_up(options, stack)
        changes.execute(TOKEN)
    note(f"{stack.name} has release {target}; its tables are unchanged. Check it with:")
    note(f"  scripts/validate.sh --environment {options.environment} {aws.options()}")
    return _finish(stack, releases, left)


def _show_difference(now: dict[str, str], then: dict[str, str]) -> None:
    for name in sorted((now.keys() | then.keys()) - {"Release"}):
        if now.get(name) != then.get(name):
            note(f"  {name}: {now.get(name, '')} -> {then.get(name, '')}")


def _finish(stack: Stack, releases: Releases, left: list[str]) -> int:
    """Forward the events of the release's regions, then forget the releases that it replaces."""
    before = releases.parameters(left[0]) if left else stack.parameters
    with going_on():
        if now := find_stack(stack.aws, stack.name):
            keep_forwarding(stack.aws, now, before.get("ControlTowerRegion", ""))
    for name in left:
        releases.forget(name)
    return OK


def _ask(aws: Aws, options: Namespace, stack: Stack, question: str) -> None:
    confirm(question, aws.where(stack.name), yes=options.yes)
