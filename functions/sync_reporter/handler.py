"""sync-reporter: records each round, and composes the message of the run."""

from functools import cache
from typing import Any

from contact_sync import settings
from contact_sync.account_states import AccountStatesTable
from contact_sync.aws import client
from contact_sync.contacts import ContactType
from contact_sync.observability import logged, logger
from contact_sync.reporter import Ending, Reporter, Round
from contact_sync.runs_bucket import RunsBucket
from contact_sync.runs_table import RunsTable

ENVIRONMENT = settings.read("ENVIRONMENT")
EXECUTIONS_URL = settings.read("EXECUTIONS_URL")
DASHBOARD_URL = settings.read("DASHBOARD_URL")


@logged
def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Do the one action that the state asks for: record_round or summarize_run."""
    logger.append_keys(sync_id=event["sync_id"])
    return ACTIONS[event["action"]](event)


def record_round(event: dict[str, Any]) -> dict[str, Any]:
    """Count and record the round; return {accounts: {status: n}}."""
    this = Round(
        sync_id=event["sync_id"],
        started_at=event["started_at"],
        number=event["round"],
        dry_run=event["dry_run"],
        contact_types=[ContactType(name) for name in event["contact_types"]],
        skipped_types=event["skipped_types"],
        left_alone=event["left_alone"],
        planned_at=event["planned_at"],
        estimated_seconds=event["estimated_seconds"],
        key_replaced=event["key_replaced"],
        manifest_key=event["manifest_key"],
        source_key=event["source_key"],
        scope_key=event["scope_key"],
        digest_key_id=event["digest_key_id"],
        digits=event["digits"],
        error=event["error"],
    )
    return {"accounts": dict(reporter().record_round(this))}


def summarize_run(event: dict[str, Any]) -> dict[str, Any]:
    """Record how the run ended; return {status, error, cause, notify, subject, message}."""
    ending = Ending(
        sync_id=event["sync_id"],
        started_at=event["started_at"],
        error=event["error"],
        cause=event["cause"],
        notification=event["notification"],
    )
    links = {
        "Execution": f"{EXECUTIONS_URL}:{event['sync_id']}",
        "Dashboard": DASHBOARD_URL,
    }
    return reporter().summarize_run(ending, ENVIRONMENT, links)


@cache
def reporter() -> Reporter:
    """Make the reporter and its clients on first use, once a process."""
    dynamodb = client("dynamodb")
    state_table = settings.read("STATE_TABLE_NAME")
    return Reporter(
        states=AccountStatesTable(dynamodb, state_table),
        runs=RunsTable(dynamodb, state_table),
        bucket=RunsBucket(client("s3"), settings.read("RUNS_BUCKET_NAME")),
    )


ACTIONS = {"record_round": record_round, "summarize_run": summarize_run}
