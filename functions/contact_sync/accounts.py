"""Accounts as Organizations lists them, and which of them a run is for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any

from contact_sync.contact_sets import Overrides
from contact_sync.contacts import ContactType

ACTIVE = "ACTIVE"
PENDING_ACTIVATION = "PENDING_ACTIVATION"
# Source: API_Account of AWS Organizations, `State`.
KNOWN_STATES = frozenset({ACTIVE, PENDING_ACTIVATION, "SUSPENDED", "PENDING_CLOSURE", "CLOSED"})
NOT_FOUND = "not in the organization"
# Prefix of the reason for a contact that violates the API's rules.
INVALID = "invalid: "
JUST_JOINED = "just joined"
# A new account may deny its contacts for a while.
JOINING_TIME = timedelta(minutes=30)


@dataclass(frozen=True)
class Pattern:
    """A regex that text must match; pydantic understands it, and is not imported for it."""

    regex: str

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> dict[str, str]:
        """Return the schema of text that matches."""
        return {"type": "str", "pattern": self.regex}


ACCOUNT_ID = Pattern(r"^[0-9]{12}$")
ORGANIZATIONAL_UNIT_ID = Pattern(r"^ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}$")
# Source: API_StartExecution of Step Functions, `name`.
EXECUTION_NAME = Pattern(r'^[^\s"#$%&*,/:;<>?\[\\\]^`{|}~\x00-\x1f\x7f-\x9f]{1,80}$')
AccountId = Annotated[str, ACCOUNT_ID]
OrganizationalUnitId = Annotated[str, ORGANIZATIONAL_UNIT_ID]


@dataclass(frozen=True, slots=True)
class Account:
    """A member or the management account, without its name and e-mail address."""

    id: str
    state: str
    paths: tuple[str, ...] = ()
    joined_at: datetime | None = None

    @property
    def parents(self) -> tuple[str, ...]:
        """Return the paths of the account's parents, which its neighbors share."""
        return tuple(path.removesuffix(f"{self.id}/") for path in self.paths)

    def has_just_joined(self, now: datetime) -> bool:
        """Return whether a denial may only mean that the account is not ready yet."""
        return self.joined_at is not None and now - self.joined_at < JOINING_TIME


@dataclass(frozen=True, slots=True)
class ListedAccount:
    """An account of a run, and the number of its contact set among those of the run.

    `stays`: the contact types that no later run overwrites, of an account in an undo.
    """

    account_id: str
    contact_set: int = 0
    stays: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scope:
    """The accounts that a run is for, those that the configuration excludes, and its overrides.

    None for both account_ids and organizational_units means every account. `left_out` are types
    whose source contact is not synced, and why. `seconds` is what one account's calls take under
    the quotas, by contact type and operation. `undoes` are the runs to undo, latest first;
    `synced_types` are then the types that the configuration syncs.
    """

    management_account_id: str
    account_ids: Collection[str] | None = None
    organizational_units: Collection[str] | None = None
    excluded_accounts: Collection[str] = ()
    excluded_organizational_units: Collection[str] = ()
    overrides: Overrides = field(default_factory=Overrides)
    left_out: Mapping[ContactType, str] = field(default_factory=dict)
    seconds: Mapping[ContactType, Mapping[str, float]] = field(default_factory=dict)
    undoes: Sequence[str] = ()
    synced_types: Sequence[ContactType] = ()

    @property
    def covers_all_accounts(self) -> bool:
        """Return whether the run is for every account."""
        return self.account_ids is None and self.organizational_units is None
