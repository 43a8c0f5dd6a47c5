"""Puts single functions, machines and rules on a stand-in, without a template."""

import io
import itertools
import json
import zipfile
from dataclasses import dataclass, field
from typing import Any

from standin.standin import Execution, Outcome, Standin

Json = dict[str, Any]

ROLE = "arn:aws:iam::999999999999:role/any"
HANDLER = '''
import os
import time

calls = 0


class ThrottledError(Exception):
    """Raised on demand."""


def lambda_handler(event, context):
    global calls
    calls += 1
    match event.get("do"):
        case "raise":
            raise ThrottledError("slow down")
        case "die":
            os._exit(3)
        case "sleep":
            time.sleep(event["seconds"])
    return {"calls": calls, "event": event}
'''


@dataclass
class Bench:
    """Creates resources with unique names on `standin`."""

    standin: Standin
    _numbers: Any = field(default_factory=itertools.count)

    def function(self, source: str = HANDLER, timeout: int = 10) -> str:
        """Create a single-file function; return its ARN."""
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("handler.py", source)
        answer = self.standin.client("lambda").create_function(
            FunctionName=self.name("function"),
            Runtime="python3.13",
            Role=ROLE,
            Handler="handler.lambda_handler",
            Code={"ZipFile": code.getvalue()},
            Timeout=timeout,
        )
        return str(answer["FunctionArn"])

    def machine(self, states: Json, **fields: Any) -> str:
        """Create a JSONata machine that starts at the first of `states`; return its ARN."""
        definition = {
            "QueryLanguage": "JSONata",
            "StartAt": next(iter(states)),
            "States": states,
            **fields,
        }
        answer = self.standin.client("stepfunctions").create_state_machine(
            name=self.name("machine"), roleArn=ROLE, definition=json.dumps(definition)
        )
        return str(answer["stateMachineArn"])

    def start(self, machine: str, execution_input: Any = None, **options: Any) -> Execution:
        answer = self.standin.client("stepfunctions").start_execution(
            stateMachineArn=machine, input=json.dumps(execution_input or {}), **options
        )
        return Execution(self.standin, answer["executionArn"])

    def execute(self, states: Json, execution_input: Any = None) -> Execution:
        """Create a machine, and run it once to its end."""
        execution = self.start(self.machine(states), execution_input)
        execution.wait(20)
        return execution

    def run(self, states: Json, execution_input: Any = None, **fields: Any) -> Outcome:
        """Create a machine, run it once, and return the outcome."""
        return self.start(self.machine(states, **fields), execution_input).wait(20)

    def queue(self) -> tuple[str, str]:
        """Create a queue; return its URL and ARN."""
        sqs = self.standin.client("sqs")
        url = sqs.create_queue(QueueName=self.name("queue"))["QueueUrl"]
        names = ["QueueArn"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]["QueueArn"]
        return url, arn

    def received(self, queue_url: str) -> list[Json]:
        """Receive the queue's messages."""
        answer = self.standin.client("sqs").receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        messages: list[Json] = answer.get("Messages", [])
        return messages

    def rule(self, pattern: Json, target: Json) -> None:
        """Send events that match `pattern` to `target`."""
        events = self.standin.client("events")
        name = self.name("rule")
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "target", "RoleArn": ROLE, **target}])

    def name(self, kind: str) -> str:
        return f"{kind}-{next(self._numbers)}"


def invoke(function: str, payload: Any = None, **fields: Any) -> Json:
    """Return a Task state that calls `function`, and ends the machine unless `fields` has Next."""
    following = {} if "Next" in fields else {"End": True}
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {
            "FunctionName": function,
            "Payload": "{% $states.input %}" if payload is None else payload,
        },
        "Output": "{% $states.result.Payload %}",
        **following,
        **fields,
    }


def caught() -> Json:
    """Return fields that catch every error in a state Caught, which outputs the error."""
    return {"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]}


CAUGHT: Json = {"Caught": {"Type": "Succeed"}}


def distributed_map(child_states: Json, **fields: Any) -> Json:
    """Return a Distributed Map over `input.items`, or what an ItemReader reads.

    Children start at the first child state.
    """
    items = {} if "ItemReader" in fields else {"Items": "{% $states.input.items %}"}
    return {
        "Type": "Map",
        "Label": "EachItem",
        **items,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": next(iter(child_states)),
            "States": child_states,
        },
        "End": True,
        **fields,
    }
