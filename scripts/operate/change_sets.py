"""Change sets: what a deployment would change; shown, then executed or deleted."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from operate.aws import Aws, pages
from operate.console import OperateError, note, warn
from operate.operations import DEPLOYED, POLL_SECONDS, Operation
from operate.stacks import find_stack

Json = dict[str, Any]
# CloudFormation has no error code for this; the AWS CLI also matches these words.
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
WORDS = {"SyncWithActual": "keep actual", "Dynamic": "may change"}
REPLACEMENTS = {"True": "replace", "Conditional": "may replace"}
POLICIES = {"ReplaceAndDelete": "the old one is deleted", "ReplaceAndRetain": "the old one is kept"}
HOLDS_DATA = (
    "AWS::DynamoDB::Table",
    "AWS::KMS::Key",
    "AWS::S3::Bucket",
    "AWS::SecretsManager::Secret",
    "AWS::SQS::Queue",
)


@dataclass(frozen=True)
class Wanted:
    """The target state of a stack. `template` is its TemplateBody or TemplateURL."""

    name: str
    template: dict[str, str]
    parameters: dict[str, str]
    tags: dict[str, str]
    role_arn: str | None = None
    region: str | None = None
    repair: bool = False


@dataclass
class ChangeSet:
    """A change set of CloudFormation."""

    aws: Aws
    wanted: Wanted
    id: str
    changes: list[Json] = field(default_factory=list)
    is_empty: bool = False
    _executed: bool = False

    @property
    def address(self) -> dict[str, str]:
        """Its parameters in a request; with the stack's name, permissions on the stack apply."""
        return {"StackName": self.wanted.name, "ChangeSetName": self.id}

    def show(self, tell: Callable[[str], None]) -> None:
        """Print each change, and warn if a resource would lose its data."""
        name = self.wanted.name
        tell(f"Changes to {name}:" if not self.is_empty else f"No changes: {name} is up to date")
        for change in self.changes:
            tell(f"  {_line(change)}")
            if _loses_data(change):
                warn(f"{change['LogicalResourceId']} loses its data")

    def document(self) -> list[Json]:
        """Return the changes for --json."""
        return [
            {
                "action": change["Action"],
                "resource": change["LogicalResourceId"],
                "type": change["ResourceType"],
                "replacement": change.get("Replacement"),
                "properties": _properties(change),
                "loses_data": _loses_data(change),
            }
            for change in self.changes
        ]

    def execute(self, prefix: str = "deploy-") -> None:
        """Execute it, and wait until it ends; raise unless the stack is deployed.

        The prefix begins the token of the operation's events. CloudFormation takes a token once.
        """
        stack = find_stack(self.aws, self.wanted.name, self.wanted.region)
        if not stack:
            raise OperateError(f"{self.wanted.name} was deleted meanwhile: run this command again")
        operation = Operation(stack)
        stack.client.execute_change_set(**self.address, ClientRequestToken=f"{prefix}{uuid4()}")
        self._executed = True
        status = operation.follow()
        if status not in DEPLOYED:
            raise OperateError(
                f"{stack.name} was not deployed; it is {status}: see the failed resources above"
            )

    def discard(self) -> None:
        """Delete it unless it was executed, with the stack if nobody has deployed that."""
        if self._executed:
            return
        if not (stack := find_stack(self.aws, self.wanted.name, self.wanted.region)):
            return
        stack.client.delete_change_set(**self.address)
        if stack.status == "REVIEW_IN_PROGRESS":
            stack.client.delete_stack(StackName=stack.id)


@contextmanager
def change_set(aws: Aws, wanted: Wanted) -> Iterator[ChangeSet]:
    """Create a change set toward the wanted stack; delete it unless it was executed."""
    made = _create(aws, wanted)
    try:
        _wait(made)
        yield made
    finally:
        made.discard()


def apply(aws: Aws, wanted: Wanted) -> None:
    """Create or update the stack as wanted."""
    with change_set(aws, wanted) as made:
        if not made.is_empty:
            made.execute()


def _create(aws: Aws, wanted: Wanted) -> ChangeSet:
    stack = find_stack(aws, wanted.name, wanted.region)
    is_new = stack is None or stack.status == "REVIEW_IN_PROGRESS"
    request = {
        "StackName": wanted.name,
        "ChangeSetName": f"contact-sync-{datetime.now(UTC):%Y%m%dT%H%M%S%f}",
        "ChangeSetType": "CREATE" if is_new else "UPDATE",
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in sorted(wanted.parameters.items())
        ],
        "Tags": [{"Key": name, "Value": value} for name, value in sorted(wanted.tags.items())],
        **wanted.template,
        **({"RoleARN": wanted.role_arn} if wanted.role_arn else {}),
        **({"DeploymentMode": "REVERT_DRIFT"} if wanted.repair and not is_new else {}),
    }
    answer = aws.client("cloudformation", wanted.region).create_change_set(**request)
    return ChangeSet(aws, wanted, answer["Id"])


def _wait(made: ChangeSet) -> None:
    """Wait until the changes are known; raise if CloudFormation refuses them."""
    client = made.aws.client("cloudformation", made.wanted.region)
    while True:
        described = client.describe_change_set(**made.address)
        if described["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            break
        time.sleep(POLL_SECONDS)
    if described["Status"] == "CREATE_COMPLETE":
        changes = pages(client, "describe_change_set", "Changes", **made.address)
        made.changes = [change["ResourceChange"] for change in changes]
        return
    reason = described.get("StatusReason", "")
    made.is_empty = any(text in reason for text in NO_CHANGES)
    if not made.is_empty:
        filters = {"FailedEvents": True}
        events = pages(
            client, "describe_events", "OperationEvents", **made.address, Filters=filters
        )
        for event in events:
            why = event.get("ValidationStatusReason") or event.get("ResourceStatusReason", "")
            note(f"  {event.get('LogicalResourceId', '')}: {why}")
        raise OperateError(f"CloudFormation refused the change set of {made.wanted.name}: {reason}")


def _line(change: Json) -> str:
    """Return what happens to one resource, and to which of its properties."""
    action = change["Action"]
    word = REPLACEMENTS.get(change.get("Replacement", "")) or WORDS.get(action, action.lower())
    names = _properties(change)
    line = f"{word:<11} {change['LogicalResourceId']} ({change['ResourceType']})"
    kept = POLICIES.get(change.get("PolicyAction", ""))
    return line + (f": {', '.join(names)}" if names else "") + (f"; {kept}" if kept else "")


def _properties(change: Json) -> list[str]:
    targets = [detail["Target"] for detail in change.get("Details", [])]
    return sorted({target.get("Name") or target["Attribute"] for target in targets})


def _loses_data(change: Json) -> bool:
    """Return whether CloudFormation deletes a resource that holds data."""
    policy = change.get("PolicyAction")
    is_deleted = "Delete" in policy if policy else change["Action"] == "Remove"
    return is_deleted and change["ResourceType"] in HOLDS_DATA
