"""contact-sync-handler: checks requests, takes and frees the lock, plans, checks the source."""

import hashlib
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from contact_sync import settings
from contact_sync.aws.clients import client, pace
from contact_sync.aws.executions import Executions
from contact_sync.aws.lock_table import LockTable
from contact_sync.aws.runs_table import RunsTable
from contact_sync.errors import InvalidRequestError, SourceNotSettledError, listed
from contact_sync.metrics import Metric, counting_errors, emit
from contact_sync.observability import logged, logger
from contact_sync.request import MAX_HOPS, RunRequest, TriggerSource, parse_request

from contact_sync_handler.run_control import LockDecision, Run, RunControl

if TYPE_CHECKING:
    from contact_sync.address_book import AddressBook
    from contact_sync.config import SyncConfig

    from contact_sync_handler.planner import Planner

MANAGEMENT_ACCOUNT_ID = settings.read("MANAGEMENT_ACCOUNT_ID")
MAX_CONCURRENCY = int(settings.read("MAX_CONCURRENCY"))
# More lookups would exceed the function's timeout; the rest is skipped by name.
MAX_LOOKED_UP = 500


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
    """Refuse an operator's request that cannot be done; return {kind, account_id}."""
    request = run.request
    if request.trigger is None:
        _check_names(run)
        control().request_of(run)
    kinds = {TriggerSource.ACCOUNT_JOINED: "joined", TriggerSource.ACCOUNT_LEFT: "left"}
    kind = kinds.get(request.source, "run") if request.source else "run"
    account_id = request.trigger.account_id if request.trigger else None
    kind = "dry_run" if request.dry_run else kind
    return {"kind": kind, "account_id": account_id}


def take_lock(run: Run, _event: dict[str, Any]) -> dict[str, Any]:
    """Queue the request and take the lock; return {decision, holder, settle_seconds}."""
    turn = control().take_lock(run)
    if turn.decision is LockDecision.TAKEN and run.request.source == TriggerSource.RECOVERY:
        emit({Metric.RECOVERIES: 1}, run.sync_id)
    return {
        "decision": turn.decision.value,
        "holder": turn.holder,
        "settle_seconds": turn.settle_seconds,
    }


def plan_run(run: Run, event: dict[str, Any]) -> dict[str, Any]:
    """Plan what is queued, or a dry run; return the plan, see Planner.plan."""
    # A retry of an execution that only did what was queued asks for nothing of its own.
    own = (control().request_of(run) or RunRequest()) if run.request.dry_run else None
    return planner().plan(run, event["input"], own, event["missing"])


def release_lock(run: Run, event: dict[str, Any]) -> dict[str, Any]:
    """Free the lock; return {has_next, next_name}: whether requests wait, and who does them."""
    has_next = control().release_lock(run, map_failed=event["map_failed"])
    return {"has_next": has_next, "next_name": _name_after("next", run.sync_id)}


def check_source(run: Run, _event: dict[str, Any]) -> dict[str, Any]:
    """Compare the source with the plan's; return {settled, next_name, next_input}.

    Raises SourceNotSettledError where it differs after the last hop of a change.
    """
    item = runs().read(run.started_at, run.sync_id)
    if planner().is_settled(item):
        return {"settled": True, "next_name": None, "next_input": None}
    hop = item.get("request", {}).get("hop", 0)
    if hop >= MAX_HOPS:
        raise SourceNotSettledError(
            f"after each of {MAX_HOPS + 1} runs for one change, the source differed from what the "
            f"run had read. {SourceNotSettledError.remedy}"
        )
    trigger = {
        "source": TriggerSource.CONTACT_CHANGED,
        "event_id": run.sync_id,
        "event_name": "SourceDiffers",
        "event_time": datetime.now(UTC).isoformat(),
        "hop": hop + 1,
    }
    name = _name_after("hop", run.sync_id)
    return {"settled": False, "next_name": name, "next_input": {"trigger": trigger}}


def _check_names(run: Run) -> None:
    """Raise InvalidRequestError for accounts, OUs and contact types that do not exist."""
    request = run.request
    faults = []
    # A type that is no longer configured can still be undone.
    if request.contact_types and not request.undo:
        known = config().ordered_types
        if unknown := [name for name in request.contact_types if name not in known]:
            faults.append(
                f"contact_types: not configured: {', '.join(unknown)} "
                f"(configured: {', '.join(known)})"
            )
    accounts = (request.account_ids or [])[:MAX_LOOKED_UP]
    units = (request.organizational_units or [])[:MAX_LOOKED_UP]
    if accounts and (missing := organization().missing_accounts(accounts)):
        faults.append(f"account_ids: not in the organization: {listed(missing)}")
    if units and (missing := organization().missing_units(units)):
        faults.append(f"organizational_units: not in the organization: {listed(missing)}")
    if faults:
        raise InvalidRequestError(f"execution input: {'; '.join(faults)}")


def _name_after(kind: str, sync_id: str) -> str:
    """Return the next execution's name, fixed so that repeated attempts start it only once."""
    return f"{kind}-{hashlib.sha256(sync_id.encode()).hexdigest()[:40]}"


def config() -> "SyncConfig":
    """Load the configuration."""
    # An execution's first steps rarely need this slow import.
    from contact_sync.aws.config_table import load_config  # noqa: PLC0415

    return load_config(dynamodb(), settings.read("CONFIG_TABLE_NAME"))


def book() -> "tuple[AddressBook, str | None]":
    """Load the address book, and its version."""
    from contact_sync.aws.config_table import load_book  # noqa: PLC0415 - as above

    return load_book(dynamodb(), settings.read("CONFIG_TABLE_NAME"))


def organization() -> Any:
    """Return a reader of the organization."""
    from contact_sync.aws.organization import OrganizationClient  # noqa: PLC0415 - as above
    from contact_sync.pacing import OwnSlots, Pacer  # noqa: PLC0415
    from contact_sync.quotas import LOOKUP_QUOTAS  # noqa: PLC0415

    organizations = client("organizations")
    slots = OwnSlots(LOOKUP_QUOTAS)
    pace(organizations, Pacer(slots, spare=slots))
    return OrganizationClient(organizations)


@cache
def dynamodb() -> Any:
    """Make the tables' client on first use, once per process; so are the parts below."""
    return client("dynamodb")


@cache
def runs() -> RunsTable:
    """Return the runs of the state table."""
    return RunsTable(dynamodb(), settings.read("STATE_TABLE_NAME"))


@cache
def lock() -> LockTable:
    """Return the lock of the state table."""
    return LockTable(dynamodb(), settings.read("STATE_TABLE_NAME"))


@cache
def control() -> RunControl:
    """Return what decides by the lock."""
    machine = settings.read("STATE_MACHINE_ARN")
    executions = Executions(client("stepfunctions"), machine)
    keeps_replaced = int(settings.read("KEEP_REPLACED_DAYS")) > 0
    return RunControl(lock(), runs(), executions, MANAGEMENT_ACCOUNT_ID, keeps_replaced)


@cache
def planner() -> "Planner":
    """Return what plans a run."""
    from contact_sync.aws.account_contacts import AccountContactsClient  # noqa: PLC0415 - as above
    from contact_sync.aws.digest_key import load_digest_key  # noqa: PLC0415
    from contact_sync.aws.runs_bucket import RunsBucket  # noqa: PLC0415
    from contact_sync.config import FIXED_PRIMARY_FIELDS  # noqa: PLC0415
    from contact_sync.quotas import quotas_of  # noqa: PLC0415

    from contact_sync_handler.planner import Planner  # noqa: PLC0415

    account = client("account")
    secret = settings.read("DIGEST_KEY_SECRET_ARN")
    return Planner(
        lock=lock(),
        load_config=config,
        load_book=book,
        load_key=partial(load_digest_key, client("secretsmanager"), secret),
        source=AccountContactsClient(account),
        runs=runs(),
        bucket=RunsBucket(client("s3"), settings.read("RUNS_BUCKET_NAME")),
        management_account_id=MANAGEMENT_ACCOUNT_ID,
        quotas=quotas_of(account.meta.partition, float(settings.read("QUOTA_SHARE"))),
        max_concurrency=MAX_CONCURRENCY,
        fixed_fields=FIXED_PRIMARY_FIELDS.get(account.meta.partition, ()),
    )


ACTIONS = {
    "check_request": check_request,
    "take_lock": take_lock,
    "plan_run": plan_run,
    "release_lock": release_lock,
    "check_source": check_source,
}
