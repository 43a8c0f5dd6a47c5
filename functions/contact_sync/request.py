"""The execution input, and the requests that one run takes from the queue."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import reduce
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contact_sync.contacts import ContactType
from contact_sync.errors import InvalidRequestError
from contact_sync.validation import (
    AccountId,
    ContactTypeName,
    OrganizationalUnitId,
    StrictModel,
    choices,
    faults,
)

MAX_NOTES = 20
# An item holds 400 KB; a run that would name more accounts is for every account.
MAX_MERGED_ACCOUNTS = 5_000
MAX_HOPS = 3
# The state machine passes on null in place of an input that is larger.
MAX_INPUT = "120,000 characters (20,000 where one is not ASCII)"

Item = TypeVar("Item", bound=str)
Text = Annotated[str, Field(min_length=1, max_length=1_000)]


class TriggerSource(StrEnum):
    """What started an execution; a person's execution has no trigger."""

    CONTACT_CHANGED = "contact_changed"
    ACCOUNT_JOINED = "account_joined"
    ACCOUNT_LEFT = "account_left"
    SCHEDULE = "schedule"
    RECOVERY = "recovery"
    CONTINUATION = "continuation"
    TEST = "test"


ABOUT_ONE_ACCOUNT = frozenset({TriggerSource.ACCOUNT_JOINED, TriggerSource.ACCOUNT_LEFT})
# These do what is queued, and ask for nothing themselves.
WITHOUT_REQUEST = frozenset({TriggerSource.RECOVERY, TriggerSource.CONTINUATION})
TriggerSourceName = choices(TriggerSource, "source")


class Trigger(StrictModel):
    """Set by rules, the schedule and the machine: identifiers and names, never event values.

    `hop` counts the executions that one change has started because the source had not settled.
    """

    source: TriggerSourceName  # type: ignore[valid-type] # built at run time
    event_id: Text
    event_name: Text
    event_time: Text
    account_id: AccountId | None = None
    execution_arn: Text | None = None
    hop: Annotated[int, Field(ge=0, le=MAX_HOPS)] = 0

    @model_validator(mode="after")
    def _names_its_subject(self) -> Self:
        if self.source in ABOUT_ONE_ACCOUNT and self.account_id is None:
            raise ValueError(f"account_id is required for {self.source}")
        if self.source == TriggerSource.RECOVERY and self.execution_arn is None:
            raise ValueError("execution_arn is required for recovery")
        return self


class SyncRequest(StrictModel):
    """The execution input; `{}` is a full resync."""

    dry_run: bool = False
    account_ids: Annotated[list[AccountId], Field(min_length=1)] | None = None
    organizational_units: Annotated[list[OrganizationalUnitId], Field(min_length=1)] | None = None
    contact_types: Annotated[list[ContactTypeName], Field(min_length=1)] | None = None
    retry_of: Text | None = None
    reason: Text | None = None
    trigger: Trigger | None = None

    @property
    def source(self) -> TriggerSource | None:
        """Return what started the execution, None for a person."""
        return self.trigger.source if self.trigger else None

    @model_validator(mode="after")
    def _retry_stands_alone(self) -> Self:
        scope = (self.account_ids, self.organizational_units, self.contact_types)
        if self.retry_of and any(part is not None for part in scope):
            raise ValueError(
                "retry_of stands alone, without account_ids, organizational_units and contact_types"
            )
        return self


class RunRequest(BaseModel):
    """What a run is asked for: one execution's request, or several merged.

    None means all, for accounts (with no organizational unit either) and for contact types.
    Stored in the state table, where another release may have written it: unknown keys are
    ignored. `insisted` are the accounts that a person named; `hop` is of a contact change.
    """

    model_config = ConfigDict(
        extra="ignore", frozen=True, hide_input_in_errors=True, defer_build=True
    )

    account_ids: list[AccountId] | None = None
    organizational_units: list[OrganizationalUnitId] | None = None
    contact_types: list[ContactType] | None = None
    insisted: list[AccountId] = Field(default_factory=list)
    is_change: bool = False
    hop: int = 0
    reasons: list[str] = Field(default_factory=list)
    event_ids: list[str] = Field(default_factory=list)

    @classmethod
    def from_stored(cls, stored: Any) -> Self:
        """Read a stored request; one that cannot be read asks for everything."""
        try:
            return cls.model_validate(stored)
        except ValidationError:
            return cls()

    @property
    def covers_all_accounts(self) -> bool:
        """Return whether the request names no account and no organizational unit."""
        return self.account_ids is None and self.organizational_units is None

    def stored(self) -> dict[str, Any]:
        """Return the request as the state table holds it, without defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)

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
        )


def parse_request(execution_input: Any, management_account_id: str) -> SyncRequest:
    """Check the execution input; raise InvalidRequestError naming each fault."""
    if execution_input is None:
        raise InvalidRequestError(
            f"execution input: expected an object, in braces, of at most {MAX_INPUT}; "
            "name organizational units in place of very many accounts"
        )
    try:
        request = SyncRequest.model_validate(execution_input)
    except ValidationError as error:
        reasons = faults(error, SyncRequest, execution_input)
        raise InvalidRequestError(f"execution input: {reasons}") from None
    if management_account_id in (request.account_ids or []):
        raise InvalidRequestError(
            f"execution input: account_ids: {management_account_id} is the management account, "
            "whose contacts are the source and never written"
        )
    return request


def run_request(request: SyncRequest, retried: RunRequest | None = None) -> RunRequest:
    """Return what an execution asks for; `retried` is what its `retry_of` repeats."""
    if retried is not None:
        reasons = [request.reason] if request.reason else []
        scope = retried.model_dump(include={"account_ids", "organizational_units", "contact_types"})
        return RunRequest(**scope, reasons=reasons)
    trigger = request.trigger
    accounts = request.account_ids
    if trigger and trigger.account_id and accounts is None:
        accounts = [trigger.account_id]
    is_change = request.source == TriggerSource.CONTACT_CHANGED
    insists = trigger is None and len(accounts or []) <= MAX_MERGED_ACCOUNTS
    return RunRequest(
        account_ids=accounts,
        organizational_units=request.organizational_units,
        contact_types=request.contact_types,
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
        trigger = SyncRequest.model_validate(execution_input).trigger
    except ValidationError:
        return {"source": "unknown"}
    return trigger.model_dump(mode="json", exclude_none=True) if trigger else {"source": "by_hand"}


def _union(mine: list[Item] | None, theirs: list[Item] | None) -> list[Item] | None:
    both = [*(mine or []), *(theirs or [])]
    return list(dict.fromkeys(both)) or None
