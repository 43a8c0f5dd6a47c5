"""The demo itself: an organization that has drifted, a deployed stack, one run, and its traces."""

import shlex
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from standin.organization.client import AdminError
from standin.organization.worlds import MANAGEMENT_ACCOUNT_ID, drifted_world
from standin.package import PackageError
from standin.standin import Execution, Outcome, Stack, Standin, StandinError
from standin.tables import Tables

from demo.follow import POLL_SECONDS, Followed, follow
from demo.options import Json, Options
from demo.report import served, write_report
from demo.results import show_counts, show_end, show_messages, show_states, show_traces
from demo.view import complain, heading, say, table

ENVIRONMENT = "dev"
LATENCY_SECONDS = 0.05
# Nobody wants to watch the state machine wait: 5 minutes after a change it reads the source again.
LEAST_WAIT_SPEED = 100.0
RULE_SECONDS = 2.0

ALTERNATE_TYPES = ("BILLING", "OPERATIONS", "SECURITY")


def run_demo(options: Options) -> int:
    """Run the demo and return the exit code; whatever happens, nothing is left running."""
    try:
        with _standin(options) as standin:
            return _Demo(options, standin).run()
    except (StandinError, PackageError, AdminError, BotoCoreError, ClientError) as error:
        complain(f"error: {error}")
        return 1


@contextmanager
def _standin(options: Options) -> Iterator[Standin]:
    say(f"Starting the stand-in for AWS, at {options.speed:g} times AWS's speed ...")
    world = _world(options.accounts)
    wait_speed = max(options.speed, LEAST_WAIT_SPEED)
    with Standin(speed=options.speed, wait_speed=wait_speed, world=world) as standin:
        yield standin
        say("Stopping the stand-in ...")


def _world(accounts: int) -> Json:
    """Return an organization in which one account in ten agrees already, and a few are closing."""
    world = drifted_world(
        accounts,
        drift=0.9,
        states={"SUSPENDED": max(1, accounts // 30), "PENDING_CLOSURE": 1},
        latency={"default": LATENCY_SECONDS},
    )
    # The events under tests/events are about the first account, which can be synced.
    first, *others = world["accounts"]
    active = next(account for account in others if account["state"] == "ACTIVE")
    if first["state"] != "ACTIVE":
        first["state"], active["state"] = active["state"], first["state"]
    return world


@dataclass(frozen=True)
class _Fault:
    """Something that goes wrong for one account."""

    account_id: str
    what: str


class _Demo:
    """One demo in a running stand-in."""

    def __init__(self, options: Options, standin: Standin) -> None:
        self.options = options
        self.standin = standin
        world = standin.organization.world()
        accounts, contacts = world["accounts"], world["contacts"]
        active = [account["id"] for account in accounts if account["state"] == "ACTIVE"]
        source = contacts[MANAGEMENT_ACCOUNT_ID]
        drifted = sum(contacts[account_id] != source for account_id in active)
        # What is special about single accounts shows best on those that differ.
        active.sort(key=lambda account_id: contacts[account_id] == source)
        *self.synced, self.excluded = active
        say(
            f"Organization: {len(accounts)} member accounts, {len(accounts) - len(active)} of them "
            f"not ACTIVE, {drifted} of the others with contacts of their own."
        )

    def run(self) -> int:
        """Deploy, run, show, and return the exit code."""
        self.stack = self._deploy()
        execution, faults = self._start()
        followed = follow(execution)
        self._show(execution, followed, faults)
        report = self._report()
        if followed.outcome.status != "SUCCEEDED":
            complain(_reason(followed.outcome))
        if self.options.keep:
            self._keep(report)
        return 0 if followed.outcome.status == "SUCCEEDED" else 1

    def _deploy(self) -> Stack:
        say(f"Deploying template.yaml ({ENVIRONMENT}) ...")
        stack = self.standin.deploy(ENVIRONMENT)
        Tables(stack).configure(excluded_accounts=[self.excluded])
        say(f"Configured with the stack's default; account {self.excluded} is excluded.")
        return stack

    def _start(self) -> tuple[Execution, list[_Fault]]:
        """Start the execution to look at, by hand or by an event."""
        if self.options.event is None:
            faults = self._plan_faults()
            execution = self.stack.start(self.options.execution_input)
            say(f"Started {execution.arn}")
            return execution, faults
        say("Syncing once, so that the event finds everything in order ...")
        first = follow(self.stack.start({"reason": "before the event"}))
        if first.outcome.status != "SUCCEEDED":
            raise StandinError(f"the sync before the event: {_reason(first.outcome)}")
        faults = self._plan_faults()
        return self._start_by_event(self.options.event), faults

    def _plan_faults(self) -> list[_Fault]:
        if not self.options.faults:
            return []
        throttled, denied, dying = self.synced[:3]
        every_call = {"operation": "*", "error": "AccessDeniedException", "account_id": denied}
        self.standin.organization.add_fault(
            {**every_call, "error": "TooManyRequestsException", "account_id": throttled, "times": 4}
        )
        self.standin.organization.add_fault(every_call)
        processor = {"function": "primary-contact-processor", "match": dying}
        self.standin.set_faults([{**processor, "kind": "kill", "times": 1}])
        return [
            _Fault(throttled, "the API throttles the first four calls"),
            _Fault(denied, "a policy denies every call"),
            _Fault(dying, "the primary-contact-processor dies once"),
        ]

    def _start_by_event(self, event: Json) -> Execution:
        """Put the event on the bus, and return the execution that a rule starts."""
        if contact_type := contact_type_of(event):
            self._change_source(contact_type, is_deleted="Delete" in event["detail"]["eventName"])
        before = {execution.arn for execution in self.stack.executions()}
        self.standin.put_event(event)
        say(f"Put the event on the bus: {event['detail-type']} of {event['source']}.")
        deadline = time.monotonic() + RULE_SECONDS
        while time.monotonic() < deadline:
            for execution in self.stack.executions():
                if execution.arn not in before:
                    say(f"A rule started {execution.arn}")
                    return execution
            time.sleep(POLL_SECONDS)
        raise StandinError("no rule matches the event: no execution was started")

    def _change_source(self, contact_type: str, *, is_deleted: bool) -> None:
        organization = self.standin.organization
        contact = organization.contacts(MANAGEMENT_ACCOUNT_ID)[contact_type]
        name = "FullName" if contact_type == "PRIMARY" else "Name"
        changed = None if is_deleted else {**contact, name: f"{contact[name]} the Second"}
        organization.set_contact(MANAGEMENT_ACCOUNT_ID, contact_type, changed)
        done = "Deleted" if is_deleted else "Changed"
        say(f"{done} the {contact_type} contact of the management account.")

    def _show(self, execution: Execution, followed: Followed, faults: list[_Fault]) -> None:
        show_counts(self.stack, execution)
        if faults:
            heading("Planned faults")
            rows = [
                (one.account_id, one.what, followed.result_of(one.account_id)) for one in faults
            ]
            table(["account", "what went wrong", "result"], rows)
        show_messages(self.stack, execution)
        show_states(execution, self.standin.wait_speed)
        show_traces(self.stack, execution)
        show_end(execution, self.options.speed)

    def _report(self) -> Path:
        heading("Report of every account, as scripts/report.sh writes it")
        report = write_report(ENVIRONMENT, _variables(self.standin))
        say(f"Open {report}")
        return report

    def _keep(self, report: Path) -> None:
        """Wait for Ctrl-C, and tell how to look around."""
        try:
            with served(report) as address:
                heading("The stand-in keeps running until Ctrl-C.")
                say(f"The report: {address}")
                say("In another terminal:")
                say(_commands(self.standin, self.stack))
                threading.Event().wait()
        except KeyboardInterrupt:
            say("")


def contact_type_of(event: Json) -> str | None:
    """Return the type of the contact that the event tells a change of, None if of none."""
    name = event["detail"].get("eventName")
    if name == "PutContactInformation":
        return "PRIMARY"
    if name not in ("PutAlternateContact", "DeleteAlternateContact"):
        return None
    # What was sent is recorded in either spelling, and not at all where it was refused.
    parameters = event["detail"].get("requestParameters") or {}
    given = parameters.get("alternateContactType") or parameters.get("AlternateContactType")
    return given if given in ALTERNATE_TYPES else None


def _reason(outcome: Outcome) -> str:
    return f"{outcome.status}: {outcome.error}: {outcome.cause}"


def _variables(standin: Standin) -> dict[str, str]:
    """Return the variables that lead every AWS client to the stand-in."""
    return {
        "AWS_ENDPOINT_URL": standin.endpoint_url,
        "AWS_ENDPOINT_URL_ACCOUNT": standin.organization_url,
        "AWS_ENDPOINT_URL_ORGANIZATIONS": standin.organization_url,
        "AWS_ACCESS_KEY_ID": MANAGEMENT_ACCOUNT_ID,
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def _commands(standin: Standin, stack: Stack) -> str:
    machine = f"--state-machine-arn {stack.outputs['StateMachineArn']}"
    member = standin.organization.world()["accounts"][0]["id"]
    commands = [
        f"aws stepfunctions start-execution {machine} --input {shlex.quote('{}')}",
        f"aws stepfunctions list-executions {machine}",
        f"aws dynamodb scan --table-name {stack.outputs['StateTableName']}",
        "aws account get-alternate-contact --alternate-contact-type SECURITY "
        f"--account-id {member}",
        "aws organizations list-accounts",
        f"bash scripts/report.sh --environment {ENVIRONMENT}",
    ]
    exports = [f"export {name}={value}" for name, value in _variables(standin).items()]
    return "\n".join(["", *exports, "", *commands, ""])
