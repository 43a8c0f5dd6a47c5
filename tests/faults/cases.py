"""Draws a case: an organization, its source, a configuration, acts and faults.

Shared by both ways to run a case: in process, and through the whole stand-in. One number
determines a case. Half of the cases belong to families: a past failure, with the rest drawn.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
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
JOINING, UNKNOWN = "100000000901", "100000000998"
STATES = (*["ACTIVE"] * 6, "SUSPENDED", "PENDING_CLOSURE", "PENDING_ACTIVATION")
# The API accepts any script in names; no code may assume ASCII.
OTHER_NAMES = ("Žofie Příkladná 試験", "Ölga «Tester» \u202eenoN", "Проба\u200d Испытаний 🧪")
# Marks account names, which others choose. Nothing may store them, so finding this is a leak.
MARK = "Xanthippe"
ACCOUNT_NAMES = (
    f"{MARK} Ltd",
    f"{MARK}\nInjected: line\r\n",
    f"{MARK} \x1b[2J\x1b]0;title\x07",
    f"{MARK} <script>alert(1)</script> [bold]&amp;",
    f'{MARK} \'; DROP "TABLE" `id` $(id) {{% 1 %}} ${{Env}}',
    f"{MARK} {'n' * (128 - 10)}",
)
# An address that the API refuses in a member, so the source must not be copied.
REFUSED_ADDRESS = "not an address"
# The names in the address book; "branch" is a primary contact.
NAMES = ("night", "day", "branch")
DAY = 86_400.0

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
FUNCTIONS = (
    "contact-sync-handler",
    "account-lister",
    "alternate-contact-processor",
    "primary-contact-processor",
    "sync-reporter",
)
PLATFORM_ERRORS = (
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Sandbox.Timedout",
    "Runtime.ImportModuleError",
    "CrashError",
)
SERVICE_CALLS = {
    "dynamodb": (
        *("GetItem", "UpdateItem", "UpdateItem", "PutItem", "TransactWriteItems"),
        *("BatchGetItem", "BatchWriteItem", "Query", "DeleteItem"),
    ),
    "s3": ("PutObject", "GetObject", "DeleteObject"),
    "secretsmanager": ("GetSecretValue",),
    "stepfunctions": ("DescribeExecution",),
    "states": ("StartExecution",),
}
THROTTLED = {
    "dynamodb": "ProvisionedThroughputExceededException",
    "s3": "SlowDown",
    "secretsmanager": "ThrottlingException",
    "stepfunctions": "ThrottlingException",
    "states": "ThrottlingException",
}
# A throttle of DynamoDB, under each name that an integration reports.
THROTTLES_OF_MACHINE = (
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceededException",
    "AmazonDynamoDBException",
)


@dataclass(frozen=True)
class Act:
    """Something that happens `after` steps from the last act, or (None) when all is quiet.

    With `before`, it then waits until a function is about to call that operation.
    """

    kind: str
    after: int | None = None
    before: str = ""
    what: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Conditions:
    """The permanent behavior of the services; the defaults are ideal."""

    start_lag: float = 0.0  # seconds until DescribeExecution knows a new execution
    end_lag: float = 0.0  # seconds until DescribeExecution knows an end
    normalizes: bool = False  # whether the API removes non-digits from phone numbers
    lists_twice: int = 0  # accounts that Organizations lists again on a page
    joins_denied: float = 0.0  # seconds for which a new account denies its contacts
    parking: float = 0.3  # how often a function's service call lets others go first
    late_children: float = 0.3  # how often a stopped Map's child still runs to its end


@dataclass(frozen=True)
class Case:
    """One case. `healing` is the request that follows the end of the faults."""

    world: Json
    config: Json
    acts: tuple[Act, ...]
    order: int
    book: Json = field(default_factory=dict)
    healing: str = "by hand"
    conditions: Conditions = Conditions()
    organization_faults: tuple[Json, ...] = ()
    faults: tuple[Json, ...] = ()
    # A file of items left by another release, and whether that release is a later one.
    items: str = ""
    items_are_later: bool = False


HEALINGS = ("change", "schedule", "by hand", "retry")


def draw_case(number: int) -> Case:
    """Draw the case of that number; one in four has no fault, to cover the success path, too."""
    from faults.families import FAMILIES  # noqa: PLC0415 - families import this module

    rng = random.Random(number)  # noqa: S311 - repeatable, not for security
    case = _drawn(rng, number)
    return rng.choice(FAMILIES)(rng, case) if rng.random() < 0.5 else case


def _drawn(rng: random.Random, number: int) -> Case:
    world = _world(rng)
    is_calm = rng.random() < 0.25

    def some(one: Callable[[], Json], most: int) -> tuple[Json, ...]:
        return () if is_calm else tuple(one() for _ in range(rng.randint(0, most)))

    return Case(
        world=world,
        config=_config(rng, world),
        acts=tuple(_act(rng, world, is_calm=is_calm) for _ in range(rng.randint(1, 5))),
        order=number,
        book={name: named_contact(name, 0) for name in NAMES},
        healing=rng.choice(HEALINGS),
        conditions=_conditions(rng),
        organization_faults=some(lambda: _organization_fault(rng, world), 2),
        faults=some(lambda: _fault(rng), 2),
        items=rng.choice(("held", "idle")) if rng.random() < 0.15 else "",
        items_are_later=rng.random() < 0.5,
    )


def smallest(case: Case, fails: Callable[[Case], bool]) -> Case:
    """Reduce a failing case to the parts that it needs to fail."""
    for part in ("faults", "organization_faults", "acts"):
        for entry in getattr(case, part):
            less = replace(case, **{part: tuple(e for e in getattr(case, part) if e is not entry)})
            if fails(less):
                case = less
    for part in fields(case.conditions):
        less = replace(case, conditions=replace(case.conditions, **{part.name: part.default}))
        if less != case and fails(less):
            case = less
    for account in case.world["accounts"][1:]:
        others = [one for one in case.world["accounts"] if one is not account]
        denied, omitted = (
            [one for one in case.world[name] if one != account["id"]]
            for name in ("denied_accounts", "omit_paths")
        )
        rest = {"accounts": others, "denied_accounts": denied, "omit_paths": omitted}
        contacts = {k: v for k, v in case.world["contacts"].items() if k != account["id"]}
        less = replace(case, world={**case.world, **rest, "contacts": contacts})
        if fails(less):
            case = less
    return case


def described(case: Case) -> str:
    """Return the case as text: an account per line, and everything else except contacts."""
    accounts = [
        f"{account['id']} {account['state']} in {account['parent']}, "
        f"contacts {sorted(case.world['contacts'][account['id']])}"
        for account in case.world["accounts"]
    ]
    shown = ("denied_accounts", "omit_paths", "read_delay")
    world = {name: case.world[name] for name in shown}
    source = sorted(case.world["contacts"][MANAGEMENT_ACCOUNT_ID])
    rest = [f"{part.name}: {getattr(case, part.name)}" for part in fields(case)[1:]]
    return "\n".join([*accounts, f"world: {world}", f"source: {source}", *rest])


def ids_of(world: Json) -> list[str]:
    return [account["id"] for account in world["accounts"]]


def some_of(rng: random.Random, among: Sequence[str], most: int, least: int = 0) -> list[str]:
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
    for name in some_of(rng, [name for name in sorted(source) if name != "PRIMARY"], 1):
        del source[name]
    if "BILLING" in source and rng.random() < 0.2:
        source["BILLING"]["Name"] = rng.choice(OTHER_NAMES)
    if "SECURITY" in source and rng.random() < 0.05:
        source["SECURITY"]["EmailAddress"] = REFUSED_ADDRESS
    world["contacts"][MANAGEMENT_ACCOUNT_ID] = source
    return {
        **world,
        "denied_accounts": some_of(rng, ids_of(world), 2) if rng.random() < 0.2 else [],
        "omit_paths": some_of(rng, ids_of(world), 2),
        "empty_pages": rng.random() < 0.5,
        "read_delay": rng.choice((0.0, 0.0, 20.0, 40.0, 100.0, 240.0)),
        "quotas": {operation: [1e6, 1e6] for operation in DEFAULT_QUOTAS},
    }


def _config(rng: random.Random, world: Json) -> Json:
    every_type = rng.random() < 0.5
    return {
        "contact_types": list(TYPES) if every_type else some_of(rng, TYPES, 4, least=1),
        "excluded_accounts": some_of(rng, ids_of(world), 1),
        "excluded_organizational_units": some_of(rng, UNITS, 1),
        "overrides": _overrides(rng, world),
        "primary_keeps": ["PhoneNumber"] if rng.random() < 0.3 else [],
        "on_source_deleted": rng.choice(("keep", "delete")),
        "retry_config": {"max_attempts": rng.randint(1, 3), "base_delay": 1, "max_delay": 2},
        "notification_settings": {
            "notify_on_failure": True,
            "notify_on_success": rng.random() < 0.5,
            "notify_on_partial_failure": rng.random() < 0.5,
            "failure_threshold": rng.choice((1, 1, 3)),
        },
    }


def _overrides(rng: random.Random, world: Json) -> list[Json]:
    """Draw rules, at most one per account and unit; half of the cases have none."""
    subjects = [*ids_of(world), *UNITS] if rng.random() < 0.5 else []
    return [
        {
            "organizational_units" if subject in UNITS else "account_ids": [subject],
            **{name: _named(rng, name) for name in some_of(rng, TYPES, 2, least=1)},
        }
        for subject in some_of(rng, subjects, 3)
    ]


def _named(rng: random.Random, name: str) -> str:
    names = ("branch",) if name == "primary" else ("night", "day")
    return rng.choice(("own", "source", *names, *names))


def _conditions(rng: random.Random) -> Conditions:
    return Conditions(
        start_lag=rng.choice((0.0, 0.0, 2.0, 10.0)),
        end_lag=rng.choice((0.0, 0.0, 5.0, 40.0)),
        normalizes=rng.random() < 0.15,
        lists_twice=int(rng.random() < 0.1),
        joins_denied=rng.choice((0.0, 20.0, 300.0)),
        parking=rng.choice((0.0, 0.3, 1.0)),
        late_children=rng.choice((0.0, 0.5)),
    )


def _act(rng: random.Random, world: Json, *, is_calm: bool) -> Act:
    """Draw an act; a stop or redrive is no fault, but does not occur in calm cases."""
    number = rng.randint(0, 99)
    calm: tuple[Callable[[], tuple[str, Json]], ...] = (
        *[lambda: ("start", {"input": request(rng, world)})] * 6,
        *[lambda: ("change", change(rng))] * 4,
        lambda: (
            "drift",
            {"account": number, "type": rng.choice(TYPES), "value": rng.randint(1, 2)},
        ),
        lambda: (
            rng.choice(("close", "leave")),
            {"account": number, "with_event": rng.random() < 0.8},
        ),
        lambda: ("reopen", {"account": number}),
        lambda: (
            "move",
            {
                "account": number,
                "parent": rng.choice((ROOT_ID, *UNITS)),
                "with_event": rng.random() < 0.8,
            },
        ),
        lambda: ("edit", {"name": rng.choice(NAMES), "value": rng.randint(1, 2)}),
        lambda: ("join", {"with_event": rng.random() < 0.9}),
        lambda: ("configure", _config(rng, world)),
        lambda: ("pass", {"seconds": rng.choice((60.0, 3_600.0, DAY))}),
        lambda: ("undo", {"which": number, "dry": rng.random() < 0.2}),
    )
    rough: tuple[Callable[[], tuple[str, Json]], ...] = (
        lambda: ("abort", {"which": number}),
        lambda: ("time out", {"which": number}),
        lambda: ("redrive", {"which": number}),
    )
    kind, what = rng.choice(calm if is_calm or rng.random() < 0.75 else rough)()
    after = rng.choice((None, rng.randint(0, 15), rng.randint(0, 90)))
    before = rng.choice(ACCOUNT_CALLS[:4]) if rng.random() < 0.2 else ""
    return Act(kind, after, before, what)


def change(rng: random.Random, name: str = "", value: int | None = -1) -> Json:
    """Draw a change of the source: 0 is the first value, None deletes the contact."""
    name = name or rng.choice(TYPES)
    drawn = rng.choice((0, 1, 1, 2, None)) if value == -1 else value
    return {
        "type": name,
        "value": 1 if name == "primary" and drawn is None else drawn,
        "copies": rng.choice((1, 1, 2)),
        "late": rng.choice((0.0, 0.0, 5.0, 600.0)),
    }


def request(rng: random.Random, world: Json) -> Any:
    ids = ids_of(world) or [UNKNOWN]
    usual = (
        {},
        {"reason": "by hand"},
        {"account_ids": some_of(rng, ids, 3, least=1)},
        {"organizational_units": [rng.choice(UNITS)]},
        {"contact_types": [rng.choice(TYPES)]},
        {"trigger": {"source": "schedule"}},
        {"trigger": {"source": "schedule"}},
    )
    others = (
        {"dry_run": True},
        {"retry_of": "the last that failed"},
        {"account_ids": [UNKNOWN]},
        *INVALID,
    )
    return rng.choice(usual if rng.random() < 0.75 else others)


# Inputs that cannot be carried out.
INVALID: tuple[Any, ...] = (
    {"acount_ids": ["100000000001"]},
    {"account_ids": None},
    {"account_ids": []},
    {"contact_types": None},
    {"contact_types": ["SECURITY"]},
    {"dry_run": "yes"},
    {"organizational_units": ""},
    {"account_ids": [MANAGEMENT_ACCOUNT_ID]},
    [],
)


def _organization_fault(rng: random.Random, world: Json) -> Json:
    is_about_account = rng.random() < 0.75 and bool(world["accounts"])
    operation = rng.choice(ACCOUNT_CALLS if is_about_account else ORGANIZATIONS_CALLS)
    broken = "InternalServerException" if is_about_account else "ServiceException"
    errors = ("TooManyRequestsException", "AccessDeniedException", "drop_connection", broken)
    fault = {"operation": operation, "error": rng.choice(errors)}
    if is_about_account:
        fault["account_id"] = rng.choice(ids_of(world))
    return {**fault, "times": rng.choice((None, None, 1, 4, 9))}  # None means forever


def _fault(rng: random.Random) -> Json:
    """Draw a fault of a function or a service; most are temporary, some last until faults end."""
    how_long = rng.choice(
        ({"times": rng.randint(1, 4)}, {"times": rng.randint(1, 2)}, {"seconds": 90.0}, {})
    )
    if rng.random() < 0.4:
        return {
            "function": rng.choice(FUNCTIONS),
            "error": rng.choice(("kill", "kill", "give up", *PLATFORM_ERRORS)),
            "calls": rng.randint(0, 6),
            "performed": rng.random() < 0.5,
            "skip": rng.randint(0, 6),
            **how_long,
        }
    if rng.random() < 0.2:
        error = rng.choice(("AuthorizationErrorException", "InternalErrorException"))
        return {"service": "sns", "operation": "Publish", "error": error, **how_long}
    service = rng.choice(("dynamodb", "dynamodb", *SERVICE_CALLS))
    unclear = ("InternalServerError", "no answer")
    error = rng.choice((THROTTLED[service], "AccessDeniedException", "unprocessed", *unclear))
    if error == "unprocessed" and service != "dynamodb":
        error = "no answer"
    operations = ("BatchGetItem", "BatchWriteItem")
    return {
        "service": service,
        "operation": rng.choice(operations if error == "unprocessed" else SERVICE_CALLS[service]),
        "error": error,
        # A refused call did nothing; a call without a response may have taken effect.
        "performed": error in unclear and rng.random() < 0.5,
        "skip": rng.randint(0, 8),
        **how_long,
    }


def throttle(rng: random.Random, skip: int) -> Json:
    """Draw a throttle of DynamoDB in an integration, which must not fail the run."""
    return {
        "service": "dynamodb",
        "where": "machine",
        "error": rng.choice(THROTTLES_OF_MACHINE),
        "skip": skip,
        "times": rng.randint(1, 2),
        "mild": True,
    }


def changed_contact(contact_type: str, number: int) -> Json:
    """Return a new, unique value for a contact of the source."""
    contact = dict(SOURCE_CONTACTS[contact_type.upper()])
    name = "FullName" if contact_type == "primary" else "Name"
    return {**contact, name: f"Wilhelmina Changeling {number:03}"}


def named_contact(name: str, number: int) -> Json:
    """Return a unique contact of the address book."""
    if name == "branch":
        fields = {**SOURCE_CONTACTS["PRIMARY"], "FullName": f"Branch Keeper {number:03}"}
        return {**fields, "PhoneNumber": f"+1555017{number:04}"}
    fields = {**SOURCE_CONTACTS["SECURITY"], "Name": f"{name.title()} Watcher {number:03}"}
    return {**fields, "EmailAddress": f"{name}-watch-{number:03}@example.com"}


def choice_for(world: Json, config: Json, account_id: str, name: str) -> str:
    """Return the contact that an account should have: an oracle, independent of the product."""
    parents = {unit["id"]: unit["parent"] for unit in world["organizational_units"]}
    account = next(one for one in world["accounts"] if one["id"] == account_id)
    for subject in (account_id, *_above(account, parents)):
        for rule in config["overrides"]:
            named = rule.get("account_ids", []) + rule.get("organizational_units", [])
            if subject in named and name in rule:
                return str(rule[name])
    return "source"


def eligible(world: Json, config: Json) -> set[str]:
    """Return the accounts that may be written: an oracle, independent of the product."""
    parents = {unit["id"]: unit["parent"] for unit in world["organizational_units"]}
    return {
        account["id"]
        for account in world["accounts"]
        if account["state"] == "ACTIVE"
        and account["id"] not in config["excluded_accounts"]
        and not set(config["excluded_organizational_units"]) & set(_above(account, parents))
    }


def asked_for(world: Json, request: Json) -> set[str]:
    """Return the accounts of the world that a request names, including excluded accounts."""
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
