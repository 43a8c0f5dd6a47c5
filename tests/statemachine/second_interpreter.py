"""The machine in moto, whose interpreter is another than MiniStack's; functions run in process.

What moto lacks is put in: JSONata, Lambda. Waits and retries take no time. Where moto differs from
Step Functions:
- It evaluates no tolerance of a Map, takes `ToleratedFailurePercentage` only as a float, names no
  failure of an ItemReader, and lets no Fail state end with an error of `States.`
- It shows neither Map Runs nor the histories of children, so that all histories are taken where
  they are written; a stopped execution stays RUNNING in a Map.
- It needs a name for each execution.
- It is the stricter one in one point: a child may not assign a variable of its parent's name.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import boto3
import jsonata
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_dynamodb,
    state_task_service_sns,
)
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager
from moto_stack import BUCKET, CONFIG_TABLE, STATE_TABLE, Cloud
from standin.organization import OrganizationClient

from statemachine import asl

Json = dict[str, Any]

ASL = "moto.stepfunctions.parser.asl"
FIRST_OF_CHILD = asl.load()["States"]["SyncAccounts"]["ItemProcessor"]["StartAt"]
ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")
FUNCTIONS = {
    "ContactSyncHandlerFunctionArn": "contact_sync_handler",
    "AccountListerFunctionArn": "account_lister",
    "AlternateContactProcessorFunctionArn": "alternate_contact_processor",
    "PrimaryContactProcessorFunctionArn": "primary_contact_processor",
    "SyncReporterFunctionArn": "sync_reporter",
}
SERVICES = (
    state_task_service_dynamodb.StateTaskServiceDynamoDB,
    state_task_service_sns.StateTaskServiceSns,
)


class SecondMachine:
    """The real definition and functions, in moto."""

    def __init__(self, cloud: Cloud) -> None:
        self.organization = cloud.organization
        self.histories: dict[int, list[Json]] = {}
        self._faults: list[Json] = []
        self._hold = ""
        self.lose_manifests = False
        self._stepfunctions = cloud.stepfunctions
        self._dynamodb = cloud.dynamodb
        self._s3 = cloud.s3
        self._handlers = {name: cloud.load(name) for name in FUNCTIONS.values()}
        self._executions = 0
        topic: Any = boto3.client("sns")
        values = {
            **{key: f"arn:aws:lambda:::function:{name}" for key, name in FUNCTIONS.items()},
            "StateTableName": STATE_TABLE,
            "RunsBucketName": BUCKET,
            "NotificationTopicArn": topic.create_topic(Name="notifications")["TopicArn"],
            "Environment": "test",
        }
        self.arn = self._stepfunctions.create_state_machine(
            name="machine",
            definition=re.sub(r"\$\{(\w+)\}", lambda m: values[m[1]], asl.DEFINITION.read_text()),
            roleArn="arn:aws:iam::999999999999:role/any",
        )["stateMachineArn"]

    def start(self, told: Json) -> str:
        """Start an execution; return its ARN."""
        self._executions += 1
        answer = self._stepfunctions.start_execution(
            stateMachineArn=self.arn, name=f"run-{self._executions}", input=json.dumps(told)
        )
        return str(answer["executionArn"])

    def wait(self, arn: str) -> Json:
        """Wait for the end of an execution and describe it, with the names of its states."""
        while (found := self._stepfunctions.describe_execution(executionArn=arn))[
            "status"
        ] not in ENDED:
            threading.Event().wait(0.01)
        history = self._stepfunctions.get_execution_history(executionArn=arn)["events"]
        entered = [e["stateEnteredEventDetails"]["name"] for e in history if _enters(e)]
        return {**found, "states": entered}

    def run(self, told: Json | None = None) -> Json:
        """Start an execution and wait for its end."""
        return self.wait(self.start(told or {}))

    def configure(self, **config: Any) -> None:
        """Write the configuration item."""
        table: Any = boto3.resource("dynamodb").Table(CONFIG_TABLE)
        table.put_item(Item={"config_key": "default", **config})

    def put_lock(self, holder: str) -> None:
        """Let an execution of this name hold the lock."""
        item = {"pk": {"S": "LOCK"}, "sk": {"S": "LOCK"}, "holder": {"S": holder}}
        self._dynamodb.put_item(TableName=STATE_TABLE, Item=item)

    def lock(self) -> Json:
        """Return the lock item without its key."""
        key = {"pk": {"S": "LOCK"}, "sk": {"S": "LOCK"}}
        item = self._dynamodb.get_item(TableName=STATE_TABLE, Key=key).get("Item", {})
        return {name: value for name, value in item.items() if name not in key}

    def reset(self) -> None:
        """Begin again with an empty state table and no fault."""
        self._faults.clear()
        self.lose_manifests = False
        for item in self._dynamodb.scan(TableName=STATE_TABLE)["Items"]:
            key = {name: item[name] for name in ("pk", "sk")}
            self._dynamodb.delete_item(TableName=STATE_TABLE, Key=key)

    @contextmanager
    def held(self, match: str) -> Iterator[None]:
        """Keep the function that `match` names from answering until the block ends."""
        self._hold, self._is_held, self._goes_on = match, threading.Event(), threading.Event()
        try:
            yield
        finally:
            self._hold = ""
            self._goes_on.set()

    def await_held(self) -> None:
        """Wait until the function was called."""
        self._is_held.wait()

    def fail(self, error: str, *words: str, times: int = 1) -> None:
        """Let the next calls fail whose function and parameters contain all the words."""
        self._faults.append({"words": words, "error": error, "times": times})

    def taken(self) -> set[asl.Edge]:
        """Return every way that executions and children took."""
        edges = (edge for history in self.histories.values() for edge in asl.taken(history))
        # The children of one worker share a history: where the next one starts is no way.
        return {edge for edge in edges if edge.target != FIRST_OF_CHILD}

    def _fault(self, called: str) -> str | None:
        for fault in self._faults:
            if fault["times"] and all(word in called for word in fault["words"]):
                fault["times"] -= 1
                return str(fault["error"])
        return None

    def _invoke(self, env: Any, parameters: Json, **_: Any) -> None:
        """Stand for Lambda: a function's exception has its class's name."""
        name = parameters["FunctionName"].rpartition(":")[2]
        try:
            answer = self._answer(name, json.loads(parameters["Payload"]))
        except Exception as error:
            report = {"errorType": type(error).__name__, "errorMessage": str(error)}
            raise lambda_eval_utils.LambdaFunctionErrorException(
                "Unhandled", json.dumps(report)
            ) from error
        env.stack.append({"StatusCode": 200, "Payload": answer})

    def _answer(self, function: str, payload: Json) -> Json:
        called = f"{function} {json.dumps(payload)}"
        if error := self._fault(called):
            raise type(error, (Exception,), {})("planned fault")
        if self._hold and self._hold in called:
            self._is_held.set()
            self._goes_on.wait()
        answer = self._handlers[function](payload)
        if self.lose_manifests and "manifest_key" in payload:
            self._s3.delete_object(Bucket=BUCKET, Key=payload["manifest_key"])
        return answer

    def _faulty(self, original: Any) -> Any:
        def call(task: Any, env: Any, **options: Any) -> Any:
            if code := self._fault(json.dumps(options["normalised_parameters"])):
                answer: Any = {
                    "Error": {"Code": code, "Message": "planned fault"},
                    "ResponseMetadata": {"HTTPStatusCode": 400, "RequestId": "request-1"},
                }
                raise ClientError(answer, "UpdateItem")
            return original(task, env, **options)

        return call

    def _record(self, original: Any) -> Any:
        def publish(manager: EventManager, **event: Any) -> None:
            original(manager, **event)
            shown = {**(event["event_details"] or {}), "type": str(event["event_type"].value)}
            self.histories.setdefault(id(manager), []).append(shown)
            self._managers.append(manager)

        self._managers: list[EventManager] = []  # kept, so that an id stays that of one
        return publish

    @contextmanager
    def patched(self) -> Iterator[None]:
        """Put in what moto lacks."""
        with ExitStack() as stack:

            def put(target: str, value: Any) -> None:
                stack.enter_context(patch(f"{ASL}.{target}", value))

            put("jsonata.jsonata._eval_jsonata", _evaluate)
            put(
                "component.state.exec.state_task.lambda_eval_utils"
                ".execute_lambda_function_integration",
                self._invoke,
            )
            put("component.common.retry.retrier_decl.time.sleep", lambda _: None)
            put(
                "component.state.wait.wait_function.wait_function.WaitFunction._wait_interval",
                lambda *_, **__: None,
            )
            for service in SERVICES:
                method = self._faulty(service._eval_service_task)
                stack.enter_context(patch.object(service, "_eval_service_task", method))
            publish = self._record(EventManager._publish_history_event)
            stack.enter_context(patch.object(EventManager, "_publish_history_event", publish))
            yield


@contextmanager
def second_machine(organization: OrganizationClient) -> Iterator[SecondMachine]:
    """Make the machine; the environment names the organization and the machine to functions."""
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        machine = SecondMachine(Cloud(organization))
        with machine.patched():
            yield machine


def _evaluate(expression: str) -> Any:
    return jsonata.Jsonata(expression).evaluate(None)


def _enters(event: Json) -> bool:
    return "stateEnteredEventDetails" in event
