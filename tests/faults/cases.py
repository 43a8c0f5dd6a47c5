"""Draws one case: an organization, its source, a configuration, what starts runs, what goes wrong.

Both ways to run a case share these: in process, and through the whole stand-in. A case is drawn
from one number, which hypothesis chooses: strategies in its place came in families that differ
little from each other.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from standin.organization.quotas import DEFAULT_QUOTAS
from standin.organization.worlds import (
    MANAGEMENT_ACCOUNT_ID,
    ORGANIZATIONAL_UNITS,
    ROOT_ID,
    SOURCE_CONTACTS,
    drifted_world,
)

Json = dict[str, Any]

TYPES = ("primary", "billing", "operations", "security")
UNITS = tuple(unit["id"] for unit in ORGANIZATIONAL_UNITS)
FIRST = 100_000_000_001
JOINING = "100000000901"
STATES = (*["ACTIVE"] * 6, "SUSPENDED", "PENDING_CLOSURE", "PENDING_ACTIVATION")
# Each API accepts any script in names; nothing may take them for ASCII.
OTHER_NAMES = ("Žofie Příkladná 試験", "Ölga «Tester» \u202eenoN", "Проба\u200d Испытаний 🧪")
# Names of accounts are anybody's; nothing keeps them, so any of these that is found is a leak.
MARK = "Xanthippe"
ACCOUNT_NAMES = (
    f"{MARK} Ltd",
    f"{MARK}\nInjected: line\r\n",
    f"{MARK} \x1b[2J\x1b]0;title\x07",
    f"{MARK} <script>alert(1)</script> [bold]&amp;",
    f'{MARK} \'; DROP "TABLE" `id` $(id) {{% 1 %}} ${{Env}}',
    f"{MARK} {'n' * (128 - 10)}",
)
# The address that the API refuses in a member, so that the source must not be copied.
REFUSED_ADDRESS = "not an address"

ACCOUNT_CALLS = (
    "GetAlternateContact",
    "PutAlternateContact",
    "DeleteAlternateContact",
    "GetContactInformation",
    "PutContactInformation",
)
ORGANIZATIONS_CALLS = (
    "DescribeOrganization",
    "ListAWSServiceAccessForOrganization",
    "ListAccounts",
    "DescribeAccount",
    "DescribeOrganizationalUnit",
    "ListAccountsForParent",
    "ListOrganizationalUnitsForParent",
)
FUNCTIONS = {
    "contact-sync-handler": ("check_request", "queue_behind", "recover_run", "start_round", "plan"),
    "account-lister": ("list_accounts", "check_account"),
    "alternate-contact-processor": ("",),
    "primary-contact-processor": ("",),
    "sync-reporter": ("record_round", "summarize_run"),
}
PLATFORM_ERRORS = ("Lambda.TooManyRequestsException", "Sandbox.Timedout", "CrashError")
SERVICE_CALLS = {
    "dynamodb": (
        *("GetItem", "UpdateItem", "UpdateItem", "TransactWriteItems"),
        *("BatchGetItem", "BatchWriteItem", "Query", "DeleteItem"),
    ),
    "s3": ("PutObject", "GetObject", "DeleteObject"),
    "secretsmanager": ("GetSecretValue",),
    "stepfunctions": ("DescribeExecution",),
}
THROTTLED = {
    "dynamodb": "ProvisionedThroughputExceededException",
    "s3": "SlowDown",
    "secretsmanager": "ThrottlingException",
    "stepfunctions": "ThrottlingException",
}


@dataclass(frozen=True)
class Event:
    """Something that happens once so many states were entered."""

    at: int
    kind: str
    number: int = 0


@dataclass(frozen=True)
class Case:
    """One case. `requests` are execution inputs with the step at which each is started."""

    world: Json
    config: Json
    requests: tuple[tuple[int, Json], ...]
    events: tuple[Event, ...]
    organization_faults: tuple[Json, ...]
    function_faults: tuple[Json, ...]
    service_faults: tuple[Json, ...]
    order: int


def draw_case(number: int) -> Case:
    """Draw the case of that number; one in four has no fault, so that the good path is met too."""
    rng = random.Random(number)  # noqa: S311 - to be repeatable, not secret
    world = _world(rng)
    starts = sorted(rng.randint(0, 40) for _ in range(rng.randint(1, 3)))
    is_calm = rng.random() < 0.25

    def some(one: Callable[[], Json], most: int) -> tuple[Json, ...]:
        return () if is_calm else tuple(one() for _ in range(rng.randint(0, most)))

    return Case(
        world=world,
        config=_config(rng, world),
        requests=tuple((at, _request(rng, number, world)) for number, at in enumerate(starts)),
        events=tuple(_event(rng) for _ in range(rng.randint(0, 2))),
        organization_faults=some(lambda: _organization_fault(rng, world), 3),
        function_faults=some(lambda: _function_fault(rng), 2),
        service_faults=some(lambda: _service_fault(rng), 2),
        order=number,
    )


def smallest(case: Case, fails: Callable[[Case], bool]) -> Case:
    """Leave out of a failing case whatever it fails without."""
    for part in ("service_faults", "function_faults", "organization_faults", "events", "requests"):
        for entry in getattr(case, part):
            less = replace(case, **{part: tuple(e for e in getattr(case, part) if e is not entry)})
            if fails(less):
                case = less
    return case


def described(case: Case) -> str:
    """Return the case for a reader: each account on a line, and all the rest but contacts."""
    accounts = [
        f"{account['id']} {account['state']} in {account['parent']}, "
        f"contacts {sorted(case.world['contacts'][account['id']])}"
        for account in case.world["accounts"]
    ]
    shown = ("denied_accounts", "omit_paths", "empty_pages", "read_delay")
    world = {name: case.world[name] for name in shown}
    source = sorted(case.world["contacts"][MANAGEMENT_ACCOUNT_ID])
    rest = [f"{part.name}: {getattr(case, part.name)}" for part in fields(case)[1:]]
    return "\n".join([*accounts, f"world: {world}", f"source: {source}", *rest])


def _ids(world: Json) -> list[str]:
    return [account["id"] for account in world["accounts"]]


def _some(rng: random.Random, among: Sequence[str], most: int, least: int = 0) -> list[str]:
    most = min(most, len(among))
    return rng.sample(among, rng.randint(min(least, most), most))


def _world(rng: random.Random) -> Json:
    size = rng.choice((1, 2, 2, 3, 3, 4)) if rng.random() < 0.95 else 0
    drift = rng.choice((1.0, 1.0, 0.5, 0.0))
    world = drifted_world(size, rng.randint(1, 1_000), drift=drift, missing=0.3)
    for account in world["accounts"]:
        account["name"] = rng.choice(ACCOUNT_NAMES)
        account["email"] = f"{MARK}-{account['id']}@example.com"
        account["state"] = rng.choice(STATES)
        account["parent"] = rng.choice((ROOT_ID, ROOT_ID, *UNITS))
    source = {name: dict(contact) for name, contact in SOURCE_CONTACTS.items()}
    for name in _some(rng, sorted(source), 1):
        del source[name]
    if "BILLING" in source and rng.random() < 0.2:
        source["BILLING"]["Name"] = rng.choice(OTHER_NAMES)
    if "SECURITY" in source and rng.random() < 0.05:
        source["SECURITY"]["EmailAddress"] = REFUSED_ADDRESS
    world["contacts"][MANAGEMENT_ACCOUNT_ID] = source
    return {
        **world,
        "denied_accounts": _some(rng, _ids(world), 2) if rng.random() < 0.25 else [],
        "omit_paths": _some(rng, _ids(world), 2),
        "empty_pages": rng.random() < 0.5,
        "read_delay": rng.choice((0.0, 0.0, 40.0)),
        "quotas": {operation: [1e6, 1e6] for operation in DEFAULT_QUOTAS},
    }


def _config(rng: random.Random, world: Json) -> Json:
    every_type = rng.random() < 0.5
    return {
        "contact_types": list(TYPES) if every_type else _some(rng, TYPES, 4, least=1),
        "excluded_accounts": _some(rng, _ids(world), 1),
        "excluded_organizational_units": _some(rng, UNITS, 1),
        "on_source_deleted": rng.choice(("keep", "delete")),
        "retry_config": {"max_attempts": rng.randint(1, 3), "base_delay": 1, "max_delay": 2},
        "notification_settings": {
            "notify_on_failure": True,
            "notify_on_success": rng.random() < 0.5,
            "notify_on_partial_failure": rng.random() < 0.5,
            "failure_threshold": rng.choice((1, 1, 3)),
        },
    }


def trigger(source: str, event_id: str, **details: str) -> Json:
    """Return an execution input as a rule gives it."""
    event = {"event_id": event_id, "event_name": "Named", "event_time": "2026-01-05T10:00:00Z"}
    return {"trigger": {"source": source, **event, **details}}


def _request(rng: random.Random, number: int, world: Json) -> Json:
    ids = _ids(world) or ["100000000999"]
    event_id, about = f"event-{number}", rng.choice(ids)
    reason = {"reason": f"request-{number}"}
    usual = (
        reason,
        {"account_ids": _some(rng, ids, 3, least=1), **reason},
        {"organizational_units": [rng.choice(UNITS)], **reason},
        {"contact_types": [rng.choice(TYPES)], **reason},
        trigger("contact_changed", event_id),
        trigger("schedule", event_id),
    )
    others = (
        {"dry_run": True, **reason},
        trigger("account_joined", event_id, account_id=about),
        trigger("account_left", event_id, account_id=about),
        {"account_ids": ["100000000998"], **reason},
        {"acount_ids": ids, **reason},
    )
    return dict(rng.choice(usual if rng.random() < 0.75 else others))


def _organization_fault(rng: random.Random, world: Json) -> Json:
    is_about_account = rng.random() < 0.75
    operation = rng.choice(ACCOUNT_CALLS if is_about_account else ORGANIZATIONS_CALLS)
    broken = "InternalServerException" if is_about_account else "ServiceException"
    errors = ("TooManyRequestsException", "AccessDeniedException", "drop_connection", broken)
    fault = {"operation": operation, "error": rng.choice((*errors, "slow"))}
    if fault["error"] == "slow":
        fault["delay"] = 0.01
    if is_about_account and world["accounts"]:
        fault["account_id"] = rng.choice(_ids(world))
        return {**fault, "times": rng.choice((None, None, 1, 4, 9))}  # None is for ever
    return {**fault, "times": rng.randint(1, 9)}


def _function_fault(rng: random.Random) -> Json:
    function = rng.choice(sorted(FUNCTIONS))
    return {
        "function": function,
        "match": rng.choice(FUNCTIONS[function]),
        "error": rng.choice(("kill", "kill", *PLATFORM_ERRORS)),
        "calls": rng.randint(0, 6),
        "performed": rng.random() < 0.5,
        "skip": rng.randint(0, 2),
        "times": rng.randint(1, 4),
    }


def _service_fault(rng: random.Random) -> Json:
    if rng.random() < 0.2:
        error = rng.choice(("AuthorizationError", "InternalErrorException"))
        fault = {"service": "sns", "operation": "Publish", "error": error, "skip": 0}
        return {**fault, "times": rng.choice((1, 5))}
    service = rng.choice(("dynamodb", "dynamodb", *SERVICE_CALLS))
    refused = (THROTTLED[service], "AccessDeniedException", "ValidationException")
    unclear = ("InternalServerError", "no answer")
    error = rng.choice((*refused, *unclear))
    return {
        "service": service,
        "operation": rng.choice(SERVICE_CALLS[service]),
        "error": error,
        # A call that was refused did nothing; one without an answer may have.
        "performed": error in unclear and rng.random() < 0.5,
        "skip": rng.randint(0, 8),
        "times": rng.randint(1, 3),
    }


def _event(rng: random.Random) -> Event:
    kinds = ("change", "change", "close", "join", "abort", "abort", "time out", "lose source")
    return Event(rng.randint(0, 60), rng.choice(kinds), rng.randint(0, 4))


def changed_contact(contact_type: str, number: int) -> Json:
    """Return another value for a contact of the source, which nothing else has."""
    contact = dict(SOURCE_CONTACTS[contact_type.upper()])
    name = "FullName" if contact_type == "primary" else "Name"
    return {**contact, name: f"Wilhelmina Changeling {number:03}"}


def eligible(world: Json, config: Json) -> set[str]:
    """Return the accounts that may be written to: the oracle, written apart from the product."""
    parents = {unit["id"]: unit["parent"] for unit in world["organizational_units"]}
    return {
        account["id"]
        for account in world["accounts"]
        if account["state"] == "ACTIVE"
        and account["id"] not in config["excluded_accounts"]
        and not set(config["excluded_organizational_units"]) & set(_above(account, parents))
    }


def asked_for(world: Json, request: Json) -> set[str]:
    """Return the accounts of the world that a request names, excluded ones included."""
    parents = {unit["id"]: unit["parent"] for unit in world["organizational_units"]}
    ids, units = request.get("account_ids"), request.get("organizational_units")
    return {
        account["id"]
        for account in world["accounts"]
        if (ids is None and units is None)
        or account["id"] in (ids or [])
        or set(units or []) & set(_above(account, parents))
    }


def _above(account: Json, parents: dict[str, str]) -> list[str]:
    """Return the organizational units above an account."""
    above = []
    unit = account["parent"]
    while unit != ROOT_ID:
        above.append(unit)
        unit = parents[unit]
    return above
