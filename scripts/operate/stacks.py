"""Stacks as CloudFormation describes them."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from operate.aws import Aws, code_of, pages
from operate.console import OperateError

# A stack in these states was never deployed, and has no resources.
NEVER_DEPLOYED = ("REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE")
# A stack in these states is incomplete, and can only be deleted.
HALF = ("CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED")


@dataclass(frozen=True)
class Stack:
    """A stack, as it was when looked up."""

    aws: Aws
    name: str
    region: str
    described: dict[str, Any] = field(repr=False)

    @property
    def status(self) -> str:
        """Return its status, such as UPDATE_COMPLETE."""
        return str(self.described["StackStatus"])

    @property
    def id(self) -> str:
        """Its ID, which also identifies it after its deletion."""
        return str(self.described["StackId"])

    @property
    def is_changing(self) -> bool:
        """Whether an operation is in progress."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    @property
    def client(self) -> Any:
        """CloudFormation in its region."""
        return self.aws.client("cloudformation", self.region)

    @cached_property
    def parameters(self) -> dict[str, str]:
        """Its parameters by name."""
        found = self.described.get("Parameters", [])
        return {one["ParameterKey"]: one["ParameterValue"] for one in found}

    @cached_property
    def outputs(self) -> dict[str, str]:
        """Its outputs by name."""
        return {one["OutputKey"]: one["OutputValue"] for one in self.described.get("Outputs", [])}

    @cached_property
    def tags(self) -> dict[str, str]:
        """Its tags."""
        return {one["Key"]: one["Value"] for one in self.described.get("Tags", [])}

    def output(self, name: str) -> str:
        """Return an output; raise if it is missing."""
        if name not in self.outputs:
            raise OperateError(
                f"{self.name} has no output {name}: its first deployment failed, or is of another "
                "version; deploy it again with scripts/deploy.sh"
            )
        return self.outputs[name]

    def resources(self) -> Iterator[dict[str, Any]]:
        """Yield its resources, as ListStackResources returns them."""
        for page in self.client.get_paginator("list_stack_resources").paginate(StackName=self.id):
            yield from page["StackResourceSummaries"]

    @cached_property
    def names(self) -> dict[str, list[str]]:
        """The names of its resources by type."""
        found: dict[str, list[str]] = defaultdict(list)
        for one in self.resources():
            if one.get("PhysicalResourceId") and one.get("ResourceStatus") != "DELETE_COMPLETE":
                found[one["ResourceType"]].append(one["PhysicalResourceId"])
        return found

    def running_executions(self) -> list[str]:
        """Return the ARNs of the running executions, without the children of Map Runs."""
        if not (machine := self.outputs.get("StateMachineArn")):
            return []
        client = self.aws.client("stepfunctions")
        given = {"stateMachineArn": machine, "statusFilter": "RUNNING"}
        try:
            found = pages(client, "list_executions", "executions", **given)
        except ClientError as error:
            if code_of(error) == "StateMachineDoesNotExist":
                return []
            raise
        return [str(one["executionArn"]) for one in found]

    def subscriptions(self) -> list[dict[str, Any]]:
        """Return the subscriptions of its topic; AWS lists an ended one for three more days."""
        found = pages(
            self.aws.client("sns", self.region),
            "list_subscriptions_by_topic",
            "Subscriptions",
            TopicArn=self.output("NotificationTopicArn"),
        )
        return [one for one in found if one["SubscriptionArn"] != "Deleted"]

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield its events, newest first."""
        for page in self.client.get_paginator("describe_stack_events").paginate(StackName=self.id):
            yield from page["StackEvents"]


def stack_name(environment: str) -> str:
    """Return the name of the environment's stack."""
    return f"aws-contact-sync-{environment}"


def find_stack(aws: Aws, name: str, region: str | None = None) -> Stack | None:
    """Return the stack, None if there is none."""
    client = aws.client("cloudformation", region)
    try:
        described = client.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        # The name is valid, so the error means that there is no such stack.
        if code_of(error) == "ValidationError":
            return None
        raise
    return Stack(aws, name, region or aws.region, described)


def get_stack(aws: Aws, environment: str) -> Stack:
    """Return the environment's stack; raise if there is none."""
    name = stack_name(environment)
    if found := find_stack(aws, name):
        return found
    account, _ = aws.caller
    raise OperateError(
        f"there is no stack {name} in account {account}, region {aws.region}: deploy it with "
        "scripts/deploy.sh, or choose another with --environment, --region or --profile"
    )
