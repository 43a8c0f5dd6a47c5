"""Values of the run control for tests: every argument has a default."""

import json
from datetime import datetime
from typing import Any

from builders import (
    EXECUTION_ARN,
    MEMBER,
    NOW,
    PLANNED_AT,
    STARTED_AT,
    SYNC_ID,
    make_run,
    make_trigger,
)
from contact_sync.aws.executions import Execution
from contact_sync.aws.lock_table import QueuedRequest
from contact_sync.comparison import FAILURES, Status
from contact_sync.contacts import ContactType
from contact_sync.request import RunRequest
from contact_sync_handler.run_control import Run
from sync_reporter.outcome import AccountResult, ContactRecord, RunCounts, RunOutcome, RunStatus
from sync_reporter.report import RunReport

EARLIER = "2026-01-05T08:00:00.000Z"


def make_queued(
    name: str = SYNC_ID,
    request: RunRequest | None = None,
    started_at: str = EARLIER,
    queued_at: datetime = NOW,
) -> QueuedRequest:
    """Build a queued request: for every account."""
    return QueuedRequest(name, started_at, queued_at, request or RunRequest())


def make_execution(
    status: str = "FAILED",
    name: str = "dead",
    execution_input: Any = None,
    **changes: Any,
) -> Execution:
    """Build an execution as the service describes it."""
    written = json.dumps({} if execution_input is None else execution_input)
    return Execution(name, status, EARLIER, input=written, **changes)


def make_recovery_run(
    dead: str = "dead",
    status: str = "FAILED",
    event_time: str = "2026-01-05T09:59:00Z",
    sync_id: str = "recovery-1",
) -> Run:
    """Build the execution that the recovery rule starts for the end of another."""
    trigger = make_trigger(
        "recovery",
        event_name=status,
        event_time=event_time,
        execution_arn=f"{EXECUTION_ARN}:{dead}",
    )
    return make_run(sync_id, trigger=trigger)


def make_result(account_id: str = MEMBER, error: str = "X", **statuses: str) -> AccountResult:
    """Build an account's result by contact type; each failure or skip has the error."""
    explained = FAILURES | {Status.SKIPPED}
    contacts = {
        ContactType(name): ContactRecord(Status(status), error if status in explained else None)
        for name, status in statuses.items()
    }
    return AccountResult(account_id, contacts)


def make_counts(*results: AccountResult) -> RunCounts:
    """Count the results."""
    counts = RunCounts()
    for result in results:
        counts.add(result)
    return counts


def make_report(*results: AccountResult, **changes: Any) -> RunReport:
    """Build the report of a run with these results: a success."""
    defaults: dict[str, Any] = {
        "sync_id": SYNC_ID,
        "started_at": STARTED_AT,
        "dry_run": False,
        "trigger": {"source": "schedule"},
        "reasons": [],
        "outcome": RunOutcome(RunStatus.SUCCESS),
        "counts": make_counts(*results),
    }
    return RunReport(**{**defaults, **changes})


def make_plan(**changes: Any) -> dict[str, Any]:
    """Build the answer of PlanRun: billing for every account."""
    prefix = f"runs/{SYNC_ID}/{PLANNED_AT}"
    return {
        "confirm": False,
        "sync_id": SYNC_ID,
        "planned_at": PLANNED_AT,
        "dry_run": False,
        "contact_types": ["billing"],
        "source_key": f"{prefix}/source.json",
        "scope_key": f"{prefix}/scope.json",
        "manifest_key": f"{prefix}/manifest.json",
        "seconds_per_account": 0.2,
        "retry": {"max_attempts": 3, "base_delay": 2, "max_delay": 60},
        "notification": {
            "notify_on_failure": True,
            "notify_on_success": False,
            "notify_on_partial_failure": True,
            "failure_threshold": 1,
        },
        "max_concurrency": 1,
        **changes,
    }


def make_listed(accounts: int = 1, **changes: Any) -> dict[str, Any]:
    """Build the answer of ListAccounts."""
    return {
        "accounts": accounts,
        "skipped": {},
        "named_skips": {},
        "unknown_states": {},
        "warnings": [],
        "estimated_seconds": 60,
        **changes,
    }


def make_run_ended(**changes: Any) -> dict[str, Any]:
    """Build the event of RecordRun, for a run that went through all its states."""
    return {
        "action": "record_run",
        "sync_id": SYNC_ID,
        "started_at": STARTED_AT,
        "input": {},
        "may_hold_lock": True,
        "plan": make_plan(),
        "listed": make_listed(),
        "digits": [0],
        "error": None,
        **changes,
    }
