"""contact-sync-handler: checks the request, decides by the lock, and plans each round."""

from functools import cache
from typing import TYPE_CHECKING, Any

from contact_sync import settings
from contact_sync.aws import client
from contact_sync.executions import Execution, Executions
from contact_sync.lock import LockTable
from contact_sync.metrics import Metric, counting_errors, emit
from contact_sync.observability import logged, logger
from contact_sync.request import RoundRequest, TriggerSource, parse_request
from contact_sync.run_control import Run, RunControl
from contact_sync.runs_table import RunsTable

if TYPE_CHECKING:
    from contact_sync.planner import Planner

MANAGEMENT_ACCOUNT_ID = settings.read("MANAGEMENT_ACCOUNT_ID")
MAX_CONCURRENCY = int(settings.read("MAX_CONCURRENCY"))


@logged
@counting_errors
def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Do the one action that the state asks for: {action, sync_id, started_at, input, ...}."""
    logger.append_keys(sync_id=event["sync_id"])
    run = Run(
        sync_id=event["sync_id"],
        started_at=event["started_at"],
        request=parse_request(event["input"], MANAGEMENT_ACCOUNT_ID),
    )
    return ACTIONS[event["action"]](run, event)


def check_request(run: Run, _event: dict[str, Any]) -> dict[str, Any]:
    """Tell what kind of execution this is; parsing has refused what is wrong."""
    trigger = run.request.trigger
    kinds = {
        "recovers": (TriggerSource.RECOVERY, "execution_arn"),
        "joined": (TriggerSource.ACCOUNT_JOINED, "account_id"),
        "left": (TriggerSource.ACCOUNT_LEFT, "account_id"),
    }
    subjects = {
        kind: getattr(trigger, name) if trigger and trigger.source is source else None
        for kind, (source, name) in kinds.items()
    }
    return {"dry_run": run.request.dry_run, **subjects}


def queue_behind(run: Run, _event: dict[str, Any]) -> dict[str, Any]:
    """Queue behind the holder of the lock, or tell that it is free, or dead."""
    decision, holder = control().queue_behind(run)
    return {"decision": decision.value, "holder": holder}


def recover_run(run: Run, event: dict[str, Any]) -> dict[str, Any]:
    """Take over from the execution that died, by name."""
    recovery = control().recover(run, event["dead"].rpartition(":")[2])
    if recovery.took_over:
        emit({Metric.RECOVERIES: 1}, run.sync_id)
    return {
        "took_over": recovery.took_over,
        "left": None if recovery.request is None else recovery.request.stored(),
        "unpublished": _described(recovery.unpublished),
    }


def start_round(run: Run, event: dict[str, Any]) -> dict[str, Any]:
    """Record what the round is asked for."""
    if run.request.dry_run:
        request: RoundRequest | None = control().start_dry_run(run)
    else:
        left = None if event["left"] is None else RoundRequest.model_validate(event["left"])
        request = control().start_round(run, event["round"], left)
    if request is None:
        return {"asked_for": "nothing"}
    return {
        "asked_for": "every account" if request.covers_all_accounts else "some accounts",
        "only_if_changed": request.only_if_changed,
        "settle": request.settle,
    }


def plan_round(run: Run, event: dict[str, Any]) -> dict[str, Any]:
    """Read configuration and source, and store the round's plan."""
    plan = planner().plan(run.sync_id, run.started_at, event["round"])
    return {**plan, "max_concurrency": MAX_CONCURRENCY}


def _described(dead: Execution | None) -> dict[str, Any] | None:
    if dead is None:
        return None
    return {"sync_id": dead.name, "started_at": dead.started_at, "error": dead.status}


@cache
def dynamodb() -> Any:
    """Make the tables' client on first use, once a process; so are the parts below."""
    return client("dynamodb")


@cache
def runs() -> RunsTable:
    """Return the runs of the state table."""
    return RunsTable(dynamodb(), settings.read("STATE_TABLE_NAME"))


@cache
def control() -> RunControl:
    """Return what decides by the lock."""
    return RunControl(
        LockTable(dynamodb(), settings.read("STATE_TABLE_NAME")),
        runs(),
        Executions(
            client("stepfunctions"), settings.read("STATE_MACHINE_ARN"), MANAGEMENT_ACCOUNT_ID
        ),
    )


@cache
def planner() -> "Planner":
    """Return what plans a round."""
    # An execution's first steps do not wait for this slow import.
    from contact_sync_handler.planning import make_planner  # noqa: PLC0415

    return make_planner(dynamodb(), runs(), MANAGEMENT_ACCOUNT_ID)


ACTIONS = {
    "check_request": check_request,
    "queue_behind": queue_behind,
    "recover_run": recover_run,
    "start_round": start_round,
    "plan_round": plan_round,
}
