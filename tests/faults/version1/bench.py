"""The deployed system in process; the test controls the order of events.

A test can advance one execution to a state, stop another, hold a function before one of its calls,
and advance the clock. The template's rules respond to events.
"""

import heapq
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from boto3.dynamodb.types import TypeSerializer
from faults.cases import Conditions
from faults.clock import Clock, text
from faults.functions import Call
from faults.system import STEP_SECONDS, Execution, Late, Message, System
from standin.organization import drifted_world
from standin.organization.quotas import DEFAULT_QUOTAS
from standin.organization.worlds import MANAGEMENT_ACCOUNT_ID, SOURCE_CONTACTS
from support.event_rules import matches, transform
from support.events import EVENTS
from support.moto_stack import STATE_TABLE, Cloud
from support.stack import Stack

Json = dict[str, Any]
Change = Callable[[Json], Json]

ONE, TWO, THREE = MEMBERS = tuple(str(100_000_000_001 + index) for index in range(3))
JOINING = "100000000901"
TYPES = ["primary", "billing", "operations", "security"]
SOURCE = SOURCE_CONTACTS
HANDLER, REPORTER = "contact-sync-handler", "sync-reporter"
ALTERNATE, PRIMARY = "alternate-contact-processor", "primary-contact-processor"
CONTACT_CALLS = (
    "GetAlternateContact",
    "PutAlternateContact",
    "DeleteAlternateContact",
    "GetContactInformation",
    "PutContactInformation",
)
DAY = 86_400.0
# Far more than a case needs, to detect a machine that loops forever.
MOST_STEPS = 4_000

numbers = itertools.count(1)


class Bench(System):
    """The system, with what a test needs to control and observe it."""

    def __init__(self, cloud: Cloud, clock: Clock, stack: Stack) -> None:
        self.stack = stack
        # Modify an operation's requests and responses.
        self.requests: dict[str, Change] = {}
        self.answers: dict[str, Change] = {}
        self.held: list[Call] = []
        super().__init__(cloud, clock)
        [self._own_machine] = map(stack.arn, stack.of_type("AWS::StepFunctions::StateMachine"))

    def begin(self, **config: Any) -> None:
        """Start over: three drifted members, this configuration, no state and no faults."""
        self.requests, self.answers, self.held = {}, {}, []
        world = drifted_world(len(MEMBERS), missing=0)
        world["quotas"] = {operation: [1e6, 1e6] for operation in DEFAULT_QUOTAS}
        conditions = Conditions(parking=0.0, late_children=0.0)
        self.config = {"contact_types": TYPES, **config}
        self.reset(world, self.config, conditions=conditions)

    # Start executions.

    def deliver(self, event: Json) -> list[Execution]:
        """Send an event to the template's rules; return the executions that they start."""
        return [
            self.start(transform(target["InputTransformer"], event))
            for rule in self.stack.of_type("AWS::Events::Rule").values()
            if matches(rule["EventPattern"], event)
            for target in rule["Targets"]
            if target["Arn"] == self._own_machine
        ]

    def event(self, sample: str, **members: Any) -> Json:
        """Return a sample event with the current time; `members` replace values at any depth."""
        event_id = f"event-{next(numbers)}"
        given = {"eventID": event_id, "eventTime": text(self.clock.at()), **members}
        event = json.loads(json.dumps(EVENTS[sample]))
        return cast("Json", _with_members({**event, "id": event_id}, given))

    def scheduled(self) -> Execution:
        """Start the daily run."""
        [schedule] = self.stack.of_type("AWS::Scheduler::Schedule").values()
        body = schedule["Target"]["Input"]
        for part in ("execution-id", "scheduled-time"):
            body = body.replace(f"<aws.scheduler.{part}>", f"{part}-{next(numbers)}")
        return self.start(json.loads(body))

    def change(self, contact_type: str, contact: Json | None) -> Execution:
        """Change a contact of the management account; return the execution that this starts."""
        self.set_source(contact_type, contact)
        return self.send_change(contact_type)

    def set_source(self, contact_type: str, contact: Json | None) -> None:
        self.change_source(contact_type.lower(), contact)

    def send_change(self, contact_type: str) -> Execution:
        sample = "put-contact-information" if contact_type == "PRIMARY" else "put-alternate-contact"
        [execution] = self.deliver(self.event(sample))
        return execution

    # Advance executions.

    def enter(self, execution: Execution, states: tuple[str, ...] | str, account: str = "") -> None:
        """Advance only this execution until it enters one of the states (for the account)."""
        names = (states,) if isinstance(states, str) else states

        def is_there() -> bool:
            entered = execution.states[-1:]
            return bool(entered) and entered[0] in names and account in _child_input(execution)

        self._let_run(execution, is_there)
        assert is_there(), f"ended as {execution.error} after {execution.states}"

    def end(self, execution: Execution) -> Execution:
        """Advance only this execution to its end."""
        self._let_run(execution, lambda: False)
        assert execution.status != "RUNNING", f"no end: {execution.states[-30:]}"
        return execution

    def settle(self, most_executions: int = 40) -> None:
        """Run everything to its end, the oldest execution first."""
        while len(self.executions()) <= most_executions:
            running = [one for one in self.executions() if one.status == "RUNNING"]
            if running:
                self.end(running[0])
            elif self._due:
                self.wind(self._due[0][0] - self.clock.now)
                self._deliver_due()
            else:
                return

    def do(self, execution_input: Any) -> Execution:
        """Start an execution, and run everything to its end."""
        execution = self.start(execution_input)
        self.settle()
        return execution

    def wind(self, seconds: float) -> None:
        """Advance the clock; a held function continues just before its timeout."""
        until = self.clock.now + max(0.0, seconds)
        for call in self.held:
            if call.deadline <= until and not call.is_over:
                self.clock.now = max(self.clock.now, call.deadline - 1)
                self._continue(call)
        self.clock.now = max(until, self.clock.now)

    def hold(self, execution: Execution, function: str, operation: str) -> None:
        """Abort the execution when the function is about to make this call; hold the call."""

        def about_to() -> list[Call]:
            return [
                call
                for call in self._calls
                if call.next and (call.function, call.next.operation) == (function, operation)
            ]

        self._awaited = operation
        self._let_run(execution, lambda: bool(about_to()))
        self._awaited = ""
        self.held += about_to()
        self.stop(execution, "ABORTED")
        self._late.clear()  # it continues only when the test says so

    def continue_held(self) -> None:
        """Let the held functions continue."""
        for call in self.held:
            self._continue(call)

    def kill_after(self, execution: Execution, operation: str) -> None:
        """Kill the function's process right after its next call of this operation."""
        self._awaited = operation
        self._let_run(execution, lambda: self._is_about_to(operation))
        self._awaited = ""
        [call] = [call for call in self._calls if call.next and call.next.operation == operation]
        call.plan = {"error": "kill", "calls": 0, "performed": True}

    # Cause faults.

    def set_conditions(self, **changes: Any) -> None:
        self.conditions = replace(self.conditions, **changes)

    def let_reads_lag(self, seconds: float) -> None:
        """From now on, let reads of contacts miss writes of the last `seconds`."""
        faults = self.organization.faults()
        self.organization.reset({**self.organization.world(), "read_delay": seconds})
        for fault in faults:
            self.organization.add_fault(fault)

    def deny(self, account: str, contact_type: str | None = None) -> None:
        """Deny calls about an account's contacts until faults end."""
        fault = {"error": "AccessDeniedException", "account_id": account}
        named = {"contact_type": contact_type} if contact_type else {}
        for operation in CONTACT_CALLS:
            self.organization.add_fault({**fault, **named, "operation": operation})

    # Observe.

    def contact(self, account: str, contact_type: str) -> dict[str, str] | None:
        return self.organization.contacts(account).get(contact_type)

    def contacts(self, contact_type: str, *accounts: str) -> list[dict[str, str] | None]:
        return [self.contact(account, contact_type) for account in accounts]

    def writes(self) -> list[tuple[str, str, str]]:
        """Return (operation, account, contact type) of each successful write to a member."""
        return [
            (one["operation"], one["account_id"], one["contact_type"])
            for one in self.organization.calls()
            if one["operation"].startswith(("Put", "Delete"))
            and one["account_id"] != MANAGEMENT_ACCOUNT_ID
            and one["outcome"] == "ok"
        ]

    def messages_of(self, execution: Execution) -> list[Message]:
        """Return the messages about this run."""
        messages = self.messages()
        return [one for one in messages if one.attributes.get("sync_id") == execution.name]

    def text_of(self, execution: Execution) -> str:
        return "\n".join(f"{one.subject}\n{one.body}" for one in self.messages_of(execution))

    def longest_run(self) -> float:
        """Return the machine's timeout in seconds."""
        return float(self._definition["TimeoutSeconds"])

    def put(self, item: Mapping[str, Any]) -> None:
        """Put an item of another release into the state table."""
        serialize = TypeSerializer().serialize
        typed = {name: serialize(value) for name, value in item.items()}
        self.cloud.dynamodb.put_item(TableName=STATE_TABLE, Item=typed)

    # Internals.

    def _let_run(self, execution: Execution, is_enough: Callable[[], bool]) -> None:
        for _ in range(MOST_STEPS):
            if execution.status != "RUNNING" or is_enough():
                return
            self.wind(execution.wakes_at - self.clock.now)
            self._deliver_due()
            self._step(execution)
            self.clock.sleep(STEP_SECONDS)
        raise AssertionError(f"no end: {execution.states[-30:]}")

    def _deliver_due(self) -> None:
        while self._due and self._due[0][0] <= self.clock.now:
            heapq.heappop(self._due)[2]()

    def _continue(self, call: Call) -> None:
        late = Late(self._alone(call))
        self._late.append(late)
        while late in self._late:
            self._step_late(late)

    def _perform(self, call: Call, client: Any, operation: str, request: Json) -> Any:
        request = self.requests.get(operation, lambda same: same)(request)
        answer = super()._perform(call, client, operation, request)
        return self.answers.get(operation, lambda same: same)(answer)


def ending(execution: Execution) -> str:
    """Describe an execution's end, for assertion messages."""
    source = execution.trigger.get("source", "by hand")
    return f"{source} {execution.status} {execution.error} {execution.cause} {execution.output}"


def changed(contact_type: str, number: int = 1) -> dict[str, str]:
    """Return another value for a contact of the source."""
    name = "FullName" if contact_type == "PRIMARY" else "Name"
    return {**SOURCE[contact_type], name: f"Wilhelmina Changeling {number:03}"}


def _child_input(execution: Execution) -> str:
    """Return the input of the Map's running child."""
    child: Any = execution.interpreter and execution.interpreter.child
    return json.dumps(child.gi_frame.f_locals["position"]) if child else ""


def _with_members(value: Any, members: Mapping[str, Any]) -> Any:
    """Return the document with the values of these members replaced."""
    if not isinstance(value, dict):
        return value
    return {name: members.get(name, _with_members(part, members)) for name, part in value.items()}
