"""Which execution may run: the lock, the queue of requests, and the recovery of dead executions."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import TYPE_CHECKING

from contact_sync.aws.executions import ALIVE, UNKNOWN, Execution, Executions
from contact_sync.aws.lock_table import Lock, LockTable, QueuedRequest
from contact_sync.aws.runs_table import RunsTable
from contact_sync.errors import InvalidRequestError, ServiceUnavailableError, is_named
from contact_sync.request import (
    MAX_MERGED_ACCOUNTS,
    RunRequest,
    TriggerSource,
    parse_request,
    run_request,
)

from contact_sync_handler.undo import check_undo

if TYPE_CHECKING:
    from contact_sync.request_checks import SyncRequest, Trigger

# A processor that passed the fence writes for as long as its function may run (template: 120 s).
QUIET_TIME = timedelta(seconds=130)
# A read right after a change may be stale, and more changes may follow.
SETTLING_TIME = timedelta(seconds=30)
# DescribeExecution may not know an execution that started a moment ago (eventual consistency).
UNKNOWN_IS_DEAD_AFTER = timedelta(hours=1)
# Others may change the lock between our read and our update; they finish, so this is not reached.
LOCK_ATTEMPTS = 20
ABORTED = "ABORTED"
# Of an execution that had ended otherwise: it was redriven.
SUCCEEDED = "SUCCEEDED"


class LockDecision(StrEnum):
    """What an execution does after it asked for the lock."""

    TAKEN = "taken"
    QUEUED = "queued"
    NOTHING_TO_DO = "nothing_to_do"


@dataclass(frozen=True)
class Run:
    """One execution: its name, its start, and its input."""

    sync_id: str
    started_at: str
    request: "SyncRequest"


@dataclass(frozen=True)
class Turn:
    """The decision, who holds the lock, and the seconds to wait before the plan."""

    decision: LockDecision
    holder: str | None = None
    settle_seconds: int = 0


@dataclass(frozen=True)
class RunControl:
    """Decides by the lock, the queue, and the executions' status."""

    lock: LockTable
    runs: RunsTable
    executions: Executions
    management_account_id: str
    keeps_replaced: bool = True

    def take_lock(self, run: Run) -> Turn:
        """Queue the run's request, then take the lock if no running execution holds it.

        This queues before it locks, and release_lock frees before it counts: so one of the two
        always sees the other. Both are safe to repeat.
        """
        request = self.request_of(run)
        if request is not None:
            self.lock.queue(QueuedRequest(run.sync_id, run.started_at, datetime.now(UTC), request))
        for _ in range(LOCK_ATTEMPTS):
            seen = self.lock.read()
            if seen.holder not in (None, run.sync_id):
                holder = self.executions.describe(seen.holder)
                if not _is_dead(holder, seen):
                    return Turn(LockDecision.QUEUED, seen.holder)
                self._bury(holder)
                continue
            if not self.lock.has_queued():
                return Turn(LockDecision.NOTHING_TO_DO)
            if self.lock.take(run.sync_id, datetime.now(UTC)):
                return Turn(LockDecision.TAKEN, run.sync_id, self._settle_seconds())
        raise ServiceUnavailableError("take the lock: it kept changing")

    def release_lock(self, run: Run, *, map_failed: bool) -> bool:
        """Free the lock; return whether requests wait that no execution does.

        Children of a failed Map may still run for a while.
        """
        quiet_until = datetime.now(UTC) + QUIET_TIME if map_failed else None
        self.lock.release(run.sync_id, quiet_until)
        if self.lock.read().holder is not None:
            return False  # the new holder does what is queued
        return self.lock.has_queued()

    def request_of(self, run: Run) -> RunRequest | None:
        """Return what an execution asks for, None if it only does what is queued.

        Raises InvalidRequestError if `retry_of` cannot be repeated, or `undo` not undone.
        """
        if undo := run.request.undo:
            queued = [one.name for one in self.lock.queued()]
            check_undo(undo, self.runs, self.executions, queued, keeps=self.keeps_replaced)
        return self._asked_by(run.request, frozenset({run.sync_id}))

    def _asked_by(self, request: "SyncRequest", runs: frozenset[str]) -> RunRequest | None:
        """Return what an input asks for; `runs` are its own run, and those that retry it."""
        trigger = request.trigger
        if trigger and trigger.source == TriggerSource.CONTINUATION:
            return None
        if trigger and trigger.source == TriggerSource.RECOVERY:
            return self._recover(trigger)
        if not request.retry_of:
            return run_request(request)
        if request.retry_of in runs:
            raise InvalidRequestError(f"retry_of: run {request.retry_of} retries itself")
        retried = self._retried(request.retry_of, request, runs)
        return run_request(request, retried) if retried else None

    def _retried(
        self, sync_id: str, request: "SyncRequest", runs: frozenset[str]
    ) -> RunRequest | None:
        """Return the accounts that failed in a run, or its request if it recorded no account."""
        item = self.runs.find(sync_id) or {}
        execution = self.executions.describe(sync_id)
        if execution.is_alive and "ended_at" not in item:
            raise InvalidRequestError(f"retry_of: run {sync_id} is still running")
        if execution.status == UNKNOWN and not item:
            raise InvalidRequestError(f"retry_of: run {sync_id} not found")
        if (item.get("dry_run") or execution.is_dry_run) and not request.dry_run:
            raise InvalidRequestError(
                f"retry_of: run {sync_id} was a dry run: add dry_run, or use account_ids"
            )
        asked = RunRequest.from_stored(item.get("request"))
        failed, count = self.runs.failed_accounts(sync_id), item.get("failed", 0)
        if len(failed) < count:  # the index is eventually consistent
            shown = f"shows {len(failed)} of {count} failed accounts"
            raise ServiceUnavailableError(f"retry_of: run {sync_id}: the index {shown}")
        if failed:
            some = failed if len(failed) <= MAX_MERGED_ACCOUNTS else None
            if asked.undo:  # an undo must not do more than was asked
                return (
                    replace(asked, account_ids=some, organizational_units=None) if some else asked
                )
            return RunRequest(account_ids=some)
        if item.get("status") == "success" and not execution.error:
            raise InvalidRequestError(f"retry_of: no account failed in run {sync_id}")
        if "request" in item:
            return asked
        # It ended before it recorded its request.
        try:
            return self._asked_by(self._input_of(execution), runs | {sync_id})
        except InvalidRequestError as error:
            raise InvalidRequestError(f"retry_of: run {sync_id}: {error}") from None

    def _recover(self, trigger: "Trigger") -> RunRequest | None:
        """Free the lock of the dead execution; return what to ask for in its place."""
        dead = self.executions.describe(str(trigger.execution_arn).rpartition(":")[2])
        if dead.status == SUCCEEDED or (dead.is_alive and _is_redriven(dead, trigger.event_time)):
            return None
        if dead.status == UNKNOWN:
            raise ServiceUnavailableError(f"describe execution {dead.name}: not found yet")
        if dead.is_alive:
            # The answer is stale; the event has the status.
            dead = replace(dead, status=trigger.event_name)
        item = self.runs.find(dead.name) or {}
        self._bury(dead)
        if dead.status == ABORTED or is_named(dead.error) or dead.is_dry_run:
            return None
        was_planned = "planned_at" in item
        # After an undo, a full run would overwrite what it put back.
        if was_planned and RunRequest.from_stored(item.get("request")).undo:
            return None  # it is still queued
        own = self._own_request(dead)
        if own and own.undo:
            is_queued = was_planned or any(one.name == dead.name for one in self.lock.queued())
            return None if is_queued else own
        if own is None and not was_planned:
            return None  # it brought no request, and what it would have done is still queued
        # It may have died before it queued its request. After a change, the source may be read
        # stale for minutes: until then, the recovery of its run checks the source again, too.
        own = own or RunRequest()
        has_settled = item.get("check_source_at") and _is_past(item["check_source_at"])
        return RunRequest(
            insisted=own.insisted,
            is_change=own.is_change and not has_settled,
            hop=own.hop,
            reasons=[f"recovery of {dead.name}"],
            continues=[dead.name] if was_planned else [],
        )

    def _own_request(self, dead: Execution) -> RunRequest | None:
        """Return what a dead execution asks for, None if nothing."""
        try:
            return self._asked_by(self._input_of(dead), frozenset({dead.name}))
        except InvalidRequestError:
            # It may have meant an undo.
            return None if dead.names_a_run else RunRequest()

    def _input_of(self, execution: Execution) -> "SyncRequest":
        return parse_request(json.loads(execution.input), self.management_account_id)

    def _bury(self, dead: Execution) -> None:
        """Free the lock if the dead execution holds it, and record how it ended.

        Abort means stop: an aborted run's own request is dropped, and what it had taken.
        """
        item = self.runs.find(dead.name) or {}
        if "ended_at" not in item:
            if dead.status == ABORTED:
                self.lock.remove([dead.name, *item.get("taken", [])])
            elif RunRequest.from_stored(item.get("request")).undo:
                for name in item.get("taken", []):
                    self.lock.continue_undo(name, dead.name)
        started_at = item.get("started_at", dead.started_at)
        if started_at:
            is_aborted = dead.status == ABORTED
            outcome = {
                "status": "aborted" if is_aborted else "failure",
                "error": dead.error or dead.status,
                "ended_at": datetime.now(UTC).isoformat(),
            }
            self.runs.record_end(started_at, dead.name, outcome)
        self.lock.release(dead.name, datetime.now(UTC) + QUIET_TIME)

    def _settle_seconds(self) -> int:
        """Return how long the plan must wait: for writes in flight, and for the newest change."""
        now = datetime.now(UTC)
        changes = [one.queued_at for one in self.lock.queued() if one.request.is_change]
        until = [now, *(at + SETTLING_TIME for at in changes)]
        if quiet_until := self.lock.read().quiet_until:
            until.append(quiet_until)
        return ceil(min(max(until) - now, QUIET_TIME).total_seconds())


def _is_past(stored: str) -> bool:
    return datetime.now(UTC) >= datetime.fromisoformat(stored)


def _is_dead(holder: Execution, seen: Lock) -> bool:
    if holder.status == UNKNOWN:
        age = datetime.now(UTC) - seen.since if seen.since else UNKNOWN_IS_DEAD_AFTER
        return age >= UNKNOWN_IS_DEAD_AFTER
    return holder.status not in ALIVE


def _is_redriven(execution: Execution, event_time: str) -> bool:
    """Return whether the execution was redriven after the event of its end."""
    if execution.redriven_at is None:
        return False
    return execution.redriven_at >= datetime.fromisoformat(event_time)
