"""A deployed environment, accessed by boto3 with the caller's credentials."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any, TypeVar

import boto3
import pytest
from operate.aws import PARTITIONS

Json = dict[str, Any]
Found = TypeVar("Found")

POLL_SECONDS = float(os.environ.get("LIVE_POLL_SECONDS", "5"))
MINUTE = 60
# MiniStack enforces no policies, and emits no events for API calls.
ON_AWS = pytest.mark.skipif(
    "AWS_ENDPOINT_URL" in os.environ,
    reason="the stand-in enforces no policy, and emits no events for API calls",
)
ALTERNATES = ("SECURITY", "OPERATIONS", "BILLING")


class Environment:
    """The stack of one environment, in the account and Region of boto3's credentials."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stack = f"aws-contact-sync-{name}"

    def client(self, service: str, region: str | None = None) -> Any:
        return boto3.client(service, region_name=region)

    @cached_property
    def described(self) -> Json:
        (found,) = self.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"]
        return dict(found)

    @cached_property
    def outputs(self) -> dict[str, str]:
        return {each["OutputKey"]: each["OutputValue"] for each in self.described["Outputs"]}

    @cached_property
    def parameters(self) -> dict[str, str]:
        found = self.described["Parameters"]
        return {each["ParameterKey"]: each["ParameterValue"] for each in found}

    @property
    def machine(self) -> str:
        return self.outputs["StateMachineArn"]

    @property
    def account(self) -> str:
        return self.machine.split(":")[4]

    @property
    def home_of_events(self) -> str:
        """The Region with the events of accounts."""
        return PARTITIONS[self.machine.split(":")[1]][0]

    def start(self, execution_input: Json) -> str:
        """Start the state machine; return the execution's ARN."""
        answer = self.client("stepfunctions").start_execution(
            stateMachineArn=self.machine,
            input=json.dumps({"reason": "tests/live", **execution_input}),
        )
        return str(answer["executionArn"])

    def ended(self, execution: str, minutes: float = 60) -> Json:
        """Wait for an execution's end; return the result of DescribeExecution."""
        client = self.client("stepfunctions")

        def look() -> Json | None:
            found: Json = client.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" else found

        return wait_for(f"the end of {execution}", look, minutes)

    def stop(self, execution: str) -> float:
        """Stop an execution; return the seconds until DescribeExecution reports its end."""
        client = self.client("stepfunctions")
        with suppress(
            client.exceptions.ExecutionDoesNotExist, client.exceptions.ValidationException
        ):
            client.stop_execution(executionArn=execution, cause="tests/live")
        began = time.monotonic()
        if self.ended(execution, minutes=5)["status"] != "ABORTED":
            pytest.skip("the run ended before it could be stopped: try again")
        return time.monotonic() - began

    def contact_of(self, account_id: str) -> tuple[Any, Json, Json]:
        """Return a client, and an alternate contact of a member: its identity and its values."""
        if not account_id:
            pytest.skip("set LIVE_ACCOUNT to a member whose alternate contacts may be changed")
        client = self.client("account")
        for kind in ALTERNATES:
            which = {"AccountId": account_id, "AlternateContactType": kind}
            try:
                found = client.get_alternate_contact(**which)["AlternateContact"]
            except client.exceptions.ResourceNotFoundException:
                continue
            return client, which, values_of(found)
        pytest.skip("LIVE_ACCOUNT has no alternate contact: run test_member first")

    def executions(self) -> Iterator[tuple[str, Json]]:
        """Yield the latest executions with their inputs."""
        client = self.client("stepfunctions")
        answer = client.list_executions(stateMachineArn=self.machine, maxResults=20)
        for each in answer["executions"]:
            found = client.describe_execution(executionArn=each["executionArn"])["input"]
            yield each["executionArn"], json.loads(found)

    def started_by(self, what: str, matches: Callable[[Json], bool], minutes: float) -> str:
        """Wait for an execution whose trigger matches; return its ARN."""

        def look() -> str | None:
            found = (arn for arn, one in self.executions() if matches(one.get("trigger", {})))
            return next(found, None)

        return wait_for(f"an execution by {what}", look, minutes)


def values_of(contact: Json) -> Json:
    """Return the fields of a contact for a Put operation."""
    return {name: contact[name] for name in ("Name", "Title", "EmailAddress", "PhoneNumber")}


def wait_for(what: str, look: Callable[[], Found | None], minutes: float) -> Found:
    """Poll until something is found."""
    deadline = time.monotonic() + minutes * MINUTE
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"waited {minutes} minutes for {what}"
        time.sleep(POLL_SECONDS)
    return found
