"""The deployed system in process, where a test says what comes when.

A test lets one execution enter a state, stops another, holds a function before one of its calls,
and moves the clock. Whatever the template's rules answer to an event happens.
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
# Far beyond what a case needs: one that goes in circles is a finding, too.
MOST_STEPS = 4_000

numbers = itertools.count(1)


class Bench(System):
    """The system, and what a test can do to it and see of it."""

    def __init__(self, cloud: Cloud, clock: Clock, stack: Stack) -> None:
        self.stack = stack
        # Changes of an operation's requests, and of its answers.
        self.requests: dict[str, Change] = {}
        self.answers: dict[str, Change] = {}
        self.held: list[Call] = []
        super().__init__(cloud, clock)
        [self._own_machine] = map(stack.arn, stack.of_type("AWS::StepFunctions::StateMachine"))

    def begin(self, **config: Any) -> None:
        """Begin again: three drifted members, this configuration, no state and no faults."""
        self.requests, self.answers, self.held = {}, {}, []
        world = drifted_world(len(MEMBERS), missing=0)
        world["quotas"] = {operation: [1e6, 1e6] for operation in DEFAULT_QUOTAS}
        conditions = Conditions(parking=0.0, late_children=0.0)
        self.config = {"contact_types": TYPES, **config}
        self.reset(world, self.config, conditions=conditions)

    # What starts executions.

    def deliver(self, event: Json) -> list[Execution]:
        """Let the template's rules answer an event; return the executions that it starts."""
        return [
            self.start(transform(target["InputTransformer"], event))
            for rule in self.stack.of_type("AWS::Events::Rule").values()
            if matches(rule["EventPattern"], event)
            for target in rule["Targets"]
            if target["Arn"] == self._own_machine
        ]

    def event(self, sample: str, **members: Any) -> Json:
        """Return a sample as if it happened now; `members` replace values wherever they are."""
        event_id = f"event-{next(numbers)}"
        given = {"eventID": event_id, "eventTime": text(self.clock.at()), **members}
        event = json.loads(json.dumps(EVENTS[sample]))
        return cast("Json", _with_members({**event, "id": event_id}, given))

    def scheduled(self) -> Execution:
        """Start the daily run."""
        [schedule] = self.stack.of_type("AWS::Scheduler::Schedule").values()
        told = schedule["Target"]["Input"]
        for part in ("execution-id", "scheduled-time"):
            told = told.replace(f"<aws.scheduler.{part}>", f"{part}-{next(numbers)}")
        return self.start(json.loads(told))

    def change(self, contact_type: str, contact: Json | None) -> Execution:
        """Change a contact of the management account; return what its event starts."""
        self.set_source(contact_type, contact)
        return self.tell_change(contact_type)

    def set_source(self, contact_type: str, contact: Json | None) -> None:
        self.change_source(contact_type.lower(), contact)

    def tell_change(self, contact_type: str) -> Execution:
        sample = "put-contact-information" if contact_type == "PRIMARY" else "put-alternate-contact"
        [execution] = self.deliver(self.event(sample))
        return execution

    # What executions do.

    def enter(self, execution: Execution, states: tuple[str, ...] | str, account: str = "") -> None:
        """Let only this execution run until it enters one of the states (about the account)."""
        names = (states,) if isinstance(states, str) else states

        def is_there() -> bool:
            entered = execution.states[-1:]
            return bool(entered) and entered[0] in names and account in _child_input(execution)

        self._let_run(execution, is_there)
        assert is_there(), f"ended as {execution.error} after {execution.states}"

    def end(self, execution: Execution) -> Execution:
        """Let only this execution run to its end."""
        self._let_run(execution, lambda: False)
        assert execution.status != "RUNNING", f"no end: {execution.states[-30:]}"
        return execution

    def settle(self, most_executions: int = 40) -> None:
        """Let everything happen that is to come, the oldest execution first."""
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
        """Start an execution and let everything happen."""
        execution = self.start(execution_input)
        self.settle()
        return execution

    def wind(self, seconds: float) -> None:
        """Turn the clock; a function that is held goes on just before its time is up."""
        until = self.clock.now + max(0.0, seconds)
        for call in self.held:
            if call.deadline <= until and not call.is_over:
                self.clock.now = max(self.clock.now, call.deadline - 1)
                self._go_on(call)
        self.clock.now = max(until, self.clock.now)

    def hold(self, execution: Execution, function: str, operation: str) -> None:
        """Abort the execution when the function is about to make this call; the call is held."""

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
        self._late.clear()  # it goes on when it is let, not by chance

    def go_on(self) -> None:
        """Let the functions that are held go on."""
        for call in self.held:
            self._go_on(call)

    def kill_after(self, execution: Execution, operation: str) -> None:
        """Let the process of the function that makes this call die right after it, once."""
        self._awaited = operation
        self._let_run(execution, lambda: self._is_about_to(operation))
        self._awaited = ""
        [call] = [call for call in self._calls if call.next and call.next.operation == operation]
        call.plan = {"error": "kill", "calls": 0, "performed": True}

    # What goes wrong.

    def set_conditions(self, **changes: Any) -> None:
        self.conditions = replace(self.conditions, **changes)

    def let_reads_lag(self, seconds: float) -> None:
        """Let readers of contacts lag behind writers from now on."""
        faults = self.organization.faults()
        self.organization.reset({**self.organization.world(), "read_delay": seconds})
        for fault in faults:
            self.organization.add_fault(fault)

    def deny(self, account: str, contact_type: str | None = None) -> None:
        """Let calls about an account's contacts be denied until faults end."""
        fault = {"error": "AccessDeniedException", "account_id": account}
        named = {"contact_type": contact_type} if contact_type else {}
        for operation in CONTACT_CALLS:
            self.organization.add_fault({**fault, **named, "operation": operation})

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
        told = self.messages()
        return [one for one in told if one.attributes.get("sync_id") == execution.name]

    def text_of(self, execution: Execution) -> str:
        return "\n".join(f"{one.subject}\n{one.body}" for one in self.messages_of(execution))

    def longest_run(self) -> float:
        """Return the seconds that the machine may run."""
        return float(self._definition["TimeoutSeconds"])

    def put(self, item: Mapping[str, Any]) -> None:
        """Put an item into the state table, as another release left it."""
        serialize = TypeSerializer().serialize
        typed = {name: serialize(value) for name, value in item.items()}
        self.cloud.dynamodb.put_item(TableName=STATE_TABLE, Item=typed)

    # How it is done.

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

    def _go_on(self, call: Call) -> None:
        late = Late(self._alone(call))
        self._late.append(late)
        while late in self._late:
            self._step_late(late)

    def _perform(self, call: Call, client: Any, operation: str, request: Json) -> Any:
        request = self.requests.get(operation, lambda same: same)(request)
        answer = super()._perform(call, client, operation, request)
        return self.answers.get(operation, lambda same: same)(answer)


def ending(execution: Execution) -> str:
    """Return how it ended, to be shown where it should have ended otherwise."""
    source = execution.trigger.get("source", "by hand")
    return f"{source} {execution.status} {execution.error} {execution.cause} {execution.output}"


def changed(contact_type: str, number: int = 1) -> dict[str, str]:
    """Return another value for a contact of the source."""
    name = "FullName" if contact_type == "PRIMARY" else "Name"
    return {**SOURCE[contact_type], name: f"Wilhelmina Changeling {number:03}"}


def _child_input(execution: Execution) -> str:
    """Return the input of the Map's child that runs."""
    child: Any = execution.interpreter and execution.interpreter.child
    return json.dumps(child.gi_frame.f_locals["position"]) if child else ""


def _with_members(value: Any, members: Mapping[str, Any]) -> Any:
    """Return a document in which each member of these names has another value."""
    if not isinstance(value, dict):
        return value
    return {name: members.get(name, _with_members(part, members)) for name, part in value.items()}
