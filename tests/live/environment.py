"""A deployed environment as the live tests see it: by boto3, with the caller's credentials."""

import json
import os
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, TypeVar

import boto3

Json = dict[str, Any]
Found = TypeVar("Found")

POLL_SECONDS = float(os.environ.get("LIVE_POLL_SECONDS", "5"))
MINUTE = 60


class Environment:
    """The stack of one environment in the account and region that boto3 is signed in to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stack = f"aws-contact-sync-{name}"

    def client(self, service: str) -> Any:
        return boto3.client(service)

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

    def start(self, execution_input: Json) -> str:
        """Start the state machine; return the execution's ARN."""
        answer = self.client("stepfunctions").start_execution(
            stateMachineArn=self.machine,
            input=json.dumps({"reason": "tests/live", **execution_input}),
        )
        return str(answer["executionArn"])

    def ended(self, execution: str, minutes: float = 60) -> Json:
        """Wait for an execution's end; return it as DescribeExecution does."""
        client = self.client("stepfunctions")

        def look() -> Json | None:
            found: Json = client.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" else found

        return wait_for(f"the end of {execution}", look, minutes)

    def executions(self) -> Iterator[tuple[str, Json]]:
        """Yield the latest executions with their inputs."""
        client = self.client("stepfunctions")
        answer = client.list_executions(stateMachineArn=self.machine, maxResults=20)
        for each in answer["executions"]:
            told = client.describe_execution(executionArn=each["executionArn"])["input"]
            yield each["executionArn"], json.loads(told)

    def started_by(self, what: str, matches: Callable[[Json], bool], minutes: float) -> str:
        """Wait for an execution whose trigger matches; return its ARN."""

        def look() -> str | None:
            found = (arn for arn, told in self.executions() if matches(told.get("trigger", {})))
            return next(found, None)

        return wait_for(f"an execution by {what}", look, minutes)


def wait_for(what: str, look: Callable[[], Found | None], minutes: float) -> Found:
    """Look again and again until something is found."""
    deadline = time.monotonic() + minutes * MINUTE
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"waited {minutes} minutes for {what}"
        time.sleep(POLL_SECONDS)
    return found
