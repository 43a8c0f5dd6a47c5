"""Starts a manual run, and follows it: scripts/resync.sh."""

import time
from argparse import ArgumentTypeError, Namespace
from collections import Counter
from typing import Any

from contact_sync.aws.items import from_item, to_item
from contact_sync.aws.runs_table import INDEX
from contact_sync.comparison import CHANGED
from contact_sync.contacts import ContactType
from contact_sync.errors import command_after

from operate.aws import Aws, console_link, open_aws, pages
from operate.console import OK, OperateError, note, out, out_json
from operate.following import (
    RUN_FAILED,
    ConnectionLostError,
    Ended,
    Follower,
    show_execution,
    start,
)
from operate.options import Parser, account_id, contact_type, execution_name, unit_id
from operate.stacks import Stack, get_stack

DRIFT = 5
MAX_REASON_CHARACTERS = 1000
# The index is eventually consistent.
MOST_LOOKS = 5
LOOK_SECONDS = 1
SCOPE = {
    "--account": "account_ids",
    "--ou": "organizational_units",
    "--type": "contact_types",
}
WORDS = {"updated": "would change", "deleted": "would be deleted"}

EPILOG = """\
Separate several values with commas or spaces. --account and --ou add up. The execution's name and
console URL go to stdout; with --follow, a dry run also prints each account that would change, with
the contact types.

exit codes:
  0  started; --follow or --attach: the run SUCCEEDED
  1  could not start, or there is no such execution
  2  wrong options
  3  the run failed, or was stopped
  4  the connection was lost, or a dry run's results are late; --attach follows it again
  5  --fail-on-drift: the dry run would change something

examples:
  scripts/resync.sh --environment prod --dry-run --follow
  scripts/resync.sh --environment prod --follow
  scripts/resync.sh --environment prod --account 123456789012,210987654321 --type security
  scripts/resync.sh --environment prod --retry-of 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0 --follow
  scripts/resync.sh --environment prod --undo 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0 --dry-run
  scripts/resync.sh --environment prod --attach 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0
  scripts/resync.sh --environment prod --dry-run --fail-on-drift --json
"""


def parser() -> Parser:
    """Return the options."""
    made = Parser("resync", "Start a manual run, for all accounts or some.", EPILOG)
    made.values("--account", account_id, "ID", "only these accounts")
    made.values("--ou", unit_id, "ID", "only accounts under these OUs, at any depth")
    made.values("--type", contact_type, "T", f"only these contacts: {', '.join(ContactType)}")
    made.flag("--dry-run", meaning="compare and report, write to no account")
    meaning = "only the accounts that failed in this run; not with --account, --ou, --type, --undo"
    made.value("--retry-of", execution_name, "NAME", meaning)
    meaning = "put back what this run replaced, in accounts that still have what it wrote"
    made.value("--undo", execution_name, "NAME", meaning)
    made.value("--reason", _reason, "TEXT", "free text for the audit trail")
    made.flag("--follow", meaning="show the progress, and wait for the result")
    made.value("--attach", execution_name, "NAME", "follow this execution instead of starting one")
    meaning = "for a dry run: follow it, and exit with 5 if it would change anything"
    made.flag("--fail-on-drift", meaning=meaning)
    made.json()
    return made


def run(options: Namespace) -> int:
    """Start an execution or attach to one, and follow it if requested; return the exit code."""
    request = _checked_request(options)
    aws = open_aws(options)
    stack = get_stack(aws, options.environment)
    name = options.attach
    if not name:
        arn = start(stack, request)
        name = arn.rpartition(":")[2]
        if not options.json:
            show_execution(arn)
    if options.follow or options.attach or options.fail_on_drift:
        return _follow(aws, stack, name, options)
    if options.json:
        out_json({"execution": name, "link": console_link(Follower(aws, stack).arn_of(name))})
    return OK


def _checked_request(options: Namespace) -> dict[str, Any]:
    """Return the execution input, `{}` for a full run; exit with 2 if options conflict."""
    scope = {key: vars(options)[option.removeprefix("--")] for option, key in SCOPE.items()}
    more = {
        "dry_run": options.dry_run,
        "retry_of": options.retry_of,
        "undo": options.undo,
        "reason": options.reason,
    }
    if options.retry_of and (options.undo or any(scope.values())):
        parser().error("--retry-of cannot be combined with --account, --ou, --type or --undo")
    if options.attach and any((scope | more).values()):
        parser().error("--attach only follows an execution: omit the options that start one")
    if options.fail_on_drift and not (options.dry_run or options.attach):
        parser().error("--fail-on-drift needs a dry run: add --dry-run")
    return {name: value for name, value in (scope | more).items() if value}


def _reason(given: str) -> str:
    if not given:
        raise ArgumentTypeError("needs a value")
    if len(given) > MAX_REASON_CHARACTERS:
        raise ArgumentTypeError(f"too long: expected at most {MAX_REASON_CHARACTERS} characters")
    return given


def _follow(aws: Aws, stack: Stack, name: str, options: Namespace) -> int:
    follower = Follower(
        aws,
        stack,
        show=lambda run: None if options.json else show_execution(follower.arn_of(run)),
    )
    where = f" {aws.options()}" if options.region or options.profile else ""
    again = f"bash scripts/resync.sh --environment {options.environment}{where} --attach {name}"
    try:
        ended = follower.follow(name)
        changes = _changes(aws, stack, follower, ended) if ended.is_dry_run else {}
    except ConnectionLostError as lost:
        raise ConnectionLostError(f"{lost}. To follow it again: {again}") from None
    except KeyboardInterrupt:
        note(f"The execution continues. To follow it again: {again}")
        raise
    if options.fail_on_drift and not ended.is_dry_run:
        raise OperateError(
            f"--fail-on-drift: {ended.name} is not a dry run; start one with --dry-run"
        )
    following = _next(ended, changes, options.environment, where)
    if options.json:
        _show_json(ended, changes, following)
    else:
        _show(ended, changes, following)
    if not ended.succeeded:
        return RUN_FAILED
    return DRIFT if options.fail_on_drift and changes else OK


# After an undo; the dry run that is suggested next shows what would be overwritten.
NOT_FOR_GOOD = (
    "The next contact change or full run overwrites what was put back, except in accounts that are "
    "excluded or have an override with the value own. To prevent it elsewhere, correct the source "
    "or the override, or do one of these."
)

# What a request has that is not for every account.
NARROW = {"account_ids", "organizational_units", "retry_of", "undo"}

# What a dry run would change: contact types with `updated` or `deleted`, by account.
Changes = dict[str, dict[str, str]]


def _changes(aws: Aws, stack: Stack, follower: Follower, ended: Ended) -> Changes:
    """Return what the dry run would change, when the index has all of it."""
    name = ended.name
    for look in range(MOST_LOOKS):
        time.sleep(LOOK_SECONDS if look else 0)
        counts = follower.ask(name, lambda: follower.run_item(name)).get("accounts")
        items = follower.ask(name, lambda: _account_items(aws, stack, name))
        if counts is not None and len(items) >= counts.get("updated", 0) + counts.get("failed", 0):
            break
    else:
        if ended.succeeded:
            raise ConnectionLostError(f"the state table does not show all results of {name} yet")
    changes = {
        item["pk"].removeprefix("ACCOUNT#"): {
            name: status for name, status in item["statuses"].items() if status in CHANGED
        }
        for item in items
    }
    return {account: types for account, types in sorted(changes.items()) if types}


def _account_items(aws: Aws, stack: Stack, name: str) -> list[dict[str, Any]]:
    found = pages(
        aws.client("dynamodb"),
        "query",
        "Items",
        TableName=stack.output("StateTableName"),
        IndexName=INDEX,
        KeyConditionExpression="gsi1pk = :run",
        ExpressionAttributeValues=to_item({":run": f"RUN#{name}"}),
    )
    return [item for item in map(from_item, found) if "statuses" in item]


def _next(ended: Ended, changes: Changes, environment: str, where: str) -> str | None:
    """Return the next command to type, None if there is nothing left to do."""
    if not ended.succeeded:
        command = command_after(ended.error, environment, ended.name, dry_run=ended.is_dry_run)
        return f"{command}{where}" if "--environment" in command else command
    if ended.request.get("undo") and not ended.is_dry_run:
        return f"bash scripts/resync.sh --environment {environment}{where} --dry-run --follow"
    if not changes:
        return None
    scope = "".join(
        f" {option} {','.join(values)}"
        for option, key in SCOPE.items()
        if isinstance(values := ended.request.get(key), list)
    )
    retried = ended.request.get("retry_of")
    again = f" --retry-of {retried}" if retried else scope
    if undone := ended.request.get("undo"):
        again = f" --undo {undone}{scope}"
    return f"bash scripts/resync.sh --environment {environment}{where}{again} --follow"


def _show(ended: Ended, changes: Changes, following: str | None) -> None:
    for account, types in changes.items():
        told = ", ".join(f"{name} {WORDS[status]}" for name, status in types.items())
        out(f"{account}  {told}")
    if ended.is_dry_run and ended.succeeded:
        out(f"would change: {_counts(changes) or 'nothing'}")
    error = f": {ended.error}" if ended.error else ""
    out(f"{ended.name} {ended.status}{error}{f': {ended.told}' if ended.told else ''}")
    if ended.request.get("undo") and ended.succeeded:
        note(NOT_FOR_GOOD)
    if following and ended.is_dry_run and len(changes) > 1 and not ended.request.keys() & NARROW:
        one = f" --account {min(changes)} --follow"
        note(f"To begin with one account: {following}".replace(" --follow", one))
    if following:
        note(f"Next: {following}")


def _counts(changes: Changes) -> str:
    if not changes:
        return ""
    counts = Counter(name for types in changes.values() for name in types)
    by_type = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    return f"{len(changes)} accounts ({by_type})"


def _show_json(ended: Ended, changes: Changes, following: str | None) -> None:
    document = {
        "execution": ended.name,
        "link": console_link(ended.arn),
        "status": ended.status,
        "error": ended.error,
        "summary": ended.told,
        "dry_run": ended.is_dry_run,
        "next": following,
    }
    out_json(document | ({"would_change": changes} if ended.is_dry_run else {}))
