"""Step Functions API: executions of this state machine, alive or dead."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contact_sync.aws.clients import error_code, named_errors

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

ALIVE = frozenset({"RUNNING", "PENDING_REDRIVE"})
# The service keeps an execution for 90 days, and may not show one that started a moment ago.
UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Execution:
    """An execution of this machine: its name (the run's sync_id), status, error and times.

    `started_at` is written as `$states.context.Execution.StartTime` has it.
    """

    name: str
    status: str
    started_at: str | None = None
    error: str | None = None
    redriven_at: datetime | None = None
    input: str = "{}"

    @property
    def is_dry_run(self) -> bool:
        """Return whether the execution must not lead to a write."""
        content = json.loads(self.input)
        return isinstance(content, dict) and bool(content.get("dry_run"))

    @property
    def names_a_run(self) -> bool:
        """Return whether the execution was started to undo or to retry a run."""
        content = json.loads(self.input)
        return isinstance(content, dict) and bool(content.keys() & {"undo", "retry_of"})

    @property
    def is_alive(self) -> bool:
        """Return whether the execution may still work; every other status is dead."""
        return self.status in ALIVE


class Executions:
    """Describes executions of one state machine; the answers are eventually consistent."""

    def __init__(self, client: "SFNClient", state_machine_arn: str) -> None:
        self._client = client
        self._prefix = state_machine_arn.replace(":stateMachine:", ":execution:")

    def describe(self, name: str) -> Execution:
        """Return the execution; its status is UNKNOWN where the service does not know it."""
        with named_errors(f"describe execution {name}"):
            try:
                answer: Any = self._client.describe_execution(executionArn=f"{self._prefix}:{name}")
            except ClientError as error:
                if error_code(error) == "ExecutionDoesNotExist":
                    return Execution(name, UNKNOWN)
                raise
        started_at = answer["startDate"].astimezone(UTC).isoformat(timespec="milliseconds")
        return Execution(
            name=name,
            status=answer["status"],
            started_at=started_at.replace("+00:00", "Z"),
            error=answer.get("error"),
            redriven_at=answer.get("redriveDate"),
            input=answer.get("input", "{}"),
        )
