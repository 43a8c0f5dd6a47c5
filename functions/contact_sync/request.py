"""The execution input, and the requests that one run takes from the queue."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import reduce
from typing import TYPE_CHECKING, Any, Self, TypeVar

from contact_sync.accounts import AccountId, OrganizationalUnitId
from contact_sync.contacts import ContactType
from contact_sync.errors import InvalidRequestError

if TYPE_CHECKING:
    from contact_sync.request_checks import SyncRequest

MAX_NOTES = 20
# An item holds 400 KB; a run that would name more accounts is for every account.
MAX_MERGED_ACCOUNTS = 5_000
MAX_HOPS = 3
# The state machine replaces a larger input with null.
MAX_INPUT = "120,000 characters (20,000 where one is not ASCII)"

Item = TypeVar("Item", bound=str)


class TriggerSource(StrEnum):
    """What started an execution; one that an operator started has no trigger."""

    CONTACT_CHANGED = "contact_changed"
    ACCOUNT_JOINED = "account_joined"
    ACCOUNT_LEFT = "account_left"
    ACCOUNT_MOVED = "account_moved"
    SCHEDULE = "schedule"
    RECOVERY = "recovery"
    CONTINUATION = "continuation"
    TEST = "test"


# What names accounts and must reach them: an operator, or the one event of a new account.
INSISTING = frozenset({None, TriggerSource.ACCOUNT_JOINED})
ABOUT_ONE_ACCOUNT = frozenset(
    {TriggerSource.ACCOUNT_JOINED, TriggerSource.ACCOUNT_LEFT, TriggerSource.ACCOUNT_MOVED}
)


@dataclass(frozen=True)
class RunRequest:
    """What a run is asked for: one execution's request, or several merged.

    None means all: all contact types; all accounts, if organizational_units is None too. Stored in
    the state table, where another release may have written it: unknown keys are ignored.
    `insisted` are the accounts that an operator named or that joined; `hop` is of a contact change;
    `undo` is the run to undo, and never merged; `continues` are the dead runs that a recovery
    continues.
    """

    account_ids: list[AccountId] | None = None
    organizational_units: list[OrganizationalUnitId] | None = None
    contact_types: list[ContactType] | None = None
    insisted: list[AccountId] = field(default_factory=list)
    is_change: bool = False
    hop: int = 0
    reasons: list[str] = field(default_factory=list)
    event_ids: list[str] = field(default_factory=list)
    undo: str | None = None
    continues: list[str] = field(default_factory=list)

    @staticmethod
    def from_stored(stored: Any) -> "RunRequest":
        """Read a stored request; an unreadable one asks for everything."""
        from contact_sync.request_checks import checked_stored  # noqa: PLC0415 - as _checked says

        return checked_stored(stored)

    @property
    def covers_all_accounts(self) -> bool:
        """Return whether the request names no account and no organizational unit."""
        return self.account_ids is None and self.organizational_units is None

    def stored(self) -> dict[str, Any]:
        """Return the request as the state table holds it, without defaults."""
        defaults = vars(RunRequest())
        return {name: value for name, value in vars(self).items() if value != defaults[name]}

    def merge(self, other: Self) -> Self:
        """Return a request for both: their union, or everything where one asks for it.

        A change may ask for fewer contact types than all; which ones depends on the source.
        """
        account_ids = _union(self.account_ids, other.account_ids)
        everyone = (
            self.covers_all_accounts
            or other.covers_all_accounts
            or len(account_ids or []) > MAX_MERGED_ACCOUNTS
        )
        units = _union(self.organizational_units, other.organizational_units)
        every_type = self.contact_types is None or other.contact_types is None
        changes = [one.hop for one in (self, other) if one.is_change]
        return type(self)(
            account_ids=None if everyone else account_ids,
            organizational_units=None if everyone else units,
            contact_types=None if every_type else _union(self.contact_types, other.contact_types),
            insisted=(_union(self.insisted, other.insisted) or [])[:MAX_MERGED_ACCOUNTS],
            is_change=bool(changes),
            hop=min(changes, default=0),
            reasons=(_union(self.reasons, other.reasons) or [])[-MAX_NOTES:],
            event_ids=(_union(self.event_ids, other.event_ids) or [])[-MAX_NOTES:],
            continues=_union(self.continues, other.continues) or [],
        )


def parse_request(execution_input: Any, management_account_id: str) -> "SyncRequest":
    """Check the execution input; raise InvalidRequestError naming each fault."""
    if execution_input is None:
        raise InvalidRequestError(
            f"execution input: expected an object, in braces, of at most {MAX_INPUT}; "
            "instead of thousands of account_ids, use organizational_units"
        )
    request = _checked(execution_input)
    if management_account_id in (request.account_ids or []):
        raise InvalidRequestError(
            f"execution input: account_ids: {management_account_id} is the management account, "
            "which is the source and never written"
        )
    return request


def run_request(request: "SyncRequest", retried: RunRequest | None = None) -> RunRequest:
    """Return what an execution asks for; `retried` is what its `retry_of` repeats."""
    if retried is not None:
        return RunRequest(
            account_ids=retried.account_ids,
            organizational_units=retried.organizational_units,
            contact_types=retried.contact_types,
            undo=retried.undo,
            reasons=[request.reason] if request.reason else [],
        )
    trigger = request.trigger
    accounts = request.account_ids
    if trigger and trigger.account_id and accounts is None:
        accounts = [trigger.account_id]
    is_change = request.source == TriggerSource.CONTACT_CHANGED
    insists = request.source in INSISTING and len(accounts or []) <= MAX_MERGED_ACCOUNTS
    return RunRequest(
        account_ids=accounts,
        organizational_units=request.organizational_units,
        contact_types=request.contact_types,
        undo=request.undo,
        insisted=(accounts or []) if insists else [],
        is_change=is_change,
        hop=trigger.hop if trigger and is_change else 0,
        reasons=[request.reason] if request.reason else [],
        event_ids=[trigger.event_id] if trigger else [],
    )


def merged(requests: Iterable[RunRequest]) -> RunRequest | None:
    """Return one request for all, None for none."""
    some = list(requests)
    return reduce(RunRequest.merge, some) if some else None


def trigger_of(execution_input: Any) -> Mapping[str, Any]:
    """Return the trigger for the run's item, also of an input that was refused."""
    try:
        trigger = _checked(execution_input).trigger
    except InvalidRequestError:
        return {"source": "unknown"}
    return trigger.model_dump(exclude_none=True) if trigger else {"source": "by_hand"}


def _checked(execution_input: Any) -> "SyncRequest":
    # The checks import pydantic, which takes almost half as long as boto3: the first request waits
    # for that, not each cold start.
    from contact_sync.request_checks import checked_input  # noqa: PLC0415

    return checked_input(execution_input)


def _union(mine: list[Item] | None, theirs: list[Item] | None) -> list[Item] | None:
    both = [*(mine or []), *(theirs or [])]
    return list(dict.fromkeys(both)) or None
