"""The checks of the execution input and of stored requests.

Slow to import, because of pydantic: only contact_sync.request imports it, for the first request.
"""

from functools import cache
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, model_validator

from contact_sync.accounts import EXECUTION_NAME, AccountId, OrganizationalUnitId
from contact_sync.errors import InvalidRequestError
from contact_sync.request import ABOUT_ONE_ACCOUNT, MAX_HOPS, RunRequest, TriggerSource
from contact_sync.validation import ContactTypeName, StrictModel, choices, faults

Text = Annotated[str, Field(min_length=1, max_length=1_000)]


def _without_arn(given: Any) -> Any:
    """Return the name in an execution's ARN, which messages and the console show."""
    is_arn = isinstance(given, str) and given.startswith("arn:")
    return given.rpartition(":")[2] if is_arn else given


ExecutionName = Annotated[str, EXECUTION_NAME, BeforeValidator(_without_arn)]
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
    """The execution input; `{}` is a full run."""

    dry_run: bool = False
    account_ids: Annotated[list[AccountId], Field(min_length=1)] | None = None
    organizational_units: Annotated[list[OrganizationalUnitId], Field(min_length=1)] | None = None
    contact_types: Annotated[list[ContactTypeName], Field(min_length=1)] | None = None
    retry_of: ExecutionName | None = None
    undo: ExecutionName | None = None
    reason: Text | None = None
    trigger: Trigger | None = None

    @property
    def source(self) -> TriggerSource | None:
        """Return what started the execution, None for an operator."""
        return self.trigger.source if self.trigger else None

    @model_validator(mode="after")
    def _retry_stands_alone(self) -> Self:
        scope = (self.account_ids, self.organizational_units, self.contact_types)
        if self.retry_of and (self.undo or any(part is not None for part in scope)):
            raise ValueError(
                "retry_of cannot be combined with account_ids, organizational_units, "
                "contact_types or undo"
            )
        if self.undo and self.trigger:
            raise ValueError("undo cannot be combined with trigger")
        return self


def checked_input(content: Any) -> SyncRequest:
    """Check an execution's input; raise InvalidRequestError naming each fault."""
    try:
        return SyncRequest.model_validate(content)
    except ValidationError as error:
        reasons = faults(error, SyncRequest, content)
        raise InvalidRequestError(f"execution input: {reasons}") from None


def checked_stored(stored: Any) -> RunRequest:
    """Read a stored request; an unreadable one asks for everything."""
    try:
        return _run_requests().validate_python(stored)
    except ValidationError:
        return RunRequest()


@cache
def _run_requests() -> TypeAdapter[RunRequest]:
    return TypeAdapter(RunRequest)
