"""A deployed stack under test: executions, their histories, and messages."""

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from standin.errors import StandinError

if TYPE_CHECKING:
    from standin.running import RunningStandin

Json = dict[str, Any]

POLL_SECONDS = 0.05

_ENDED = {"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"}


@dataclass(frozen=True)
class Outcome:
    """How an execution ended."""

    status: str
    output: Any = None
    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True)
class Message:
    """A message as a topic's subscriber receives it."""

    subject: str | None
    body: str
    attributes: dict[str, str]


@dataclass
class Stack:
    """A deployed stack, with the state machine and topic from its outputs."""

    standin: "RunningStandin"
    name: str
    outputs: dict[str, str]
    _queue_url: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if topic := self.outputs.get("NotificationTopicArn"):
            self._queue_url = _subscribe(self.standin, topic, f"{self.name}-standin-messages")

    def client(self, service: str) -> Any:
        """Return a boto3 client of `service` in the management account."""
        return self.standin.client(service)

    def start(self, execution_input: Any = None, name: str | None = None) -> "Execution":
        """Start the state machine."""
        answer = self.standin.client("stepfunctions").start_execution(
            stateMachineArn=self.outputs["StateMachineArn"],
            input=json.dumps({} if execution_input is None else execution_input),
            **({"name": name} if name else {}),
        )
        return Execution(self.standin, answer["executionArn"])

    def run(self, execution_input: Any = None, timeout: float = 60.0) -> Outcome:
        """Start the state machine and wait for its end."""
        return self.start(execution_input).wait(timeout)

    def executions(self) -> list["Execution"]:
        """Return the machine's executions in the order of their start, including those of rules."""
        return list(self.statuses())

    def statuses(self) -> dict["Execution", str]:
        """Return the executions with their statuses, in few calls for any number of executions."""
        pages = self.standin.client("stepfunctions").get_paginator("list_executions")
        found = [
            execution
            for page in pages.paginate(stateMachineArn=self.outputs["StateMachineArn"])
            for execution in page["executions"]
        ]
        found.sort(key=lambda execution: execution["startDate"])
        return {Execution(self.standin, one["executionArn"]): one["status"] for one in found}

    def wait_for_executions(self, count: int, timeout: float = 60.0) -> list["Execution"]:
        """Wait until `count` executions have started and all that started have ended."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            executions = self.executions()
            if len(executions) >= count and all(e.status() in _ENDED for e in executions):
                return executions
            time.sleep(POLL_SECONDS)
        statuses = [execution.status() for execution in self.executions()]
        raise StandinError(f"wanted {count} ended executions, found {statuses}")

    def wait_until_started(self, count: int, timeout: float = 60.0) -> "Execution":
        """Wait until `count` executions have started; return the latest of them."""
        deadline = time.monotonic() + timeout
        while len(executions := self.executions()) < count:
            if time.monotonic() > deadline:
                raise StandinError(f"wanted {count} executions, found {len(executions)}")
            time.sleep(POLL_SECONDS)
        return executions[count - 1]

    def messages(self) -> list[Message]:
        """Return every message published to the notification topic so far."""
        queued = self.standin.queued_messages(self._queue_url)
        return [_message(json.loads(message["Body"])) for message in queued]

    def delete(self) -> None:
        """Delete the stack."""
        cloudformation = self.standin.client("cloudformation")
        cloudformation.delete_stack(StackName=self.name)
        cloudformation.get_waiter("stack_delete_complete").wait(
            StackName=self.name, WaiterConfig={"Delay": 1}
        )


@dataclass(frozen=True)
class Execution:
    """One execution, of the machine or of a child."""

    standin: "RunningStandin" = field(repr=False)
    arn: str

    @property
    def name(self) -> str:
        """The last part of the ARN."""
        return self.arn.rpartition(":")[2]

    def describe(self) -> Json:
        """Return the response of DescribeExecution."""
        answer: Json = self._client().describe_execution(executionArn=self.arn)
        return answer

    def status(self) -> str:
        """Return the status."""
        return str(self.describe()["status"])

    def input(self) -> Any:
        """Return the input."""
        return json.loads(self.describe()["input"])

    def wait(self, timeout: float = 60.0) -> Outcome:
        """Wait for the end and return how the execution ended."""
        deadline = time.monotonic() + timeout
        while (found := self.describe())["status"] not in _ENDED:
            if time.monotonic() > deadline:
                last = self.history()[-1]
                raise StandinError(f"{self.arn} still runs after {timeout} s; last event: {last}")
            time.sleep(POLL_SECONDS)
        succeeded = found["status"] == "SUCCEEDED"
        output = json.loads(found["output"]) if succeeded else None
        return Outcome(found["status"], output, found.get("error"), found.get("cause"))

    def stop(self, error: str = "", cause: str = "") -> None:
        """Abort the execution."""
        self._client().stop_execution(executionArn=self.arn, error=error, cause=cause)

    def history(self) -> list[Json]:
        """Return all events of the history."""
        pages = self._client().get_paginator("get_execution_history")
        return [event for page in pages.paginate(executionArn=self.arn) for event in page["events"]]

    def states(self) -> list[str]:
        """Return the names of the states entered, in order."""
        return [
            event["stateEnteredEventDetails"]["name"]
            for event in self.history()
            if "stateEnteredEventDetails" in event
        ]

    def map_runs(self) -> list[Json]:
        """Return the execution's Map Runs as DescribeMapRun shows them."""
        client = self._client()
        runs = client.list_map_runs(executionArn=self.arn)["mapRuns"]
        return [client.describe_map_run(mapRunArn=run["mapRunArn"]) for run in runs]

    def children(self) -> list["Execution"]:
        """Return the children of all Map Runs of this execution."""
        pages = self._client().get_paginator("list_executions")
        return [
            Execution(self.standin, child["executionArn"])
            for run in self.map_runs()
            for page in pages.paginate(mapRunArn=run["mapRunArn"])
            for child in page["executions"]
        ]

    def _client(self) -> Any:
        return self.standin.client("stepfunctions")


def _subscribe(standin: "RunningStandin", topic_arn: str, queue_name: str) -> str:
    sqs = standin.client("sqs")
    url: str = sqs.create_queue(QueueName=queue_name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    sns = standin.client("sns")
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=attributes["QueueArn"])
    return url


def _message(body: Json) -> Message:
    attributes = body.get("MessageAttributes", {})
    values = {name: attribute["Value"] for name, attribute in attributes.items()}
    return Message(body.get("Subject"), body["Message"], values)
