"""The end of a run: count, record, remove the requests it took, and compose the message."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import ceil
from typing import Any, Self

from contact_sync.account_sync import LOST_DIGIT
from contact_sync.aws import keys
from contact_sync.aws.account_states import AccountStatesTable
from contact_sync.aws.lock_table import Lock, LockTable
from contact_sync.aws.runs_bucket import SCOPE, SETS, SOURCE, RunsBucket, beside, object_key
from contact_sync.aws.runs_table import RunsTable
from contact_sync.comparison import Status
from contact_sync.contact_sets import written
from contact_sync.errors import LockLostError
from contact_sync.metrics import Metric, emit
from contact_sync.request import RunRequest, trigger_of

from sync_reporter.message import body, subject
from sync_reporter.outcome import (
    AccountResult,
    RunCounts,
    RunOutcome,
    RunStatus,
    account_result,
    run_outcome,
)
from sync_reporter.report import RunReport

MAX_CAUSE_CHARACTERS = 2_000
# What a child returns for its account; a failed child returns its whole record instead.
DIGITS = range(LOST_DIGIT + 1)


@dataclass(frozen=True)
class RunEnd:
    """The end of a run, as the state machine reports it.

    `plan` and `listed` are the results of PlanRun and ListAccounts, empty if the run did not get
    that far; `digits` are those of the children; `error` and `cause` name what ended it, if
    anything did. `may_hold_lock` is false for a dry run, and before TakeLock.
    """

    sync_id: str
    started_at: str
    execution_input: Any
    may_hold_lock: bool
    plan: Mapping[str, Any]
    listed: Mapping[str, Any]
    digits: Sequence[Any]
    error: str | None
    cause: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self:
        """Take the event of RecordRun."""
        error = event["error"] or {}
        return cls(
            sync_id=event["sync_id"],
            started_at=event["started_at"],
            execution_input=event["input"],
            may_hold_lock=event["may_hold_lock"],
            plan=event["plan"] or {},
            listed=event["listed"] or {},
            digits=event["digits"] or [],
            error=error.get("name"),
            cause=error.get("cause", ""),
        )

    @property
    def dry_run(self) -> bool:
        """Return whether the input asks for a dry run, even if it was refused."""
        content = self.execution_input
        return isinstance(content, dict) and content.get("dry_run") is True

    @property
    def planned_at(self) -> str | None:
        """Return the time of the run's plan, None if it has none."""
        return self.plan.get("planned_at")


@dataclass(frozen=True)
class Reporter:
    """Reads what the children recorded, and records what the run did."""

    states: AccountStatesTable
    runs: RunsTable
    lock: LockTable
    bucket: RunsBucket

    def record(self, end: RunEnd, environment: str, links: Mapping[str, str]) -> dict[str, Any]:
        """Record the run; return the message, and how the execution continues and ends.

        Safe to repeat. {status, error, cause, notify, subject, message, may_continue,
        check_source_in}; the last is in seconds, None if the source needs no second read.
        """
        item = self.runs.read(end.started_at, end.sync_id)
        lock = self.lock.read() if end.may_hold_lock else Lock()
        counts = RunCounts() if _is_lost(end, lock) else self._count(end, item)
        if not self._hand_on(end, item, lock, counts):
            lock, counts = self.lock.read(), RunCounts()
        # Before the end is recorded: a run that leaves contacts behind has not succeeded.
        if planned_at := item.get("planned_at"):
            for name in (SOURCE, SCOPE):
                self.bucket.delete(object_key(end.sync_id, planned_at, name))
        report = _report(end, item, lock, counts)
        ended_at = datetime.now(UTC)
        values = {**report.item(), "ended_at": ended_at.isoformat()}
        # The recovery has already recorded the end of an aborted run: this attempt is late.
        record = self.runs.record_end if report.superseded_by else self.runs.update
        record(end.started_at, end.sync_id, values)
        if "ended_at" not in item:  # else this is a repeated attempt
            emit(_metrics(report, item, ended_at), end.sync_id)
        took_requests = end.may_hold_lock and not report.superseded_by and "taken" in item
        return {
            "status": report.outcome.status.value,
            "error": report.outcome.error,
            "cause": report.outcome.cause,
            "notify": _is_published(report, end.plan.get("notification")),
            "subject": subject(environment, report),
            "message": body(environment, report, links),
            "may_continue": took_requests,
            "check_source_in": _seconds_until(item.get("check_source_at"))
            if took_requests
            else None,
        }

    def _count(self, end: RunEnd, item: Mapping[str, Any]) -> RunCounts:
        """Count every account of the manifest, and write the items of those changed or failed."""
        counts = RunCounts()
        if end.listed:
            is_undo = bool(item.get("undoes"))
            self.states.write_runs(self._account_runs(end, counts, is_undo=is_undo))
        return counts

    def _account_runs(
        self, end: RunEnd, counts: RunCounts, *, is_undo: bool
    ) -> Iterator[dict[str, Any]]:
        key = end.plan["manifest_key"]
        accounts = self.bucket.load_manifest(key)
        sets = self.bucket.load_sets(beside(key, SETS))
        account_ids = [one.account_id for one in accounts]
        items = self.states.items(account_ids, end.sync_id, end.started_at, dry_run=end.dry_run)
        for one, (account_id, item) in zip(accounts, items, strict=True):
            contact_set = sets[one.contact_set]
            types = written(contact_set)
            result = account_result(account_id, item, types, end.plan["planned_at"])
            result = replace(result, stays=one.stays)
            # The sets of an undo name runs, not contacts.
            counts.add(result, None if is_undo else contact_set)
            if result.status in (Status.UPDATED, Status.FAILED):
                yield _account_run(end, result, item)

    def _hand_on(self, end: RunEnd, item: Mapping[str, Any], lock: Lock, counts: RunCounts) -> bool:
        """Store what was tried everywhere, and remove the requests that the run took.

        Returns False if another execution took over the lock.
        """
        if lock.holder != end.sync_id:
            return True
        if end.planned_at:
            held = {**lock.held, **_tried_everywhere(end, item)}
            kept = {name: one for name, one in held.items() if name not in counts.not_tried}
            if not self.lock.record_end(end.sync_id, end.planned_at, kept):
                return False
        elif "taken" in item:
            self.lock.forget_pending(end.sync_id)
        taken = item.get("taken", [])
        for name, started_at in zip(taken, item.get("taken_started_at", []), strict=True):
            if name != end.sync_id and started_at:
                self.runs.update(started_at, name, {"done_by": end.sync_id})
        self.lock.remove(taken)
        return True


def _request(item: Mapping[str, Any]) -> RunRequest:
    """Return what the run was asked for."""
    return RunRequest.from_stored(item.get("request"))


def _is_lost(end: RunEnd, lock: Lock) -> bool:
    """Return whether another execution took over the lock during this run."""
    if not (end.may_hold_lock and end.planned_at):
        return end.error == LockLostError.__name__
    return (lock.holder, lock.planned_at) != (end.sync_id, end.planned_at)


def _tried_everywhere(end: RunEnd, item: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of the source, by type, if the run was over every account."""
    request = _request(item)
    if end.error or not end.listed or not request.covers_all_accounts or request.undo:
        return {}
    left_out = item.get("left_out", {})
    tried = [name for name in end.plan["contact_types"] if name not in left_out]
    return {name: item["source"][name] for name in tried} | {"configuration": item["configuration"]}


def _most_seconds(end: RunEnd, item: Mapping[str, Any]) -> int | None:
    """Return the seconds under the quotas if every contact must be written."""
    most = item.get("milliseconds_per_account", {}).get("most")
    return None if most is None or not end.listed else ceil(end.listed["accounts"] * most / 1000)


def _report(end: RunEnd, item: Mapping[str, Any], lock: Lock, counts: RunCounts) -> RunReport:
    is_lost = _is_lost(end, lock)
    skipped = counts.skipped + Counter(end.listed.get("skipped", {}))
    left_out, unused = item.get("left_out", {}), end.listed.get("unused", [])
    return RunReport(
        sync_id=end.sync_id,
        started_at=end.started_at,
        dry_run=end.dry_run,
        trigger=item.get("trigger") or trigger_of(end.execution_input),
        reasons=item.get("request", {}).get("reasons", []),
        outcome=_lost(lock) if is_lost else _outcome(end, item, counts),
        counts=counts,
        contact_types=item.get("contact_types", []),
        left_out={name: why for name, why in left_out.items() if name not in unused},
        missing=[name for name in item.get("missing", []) if name not in unused],
        invalid=[name for name in item.get("invalid", []) if name not in unused],
        warnings=[*item.get("warnings", []), *end.listed.get("warnings", [])],
        skipped=skipped,
        # An undo names what it skips by contact type.
        named_skips={
            **end.listed.get("named_skips", {}),
            **({} if item.get("undoes") else counts.named_skips),
        },
        seconds=_seconds_since(end.planned_at),
        estimated_seconds=end.listed.get("estimated_seconds"),
        most_seconds=_most_seconds(end, item),
        lost_children=_lost_children(end, counts),
        superseded_by=(lock.holder or "nobody") if is_lost else None,
        undoes=item.get("undoes", []),
        continues=item.get("request", {}).get("continues", []),
    )


def _lost_children(end: RunEnd, counts: RunCounts) -> int:
    """Count the children without a result; a Map that ended with an error returns none."""
    if end.error:
        return 0
    returned = sum(one in DIGITS for one in end.digits)
    return max(0, sum(counts.accounts.values()) - returned)


def _lost(lock: Lock) -> RunOutcome:
    cause = f"the lock is held by {lock.holder or 'nobody'}. {LockLostError.remedy}"
    return RunOutcome(RunStatus.FAILURE, LockLostError.__name__, cause)


def _outcome(end: RunEnd, item: Mapping[str, Any], counts: RunCounts) -> RunOutcome:
    if end.error:
        return RunOutcome(RunStatus.FAILURE, end.error, _cause(end.cause))
    return run_outcome(
        counts,
        failure_threshold=end.plan.get("notification", {}).get("failure_threshold", 1),
        unknown_states=end.listed.get("unknown_states", {}),
        has_invalid=bool(set(item.get("invalid", [])) - set(end.listed.get("unused", []))),
        dry_run=end.dry_run,
    )


def _cause(cause: str) -> str:
    """Return the error's message; Lambda wraps it in JSON, with a stack trace."""
    try:
        content = json.loads(cause)
    except ValueError:
        content = None
    message = content.get("errorMessage") if isinstance(content, dict) else None
    return str(message or cause)[:MAX_CAUSE_CHARACTERS]


def _is_published(report: RunReport, notification: Mapping[str, Any] | None) -> bool:
    """Return whether the run's message is wanted, or too important to be turned off.

    Without a plan the configuration is unknown, and every failure is published.
    """
    status = report.outcome.status
    if report.missing or report.superseded_by:
        return True
    if notification is None:
        return status is not RunStatus.SUCCESS
    threshold = notification.get("drift_threshold")
    has_drifted = threshold is not None and report.counts.drifted.count > threshold
    # An undo names what the next full run overwrites, and what it could not put back.
    if report.invalid or has_drifted or (report.undoes and not report.dry_run):
        return True
    wanted = {
        RunStatus.SUCCESS: "notify_on_success",
        RunStatus.PARTIAL: "notify_on_partial_failure",
    }.get(status, "notify_on_failure")
    return bool(notification[wanted])


def _seconds_since(at: str | None) -> int | None:
    if at is None:
        return None
    return round((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds())


def _seconds_until(at: str | None) -> int | None:
    if at is None:
        return None
    return max(0, round((datetime.fromisoformat(at) - datetime.now(UTC)).total_seconds()))


def _metrics(report: RunReport, item: Mapping[str, Any], ended_at: datetime) -> dict[Metric, float]:
    """Return what the run did in numbers; a dry run has updated and confirmed nothing."""
    accounts = report.counts.accounts
    request = _request(item)
    values: dict[Metric, float] = {
        Metric.ACCOUNTS_FAILED: report.counts.failed,
        Metric.ACCOUNTS_DRIFTED: report.counts.drifted.count,
    }
    if report.dry_run:
        return values
    configured = set(item.get("source", {}))
    compared = {*report.contact_types, *report.left_out}
    is_full = request.covers_all_accounts and configured <= compared and not request.undo
    seconds = (ended_at - datetime.fromisoformat(report.started_at)).total_seconds()
    return values | {
        Metric.ACCOUNTS_UPDATED: accounts[Status.UPDATED],
        Metric.ACCOUNTS_UNCHANGED: accounts[Status.UNCHANGED],
        Metric.FULL_RUNS: int(is_full and not report.outcome.error),
        Metric.RUN_SECONDS: seconds,
    }


def _account_run(end: RunEnd, result: AccountResult, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return one account in one run, with what its processors recorded."""
    records = {
        str(name): item[name]
        for name in result.contacts
        if item.get(name, {}).get("planned_at") == end.planned_at
    }
    return {
        **records,
        **keys.account_run(result.account_id, end.started_at, end.sync_id),
        **keys.run_index(end.sync_id, f"{result.status}#{result.account_id}"),
        "planned_at": end.planned_at,
        "dry_run": end.dry_run,
        "status": result.status.value,
        "statuses": {str(name): one.status.value for name, one in result.contacts.items()},
        "errors": result.errors,
        "expires_at": keys.expires_at(end.started_at),
    }
