"""The machine in moto, whose interpreter shares no code with MiniStack's; functions run in process.

Tests use it like the other one: the same Machine, Stack and Execution, with moto's clients.

Patches add what moto lacks: JSONata, Lambda, nested starts, planned faults, and a Fail that ends
with an error of `States.`. Waits and retries take no time. Where moto differs from Step Functions:
- It ignores a Map's failure tolerance, accepts `ToleratedFailurePercentage` only as a float, has
  no payload limit, and takes a minute for an input near Step Functions' limit.
- It shows neither Map Runs nor the histories of children, so that all histories are recorded when
  they are written; a stopped execution stays RUNNING in a Map.
- It requires a name for each execution.
- It is stricter in one respect: a child may not assign a variable with a name of its parent's.
"""

import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import boto3
import jsonata
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sqs.models import sqs_backends
from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.item_reader.eval.resource_eval_s3 import (  # noqa: E501
    ResourceEvalS3,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_dynamodb,
    state_task_service_sfn,
    state_task_service_sns,
)
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
from standin.organization import OrganizationClient
from standin.stack import Stack
from support import asl
from support.machine import Machine
from support.moto_stack import BUCKET, CONFIG_TABLE, STATE_TABLE, Cloud

Json = dict[str, Any]

ASL = "moto.stepfunctions.parser.asl"
NAME, REGION = "machine", "us-east-1"
ARN = f"arn:aws:states:{REGION}:{DEFAULT_ACCOUNT_ID}:stateMachine:{NAME}"
CHILD = asl.load()["States"]["SyncAccounts"]["ItemProcessor"]
FIRST_OF_CHILD = CHILD["StartAt"]
ENDS = {name for name, state in CHILD["States"].items() if not {"Next", "Choices"} & state.keys()}
FUNCTIONS = {
    "ContactSyncHandlerFunctionArn": "contact-sync-handler",
    "AccountListerFunctionArn": "account-lister",
    "AlternateContactProcessorFunctionArn": "alternate-contact-processor",
    "PrimaryContactProcessorFunctionArn": "primary-contact-processor",
    "SyncReporterFunctionArn": "sync-reporter",
}
SERVICES = {
    "dynamodb": state_task_service_dynamodb.StateTaskServiceDynamoDB,
    "sns": state_task_service_sns.StateTaskServiceSns,
    "states": state_task_service_sfn.StateTaskServiceSfn,
}


class MotoStandin:
    """The interface of a stand-in that Machine, Stack and Execution use."""

    def __init__(self, organization: OrganizationClient) -> None:
        self.organization = organization
        self.histories: dict[int, list[Json]] = {}
        self._managers: list[EventManager] = []  # kept, so that no id is reused
        self._clients: dict[str, Any] = {}
        self._faults: list[Json] = []
        cloud = Cloud(organization)
        self._handlers = {name: cloud.load(name.replace("-", "_")) for name in FUNCTIONS.values()}

    def client(self, service: str) -> Any:
        """Return a client of moto, which names executions without a name."""
        if service not in self._clients:
            make: Any = boto3.client
            self._clients[service] = client = make(service, region_name=REGION)
            start = "provide-client-params.stepfunctions.StartExecution"
            client.meta.events.register(
                start, lambda params, **_: {"name": uuid.uuid4().hex} | params
            )
        return self._clients[service]

    def set_faults(self, faults: list[Json]) -> None:
        self._faults = [{"times": 1, **fault} for fault in faults]

    def clear_faults(self) -> None:
        self._faults = []

    def faults(self) -> list[Json]:
        return self._faults

    def await_quiet(self) -> None:
        """Nothing outlives its execution: functions run in the execution's own thread."""

    def queued_messages(self, queue_url: str) -> list[Json]:
        queue = sqs_backends[DEFAULT_ACCOUNT_ID][REGION].get_queue(queue_url.rpartition("/")[2])
        return [{"Body": message.body} for message in queue._messages]

    def taken(self) -> set[asl.Edge]:
        """Return every transition that executions and children took."""
        edges = (edge for history in self.histories.values() for edge in asl.taken(history))
        # Children of one worker share a history; between two children, there is no transition.
        return {edge for edge in edges if edge.target != FIRST_OF_CHILD or edge.source not in ENDS}

    def _fault(self, request: Any, **where: str) -> str | None:
        """Return the error planned for a call, if any, and count it."""
        for fault in self._faults:
            is_here = all(fault.get(key) == value for key, value in where.items())
            if is_here and fault["times"] and fault.get("match", "") in json.dumps(request):
                fault["times"] -= 1
                return str(fault.get("error", "Runtime.ExitError"))
        return None

    def _invoke(self, env: Any, parameters: Json, **_: Any) -> None:
        """Replace Lambda, which reports a function's exception by its class name."""
        name = parameters["FunctionName"].rpartition(":")[2]
        payload = json.loads(parameters["Payload"])
        error, message = self._fault(payload, function=name), "planned fault"
        try:
            answer = None if error else self._handlers[name](payload)
        except Exception as failure:  # noqa: BLE001 - Lambda reports any exception
            error, message = type(failure).__name__, str(failure)
        if error:
            report = json.dumps({"errorType": error, "errorMessage": message})
            raise lambda_eval_utils.LambdaFunctionErrorException("Unhandled", report)
        env.stack.append({"StatusCode": 200, "Payload": answer})

    def _faulty(self, service: str, original: Any) -> Any:
        # moto appends this to the API's error code.
        suffix = "Exception" if service == "states" else ""

        def call(task: Any, env: Any, **options: Any) -> Any:
            if planned := self._fault(options["normalised_parameters"], service=service):
                code = planned.removesuffix(suffix)
                answer: Any = {
                    "Error": {"Code": code, "Message": "planned fault"},
                    "ResponseMetadata": {"HTTPStatusCode": 400, "RequestId": "request-1"},
                }
                raise ClientError(answer, "Operation")
            return original(task, env, **options)

        return call

    def _start_execution(self, _task: Any, env: Any, **options: Any) -> None:
        """Replace `states:startExecution`, whose parameters moto does not translate."""
        given = options["normalised_parameters"]
        parameters = {f"{name[0].lower()}{name[1:]}": value for name, value in given.items()}
        answer = self.client("stepfunctions").start_execution(**parameters)
        started = {"ExecutionArn": answer["executionArn"], "StartDate": str(answer["startDate"])}
        env.stack.append(started)

    def _faulty_reader(self, original: Any) -> Any:
        def read(reader: Any, env: Any) -> None:
            if self._fault(env.stack[-1], service="s3"):
                name = ErrorName("States.ItemReaderFailed")
                details: Any = {"mapRunFailedEventDetails": {"error": name.error_name}}
                event = FailureEvent(env, name, HistoryEventType.MapRunFailed, details)
                raise FailureEventException(event)
            original(reader, env)

        return read

    def _recorded(self, original: Any) -> Any:
        def publish(manager: EventManager, **event: Any) -> None:
            original(manager, **event)
            shown = {**(event["event_details"] or {}), "type": str(event["event_type"].value)}
            self.histories.setdefault(id(manager), []).append(shown)
            self._managers.append(manager)

        return publish

    @contextmanager
    def patched(self) -> Iterator[None]:
        """Patch in what moto lacks."""
        exec_state = f"{ASL}.component.state.exec.state_task"
        wait = f"{ASL}.component.state.wait.wait_function.wait_function.WaitFunction"
        reader = f"{ResourceEvalS3.__module__}.{ResourceEvalS3.__name__}"
        with ExitStack() as stack:
            for target, value in {
                f"{ASL}.jsonata.jsonata._eval_jsonata": _evaluate,
                f"{exec_state}.lambda_eval_utils.execute_lambda_function_integration": self._invoke,
                f"{ASL}.component.common.retry.retrier_decl.time.sleep": lambda _: None,
                f"{wait}._wait_interval": lambda *_, **__: None,
                f"{ASL}.component.state.fail.state_fail.CustomErrorName": ErrorName,
                f"{reader}.eval_resource": self._faulty_reader(ResourceEvalS3.eval_resource),
            }.items():
                stack.enter_context(patch(target, value))
            for name, service in SERVICES.items():
                original = service._eval_service_task
                call = self._start_execution if name == "states" else original
                method = self._faulty(name, call)
                stack.enter_context(patch.object(service, "_eval_service_task", method))
            ended = threading.Lock()
            for owner, name in (
                (BaseExecutionWorkerCommunication, "_reflect_execution_status"),
                (Execution, "to_describe_output"),
            ):
                method = _exclusive(ended, getattr(owner, name))
                stack.enter_context(patch.object(owner, name, method))
            publish = self._recorded(EventManager._publish_history_event)
            stack.enter_context(patch.object(EventManager, "_publish_history_event", publish))
            yield


@contextmanager
def second_machine(organization: OrganizationClient) -> Iterator[Machine]:
    """Create the machine; environment variables tell functions the organization and the machine."""
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        standin: Any = MotoStandin(organization)
        topic = standin.client("sns").create_topic(Name="notifications")["TopicArn"]
        values = {
            **{key: f"arn:aws:lambda:::function:{name}" for key, name in FUNCTIONS.items()},
            "StateTableName": STATE_TABLE,
            "RunsBucketName": BUCKET,
            "NotificationTopicArn": topic,
            "Environment": "test",
            "Partition": "aws",
            "StateMachineArn": ARN,
        }
        made = standin.client("stepfunctions").create_state_machine(
            name=NAME,
            definition=re.sub(r"\$\{(\w+)\}", lambda m: values[m[1]], asl.DEFINITION.read_text()),
            roleArn="arn:aws:iam::999999999999:role/any",
        )
        assert ARN == made["stateMachineArn"]
        outputs = {
            "StateMachineArn": ARN,
            "NotificationTopicArn": topic,
            "StateTableName": STATE_TABLE,
            "ConfigTableName": CONFIG_TABLE,
            "DefaultConfiguration": json.dumps({"config_key": "default"}),
        }
        with standin.patched():
            yield Machine(standin, Stack(standin, NAME, outputs), recovers=False)


def _exclusive(lock: threading.Lock, original: Any) -> Any:
    """Prevent descriptions of an execution that has its final status, but not yet its output."""

    def call(*arguments: Any) -> Any:
        with lock:
            return original(*arguments)

    return call


def _evaluate(expression: str) -> Any:
    return jsonata.Jsonata(expression).evaluate(None)
