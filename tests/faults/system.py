"""The deployed system in process: the real definition and functions, moto, and the strict stand-in.

Executions and functions advance one step at a time, in a drawn order, so that any interleaving can
occur. A step is a state, or a function's progress to its next service call. Planned faults fail
a call before or after it takes effect, or end a function midway. As in Lambda, a stopped or
abandoned function may continue for a while.
"""

import gc
import heapq
import io
import itertools
import json
import logging
import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar, cast

import boto3
import botocore.client
import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError
from faults.cases import Conditions
from faults.clock import Clock, text
from faults.functions import ApiCall, Call, KilledError, Pool, private_modules
from faults.interpreter import Interpreter, StateError, Steps, load_definition
from faults.rules import Rule, Template, status_event
from moto import mock_aws
from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID
from standin.organization import OrganizationClient, OrganizationServer
from standin.organization.worlds import MANAGEMENT_ACCOUNT_ID
from support.moto_stack import BUCKET, CONFIG_TABLE, STATE_TABLE, Cloud

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
DEAD = ("FAILED", "ABORTED", "TIMED_OUT")
# Far more than the largest case needs, to detect a machine that loops forever.
MOST_STEPS = 20_000
STEP_SECONDS = 0.05
# Prefixes of a service's errors in Step Functions.
SERVICES = {"dynamodb": "DynamoDB", "s3": "S3", "sns": "SNS", "states": "StepFunctions"}

numbers = itertools.count(1)


@dataclass(eq=False)
class Execution:
    """One execution: its input, progress and result."""

    name: str
    input: Any
    started_at: float
    parent: "Execution | None" = None
    status: str = "RUNNING"
    output: Any = None
    error: str | None = None
    cause: str = ""
    ended_at: float | None = None
    redrives: int = 0
    wakes_at: float = 0.0
    states: list[str] = field(default_factory=list)
    context: Json = field(default_factory=dict)
    # Results of DescribeExecution, with the time from which each is valid.
    history: list[tuple[float, Json]] = field(default_factory=list)
    call: Call | None = None
    interpreter: Interpreter | None = None
    steps: Steps = field(init=False)

    @property
    def trigger(self) -> Json:
        trigger = self.input.get("trigger") if isinstance(self.input, dict) else None
        return trigger if isinstance(trigger, dict) else {}

    @property
    def is_recovery(self) -> bool:
        return "execution_arn" in self.trigger


class Message(NamedTuple):
    """A message as a subscriber of the topic receives it."""

    at: float
    subject: str | None
    body: str
    attributes: Mapping[str, str]


class MemberCall(NamedTuple):
    """A call of the Account API about a member; `accepted` if it took effect."""

    at: float
    execution: Execution
    function: str
    operation: str
    account_id: str
    type: str
    value: Json
    accepted: bool
    is_given_up: bool

    @property
    def is_write(self) -> bool:
        return not self.operation.startswith("Get")


@dataclass(eq=False)
class Late:
    """Work that continues although its execution was stopped or abandoned it."""

    steps: Steps
    wakes_at: float = 0.0


class Faults:
    """The planned faults; each first skips `skip` matching calls.

    `times` limits how often it strikes, `seconds` for how long after the first time. Without
    either, it strikes until faults end.
    """

    def __init__(self, clock: Clock) -> None:
        self.plans: list[Json] = []
        self.struck: list[tuple[float, Json]] = []
        self._clock = clock

    def take(self, text: str, **wanted: str) -> Json | None:
        for plan in self.plans:
            if not (next(iter(wanted)) in plan and self._matches(plan, wanted, text)):
                continue
            if plan.get("skip", 0):
                plan["skip"] -= 1
                continue
            if "times" in plan:
                plan["times"] -= 1
            if "seconds" in plan:
                plan.setdefault("until", self._clock.now + plan["seconds"])
            self.struck.append((self._clock.now, plan))
            return plan
        return None

    def _matches(self, plan: Json, wanted: Json, text: str) -> bool:
        return (
            all(plan.get(name, value) == value for name, value in wanted.items())
            and plan.get("match", "") in text
            and plan.get("times", 1) > 0
            and self._clock.now <= plan.get("until", self._clock.now)
        )


class System:
    """The system under test, with everything that a case needs."""

    def __init__(self, cloud: Cloud, clock: Clock) -> None:
        self.cloud = cloud
        self.clock = clock
        self.organization: OrganizationClient = cloud.organization
        self.faults = Faults(clock)
        self.conditions = Conditions()
        self.order = random.Random(0)  # noqa: S311 - repeatable, not for security
        self.texts: list[tuple[str, str]] = []
        self.member_calls: list[MemberCall] = []
        self.left: set[str] = set()
        self.joined: dict[str, float] = {}
        # Called after each step, so that a case ends when a promise is broken.
        self.watch: Callable[[], None] = lambda: None
        self._executions: list[Execution] = []
        self._messages: list[Message] = []
        self._late: list[Late] = []
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._kept: list[Steps] = []
        self._calls: set[Call] = set()
        self._awaited = ""
        self._pool = Pool(clock)
        template = Template(MACHINE_ARN)
        self._rules = template.rules()
        self._timeouts = {name: template.timeout(folder) for name, folder in FUNCTIONS.items()}
        self._definition = load_definition(
            {
                **{f"{_pascal(name)}FunctionArn": name for name in FUNCTIONS},
                "StateTableName": STATE_TABLE,
                "RunsBucketName": BUCKET,
                "NotificationTopicArn": "notifications",
                "Environment": "test",
                "Partition": "aws",
                "StateMachineArn": MACHINE_ARN,
            }
        )
        self._backend: Any = get_backend("dynamodb")[DEFAULT_ACCOUNT_ID]["us-east-1"]
        storage: Any = get_backend("s3")[DEFAULT_ACCOUNT_ID]["aws"]
        self._bucket = storage.buckets[BUCKET]
        self._account = boto3.client("account")
        self.log = io.StringIO()
        self._pool.give_back(self._pool.call("contact_sync_handler", {}, 0.0))
        for handler in logging.getLogger("contact-sync").handlers:
            handler.setStream(self.log)  # type: ignore[attr-defined]

    def reset(
        self, world: Mapping[str, Any], config: Mapping[str, Any], order: int = 0, **more: Any
    ) -> None:
        """Start over with this organization and configuration, the state `items`, and no faults."""
        for call in list(self._calls):
            call.kill()
        self._calls.clear()
        self.organization.reset(world)
        self.clock.reset()
        self.conditions = more.get("conditions", Conditions())
        self.order = random.Random(order)  # noqa: S311 - repeatable, not for security
        self.faults.plans, self.faults.struck = [], []
        self._executions, self._messages, self._late, self._due, self._kept = [], [], [], [], []
        self.texts, self.member_calls = [], []
        self.left, self.joined = set(), {}
        self.watch = lambda: None
        self.log.seek(0)
        self.log.truncate()
        self._table().items.clear()
        for name in self.objects():
            del self._bucket.keys[name]
        for item in more.get("items", ()):
            self.cloud.dynamodb.put_item(TableName=STATE_TABLE, Item=_typed(item))
        self.configure(config)

    # Actions of a case.

    def configure(self, config: Mapping[str, Any]) -> None:
        item = _typed({"config_key": "default", **config})
        self.cloud.dynamodb.put_item(TableName=CONFIG_TABLE, Item=item)

    def write_book(self, book: Mapping[str, Any]) -> None:
        item = _typed({"config_key": "contacts", "contacts": book})
        self.cloud.dynamodb.put_item(TableName=CONFIG_TABLE, Item=item)

    def change_source(self, name: str, value: Json | None) -> None:
        """Change the source as its owner does, with read delay."""
        if name == "primary":
            self._account.put_contact_information(ContactInformation=value)
        elif value is None:
            self._account.delete_alternate_contact(AlternateContactType=name.upper())
        else:
            self._account.put_alternate_contact(AlternateContactType=name.upper(), **value)

    def start(
        self, execution_input: Any, name: str = "", parent: Execution | None = None
    ) -> Execution:
        """Start an execution, which later steps advance."""
        name = name or f"execution-{next(numbers)}"
        execution = Execution(name, execution_input, self.clock.now, parent)
        execution.interpreter = Interpreter(
            self._definition,
            lambda resource, arguments: self._integrate(execution, resource, arguments),
            lambda state, data: self._tell(f"{name} {state}", data),
            lambda: text(self.clock.at()),
            self.order.random,
        )
        self._tell(f"{name} input", execution_input)
        execution.context = {
            "Execution": {
                "Name": name,
                "Id": f"{ARN}:{name}",
                "StartTime": text(self.clock.at()),
                "Input": execution_input,
                "RedriveCount": 0,
            },
            "StateMachine": {"Id": MACHINE_ARN, "Name": "contact-sync"},
        }
        execution.steps = execution.interpreter.run(execution_input, execution.context)
        self._executions.append(execution)
        self._note(execution)
        return execution

    def stop(self, execution: Execution, status: str) -> str | None:
        """Abort or time out a running execution; work in progress may continue.

        Returns its status, None if it had ended by itself.
        """
        if execution.status != "RUNNING":
            return None
        call, child = execution.call, cast("Interpreter", execution.interpreter).child
        self._kept.append(execution.steps)
        if child is not None and self.order.random() < self.conditions.late_children:
            self._late.append(Late(child))
        elif call is not None:
            self._late.append(Late(self._alone(call)))
        self._end(execution, status)
        return status

    def redrive(self, execution: Execution) -> None:
        """Resume a dead execution where it died."""
        if execution.status not in DEAD:
            return
        execution.redrives += 1
        execution.status, execution.error = "RUNNING", None
        context = {**execution.context["Execution"], "RedriveCount": execution.redrives}
        execution.context = {**execution.context, "Execution": context}
        execution.steps = cast("Interpreter", execution.interpreter).redrive(execution.context)
        execution.wakes_at = self.clock.now
        self._note(execution)

    def leave(self, account_id: str) -> None:
        """Make an account leave: Organizations no longer lists it, and it denies every call."""
        self.left.add(account_id)

    def join(self, account_id: str) -> None:
        self.organization.add_account(account_id)
        self.joined[account_id] = self.clock.now

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Schedule an action `seconds` from now."""
        heapq.heappush(self._due, (self.clock.now + seconds, next(numbers), action))

    def advance(self) -> bool:
        """Run one step; return False if nothing is left to do."""
        now = self.clock.now
        if self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
            return True
        running = self._running()
        ready = [one for one in running if one.wakes_at <= now]
        late = [one for one in self._late if one.wakes_at <= now]
        if late and running and self.order.random() < (0.1 if ready else 0.5):
            self._step_late(self.order.choice(late))
        elif ready:
            self._step(self.order.choice(ready))
        else:
            wakes = [one.wakes_at for one in running] + [at for at, *_ in self._due[:1]]
            if not wakes:
                return False
            self.clock.now = max(now, min(wakes))
        self.clock.sleep(STEP_SECONDS)
        self.watch()
        return True

    def run(self, steps: int = MOST_STEPS) -> None:
        """Run up to `steps` steps, or until everything has ended."""
        for _ in range(steps):
            if not self.advance():
                return
        if steps == MOST_STEPS:
            raise AssertionError(f"no end: {self._executions[-1].states[-30:]}")

    def run_up_to(self, operation: str) -> None:
        """Step until a function is about to call that operation, or everything has ended."""
        self._awaited = operation
        while not self._is_about_to(operation) and self.advance():
            pass
        self._awaited = ""

    def finish(self) -> None:
        """Run everything to its end, including late work."""
        self.run()
        while self._late:
            late = self._late[0]
            self.clock.now = max(self.clock.now, late.wakes_at)
            self._step_late(late)
            self.watch()

    def end_faults(self) -> None:
        self.faults.plans = []
        self.organization.clear_faults()

    # Observations of a case.

    def last_fault(self) -> float:
        """Return the last time at which a fault that counts struck."""
        return max((at for at, plan in self.faults.struck if not plan.get("mild")), default=-1.0)

    def topic_refused(self, since: float) -> bool:
        struck = self.faults.struck
        return any(
            at >= since and plan.get("service") == "sns"
            for at, plan in struck
            if not plan.get("mild")
        )

    def now(self) -> float:
        return self.clock.now

    def world(self) -> Json:
        """Return the current organization, without the accounts that left."""
        world = self.organization.world()
        accounts = [one for one in world["accounts"] if one["id"] not in self.left]
        return {**world, "accounts": accounts}

    def executions(self) -> list[Execution]:
        return self._executions

    def messages(self) -> list[Message]:
        return self._messages

    def items(self) -> list[Json]:
        """Return all items, read from moto's storage like objects: API calls are much slower."""
        return [_values(item) for some in self._table().items.values() for item in some.values()]

    def _table(self) -> Any:
        """Return the state table, which moto replaces after a failed transaction."""
        return self._backend.tables[STATE_TABLE]

    def item(self, pk: str, sk: str) -> Json:
        return next((i for i in self.items() if (i["pk"], i["sk"]) == (pk, sk)), {})

    def objects(self) -> list[str]:
        return list(self._bucket.keys)

    def load(self, key: str) -> str:
        return str(self._bucket.keys[key].value.decode())

    def stored_texts(self) -> Iterator[tuple[str, str]]:
        """Yield (where, text) of everything stored, except the contacts in the runs bucket."""
        yield from self.texts
        yield "log", self.log.getvalue()
        yield from (("message", str(one)) for one in self._messages)
        yield from (("item", json.dumps(item, ensure_ascii=False)) for item in self.items())
        for name in self.objects():
            holds_contacts = name.endswith("source.json") or name.startswith("replaced/")
            yield "object", name if holds_contacts else name + self.load(name)

    # Progress of executions.

    def _is_about_to(self, operation: str) -> bool:
        return any(call.next and call.next.operation == operation for call in self._calls)

    def _running(self) -> list[Execution]:
        return [one for one in self._executions if one.status == "RUNNING"]

    def _step(self, execution: Execution) -> None:
        """Advance to the next state or call; send the rules an event at the end."""
        try:
            token = next(execution.steps)
        except StopIteration as end:
            execution.output = end.value
            self._end(execution, "SUCCEEDED")
        except StateError as failure:
            execution.error, execution.cause = failure.error, failure.cause
            self._end(execution, "FAILED")
        else:
            if isinstance(token, str):
                execution.states.append(token)
            else:
                execution.wakes_at = self.clock.now + token

    def _step_late(self, late: Late) -> None:
        try:
            token = next(late.steps)
        except (StopIteration, StateError):
            self._late.remove(late)
        else:
            late.wakes_at = self.clock.now + (token if isinstance(token, float) else 0.0)

    def _end(self, execution: Execution, status: str) -> None:
        execution.status, execution.ended_at = status, self.clock.now
        execution.call = None
        self._note(execution)
        event = status_event(
            MACHINE_ARN,
            execution.name,
            status,
            execution.input,
            startDate=int(self.clock.at(execution.started_at).timestamp() * 1000),
            stopDate=int(self.clock.time() * 1000),
            error=execution.error,
            cause=execution.cause or None,
            redriveCount=execution.redrives,
        )
        for rule in self._rules:
            if rule.is_for(event):
                payload = rule.text_of(event)
                delay = self.order.choice((0.0, 0.0, 1.0, 20.0))
                self.after(delay, lambda r=rule, t=payload: self._deliver(execution, r, t))  # type: ignore[misc]

    def _deliver(self, execution: Execution, rule: Rule, payload: str) -> None:
        if rule.starts_machine:
            self.start(json.loads(payload), parent=execution)
        else:
            self._messages.append(Message(self.clock.now, None, payload, {}))

    def _note(self, execution: Execution) -> None:
        """Record the result of DescribeExecution from now on."""
        described = {
            "executionArn": f"{ARN}:{execution.name}",
            "stateMachineArn": MACHINE_ARN,
            "name": execution.name,
            "status": execution.status,
            "startDate": self.clock.at(execution.started_at),
            "input": json.dumps(execution.input),
            "redriveCount": execution.redrives,
        }
        if execution.redrives and execution.status == "RUNNING":
            described["redriveDate"] = self.clock.at()
        elif execution.redrives:
            described["redriveDate"] = execution.history[-1][1]["redriveDate"]
        if execution.status in DEAD:
            described["stopDate"] = self.clock.at()
        if execution.error:
            described |= {"error": execution.error, "cause": execution.cause}
        execution.history.append((self.clock.now, described))

    def _describe(self, arn: str) -> Json:
        """Answer as DescribeExecution, which may lag behind."""
        for one in self._executions:
            if arn != f"{ARN}:{one.name}":
                continue
            if self.clock.now - one.started_at < self.conditions.start_lag:
                break
            seen = self.clock.now - self.conditions.end_lag
            known = [described for at, described in one.history if at <= seen]
            return known[-1] if known else one.history[0][1]
        raise _client_error("ExecutionDoesNotExist", "DescribeExecution")

    # Services, as called by the machine and the functions.

    def _integrate(self, execution: Execution, resource: str, arguments: Json) -> Steps:
        yield from ()
        match resource.removeprefix("arn:aws:states:::").split(":"):
            case ["lambda", "invoke"]:
                event = json.loads(json.dumps(arguments["Payload"]))
                function = arguments["FunctionName"]
                return {"Payload": (yield from self._invoke(execution, function, event))}
            case ["dynamodb", action]:
                return self._serve("dynamodb", action, arguments)
            case ["sns", "publish"]:
                return self._serve("sns", "publish", arguments)
            case ["states", "startExecution"]:
                return self._serve("states", "startExecution", {**arguments, "of": execution})
            case ["s3", "getObject"]:
                try:
                    answer = self._serve("s3", "getObject", arguments)
                except StateError as failure:
                    raise StateError("States.ItemReaderFailed", failure.error) from None
                return json.loads(answer["Body"].read())
        raise StateError("States.Runtime", f"no such integration: {resource}")

    def _serve(self, service: str, action: str, arguments: Json) -> Any:
        """Perform a service task of the machine, or fail it as planned."""
        operation = action[0].upper() + action[1:]
        fault = self.faults.take(
            str(arguments), service=service, operation=operation, where="machine"
        )
        answer = None
        if fault is None or fault.get("performed"):
            match service:
                case "sns":
                    answer = self._publish(arguments)
                case "states":
                    answer = self._start(**arguments)
                case _:
                    client = getattr(self.cloud, service)
                    answer = _named(SERVICES[service], getattr(client, _snake(action)), arguments)
        if fault:
            raise StateError(f"{SERVICES[service]}.{_machine_error(fault['error'])}")
        return answer

    def _publish(self, arguments: Json) -> Json:
        attributes = arguments.get("MessageAttributes", {}).items()
        values = {name: value["StringValue"] for name, value in attributes}
        subject = arguments.get("Subject")
        self._messages.append(Message(self.clock.now, subject, arguments["Message"], values))
        return {"MessageId": "1"}

    def _start(self, of: Execution, StateMachineArn: str, Name: str, Input: Any) -> Json:  # noqa: N803
        """Start an execution as the API does, which accepts each name once."""
        assert StateMachineArn == MACHINE_ARN
        payload = json.loads(Input) if isinstance(Input, str) else json.loads(json.dumps(Input))
        if not re.fullmatch(r"[\w-]{1,80}", Name):
            raise StateError("StepFunctions.InvalidNameException")
        same = next((one for one in self._executions if one.name == Name), None)
        if same and (same.status != "RUNNING" or same.input != payload):
            raise StateError("StepFunctions.ExecutionAlreadyExistsException")
        if not same:
            self.start(payload, Name, of)
        return {"ExecutionArn": f"{ARN}:{Name}", "StartDate": text(self.clock.at())}

    def _invoke(self, execution: Execution, name: str, event: Json) -> Steps:
        fault = self.faults.take(json.dumps(event), function=name)
        if fault and fault["error"] not in ("kill", "give up"):
            raise StateError(fault["error"], "planned")
        call = self._pool.call(FUNCTIONS[name], event, self.clock.now + self._timeouts[name])
        call.owner, call.function = execution, name
        call.plan = {**fault} if fault else None
        execution.call = call
        self._calls.add(call)
        yield from self._drive(call)
        execution.call = None
        return call.answer()

    def _drive(self, call: Call) -> Steps:
        """Run a function to its end or its timeout."""
        while True:
            if call.is_over:  # a late child and a stopped execution can have the same call
                return
            if self.clock.now > call.deadline:
                call.kill()
                self._calls.discard(call)
                raise StateError("Sandbox.Timedout", "planned")
            with redirect_stdout(self.log):
                call.resume()
            if call.is_over:
                break
            if call.plan and call.plan["error"] == "give up" and call.plan["calls"] <= 0:
                call.plan, call.owner.call, call.is_given_up = None, None, True
                self._late.append(Late(self._alone(call)))
                raise StateError("Lambda.ClientExecutionTimeoutException", "planned")
            stops = call.next is not None and call.next.operation == self._awaited
            if stops or self.order.random() < self.conditions.parking:
                yield 0.0
        self._calls.discard(call)
        self._pool.give_back(call)
        if call.plan and call.plan["error"] == "kill":  # no call was left at which to die
            raise StateError("Runtime.ExitError", "planned")

    def _alone(self, call: Call) -> Steps:
        """Continue a function that no execution waits for."""
        yield 0.0
        yield from self._drive(call)

    def api_call(self, client: Any, operation: str, request: Json) -> Any:
        """Intercept every client call of the functions; let the tests' own calls pass."""
        call = threading.current_thread()
        if not isinstance(call, Call):
            return original_api_call(client, operation, request)
        service = client.meta.service_model.service_name
        call.stop_before(ApiCall(service, operation, request))
        if call.plan:
            call.plan["calls"] -= 1
            if call.plan["error"] == "kill" and call.plan["calls"] < 0:
                if call.plan["performed"]:
                    self._perform(call, client, operation, request)
                call.is_killed = True
                raise KilledError
        return self._meet_fault(call, client, operation, request)

    def _meet_fault(self, call: Call, client: Any, operation: str, request: Json) -> Any:
        service = client.meta.service_model.service_name
        fault = self.faults.take(
            str(request), service=service, operation=operation, where="function"
        )
        if fault is None:
            return self._perform(call, client, operation, request)
        if fault.get("performed"):
            self._perform(call, client, operation, request)
        match fault["error"]:
            case "no answer":
                raise ReadTimeoutError(endpoint_url="https://service.example.com")
            case "unprocessed" if operation == "BatchGetItem":
                return {"Responses": {}, "UnprocessedKeys": request["RequestItems"]}
            case "unprocessed" if operation == "BatchWriteItem":
                return {"UnprocessedItems": request["RequestItems"]}
        # AWS error messages may repeat the request.
        raise _client_error(fault["error"], operation, f"planned for {request}")

    def _perform(self, call: Call, client: Any, operation: str, request: Json) -> Any:
        """Make the call, and record calls about members with their callers."""
        if operation == "DescribeExecution":
            return self._describe(request["executionArn"])
        service = client.meta.service_model.service_name
        if service == "account":
            return self._account_call(call, client, operation, request)
        if service == "organizations":
            return self._organizations_call(client, operation, request)
        return original_api_call(client, operation, request)

    def _account_call(self, call: Call, client: Any, operation: str, request: Json) -> Any:
        account_id = request.get("AccountId", MANAGEMENT_ACCOUNT_ID)
        denied_until = self.joined.get(account_id, 0.0) + self.conditions.joins_denied
        is_sent, accepted = True, False
        try:
            if account_id in self.left or (account_id in self.joined and self.now() < denied_until):
                raise _client_error("AccessDeniedException", operation)
            if self.conditions.normalizes and operation.startswith("Put"):
                request = _normalized(request)
            answer = original_api_call(client, operation, request)
            accepted = True
        except (ClientError, BotoCoreError) as error:
            accepted = "ResourceNotFoundException" in str(error)  # a valid response
            if account_id == MANAGEMENT_ACCOUNT_ID and not accepted:
                self.faults.struck.append((self.now(), {}))
            raise
        except KilledError:  # killed while it waited for its time slot
            is_sent = False
            raise
        finally:
            name = request.get("AlternateContactType", "primary").lower()
            is_read_of_source = account_id == MANAGEMENT_ACCOUNT_ID and operation.startswith("Get")
            if is_sent and not is_read_of_source:
                made = (self.now(), call.owner, call.function, operation, account_id, name)
                value = request.get("ContactInformation", request)
                self.member_calls.append(MemberCall(*made, value, accepted, call.is_given_up))
        return answer

    def _organizations_call(self, client: Any, operation: str, request: Json) -> Any:
        try:
            if request.get("AccountId") in self.left:
                raise _client_error("AccountNotFoundException", operation)
            answer = original_api_call(client, operation, request)
        except (ClientError, BotoCoreError) as error:
            if "NotFound" not in str(error):
                self.faults.struck.append((self.now(), {}))
            raise
        listed = [one for one in answer.get("Accounts", []) if one["Id"] not in self.left]
        for one in (*listed, answer.get("Account", {})):
            if one.get("Id") in self.joined:
                one["JoinedTimestamp"] = self.clock.at(self.joined[one["Id"]])
        if "Accounts" in answer:
            answer["Accounts"] = listed + listed[-1:] * self.conditions.lists_twice
        return answer

    def _tell(self, where: str, data: Any) -> None:
        self.texts.append((where, json.dumps(data, ensure_ascii=False)))


original_api_call: Any = botocore.client.BaseClient._make_api_call


Made = TypeVar("Made", bound=System)


@contextmanager
def in_process(make: Callable[[Cloud, Clock], Made]) -> Iterator[Made]:
    """Create a system over moto and the strict organization, which intercepts every AWS call of the
    functions."""
    clock = Clock()
    with (
        pytest.MonkeyPatch.context() as patch,
        OrganizationServer({}, clock=clock.monotonic) as server,
        mock_aws(),
        private_modules(),
    ):
        patch.setenv("AWS_ENDPOINT_URL_ACCOUNT", server.url)
        patch.setenv("AWS_ENDPOINT_URL_ORGANIZATIONS", server.url)
        patch.setenv("STATE_MACHINE_ARN", MACHINE_ARN)
        patch.setenv("QUOTA_SHARE", "1000000")  # disables pacing
        patch.setattr("botocore.endpoint.time.sleep", lambda _: None)
        system = make(Cloud(OrganizationClient(server.url)), clock)
        # Otherwise pytest keeps every log line of every case.
        patch.setattr(logging.getLogger("contact-sync"), "propagate", False)

        def call(client: Any, operation: str, request: Json) -> Any:
            return system.api_call(client, operation, request)

        patch.setattr(botocore.client.BaseClient, "_make_api_call", call)
        gc.freeze()  # collecting what stays loaded took a tenth of the time
        yield system
        gc.unfreeze()


def digits_only(phone: str) -> str:
    """Return a phone number as the API may store it."""
    return re.sub(r"(?!^[+])[^0-9]", "", phone.strip())


def _normalized(request: Json) -> Json:
    if "ContactInformation" in request:
        contact = request["ContactInformation"]
        phone = digits_only(contact["PhoneNumber"])
        return {**request, "ContactInformation": {**contact, "PhoneNumber": phone}}
    return {**request, "PhoneNumber": digits_only(request["PhoneNumber"])}


def _client_error(code: str, operation: str, message: str = "planned") -> ClientError:
    status = 500 if "Internal" in code else 400
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, operation)


def _machine_error(error: str) -> str:
    """Return Step Functions' name for a service error."""
    return {"no answer": "SdkClientException"}.get(error, error)


def _named(service: str, call: Callable[..., Any], arguments: Json) -> Any:
    try:
        return call(**arguments)
    except ClientError as error:
        raise StateError(f"{service}.{error.response['Error']['Code']}") from None
    except BotoCoreError:
        raise StateError(f"{service}.SdkClientException") from None


_serialize, _deserialize = TypeSerializer().serialize, TypeDeserializer().deserialize


def _typed(item: Mapping[str, Any]) -> Json:
    return {name: _serialize(value) for name, value in item.items()}


def _values(item: Any) -> Json:
    attributes = item.to_json()["Attributes"]
    plain = {name: _deserialize(value) for name, value in attributes.items()}
    restored: Json = json.loads(json.dumps(plain, default=_jsonable))
    return restored


def _jsonable(value: Any) -> Any:
    """Convert DynamoDB's numbers, sets and bytes to JSON types."""
    if isinstance(value, set | frozenset):
        return sorted(value)
    return int(value) if value == int(value) else float(value)


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
