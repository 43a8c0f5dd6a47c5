"""Draws one case: an organization, its source, a configuration, what starts runs, what goes wrong.

Both ways to run a case share these: in process, and through the whole stand-in.
"""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
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


def _world(draw: Any) -> Json:
    size = draw(st.sampled_from((2, 3, 4, 1, 2, 3, 0)))
    drift = draw(st.sampled_from((1.0, 0.5, 1.0, 0.0)))
    world = drifted_world(size, draw(st.integers(1, 50)), drift=drift, missing=0.3)
    for account in world["accounts"]:
        account["state"] = draw(st.sampled_from(STATES))
        account["parent"] = draw(st.sampled_from((ROOT_ID, ROOT_ID, *UNITS)))
    ids = [account["id"] for account in world["accounts"]]
    some = st.lists(st.sampled_from(ids), unique=True, max_size=2) if ids else st.just([])
    source = {name: dict(contact) for name, contact in SOURCE_CONTACTS.items()}
    for name in draw(st.lists(st.sampled_from(sorted(source)), unique=True, max_size=1)):
        del source[name]
    if draw(st.integers(0, 4)) == 0 and "BILLING" in source:
        source["BILLING"]["Name"] = draw(st.sampled_from(OTHER_NAMES))
    if draw(st.integers(0, 19)) == 0 and "SECURITY" in source:
        source["SECURITY"]["EmailAddress"] = REFUSED_ADDRESS
    world["contacts"][MANAGEMENT_ACCOUNT_ID] = source
    return {
        **world,
        "denied_accounts": draw(some) if draw(st.integers(0, 3)) == 0 else [],
        "omit_paths": draw(some),
        "empty_pages": draw(st.booleans()),
        "read_delay": draw(st.sampled_from((0.0, 0.0, 40.0))),
        "quotas": {operation: [1e6, 1e6] for operation in DEFAULT_QUOTAS},
    }


def _config(draw: Any, world: Json) -> Json:
    ids = [account["id"] for account in world["accounts"]]
    attempts, threshold = draw(st.integers(1, 3)), draw(st.sampled_from((1, 1, 3)))
    return {
        "contact_types": draw(
            st.lists(st.sampled_from(TYPES), unique=True, min_size=1) | st.just(list(TYPES))
        ),
        "excluded_accounts": draw(st.lists(st.sampled_from(ids), unique=True, max_size=2))
        if ids
        else [],
        "excluded_organizational_units": draw(
            st.lists(st.sampled_from(UNITS), unique=True, max_size=1)
        ),
        "on_source_deleted": draw(st.sampled_from(("keep", "delete"))),
        "retry_config": {"max_attempts": attempts, "base_delay": 1, "max_delay": 2},
        "notification_settings": {
            "notify_on_failure": True,
            "notify_on_success": draw(st.booleans()),
            "notify_on_partial_failure": draw(st.booleans()),
            "failure_threshold": threshold,
        },
    }


def trigger(source: str, event_id: str, **details: str) -> Json:
    """Return an execution input as a rule gives it."""
    event = {"event_id": event_id, "event_name": "Named", "event_time": "2026-01-05T10:00:00Z"}
    return {"trigger": {"source": source, **event, **details}}


def _request(draw: Any, number: int, world: Json) -> Json:  # noqa: PLR0911 - one for each kind
    ids = [account["id"] for account in world["accounts"]] or ["100000000999"]
    kind = draw(
        st.sampled_from(("all", "all", "some", "units", "types", "dry", "changed", "schedule"))
        | st.sampled_from(("joined", "left", "unknown", "wrong"))
    )
    reason = {"reason": f"request-{number}"}
    some = st.lists(st.sampled_from(ids), unique=True, min_size=1, max_size=3)
    match kind:
        case "some":
            return {"account_ids": draw(some), **reason}
        case "units":
            return {"organizational_units": [draw(st.sampled_from(UNITS))], **reason}
        case "types":
            return {"contact_types": [draw(st.sampled_from(TYPES))], **reason}
        case "dry":
            return {"dry_run": True, **reason}
        case "changed":
            return trigger("contact_changed", f"event-{number}")
        case "schedule":
            return trigger("schedule", f"event-{number}")
        case "joined" | "left":
            account_id = draw(st.sampled_from(ids))
            return trigger(f"account_{kind}", f"event-{number}", account_id=account_id)
        case "unknown":
            return {"account_ids": ["100000000998"], **reason}
        case "wrong":
            return {"acount_ids": ids, **reason}
        case _:
            return reason


def _organization_fault(draw: Any, world: Json) -> Json:
    ids = [account["id"] for account in world["accounts"]]
    operation = draw(st.sampled_from((*ACCOUNT_CALLS * 2, *ORGANIZATIONS_CALLS)))
    broken = "InternalServerException" if operation in ACCOUNT_CALLS else "ServiceException"
    errors = ("TooManyRequestsException", "AccessDeniedException", "drop_connection", "slow")
    fault = {
        "operation": operation,
        "error": draw(st.sampled_from((*errors, broken))),
        "times": draw(st.integers(1, 9)),
    }
    if fault["error"] == "slow":
        fault["delay"] = 0.01
    if operation in ACCOUNT_CALLS and ids and draw(st.booleans()):
        fault |= {"account_id": draw(st.sampled_from(ids))}
        if draw(st.booleans()):
            fault["times"] = None  # for ever
    return fault


def _function_fault(draw: Any) -> Json:
    function = draw(st.sampled_from(sorted(FUNCTIONS)))
    return {
        "function": function,
        "match": draw(st.sampled_from(FUNCTIONS[function])),
        "error": draw(st.sampled_from(("kill", "kill", *PLATFORM_ERRORS))),
        "calls": draw(st.integers(0, 6)),
        "performed": draw(st.booleans()),
        "skip": draw(st.integers(0, 3)),
        "times": draw(st.integers(1, 4)),
    }


def _service_fault(draw: Any) -> Json:
    if draw(st.integers(0, 5)) == 0:
        error = draw(st.sampled_from(("AuthorizationError", "InternalErrorException")))
        fault = {"service": "sns", "operation": "Publish", "error": error, "skip": 0}
        return {**fault, "times": draw(st.sampled_from((1, 5)))}
    service = draw(st.sampled_from(("dynamodb", "dynamodb", *SERVICE_CALLS)))
    errors = (SERVICE_CALLS[service], "AccessDeniedException", "InternalServerError", "no answer")
    error = draw(st.sampled_from(errors))
    return {
        "service": service,
        "error": error,
        # A call that was refused did nothing; one without an answer may have.
        "performed": error in errors[2:] and draw(st.booleans()),
        "skip": draw(st.integers(0, 40)),
        "times": draw(st.integers(1, 3)),
    }


def _event(draw: Any) -> Event:
    kinds = ("change", "change", "close", "join", "abort", "abort", "time out", "lose source")
    at = draw(st.integers(0, 60))
    return Event(at, draw(st.sampled_from(kinds)), draw(st.integers(0, 4)))


@st.composite
def cases(draw: Any) -> Case:
    """Draw a case; one in four has no fault at all, so that the good path is drawn as well."""
    world = _world(draw)
    starts = draw(st.lists(st.integers(0, 40), min_size=1, max_size=3))
    is_calm = draw(st.integers(0, 3)) == 0

    def some(one: Any, most: int) -> tuple[Any, ...]:
        return () if is_calm else tuple(one() for _ in range(draw(st.integers(0, most))))

    return Case(
        world=world,
        config=_config(draw, world),
        requests=tuple((at, _request(draw, n, world)) for n, at in enumerate(sorted(starts))),
        events=tuple(_event(draw) for _ in range(draw(st.integers(0, 2)))),
        organization_faults=some(lambda: _organization_fault(draw, world), 3),
        function_faults=some(lambda: _function_fault(draw), 2),
        service_faults=some(lambda: _service_fault(draw), 2),
        order=draw(st.integers(0, 2**16)),
    )


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
