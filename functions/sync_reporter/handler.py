"""sync-reporter: records the end of a run, and composes its message."""

from functools import cache
from typing import Any

from contact_sync import settings
from contact_sync.aws.account_states import AccountStatesTable
from contact_sync.aws.clients import client
from contact_sync.aws.lock_table import LockTable
from contact_sync.aws.runs_bucket import RunsBucket
from contact_sync.aws.runs_table import RunsTable
from contact_sync.observability import logged, logger

from sync_reporter.reporter import Reporter, RunEnd

ENVIRONMENT = settings.read("ENVIRONMENT")
EXECUTIONS_URL = settings.read("EXECUTIONS_URL")
DASHBOARD_URL = settings.read("DASHBOARD_URL")


@logged
def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Record how the run ended; return its message and how it continues, see Reporter.record."""
    logger.append_keys(sync_id=event["sync_id"])
    links = {
        "Execution": f"{EXECUTIONS_URL}:{event['sync_id']}",
        "Dashboard": DASHBOARD_URL,
    }
    return reporter().record(RunEnd.from_event(event), ENVIRONMENT, links)


@cache
def reporter() -> Reporter:
    """Make the reporter and its clients on first use, once per process."""
    dynamodb = client("dynamodb")
    state_table = settings.read("STATE_TABLE_NAME")
    return Reporter(
        states=AccountStatesTable(dynamodb, state_table),
        runs=RunsTable(dynamodb, state_table),
        lock=LockTable(dynamodb, state_table),
        bucket=RunsBucket(client("s3"), settings.read("RUNS_BUCKET_NAME")),
    )
