"""Values for tests: every argument has a default, and no value belongs to a real person."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from contact_sync.account_sync import AccountTask, Source
from contact_sync.accounts import Account, Scope
from contact_sync.aws.executions import Execution
from contact_sync.aws.lock_table import QueuedRequest
from contact_sync.comparison import FAILURES, Status, Write
from contact_sync.contact_sets import same_for_all
from contact_sync.contacts import ABSENT, Contact, ContactType
from contact_sync.request import RunRequest, parse_request
from contact_sync.request_checks import SyncRequest
from contact_sync_handler.run_control import Run
from sync_reporter.outcome import AccountResult, ContactRecord, RunCounts, RunOutcome, RunStatus
from sync_reporter.report import RunReport

MANAGEMENT = "999999999999"
MEMBER = "100000000001"
OTHER = "100000000002"
THIRD = "100000000003"
STRANGER = "123123123123"
# The digits of MEMBER in other scripts; \d matches them in Python and in pydantic.
ARABIC_DIGITS = "".join(chr(0x0660 + int(digit)) for digit in MEMBER)
WIDE_DIGITS = "".join(chr(0xFF10 + int(digit)) for digit in MEMBER)
KEY = b"a key for tests"
SYNC_ID = "run-1"
EARLIER = "2026-01-05T08:00:00.000Z"
STARTED_AT = "2026-01-05T10:00:00.000Z"
PLANNED_AT = "2026-01-05T10:00:05.000000+00:00"
EARLIER_PLAN = "2026-01-05T09:00:05.000000+00:00"
LATER_PLAN = "2026-01-05T11:00:05.000000+00:00"
SOURCE_KEY = f"runs/{SYNC_ID}/{PLANNED_AT}/source.json"
NOW = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
UNIT = "ou-exam-workloads"
INNER_UNIT = "ou-exam-payments"
OTHER_UNIT = "ou-exam-sandboxes"
MACHINE_ARN = "arn:aws:states:us-east-1:999999999999:stateMachine:contact-sync"
EXECUTION_ARN = "arn:aws:states:us-east-1:999999999999:execution:contact-sync"

ALTERNATE_FIELDS = {
    "Name": "Ottoline Tester",
    "Title": "Head of Trials",
    "EmailAddress": "trials@example.com",
    "PhoneNumber": "+1 555-0100",
}
PRIMARY_FIELDS = {
    "FullName": "Ottoline Tester",
    "AddressLine1": "1 Trial Street",
    "City": "Testington",
    "StateOrRegion": "WA",
    "PostalCode": "98101",
    "CountryCode": "US",
    "PhoneNumber": "+15550100",
}
SECRET_VALUES = (*ALTERNATE_FIELDS.values(), *PRIMARY_FIELDS.values())[:5]


def make_contact(contact_type: str = "billing", **changes: str | None) -> Contact:
    """Build a valid contact; None leaves a field out."""
    kind = ContactType(contact_type)
    fields = PRIMARY_FIELDS if kind is ContactType.PRIMARY else ALTERNATE_FIELDS
    changed = {**fields, **changes}
    return Contact.from_api(kind, {name: value for name, value in changed.items() if value})


def make_contacts(**changes: Contact | None) -> dict[ContactType, Contact | None]:
    """Build the four contacts of an account; None means not set."""
    contacts: dict[ContactType, Contact | None] = {name: make_contact(name) for name in ContactType}
    return contacts | {ContactType(name): contact for name, contact in changes.items()}


def make_source(
    contact_types: Sequence[ContactType] = tuple(ContactType),
    insisted: Iterable[str] = (),
    named: Mapping[str, Mapping[str, str]] | None = None,
    primary_keeps: Sequence[str] = (),
    **contacts: Contact | None,
) -> Source:
    """Build the source of a run from contacts by type; None means not set."""
    return Source(
        started_at=STARTED_AT,
        digest_key=KEY,
        contact_types=tuple(contact_types),
        contacts=make_contacts(**contacts),
        insisted=frozenset(insisted),
        named=named or {},
        primary_keeps=tuple(primary_keeps),
    )


def make_config(**changes: Any) -> dict[str, Any]:
    """Build a configuration item as DynamoDB would hold it."""
    types = ["primary", "billing", "operations", "security"]
    return {"config_key": "default", "contact_types": types, **changes}


def make_task(
    contact_types: Iterable[ContactType] = (ContactType.BILLING,), **changes: Any
) -> AccountTask:
    """Build one attempt for one account: billing only, from the source."""
    defaults: dict[str, Any] = {
        "account_id": MEMBER,
        "sync_id": SYNC_ID,
        "planned_at": PLANNED_AT,
        "contact_set": same_for_all(contact_types),
        "dry_run": False,
    }
    return AccountTask(**{**defaults, **changes})


def make_child_input(**changes: Any) -> dict[str, Any]:
    """Build the input that the Map passes to a child."""
    return {
        "account_id": MEMBER,
        "contact_set": 0,
        "sync_id": SYNC_ID,
        "planned_at": PLANNED_AT,
        "source_key": SOURCE_KEY,
        "dry_run": False,
        "retry": {"max_attempts": 3, "base_delay": 2, "max_delay": 60},
        "attempt": 1,
        **changes,
    }


def make_trigger(source: str = "contact_changed", **changes: Any) -> dict[str, Any]:
    """Build the trigger that a rule adds to the execution input."""
    trigger = {
        "source": source,
        "event_id": "event-1",
        "event_name": "PutAlternateContact",
        "event_time": "2026-01-05T09:59:00Z",
    }
    return {**trigger, **changes}


def make_request(**execution_input: Any) -> SyncRequest:
    """Parse an execution input."""
    return parse_request(execution_input, MANAGEMENT)


def make_run(sync_id: str = SYNC_ID, started_at: str = STARTED_AT, **execution_input: Any) -> Run:
    """Build an execution with its input."""
    return Run(sync_id, started_at, make_request(**execution_input))


def make_account(
    account_id: str = MEMBER,
    state: str = "ACTIVE",
    path: str = "",
    joined_at: datetime | None = None,
) -> Account:
    """Build an account as Organizations lists it; the path is that of its OUs."""
    steps = f"o-exampleorg1/r-exam/{path}{account_id}/"
    return Account(account_id, state, (steps,), joined_at)


def in_units(account: Account, units: Collection[str]) -> bool:
    """Return whether the account is under one of the OUs, by its paths."""
    return any(unit in path.split("/") for path in account.paths for unit in units)


def make_scope(**changes: Any) -> Scope:
    """Build a scope: every account."""
    return Scope(**{"management_account_id": MANAGEMENT, **changes})


def make_write(**changes: Any) -> Write:
    """Build a write by the sync: the billing contact, which was not set before."""
    defaults = {
        "digest": make_contact().digest(KEY),
        "replaced": ABSENT,
        "at": NOW,
        "planned_at": PLANNED_AT,
    }
    return Write(**{**defaults, **changes})


def make_failure(account_id: str = MEMBER, **errors: str) -> dict[str, Any]:
    """Build a failed account as in the run's item."""
    return {"account_id": account_id, "errors": errors or {"billing": "ThrottledError"}}


def make_world(*accounts: Mapping[str, Any] | str, **settings: Any) -> dict[str, Any]:
    """Build a world of the strict stand-in: members without contacts, and unlimited quotas."""
    members = [
        {"id": one, "parent": "r-exam"} if isinstance(one, str) else {"parent": "r-exam", **one}
        for one in accounts
    ]
    units = [
        {"id": UNIT, "name": "Workloads", "parent": "r-exam"},
        {"id": INNER_UNIT, "name": "Payments", "parent": UNIT},
        {"id": OTHER_UNIT, "name": "Sandboxes", "parent": "r-exam"},
    ]
    unlimited = [
        "DescribeOrganization",
        "ListAWSServiceAccessForOrganization",
        "ListAccounts",
        "ListAccountsForParent",
        "ListOrganizationalUnitsForParent",
        "DescribeOrganizationalUnit",
    ]
    return {
        "organizational_units": units,
        "accounts": members,
        "quotas": {operation: [1000, 1000] for operation in unlimited},
        **settings,
    }


def hides_its_context(error: BaseException) -> bool:
    """Return whether a printed traceback omits the error's cause, which may contain values."""
    return error.__cause__ is None and error.__suppress_context__


# For the run control and the reporter.


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
        "retry": {"max_attempts": 3, "base_delay": 2, "max_delay": 60},
        "notification": {
            "notify_on_failure": True,
            "notify_on_success": False,
            "notify_on_partial_failure": True,
            "failure_threshold": 1,
            "drift_threshold": None,
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
        "unused": [],
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
