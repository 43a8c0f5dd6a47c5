"""The deployed system on a bench: definition, functions and rules as they are, and a clock to turn.

A test says what comes when: it lets one execution enter a state, stops another, holds a function
in the middle, and moves the clock. Whatever the template's rules answer to an event happens.
"""

import datetime as calendar
import importlib
import itertools
import json
import pkgutil
import re
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

import boto3
import botocore.client
from botocore.exceptions import BotoCoreError, ClientError
from faults.interpreter import Interpreter, StateError, Steps, load_definition
from moto_stack import BUCKET, CONFIG_TABLE, CONTEXT, STATE_TABLE, Cloud
from standin.organization import OrganizationClient, drifted_world
from standin.organization.quotas import DEFAULT_QUOTAS
from standin.organization.worlds import MANAGEMENT_ACCOUNT_ID, SOURCE_CONTACTS
from standin.stack import Message
from template.event_rules import matches, transform
from template.event_samples import EVENTS
from template.stack import ROOT, Stack

Json = dict[str, Any]
Names = str | tuple[str, ...]

ONE, TWO, THREE = (str(100_000_000_001 + index) for index in range(3))
JOINING = "100000000901"
TYPES = ["primary", "billing", "operations", "security"]

FUNCTIONS = {
    "contact-sync-handler": "contact_sync_handler",
    "account-lister": "account_lister",
    "alternate-contact-processor": "alternate_contact_processor",
    "primary-contact-processor": "primary_contact_processor",
    "sync-reporter": "sync_reporter",
}
ALTERNATE, PRIMARY = "alternate-contact-processor", "primary-contact-processor"
HANDLER, REPORTER = "contact-sync-handler", "sync-reporter"
# States that have another name since version 2.
RECORD = ("RecordRound", "RecordRun")

DAY = 86_400.0
# What one task takes.
TASK = 0.05
START = calendar.datetime(2026, 11, 26, 10, 0, tzinfo=calendar.UTC)
# Far beyond what a case needs: one that goes in circles is a finding, too.
MOST_STEPS = 4_000

numbers = itertools.count(1)


class KilledError(BaseException):
    """The function's process is gone: no handler of the function may catch this."""


class StoppedError(BaseException):
    """Somebody stopped the execution while its function worked."""


class Clock:
    """The time that product, stand-in and Wait states share."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._originals: dict[tuple[Any, str], Any] = {}
        self._others = {
            "datetime": (calendar.datetime, type("Now", (_Now,), {"clock": self})),
            "time": (time, SimpleNamespace(**{**vars(time), **self._time()})),
        }

    def now(self) -> calendar.datetime:
        return START + calendar.timedelta(seconds=self.seconds)

    def text(self) -> str:
        return _text(self.now())

    def wind(self, seconds: float) -> None:
        self.seconds += seconds

    def give_to_product(self) -> None:
        """Let every module of the functions read this clock in place of the machine's."""
        for module in _product():
            for name, (original, other) in self._others.items():
                if getattr(module, name, None) is original:
                    self._originals[module, name] = original
                    setattr(module, name, other)

    def take_back(self) -> None:
        for (module, name), original in self._originals.items():
            setattr(module, name, original)

    def _time(self) -> dict[str, Any]:
        return {
            "time": lambda: self.now().timestamp(),
            "monotonic": lambda: self.seconds,
            "sleep": self.wind,
        }


class _Now(calendar.datetime):
    clock: Clock

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        at = cls.clock.now()
        return at.astimezone(tz) if tz else at.replace(tzinfo=None)


@dataclass
class Execution:
    """One execution: what it was asked, how far it is, and how it ended."""

    name: str
    arn: str
    input: Any
    started_at: calendar.datetime
    interpreter: Interpreter
    context: Json
    steps: Steps
    status: str = "RUNNING"
    output: Any = None
    error: str | None = None
    cause: str | None = None
    states: list[str] = field(default_factory=list)
    stopped_at: calendar.datetime | None = None
    redriven_at: calendar.datetime | None = None

    @property
    def is_running(self) -> bool:
        return self.status == "RUNNING"

    @property
    def summary(self) -> str:
        """How it ended, to be shown where it should have ended otherwise."""
        trigger = self.input.get("trigger") if isinstance(self.input, dict) else None
        source = (trigger or {}).get("source", "by hand")
        return f"{source} {self.status} {self.error} {self.cause} {self.output}"


@dataclass
class Fault:
    """A planned fault of a function or a service.

    It lasts as many times, and as many seconds, as it says: None is for ever. It meets a call only
    in its states, if it has any. An integration may report it by another name than an SDK.
    """

    error: str
    function: str = ""
    service: str = ""
    operation: str = ""
    match: str = ""
    states: Names = ()
    times: int | None = None
    until: float | None = None
    reported: str = ""

    def meets(self, text: str, state: str, now: float, **wanted: str) -> bool:
        if self.times == 0 or (self.until is not None and now >= self.until):
            return False
        if any(getattr(self, name) not in ("", value) for name, value in wanted.items()):
            return False
        states = (self.states,) if isinstance(self.states, str) else self.states
        if (states and state not in states) or not re.search(self.match, text):
            return False
        if self.times is not None:
            self.times -= 1
        return True


class LateFunction(threading.Thread):
    """A function that stops before one of its calls, and goes on when it is let."""

    def __init__(self, work: Callable[[], Any], before: str, deadline: float) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.before = before
        self.deadline = deadline
        self.is_held = False
        self.calls: list[str] = []
        self._stopped, self._going_on = threading.Event(), threading.Event()
        self.result: Any = None

    def run(self) -> None:
        try:
            self.result = self._work()
        except (Exception, KilledError) as error:  # noqa: BLE001 - its end is nobody's concern
            self.result = error
        self._stopped.set()

    def call(self, operation: str) -> None:
        """Stop before the call, if it is the one; keep in mind what it does late."""
        if self.is_held:
            self.calls.append(operation)
        elif re.fullmatch(self.before, operation):
            self.is_held = True
            self._stopped.set()
            self._going_on.wait(60)
            self.calls.append(operation)

    def work(self) -> None:
        """Begin; return once it ended or stopped."""
        self.start()
        self._stopped.wait(60)

    def go_on(self) -> None:
        self._going_on.set()
        self.join(60)


class Bench:
    """Everything that a case needs."""

    def __init__(self, cloud: Cloud, clock: Clock, stack: Stack) -> None:
        self.cloud, self.clock, self.stack = cloud, clock, stack
        clock.give_to_product()
        self.organization: OrganizationClient = cloud.organization
        machine, topic = (
            next(iter(stack.of_type(kind)))
            for kind in ("AWS::StepFunctions::StateMachine", "AWS::SNS::Topic")
        )
        self.machine_arn, self.topic_arn = stack.arn(machine), stack.arn(topic)
        self._execution_prefix = self.machine_arn.replace(":stateMachine:", ":execution:")
        functions = stack.of_type("AWS::Lambda::Function").values()
        self.timeouts = {
            name: one["Timeout"]
            for name in FUNCTIONS
            for one in functions
            if one["FunctionName"].endswith(name)
        }
        self._rules = stack.of_type("AWS::Events::Rule")
        self._definition = load_definition(
            {
                **{f"{_pascal(name)}FunctionArn": name for name in FUNCTIONS},
                "StateTableName": STATE_TABLE,
                "RunsBucketName": BUCKET,
                "NotificationTopicArn": self.topic_arn,
                "Environment": "test",
                "Partition": "aws",
                "StateMachineArn": self.machine_arn,
            }
        )
        self._account: Any = boto3.client("account")
        self._functions: dict[str, Callable[[Json], Any]] = {}
        self._meets_faults: Execution | None = None
        self.reset([])

    def reset(self, types: list[str], members: int = 3, **settings: Any) -> None:
        """Begin again: drifted members, this configuration, no state and no faults."""
        self.world: Json = drifted_world(members, missing=0)
        self.world["quotas"] = {operation: [1e6, 1e6] for operation in DEFAULT_QUOTAS}
        self.executions: list[Execution] = []
        self.messages: list[Message] = []
        self.faults: list[Fault] = []
        # Changes of requests and answers of an operation, and stale answers about executions.
        self.requests: dict[str, Callable[[Json], Json]] = {}
        self.answers: dict[str, Callable[[Json], Json]] = {}
        self.described: dict[str, str] = {}
        self._holds: dict[str, tuple[str, str]] = {}
        self._kills: list[tuple[str, str, str]] = []
        self.late: list[LateFunction] = []
        self.organization.reset(self.world)
        self._empty_table()
        self.configure(contact_types=types, **settings)

    def configure(self, **config: Any) -> None:
        """Put the configuration item, as an operator does."""
        self.config = config
        item = {"config_key": "default", **config}
        self.cloud.dynamodb.put_item(TableName=CONFIG_TABLE, Item=_item(item))

    # What starts executions.

    def start(self, execution_input: Any, name: str | None = None) -> Execution:
        """Start an execution; it runs as it is stepped."""
        name = name or f"execution-{next(numbers)}"
        arn, started_at = f"{self._execution_prefix}:{name}", self.clock.now()

        def call(resource: str, arguments: Any) -> Steps:
            yield from ()
            return self._call(execution, resource, arguments)

        interpreter = Interpreter(
            self._definition, call, lambda _state, _data: None, self.clock.text, lambda: 0.5
        )
        about = {"Name": name, "Id": arn, "Input": execution_input}
        about |= {"StartTime": _text(started_at), "RedriveCount": 0}
        machine_names = {"Id": self.machine_arn, "Name": self.machine_arn.rpartition(":")[2]}
        context = {"Execution": about, "StateMachine": machine_names}
        steps = interpreter.run(execution_input, context)
        execution = Execution(name, arn, execution_input, started_at, interpreter, context, steps)
        self.executions.append(execution)
        return execution

    def deliver(self, event: Json) -> list[Execution]:
        """Let the template's rules answer an event; return the executions that it starts."""
        started = []
        for rule in self._rules.values():
            if not matches(rule["EventPattern"], event):
                continue
            for target in rule["Targets"]:
                told = transform(target["InputTransformer"], event)
                if target["Arn"] == self.machine_arn:
                    started.append(self.start(told))
                elif target["Arn"] == self.topic_arn:
                    self.messages.append(Message(None, str(told), {}))
        return started

    def event(self, sample: str, **members: Any) -> Json:
        """Return a sample as if it happened now; `members` replace values wherever they are."""
        event = cast("Json", json.loads(json.dumps(EVENTS[sample])))
        number = next(numbers)
        detail = {"eventID": f"event-{number}", "eventTime": self.clock.text(), **members}
        return _with_members({**event, "id": f"event-{number}"}, detail)

    def scheduled(self) -> Execution:
        """Start the daily run."""
        text = next(iter(self.stack.of_type("AWS::Scheduler::Schedule").values()))["Target"][
            "Input"
        ]
        for part, value in (("execution-id", f"d{next(numbers)}"), ("scheduled-time", "now")):
            text = text.replace(f"<aws.scheduler.{part}>", value)
        return self.start(json.loads(text))

    def set_source(self, contact_type: str, contact: Mapping[str, str] | None) -> None:
        """Change a contact of the management account by API: reads lag as the world has it."""
        if contact_type == "PRIMARY":
            self._account.put_contact_information(ContactInformation=contact)
        elif contact is None:
            self._account.delete_alternate_contact(AlternateContactType=contact_type)
        else:
            self._account.put_alternate_contact(AlternateContactType=contact_type, **contact)

    def change(self, contact_type: str, contact: Mapping[str, str] | None) -> Execution:
        """Change a contact of the management account; return what its event starts."""
        self.set_source(contact_type, contact)
        return self.tell_change(contact_type)

    def tell_change(self, contact_type: str) -> Execution:
        sample = "put-contact-information" if contact_type == "PRIMARY" else "put-alternate-contact"
        [execution] = self.deliver(self.event(sample))
        return execution

    def let_reads_lag(self, seconds: float) -> None:
        """Let readers of contacts lag behind writers from now on."""
        self._put_world({**self.organization.world(), "read_delay": seconds})

    def remove_account(self, account: str) -> None:
        """Let an account be gone from the organization."""
        world = self.organization.world()
        world["accounts"] = [one for one in world["accounts"] if one["id"] != account]
        del world["contacts"][account]
        self._put_world(world)

    # What executions do.

    def step(self, execution: Execution) -> None:
        """Let it go to its next state; the rules hear of its end."""
        try:
            while isinstance(entered := next(execution.steps), float):
                self.pass_time(entered)
            execution.states.append(entered)
        except StopIteration as end:
            execution.output = end.value
            self._end(execution, "SUCCEEDED")
        except StateError as failure:
            execution.error, execution.cause = failure.error, failure.cause
            self._end(execution, "FAILED")
        except StoppedError:
            self._end(execution, "ABORTED")

    def enter(self, execution: Execution, states: Names, account: str = "") -> None:
        """Let only this execution run until it enters one of the states (about the account)."""
        names = (states,) if isinstance(states, str) else states
        for _ in range(MOST_STEPS):
            self.step(execution)
            assert execution.is_running, f"ended as {execution.error} after {execution.states}"
            if execution.states[-1] in names and account in _child_input(execution):
                return
        raise AssertionError(f"never entered {names}: {execution.states[-30:]}")

    def finish(self, execution: Execution) -> Execution:
        """Let only this execution run to its end."""
        for _ in range(MOST_STEPS):
            if not execution.is_running:
                return execution
            self.step(execution)
        raise AssertionError(f"no end: {execution.states[-30:]}")

    def run(self, most_executions: int = 40) -> None:
        """Let all run to their ends, the oldest first, and whatever they start."""
        while running := [one for one in self.executions if one.is_running]:
            self.finish(running[0])
            if len(self.executions) > most_executions:
                return

    def do(self, execution_input: Any) -> Execution:
        """Start an execution and let everything run."""
        execution = self.start(execution_input)
        self.run()
        return execution

    def stop(self, execution: Execution, status: str) -> None:
        """Abort a running execution, or let it time out or fail."""
        execution.steps.close()
        self._end(execution, status)

    def redrive(self, execution: Execution) -> None:
        """Let a stopped execution go on where it was, as RedriveExecution does."""
        execution.steps = execution.interpreter.redrive(execution.context)
        execution.status, execution.error, execution.cause = "RUNNING", None, None
        execution.redriven_at, execution.stopped_at = self.clock.now(), None

    def pass_time(self, seconds: float) -> None:
        """Turn the clock; a function that was held goes on at the latest when its time is up."""
        until = self.clock.seconds + seconds
        for late in self._held():
            if late.deadline <= until:
                self.clock.seconds = max(self.clock.seconds, late.deadline)
                late.go_on()
        self.clock.seconds = until

    # What goes wrong.

    def heal(self) -> None:
        self.faults = []
        self.organization.clear_faults()

    def deny(self, account: str, contact_type: str | None = None, operation: str = "*") -> None:
        """Let calls about an account be denied for ever."""
        fault = {"operation": operation, "error": "AccessDeniedException", "account_id": account}
        named = {"contact_type": contact_type} if contact_type else {}
        operations = [operation] if operation != "*" else CONTACT_CALLS
        for one in operations:
            self.organization.add_fault({**fault, **named, "operation": one})

    def deny_until(self, account: str, seconds: float) -> None:
        """Let calls about an account's contacts be denied until then."""
        match = f'"AccountId": "{account}"'
        fault = Fault("AccessDeniedException", service="account", match=match, until=seconds)
        self.faults.append(fault)

    def kill_after(self, function: str, operation: str, account: str) -> None:
        """Let the function's process die right after this call, once."""
        self._kills.append((function, operation, account))

    def hold(self, function: str, before: str, account: str) -> None:
        """Abort the execution whose function is about to make this call; the function stays."""
        self._holds[function] = (before, account)

    def go_on(self) -> None:
        """Let every function that is held go on."""
        for one in self._held():
            one.go_on()

    def _held(self) -> list[LateFunction]:
        return [one for one in self.late if one.is_alive()]

    # What can be seen.

    def contact(self, account: str, contact_type: str) -> dict[str, str] | None:
        return self.organization.contacts(account).get(contact_type)

    def contacts(self, contact_type: str, *accounts: str) -> list[dict[str, str] | None]:
        return [self.contact(account, contact_type) for account in accounts]

    def writes(self) -> list[tuple[str, str, str]]:
        """Return (operation, account, contact type) of each write to a member since the last."""
        return [
            (one["operation"], one["account_id"], one["contact_type"])
            for one in self.organization.calls()
            if one["operation"].startswith(("Put", "Delete"))
            and one["account_id"] != MANAGEMENT_ACCOUNT_ID
            and one["outcome"] == "ok"
        ]

    def messages_of(self, execution: Execution) -> list[Message]:
        """Return the messages that say they are about this run."""
        return [one for one in self.messages if one.attributes.get("sync_id") == execution.name]

    def text_of(self, execution: Execution) -> str:
        return "\n".join(f"{one.subject}\n{one.body}" for one in self.messages_of(execution))

    def longest_run(self) -> float:
        """Return the seconds that the machine may run."""
        return float(self._definition["TimeoutSeconds"])

    def lock(self) -> Json:
        return self.item({"pk": "LOCK", "sk": "LOCK"})

    def item(self, key: Mapping[str, str]) -> Json:
        answer = self.cloud.dynamodb.get_item(TableName=STATE_TABLE, Key=_item(key))
        return _values(answer.get("Item", {}))

    def put(self, item: Mapping[str, Any]) -> None:
        self.cloud.dynamodb.put_item(TableName=STATE_TABLE, Item=_item(item))

    # The services, as the machine and the functions reach them.

    def _end(self, execution: Execution, status: str) -> None:
        execution.status, execution.stopped_at = status, self.clock.now()
        event = _with_members(
            self.event("execution-failed"),
            {
                "time": self.clock.text(),
                "resources": [execution.arn],
                "executionArn": execution.arn,
                "stateMachineArn": self.machine_arn,
                "name": execution.name,
                "status": status,
                "input": json.dumps(execution.input),
                "startDate": _milliseconds(execution.started_at),
                "stopDate": _milliseconds(execution.stopped_at),
                "error": execution.error,
                "cause": execution.cause,
            },
        )
        self.deliver(event)

    def _call(self, execution: Execution, resource: str, arguments: Json) -> Any:
        """Do a task; what a test reads itself meets no fault."""
        outer, self._meets_faults = self._meets_faults, execution
        self.clock.wind(TASK)
        try:
            return self._integrate(resource, arguments)
        finally:
            self._meets_faults = outer

    def _integrate(self, resource: str, arguments: Json) -> Any:
        match resource.rpartition(":::")[2].split(":"):
            case ["lambda", "invoke"]:
                event = json.loads(json.dumps(arguments["Payload"]))
                return {"Payload": self._invoke(arguments["FunctionName"], event)}
            case ["dynamodb", action]:
                operation = action[0].upper() + action[1:]
                self._meet("DynamoDB", "dynamodb", operation, arguments)
                call = getattr(self.cloud.dynamodb, _snake(action))
                return self._quietly(lambda: _named("DynamoDB", call, arguments))
            case ["sns", "publish"]:
                self._meet("SNS", "sns", "Publish", arguments)
                attributes = arguments.get("MessageAttributes", {}).items()
                values = {name: value["StringValue"] for name, value in attributes}
                message = Message(arguments.get("Subject"), arguments["Message"], values)
                self.messages.append(message)
                return {"MessageId": str(next(numbers))}
            case ["s3", "getObject"]:
                try:
                    answer = _named("S3", self.cloud.s3.get_object, arguments)
                except StateError as failure:
                    raise StateError("States.ItemReaderFailed", failure.error) from None
                return json.loads(answer["Body"].read())
            case ["states", "startExecution"]:
                self._meet("StepFunctions", "states", "StartExecution", arguments)
                return self._start_execution(arguments)
        raise AssertionError(f"no such integration: {resource}")

    def _start_execution(self, arguments: Json) -> Json:
        assert arguments["StateMachineArn"] == self.machine_arn
        given, name = arguments.get("Input", {}), arguments.get("Name")
        given = json.loads(given) if isinstance(given, str) else given
        found = next((one for one in self.executions if one.name == name), None)
        if found and not (found.is_running and found.input == given):
            raise StateError("StepFunctions.ExecutionAlreadyExistsException")
        execution = found or self.start(given, name)
        return {"ExecutionArn": execution.arn, "StartDate": execution.started_at.isoformat()}

    def _meet(self, prefix: str, service: str, operation: str, arguments: Json) -> None:
        if fault := self._fault(json.dumps(arguments), service=service, operation=operation):
            raise StateError(fault.reported or f"{prefix}.{fault.error}", "planned")

    def _fault(self, text: str, **wanted: str) -> Fault | None:
        execution = self._meets_faults
        if execution is None:
            return None
        state = execution.states[-1]
        wanted = {"function": "", "service": "", "operation": "", **wanted}
        is_about = "function" if wanted["function"] else "service"
        return next(
            (
                one
                for one in self.faults
                if getattr(one, is_about) and one.meets(text, state, self.clock.seconds, **wanted)
            ),
            None,
        )

    def _invoke(self, name: str, event: Json) -> Any:
        fault = self._fault(json.dumps(event), function=name)
        if fault:
            raise StateError(fault.error, json.dumps({"errorType": fault.error}))
        function = self._functions.get(name) or self._load(name)
        self._function, account = name, event.get("account_id", "")
        held = self._holds.get(name)
        try:
            if held and held[1] == account:
                del self._holds[name]
                answer = self._invoke_late(name, function, event, held[0])
            else:
                answer = function(event)
            return json.loads(json.dumps(answer))
        except (KilledError, StoppedError) as error:
            del self._functions[name]  # the next invocation needs another process
            if isinstance(error, StoppedError):
                raise
            raise StateError("Runtime.ExitError", "planned") from None
        except Exception as error:  # noqa: BLE001 - as Lambda does
            cause = {"errorType": type(error).__name__, "errorMessage": str(error)}
            trace = traceback.format_exception(error)
            raise StateError(type(error).__name__, json.dumps({**cause, "trace": trace})) from None

    def _invoke_late(self, name: str, function: Any, event: Json, before: str) -> Any:
        deadline = self.clock.seconds + self.timeouts[name]
        late = LateFunction(lambda: function(event), before, deadline)
        late.work()
        if late.is_held:
            self.late.append(late)
            raise StoppedError
        if isinstance(late.result, BaseException):
            raise late.result
        return late.result

    def _load(self, name: str) -> Callable[[Json], Any]:
        """Load the function as a new process would."""
        module = importlib.import_module(f"{FUNCTIONS[name]}.handler")
        handler = importlib.reload(module).lambda_handler
        self.clock.give_to_product()
        self._functions[name] = lambda event: handler(event, CONTEXT)
        return self._functions[name]

    def api_call(self, client: Any, operation: str, request: Json) -> Any:
        """Stand between every client and its service."""
        thread = threading.current_thread()
        if isinstance(thread, LateFunction):
            thread.call(operation)
        elif self._meets_faults is None:
            return self._perform(client, operation, request)
        service = client.meta.service_model.service_name
        fault = self._fault(json.dumps(request, default=str), service=service, operation=operation)
        if fault:
            raise _client_error(fault.error, operation)
        request = self.requests.get(operation, lambda same: same)(request)
        answer = self._perform(client, operation, request)
        kill = (self._function, operation, request.get("AccountId", ""))
        if kill in self._kills:
            self._kills.remove(kill)
            raise KilledError
        return self.answers.get(operation, lambda same: same)(answer)

    def _perform(self, client: Any, operation: str, request: Json) -> Any:
        if operation == "DescribeExecution":
            return self._describe(request["executionArn"])
        return original_api_call(client, operation, request)

    def _describe(self, arn: str) -> Json:
        name = arn.rpartition(":")[2]
        stale = self.described.get(name)
        one = next((one for one in self.executions if one.arn == arn), None)
        if one is None or stale == "ExecutionDoesNotExist":
            raise _client_error("ExecutionDoesNotExist", "DescribeExecution")
        described = {
            "executionArn": arn,
            "stateMachineArn": self.machine_arn,
            "name": name,
            "status": stale or one.status,
            "startDate": one.started_at,
            "input": json.dumps(one.input),
            "redriveCount": int(one.redriven_at is not None),
        }
        late = {"stopDate": one.stopped_at, "error": one.error, "cause": one.cause}
        late = {} if stale else late
        late["redriveDate"] = one.redriven_at
        return described | {name: value for name, value in late.items() if value is not None}

    def _quietly(self, call: Callable[[], Any]) -> Any:
        """Call a service without meeting the faults twice."""
        outer, self._meets_faults = self._meets_faults, None
        try:
            return call()
        finally:
            self._meets_faults = outer

    def _put_world(self, world: Json) -> None:
        faults = self.organization.faults()
        self.organization.reset(world)
        for fault in faults:
            self.organization.add_fault(fault)

    def _empty_table(self) -> None:
        client = self.cloud.dynamodb
        for item in client.scan(TableName=STATE_TABLE)["Items"]:
            client.delete_item(TableName=STATE_TABLE, Key={key: item[key] for key in ("pk", "sk")})


CONTACT_CALLS = (
    "GetAlternateContact",
    "PutAlternateContact",
    "DeleteAlternateContact",
    "GetContactInformation",
    "PutContactInformation",
)
original_api_call: Any = botocore.client.BaseClient._make_api_call


def changed(contact_type: str, number: int = 1) -> dict[str, str]:
    """Return another value for a contact of the source."""
    name = "FullName" if contact_type == "PRIMARY" else "Name"
    return {**SOURCE_CONTACTS[contact_type], name: f"Wilhelmina Changeling {number:03}"}


@cache
def _product() -> list[Any]:
    """Import every module of the functions, also those that they import late."""
    found = pkgutil.walk_packages([str(ROOT / "functions")])
    return [importlib.import_module(one.name) for one in found if not one.ispkg]


def _child_input(execution: Execution) -> str:
    """Return the input of the innermost state machine that the execution is in."""
    steps: Any = execution.steps
    while steps.gi_yieldfrom is not None:
        steps = steps.gi_yieldfrom
    return json.dumps(steps.gi_frame.f_locals.get("data"))


def _with_members(value: Any, members: Mapping[str, Any]) -> Any:
    """Return a document in which each member of these names has another value."""
    if not isinstance(value, dict):
        return value
    return {name: members.get(name, _with_members(part, members)) for name, part in value.items()}


def _client_error(code: str, operation: str) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "planned"},
        "ResponseMetadata": {"HTTPStatusCode": 500 if "Internal" in code else 400},
    }
    return ClientError(response, operation)


def _named(service: str, call: Callable[..., Any], arguments: Json) -> Any:
    try:
        return call(**arguments)
    except ClientError as error:
        raise StateError(f"{service}.{error.response['Error']['Code']}") from None
    except BotoCoreError:
        raise StateError(f"{service}.SdkClientException") from None


def _item(values: Mapping[str, Any]) -> Json:
    serialize = boto3.dynamodb.types.TypeSerializer().serialize
    return {name: serialize(value) for name, value in values.items()}


def _values(item: Mapping[str, Any]) -> Json:
    deserialize = boto3.dynamodb.types.TypeDeserializer().deserialize
    return {name: deserialize(value) for name, value in item.items()}


def _text(at: calendar.datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _milliseconds(at: calendar.datetime) -> int:
    return round(at.timestamp() * 1_000)


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
