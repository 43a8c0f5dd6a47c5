"""Values of the run control for tests: every argument has a default."""

import json
from datetime import datetime
from typing import Any

from builders import EXECUTION_ARN, NOW, SYNC_ID, make_run, make_trigger
from contact_sync.aws.executions import Execution
from contact_sync.aws.lock_table import QueuedRequest
from contact_sync.request import RunRequest
from contact_sync_handler.run_control import Run

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
