"""The lock's decisions: queue behind a living run, take over from a dead one, start a round."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from contact_sync import keys
from contact_sync.errors import InvalidRequestError, LockLostError, ServiceUnavailableError
from contact_sync.executions import Execution, Executions
from contact_sync.lock import LockTable
from contact_sync.request import RoundRequest, SyncRequest, Trigger, round_request
from contact_sync.runs_table import RunsTable

# Others change the lock between our read and our write; they finish, so this is not reached.
LOCK_ATTEMPTS = 20


class Decision(StrEnum):
    """What an execution does that found the lock held."""

    QUEUED = "queued"
    TAKE_LOCK = "take_lock"
    RECOVER = "recover"


@dataclass(frozen=True)
class Run:
    """One execution that holds the lock, or a dry run: its name, its start, its input."""

    sync_id: str
    started_at: str
    request: SyncRequest


@dataclass(frozen=True)
class Recovery:
    """What became of a dead run: whether we hold its lock, for what, and whether to publish."""

    took_over: bool
    unpublished: Execution | None
    request: RoundRequest | None


class RunControl:
    """Decides who works, by the lock item and the executions' own status."""

    def __init__(self, lock: LockTable, runs: RunsTable, executions: Executions) -> None:
        self._lock = lock
        self._runs = runs
        self._executions = executions

    def queue_behind(self, run: Run) -> tuple[Decision, str | None]:
        """Queue the run's request behind a living holder; return the decision and the holder."""
        wanted = self.wanted(run.request)
        for _ in range(LOCK_ATTEMPTS):
            seen = self._lock.read()
            if seen.holder in (None, run.sync_id):
                return Decision.TAKE_LOCK, None
            if not self._executions.describe(seen.holder).is_alive:
                return Decision.RECOVER, seen.holder
            if self._lock.queue(seen, wanted):
                return Decision.QUEUED, seen.holder
        raise ServiceUnavailableError("queue behind the running execution: the lock kept changing")

    def recover(self, run: Run, dead_name: str) -> Recovery:
        """Take over from a dead run that still holds the lock, or free it from a dead recovery.

        The request returned is what the dead run had left, unless it was aborted by hand. What
        was queued stays in the lock item, for the round that follows.
        """
        dead = self._executions.describe(dead_name)
        if dead.is_alive:
            return Recovery(took_over=False, unpublished=None, request=None)
        record = self._runs.find(dead_name) or {}
        started_at = record.get("started_at", dead.started_at)
        is_known = "published_at" not in record and started_at
        unpublished = replace(dead, started_at=started_at) if is_known else None
        left = self._left_by(dead, record)
        took_over = self._take_from(dead, run)
        return Recovery(took_over, unpublished, left if took_over else None)

    def start_round(
        self, run: Run, round_number: int, left: RoundRequest | None = None
    ) -> RoundRequest | None:
        """Record the round's request: the run's own in its first round, and what was queued.

        `left` is what a dead run had left. Returns None where nothing is asked for. Raises
        LockLostError where the lock is another's.
        """
        own = self._own(run, round_number, left)
        for _ in range(LOCK_ATTEMPTS):
            seen = self._lock.read()
            if seen.holder != run.sync_id:
                raise LockLostError(f"the lock is held by {seen.holder or 'nobody'}")
            merged = _merged(own, seen.pending)
            if merged is None:
                return None
            key = keys.run(run.started_at, run.sync_id)
            if self._lock.start_round(seen, key, _round(run, round_number, merged)):
                return merged
        raise ServiceUnavailableError(f"start round {round_number}: the lock kept changing")

    def start_dry_run(self, run: Run) -> RoundRequest:
        """Record the only round of a dry run, which neither holds the lock nor queues."""
        request = self.wanted(run.request)
        self._runs.update(run.started_at, run.sync_id, _round(run, 1, request))
        return request

    def wanted(self, request: SyncRequest) -> RoundRequest:
        """Return what an execution asks for; `retry_of` becomes the accounts that failed."""
        if not request.retry_of:
            return round_request(request)
        if self._runs.find(request.retry_of) is None:
            raise InvalidRequestError(f"retry_of: there is no run {request.retry_of}")
        failed = self._runs.failed_accounts(request.retry_of)
        if not failed:
            raise InvalidRequestError(f"retry_of: no account failed in run {request.retry_of}")
        return round_request(request, failed)

    def _own(self, run: Run, round_number: int, left: RoundRequest | None) -> RoundRequest | None:
        """Return what the round is asked for before what is queued."""
        record = self._runs.read(run.started_at, run.sync_id)
        if record.get("round") == round_number:
            # An earlier attempt of this step took what was queued, and its answer was lost.
            return RoundRequest.model_validate(record["request"])
        return self._first(run, left) if round_number == 1 else None

    def _first(self, run: Run, left: RoundRequest | None) -> RoundRequest | None:
        """Return the first round's own request; a recovery has only what the dead run left."""
        if run.request.is_recovery:
            return left
        return _merged(self.wanted(run.request), left)

    def _left_by(self, dead: Execution, record: Mapping[str, Any]) -> RoundRequest | None:
        """Return what the dead run's round was asked for, nothing if somebody aborted it."""
        if dead.status == "ABORTED":
            return None
        if "request" in record:
            return RoundRequest.model_validate(record["request"])
        try:
            return self.wanted(dead.request) if dead.request else None
        except InvalidRequestError:
            return None  # the dead run would have ended on it, too

    def _take_from(self, dead: Execution, run: Run) -> bool:
        for _ in range(LOCK_ATTEMPTS):
            seen = self._lock.read()
            if seen.holder == run.sync_id:
                return True
            if seen.holder != dead.name:
                return False
            if dead.is_recovery:
                # A dead recovery is not repeated: its cause would kill the next one as well.
                self._lock.free(seen)
            elif self._lock.take_over(seen, run.sync_id, run.started_at):
                return True
        raise ServiceUnavailableError(f"take over from {dead.name}: the lock kept changing")


def _merged(one: RoundRequest | None, other: RoundRequest | None) -> RoundRequest | None:
    if one and other:
        return one.merge(other)
    return one or other


def _round(run: Run, round_number: int, request: RoundRequest) -> dict[str, Any]:
    return {
        **keys.run_index(run.sync_id),
        "sync_id": run.sync_id,
        "started_at": run.started_at,
        "expires_at": keys.expires_at(run.started_at),
        "dry_run": run.request.dry_run,
        "trigger": _trigger(run.request.trigger),
        "round": round_number,
        "request": request.stored(),
    }


def _trigger(trigger: Trigger | None) -> dict[str, Any]:
    return trigger.model_dump(mode="json", exclude_none=True) if trigger else {"source": "by_hand"}
