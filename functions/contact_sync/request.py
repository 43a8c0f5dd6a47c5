"""The execution input, and the request of a round that several inputs merge into."""

from enum import StrEnum
from typing import Annotated, Any, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from contact_sync.errors import InvalidRequestError
from contact_sync.validation import (
    AccountId,
    ContactTypeName,
    OrganizationalUnitId,
    StrictModel,
    faults,
)

KEPT_NOTES = 20
# 400 KB is the limit of the item that holds what is queued; beyond this, every account is meant.
MOST_MERGED_ACCOUNTS = 5_000

Item = TypeVar("Item", bound=str)
Text = Annotated[str, Field(min_length=1, max_length=1_000)]


class TriggerSource(StrEnum):
    """What started an execution; by hand there is no trigger."""

    CONTACT_CHANGED = "contact_changed"
    ACCOUNT_JOINED = "account_joined"
    ACCOUNT_LEFT = "account_left"
    SCHEDULE = "schedule"
    RECOVERY = "recovery"
    TEST = "test"


ABOUT_ONE_ACCOUNT = frozenset({TriggerSource.ACCOUNT_JOINED, TriggerSource.ACCOUNT_LEFT})


class Trigger(StrictModel):
    """Set by rules and the schedule: identifiers and names only, never the event's values."""

    source: Annotated[TriggerSource, Field(strict=False)]
    event_id: Text
    event_name: Text
    event_time: Text
    account_id: AccountId | None = None
    execution_arn: Text | None = None

    @model_validator(mode="after")
    def _names_its_subject(self) -> Self:
        if self.source in ABOUT_ONE_ACCOUNT and self.account_id is None:
            raise ValueError(f"account_id is required for {self.source}")
        if self.source is TriggerSource.RECOVERY and self.execution_arn is None:
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
    def is_recovery(self) -> bool:
        """Tell whether the execution was started because another one died."""
        return self.trigger is not None and self.trigger.source is TriggerSource.RECOVERY

    @model_validator(mode="after")
    def _retry_stands_alone(self) -> Self:
        scope = (self.account_ids, self.organizational_units, self.contact_types)
        if self.retry_of and any(part is not None for part in scope):
            raise ValueError(
                "retry_of stands alone, without account_ids, organizational_units and contact_types"
            )
        return self


class RoundRequest(StrictModel):
    """What one round is asked for: one execution's input, or several merged.

    None means all, for accounts (with no organizational unit either) and for contact types.
    An account that is not in the organization is refused by name where `must_exist`, else
    skipped: a queued request must not fail because of another one's mistake.
    """

    account_ids: list[str] | None = None
    organizational_units: list[str] | None = None
    contact_types: list[ContactTypeName] | None = None
    only_if_changed: bool = False
    settle: bool = False
    must_exist: bool = True
    reasons: list[str] = Field(default_factory=list)
    event_ids: list[str] = Field(default_factory=list)

    @property
    def covers_all_accounts(self) -> bool:
        """Tell whether the request names no account and no organizational unit."""
        return self.account_ids is None and self.organizational_units is None

    def stored(self) -> dict[str, Any]:
        """Return the request as the state table holds it, defaults left out."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def merge(self, other: Self) -> Self:
        """Return the request that asks for both: unions, where all wins."""
        everyone = self.covers_all_accounts or other.covers_all_accounts
        account_ids = None if everyone else _union(self.account_ids, other.account_ids)
        if account_ids and len(account_ids) > MOST_MERGED_ACCOUNTS:
            everyone, account_ids = True, None
        units = None if everyone else _union(self.organizational_units, other.organizational_units)
        every_type = self.contact_types is None or other.contact_types is None
        return type(self)(
            account_ids=account_ids,
            organizational_units=units,
            contact_types=None if every_type else _union(self.contact_types, other.contact_types),
            only_if_changed=self.only_if_changed and other.only_if_changed,
            settle=self.settle or other.settle,
            must_exist=self.must_exist and other.must_exist and self == other,
            reasons=(_union(self.reasons, other.reasons) or [])[-KEPT_NOTES:],
            event_ids=(_union(self.event_ids, other.event_ids) or [])[-KEPT_NOTES:],
        )


def parse_request(execution_input: Any, management_account_id: str) -> SyncRequest:
    """Check the execution input; raise InvalidRequestError naming each fault."""
    try:
        request = SyncRequest.model_validate(execution_input)
    except ValidationError as error:
        raise InvalidRequestError(f"execution input: {faults(error)}") from None
    if management_account_id in (request.account_ids or []):
        raise InvalidRequestError(
            f"execution input: account_ids: {management_account_id} is the management account, "
            "whose contacts are the source and never written"
        )
    return request


def round_request(request: SyncRequest, failed_accounts: list[str] | None = None) -> RoundRequest:
    """Turn one execution's input into a round's request; `retry_of` has become its accounts."""
    trigger = request.trigger
    accounts = request.account_ids
    if failed_accounts and len(failed_accounts) <= MOST_MERGED_ACCOUNTS:
        accounts = failed_accounts
    if trigger and trigger.account_id and accounts is None:
        accounts = [trigger.account_id]
    changed = trigger is not None and trigger.source is TriggerSource.CONTACT_CHANGED
    return RoundRequest(
        account_ids=accounts,
        organizational_units=request.organizational_units,
        contact_types=request.contact_types,
        only_if_changed=changed,
        settle=changed,
        must_exist=not trigger,
        reasons=[request.reason] if request.reason else [],
        event_ids=[trigger.event_id] if trigger else [],
    )


def _union(mine: list[Item] | None, theirs: list[Item] | None) -> list[Item] | None:
    both = [*(mine or []), *(theirs or [])]
    return list(dict.fromkeys(both)) or None
