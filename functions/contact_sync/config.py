"""The configuration item: contacts, accounts, overrides, attempts and notifications."""

import hashlib
from collections.abc import Collection, Mapping
from enum import StrEnum
from functools import cached_property
from itertools import product
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from contact_sync.accounts import AccountId, OrganizationalUnitId
from contact_sync.contact_sets import Overrides
from contact_sync.contacts import PRIMARY_RULES, ContactType
from contact_sync.errors import InvalidConfigError
from contact_sync.validation import (
    ContactName,
    ContactTypeName,
    StrictModel,
    choices,
    faults,
)

CONFIG_KEY = "default"


class OnSourceDeleted(StrEnum):
    """What happens to the members' contact when the source's is deleted."""

    KEEP = "keep"
    DELETE = "delete"


class RetryConfig(StrictModel):
    """Attempts of one processor for one account, the first included; delays in seconds."""

    max_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    base_delay: Annotated[int, Field(ge=1, le=3600)] = 2
    max_delay: Annotated[int, Field(ge=1, le=3600)] = 60

    @model_validator(mode="after")
    def _delays_agree(self) -> Self:
        if self.max_delay < self.base_delay:
            raise ValueError("max_delay must be at least base_delay")
        return self


class NotificationSettings(StrictModel):
    """Which outcomes are published, and how many failed accounts fail the execution.

    A run that found more drifted accounts than `drift_threshold` is always published.
    """

    notify_on_failure: bool = True
    notify_on_success: bool = False
    notify_on_partial_failure: bool = True
    failure_threshold: Annotated[int, Field(ge=1)] = 1
    drift_threshold: Annotated[int, Field(ge=0)] | None = None


PrimaryField = StrEnum("PrimaryField", [(name, name) for name in PRIMARY_RULES])  # type: ignore[misc] # the API's names
# Fields that the API of a partition cannot change (Account Management's guide for China).
FIXED_PRIMARY_FIELDS = {"aws-cn": (PrimaryField("CountryCode"), PrimaryField("CompanyName"))}


class Override(StrictModel):
    """The contacts of these accounts, or of the accounts under these units at any depth.

    A contact is `source`, `own`, or a name of the address book.
    """

    account_ids: Annotated[list[AccountId], Field(min_length=1)] | None = None
    organizational_units: Annotated[list[OrganizationalUnitId], Field(min_length=1)] | None = None
    primary: ContactName | None = None
    billing: ContactName | None = None
    operations: ContactName | None = None
    security: ContactName | None = None

    @property
    def contacts(self) -> dict[ContactType, str]:
        """Return what the override gives, by contact type."""
        given = {name: getattr(self, name) for name in ContactType}
        return {name: which for name, which in given.items() if which is not None}

    @property
    def subjects(self) -> list[str]:
        """Return the accounts or units that the override is for."""
        return self.account_ids or self.organizational_units or []

    @model_validator(mode="after")
    def _is_an_override(self) -> Self:
        if (self.account_ids is None) == (self.organizational_units is None):
            raise ValueError("specify either account_ids or organizational_units")
        if not self.contacts:
            raise ValueError(f"specify at least one contact: {', '.join(ContactType)}")
        return self


class SyncConfig(StrictModel):
    """The item `default`; contact_types is required, the rest has the guide's defaults."""

    contact_types: Annotated[list[ContactTypeName], Field(min_length=1)]
    excluded_accounts: list[AccountId] = Field(default_factory=list)
    excluded_organizational_units: list[OrganizationalUnitId] = Field(default_factory=list)
    on_source_deleted: choices(OnSourceDeleted, "value") = OnSourceDeleted.KEEP  # type: ignore[valid-type] # built at run time
    retry_config: RetryConfig = Field(default_factory=RetryConfig)
    notification_settings: NotificationSettings = Field(default_factory=NotificationSettings)
    overrides: list[Override] = Field(default_factory=list)
    primary_keeps: list[choices(PrimaryField, "field of the primary contact")] = Field(  # type: ignore[valid-type] # as above
        default_factory=list
    )

    def keeping(self, fields: Collection[str]) -> Self:
        """Return the configuration with these fields added to `primary_keeps`."""
        kept = list(dict.fromkeys([*self.primary_keeps, *fields]))
        return self.model_copy(update={"primary_keeps": kept})

    @cached_property
    def overrides_by_subject(self) -> Overrides:
        """The overrides by account and by unit, built once: there may be thousands of them."""
        by_account: dict[str, dict[ContactType, str]] = {}
        by_unit: dict[str, dict[ContactType, str]] = {}
        for override in self.overrides:
            for subject in override.subjects:
                by_subject = by_account if override.account_ids else by_unit
                by_subject.setdefault(subject, {}).update(override.contacts)
        return Overrides(by_account, by_unit)

    @model_validator(mode="after")
    def _has_no_overrides_of_equal_rank(self) -> Self:
        seen: dict[tuple[str, ContactType], int] = {}
        for number, override in enumerate(self.overrides):
            for key in product(dict.fromkeys(override.subjects), override.contacts):
                if (other := seen.setdefault(key, number)) != number:
                    raise ValueError(
                        f"overrides.{other} and overrides.{number} both set the {key[1]} contact "
                        f"of {key[0]}: remove one of them"
                    )
        return self

    @property
    def ordered_types(self) -> list[ContactType]:
        """Return the contact types in their fixed order, each once."""
        return [contact_type for contact_type in ContactType if contact_type in self.contact_types]


def version_of(config: SyncConfig) -> str:
    """Return a hash that identifies the configuration; it has no contact value."""
    content = config.model_dump_json(exclude_defaults=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def parse_config(item: Mapping[str, Any] | None) -> SyncConfig:
    """Check the item as DynamoDB holds it; raise InvalidConfigError naming each fault."""
    if item is None:
        raise InvalidConfigError(f"no configuration item with config_key `{CONFIG_KEY}`")
    content = {key: value for key, value in item.items() if key != "config_key"}
    try:
        return SyncConfig.model_validate(content)
    except ValidationError as error:
        reasons = faults(error, SyncConfig, content)
        raise InvalidConfigError(f"configuration item `{CONFIG_KEY}`: {reasons}") from None
