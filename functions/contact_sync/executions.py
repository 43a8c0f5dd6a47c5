"""Step Functions API: whether the execution that holds the lock is alive, and what it was asked."""

import json
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from contact_sync.aws import error_code, named_errors
from contact_sync.errors import InvalidRequestError
from contact_sync.request import SyncRequest, parse_request

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

ALIVE = frozenset({"RUNNING", "PENDING_REDRIVE"})
# The service keeps an execution for 90 days.
FORGOTTEN = "FORGOTTEN"


@dataclass(frozen=True)
class Execution:
    """An execution of this machine: its name (the run's sync_id), status, start and input."""

    name: str
    status: str
    started_at: str
    request: SyncRequest | None

    @property
    def is_alive(self) -> bool:
        """Tell whether the execution may still work; every other status is dead."""
        return self.status in ALIVE

    @property
    def is_recovery(self) -> bool:
        """Tell whether the execution was started because another one died."""
        return self.request is not None and self.request.is_recovery


class Executions:
    """Describes executions of one state machine."""

    def __init__(
        self, client: "SFNClient", state_machine_arn: str, management_account_id: str
    ) -> None:
        self._client = client
        self._prefix = state_machine_arn.replace(":stateMachine:", ":execution:")
        self._management_account_id = management_account_id

    def describe(self, name: str) -> Execution:
        """Return the execution; one that the service has forgotten is dead."""
        with named_errors(f"describe execution {name}"):
            try:
                answer = self._client.describe_execution(executionArn=f"{self._prefix}:{name}")
            except ClientError as error:
                if error_code(error) == "ExecutionDoesNotExist":
                    return Execution(name, FORGOTTEN, "", None)
                raise
        started_at = answer["startDate"].astimezone(UTC).isoformat(timespec="milliseconds")
        return Execution(
            name,
            answer["status"],
            started_at.replace("+00:00", "Z"),  # as $states.context.Execution.StartTime has it
            self._request(answer["input"]),
        )

    def _request(self, execution_input: str) -> SyncRequest | None:
        try:
            return parse_request(json.loads(execution_input), self._management_account_id)
        except InvalidRequestError:
            return None
