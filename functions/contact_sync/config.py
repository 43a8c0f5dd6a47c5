"""The configuration item: which contacts and accounts, which attempts, which notifications."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from contact_sync.accounts import AccountId, OrganizationalUnitId
from contact_sync.contacts import ContactType
from contact_sync.errors import InvalidConfigError
from contact_sync.validation import (
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
            raise ValueError("max_delay is below base_delay")
        return self


class NotificationSettings(StrictModel):
    """Which outcomes are published, and how many failed accounts fail the execution."""

    notify_on_failure: bool = True
    notify_on_success: bool = False
    notify_on_partial_failure: bool = True
    failure_threshold: Annotated[int, Field(ge=1)] = 1


class SyncConfig(StrictModel):
    """The item `default`; contact_types is required, the rest has the guide's defaults."""

    contact_types: Annotated[list[ContactTypeName], Field(min_length=1)]
    excluded_accounts: list[AccountId] = Field(default_factory=list)
    excluded_organizational_units: list[OrganizationalUnitId] = Field(default_factory=list)
    on_source_deleted: choices(OnSourceDeleted, "value") = OnSourceDeleted.KEEP  # type: ignore[valid-type] # built at run time
    retry_config: RetryConfig = Field(default_factory=RetryConfig)
    notification_settings: NotificationSettings = Field(default_factory=NotificationSettings)

    @property
    def ordered_types(self) -> list[ContactType]:
        """Return the contact types in their fixed order, each once."""
        return [contact_type for contact_type in ContactType if contact_type in self.contact_types]


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
