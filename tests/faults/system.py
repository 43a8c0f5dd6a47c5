"""The deployed system in process: the real definition and functions, moto, and the strict stand-in.

Executions advance one state at a time, in an order that the case draws, so that two of them meet
in any way that they could. A planned fault fails a call before it is made or after it was carried
out, or ends a function in the middle.
"""

import io
import itertools
import json
import random
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from unittest import mock

import botocore.client
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError
from contact_sync import keys
from contact_sync.observability import logger
from contact_sync.table import from_item, to_item
from faults.interpreter import Interpreter, StateError, Steps, load_definition
from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models.dynamo_type import DynamoType
from moto_stack import BUCKET, CONFIG_TABLE, STATE_TABLE, Cloud
from standin.organization import OrganizationClient
from standin.stack import Message

Json = dict[str, Any]

FUNCTIONS = {
    "contact-sync-handler": "contact_sync_handler",
    "account-lister": "account_lister",
    "alternate-contact-processor": "alternate_contact_processor",
    "primary-contact-processor": "primary_contact_processor",
    "sync-reporter": "sync_reporter",
}
ARN = "arn:aws:states:us-east-1:999999999999:execution:contact-sync"
MACHINE_ARN = ARN.replace(":execution:", ":stateMachine:")
START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
# Far beyond what the largest case needs: a machine that goes in circles is a finding, too.
MOST_STEPS = 20_000

numbers = itertools.count(1)


class KilledError(BaseException):
    """The function's process is gone: no handler of the function may catch this."""


@dataclass
class Execution:
    """One execution: what it was asked, how far it is, and how it ended."""

    name: str
    input: Json
    started_at: datetime
    steps: Steps
    status: str = "RUNNING"
    output: Any = None
    error: str | None = None
    states: list[str] = field(default_factory=list)

    @property
    def started_text(self) -> str:
        return self.started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @property
    def is_recovery(self) -> bool:
        return bool(self.input.get("trigger", {}).get("source") == "recovery")


class Faults:
    """The planned faults of functions and services; each passes `skip` matching calls first."""

    def __init__(self) -> None:
        self.plans: list[Json] = []

    def take(self, text: str, **wanted: str) -> Json | None:
        for plan in self.plans:
            matches = all(plan.get(name) == value for name, value in wanted.items())
            if not matches or plan.get("match", "") not in text or not plan["times"]:
                continue
            if plan.get("skip", 0):
                plan["skip"] -= 1
                continue
            plan["times"] -= 1
            return plan
        return None


class System:
    """Everything that a case needs; `after` is told of each task that ended well."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.organization: OrganizationClient = cloud.organization
        self.faults = Faults()
        self.now = 0.0
        self._executions: list[Execution] = []
        self._messages: list[Message] = []
        self.texts: list[tuple[str, str]] = []
        self.after: Callable[[Execution, str, Json, Any], None] = lambda *_: None
        self._invoke = {name: cloud.load(module) for name, module in FUNCTIONS.items()}
        self._definition = load_definition(
            {
                **{f"{_pascal(name)}FunctionArn": name for name in FUNCTIONS},
                "StateTableName": STATE_TABLE,
                "RunsBucketName": BUCKET,
                "NotificationTopicArn": "notifications",
                "Environment": "test",
            }
        )
        backend: Any = get_backend("dynamodb")[DEFAULT_ACCOUNT_ID]["us-east-1"]
        self._table = backend.tables[STATE_TABLE]
        self._kill: Json | None = None
        self._meets_faults = False
        self._log = io.StringIO()
        logger.handlers[0].setStream(self._log)  # type: ignore[attr-defined]

    def reset(self, world: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        """Begin again: this organization, this configuration, no state and no faults."""
        self.organization.reset(world)
        self.faults.plans = []
        self._executions, self._messages, self.texts = [], [], []
        self._log.seek(0)
        self._log.truncate()
        self._table.items.clear()
        for name in self.objects():
            self.cloud.s3.delete_object(Bucket=BUCKET, Key=name)
        item = to_item({"config_key": "default", **config})
        self.cloud.dynamodb.put_item(TableName=CONFIG_TABLE, Item=item)

    # What a case does.

    def start(self, execution_input: Json) -> Execution:
        """Start an execution; it runs as it is stepped."""
        name = f"execution-{next(numbers)}"
        started_at = START + timedelta(seconds=self.now, milliseconds=len(self._executions))
        execution = Execution(name, execution_input, started_at, iter(()))  # type: ignore[arg-type]
        interpreter = Interpreter(
            lambda resource, arguments: self._call(execution, resource, arguments),
            self.pass_time,
            lambda state, data: self._tell(f"{name} {state}", data),
        )
        self._tell(f"{name} input", execution_input)
        context = {
            "Execution": {
                "Name": name,
                "Id": f"{ARN}:{name}",
                "StartTime": execution.started_text,
                "Input": execution_input,
            }
        }
        execution.steps = interpreter.run(self._definition, execution_input, context)
        self._executions.append(execution)
        return execution

    def step(self, execution: Execution) -> None:
        """Let it go to its next state; one that dies is recovered, as the rule has it."""
        try:
            execution.states.append(next(execution.steps))
        except StopIteration as end:
            execution.status, execution.output = "SUCCEEDED", end.value
        except StateError as failure:
            execution.error = failure.error
            self._die(execution, "FAILED")

    def stop(self, execution: Execution, status: str) -> None:
        """Abort a running execution, or let it time out."""
        if execution.status == "RUNNING":
            execution.steps.close()
            self._die(execution, status)

    def run(self, order: random.Random, at: Callable[[int], None] = lambda _: None) -> None:
        """Step what runs, in the order drawn, until all has ended; `at` is told each step."""
        for number in range(MOST_STEPS):
            at(number)
            running = [one for one in self._executions if one.status == "RUNNING"]
            if not running:
                return
            self.step(order.choice(running))
        raise AssertionError(
            f"no end after {MOST_STEPS} steps: {self._executions[-1].states[-30:]}"
        )

    def clear_faults(self) -> None:
        """Let all be well again, and what was written be seen by readers."""
        self.faults.plans = []
        self.organization.clear_faults()
        self.pass_time(3_600)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    # What a case looks at.

    def executions(self) -> list[Execution]:
        return self._executions

    def messages(self) -> list[Message]:
        return self._messages

    def items(self) -> list[Json]:
        return [_values(item) for some in self._table.items.values() for item in some.values()]

    def item(self, key: Mapping[str, str]) -> Json:
        """Return one item, read where moto keeps it: a call takes ten times as long."""
        found = self._table.get_item(*(DynamoType({"S": key[name]}) for name in ("pk", "sk")))
        return _values(found) if found else {}

    def run_item(self, execution: Execution) -> Json:
        return self.item(keys.run(execution.started_text, execution.name))

    def objects(self) -> list[str]:
        listed = self.cloud.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [item["Key"] for item in listed]

    def load(self, key: str) -> Any:
        return json.loads(self.cloud.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def stored_texts(self) -> Iterator[tuple[str, str]]:
        """Yield (where, text) of all that is kept, but for the source objects."""
        yield from self.texts
        yield "log", self._log.getvalue()
        yield from (("message", str(one)) for one in self._messages)
        for item in self.items():
            yield "item", json.dumps(item, ensure_ascii=False)
        for name in self.objects():
            yield "object", name if name.endswith("source.json") else json.dumps(self.load(name))

    # The services, as the machine and the functions reach them.

    def _die(self, execution: Execution, status: str) -> None:
        execution.status = status
        event = {"event_id": f"death of {execution.name}", "event_name": status}
        event |= {"event_time": execution.started_text, "source": "recovery"}
        self.start({"trigger": {**event, "execution_arn": f"{ARN}:{execution.name}"}})

    def _call(self, execution: Execution, resource: str, arguments: Json) -> Any:
        """Do a task; what the tests read themselves meets no fault."""
        self._meets_faults = True
        try:
            result = self._integrate(resource, arguments)
        finally:
            self._meets_faults = False
        if resource.endswith("lambda:invoke"):
            event = arguments["Payload"]
            self.after(execution, event.get("action", "sync"), event, result["Payload"])
        return result

    def _integrate(self, resource: str, arguments: Json) -> Any:
        match resource.rpartition(":::")[2].split(":"):
            case ["lambda", "invoke"]:
                event = json.loads(json.dumps(arguments["Payload"]))
                return {"Payload": self._invoke_function(arguments["FunctionName"], event)}
            case ["dynamodb", action]:
                return _named("DynamoDB", getattr(self.cloud.dynamodb, _snake(action)), arguments)
            case ["sns", "publish"]:
                return self._publish(arguments)
            case ["s3", "getObject"]:
                try:
                    answer = _named("S3", self.cloud.s3.get_object, arguments)
                except StateError as failure:
                    raise StateError("States.ItemReaderFailed", failure.error) from None
                return json.loads(answer["Body"].read())
        raise AssertionError(f"no such integration: {resource}")

    def _publish(self, arguments: Json) -> Json:
        fault = self.faults.take(json.dumps(arguments), service="sns", operation="Publish")
        if fault is None or fault.get("performed"):
            attributes = arguments["MessageAttributes"].items()
            values = {name: value["StringValue"] for name, value in attributes}
            self._messages.append(Message(arguments["Subject"], arguments["Message"], values))
        if fault:
            raise StateError(f"SNS.{fault['error']}")
        return {"MessageId": "1"}

    def _invoke_function(self, name: str, event: Json) -> Any:
        fault = self.faults.take(json.dumps(event), function=name)
        if fault and fault["error"] != "kill":
            raise StateError(fault["error"], "planned")
        self._kill = {**fault} if fault else None
        try:
            answer = json.loads(json.dumps(self._invoke[name](event)))
        except KilledError:
            raise StateError("Runtime.ExitError", "planned") from None
        except Exception as error:  # noqa: BLE001 - as Lambda does
            cause = {"errorType": type(error).__name__, "errorMessage": str(error)}
            trace = traceback.format_exception(error)
            raise StateError(type(error).__name__, json.dumps({**cause, "trace": trace})) from None
        finally:
            killed, self._kill = self._kill, None
        if killed:  # it had no call left to die at: its answer is lost
            raise StateError("Runtime.ExitError", "planned")
        return answer

    def api_call(self, client: Any, operation: str, request: Json) -> Any:
        """Stand between every client and its service."""
        if not self._meets_faults:
            return self._perform(client, operation, request)
        service = client.meta.service_model.service_name
        kill, self._kill = self._kill, None
        if kill:
            kill["calls"] -= 1
            if kill["calls"] >= 0:
                self._kill = kill
            else:
                if kill["performed"]:
                    self._perform(client, operation, request)
                raise KilledError
        fault = self.faults.take(str(request), service=service, operation=operation)
        if fault is None:
            return self._perform(client, operation, request)
        if fault.get("performed"):
            self._perform(client, operation, request)
        if fault["error"] == "no answer":
            raise ReadTimeoutError(endpoint_url="https://service.example.com")
        status = 500 if "Internal" in fault["error"] else 400
        response = {
            # Messages of AWS may repeat what was sent.
            "Error": {"Code": fault["error"], "Message": f"planned for {request}"},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }
        raise ClientError(cast("Any", response), operation)

    def _perform(self, client: Any, operation: str, request: Json) -> Any:
        if operation == "DescribeExecution":
            return self._describe(request["executionArn"])
        return original_api_call(client, operation, request)

    def _describe(self, arn: str) -> Json:
        for one in self._executions:
            if arn == f"{ARN}:{one.name}":
                described = {"status": one.status, "startDate": one.started_at}
                return {**described, "input": json.dumps(one.input)}
        error: Any = {"Error": {"Code": "ExecutionDoesNotExist"}, "ResponseMetadata": {}}
        raise ClientError(error, "DescribeExecution")

    def _tell(self, where: str, data: Any) -> None:
        self.texts.append((where, json.dumps(data, ensure_ascii=False)))


original_api_call: Any = botocore.client.BaseClient._make_api_call


def between_clients_and_services(system: System) -> Any:
    """Patch botocore for as long as the context lasts."""

    def call(client: Any, operation: str, request: Json) -> Any:
        return system.api_call(client, operation, request)

    return mock.patch.object(botocore.client.BaseClient, "_make_api_call", call)


def _named(service: str, call: Callable[..., Any], arguments: Json) -> Any:
    try:
        return call(**arguments)
    except ClientError as error:
        raise StateError(f"{service}.{error.response['Error']['Code']}") from None
    except BotoCoreError:
        raise StateError(f"{service}.SdkClientException") from None


def _values(item: Any) -> Json:
    return from_item(item.to_json()["Attributes"])


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
