"""Which runs an undo covers, and why a run cannot be undone."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from contact_sync.aws.executions import UNKNOWN, Executions
from contact_sync.aws.runs_table import RunsTable
from contact_sync.errors import InvalidRequestError


def runs_to_undo(runs: RunsTable, sync_id: str) -> list[str]:
    """Return the run with those that it continues and those that continue it, the latest first."""
    items = {sync_id: runs.find(sync_id) or {}}
    unseen = _linked(items[sync_id])
    while unseen:
        name = unseen.pop()
        if name not in items:
            items[name] = runs.find(name) or {}
            unseen += _linked(items[name])
    return sorted(items, key=lambda one: str(items[one].get("planned_at", "")), reverse=True)


def check_undo(
    sync_id: str, runs: RunsTable, executions: Executions, queued: Collection[str], *, keeps: bool
) -> None:
    """Raise InvalidRequestError if the run cannot be undone.

    `queued` are the executions whose requests wait; `keeps`: replaced contacts are kept.
    """
    if not keeps:
        raise InvalidRequestError(
            "undo: the stack keeps no replaced contacts (KeepReplacedDays is 0)"
        )
    if not runs.find(sync_id) and executions.describe(sync_id).status == UNKNOWN:
        raise InvalidRequestError(f"undo: run {sync_id} not found")
    for name in runs_to_undo(runs, sync_id):
        item = runs.find(name) or {}
        if item.get("dry_run"):
            raise InvalidRequestError(f"undo: run {name} was a dry run, which wrote nothing")
        # The recovery of a dead run also does what that run had taken.
        done_by = item.get("done_by")
        if done_by and "planned_at" not in item:
            raise InvalidRequestError(
                f"undo: run {name} was queued, and run {done_by} did everything in the queue; "
                f"undo {done_by} instead"
            )
        # An undo goes first: the request would be done after it.
        if name in queued and "planned_at" not in item:
            raise InvalidRequestError(
                f"undo: run {name} was queued, and its request is not done yet; repeat this later"
            )
        if "ended_at" not in item and executions.describe(name).is_alive:
            raise InvalidRequestError(f"undo: run {name} is still running")


def _linked(item: Mapping[str, Any]) -> list[str]:
    continues: Sequence[str] = item.get("request", {}).get("continues", [])
    later = item.get("continued_by")
    return [*continues, *([later] if later else [])]
