"""The demo: an organization that has drifted, a deployed stack, and one run."""

import os
import threading
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

from demo.follow import Followed, follow
from demo.options import Json, Options
from demo.report import served, write_report
from demo.results import Contacts, pace, show_account, show_end, show_messages, show_next
from demo.view import complain, heading, say, table

ENVIRONMENT = "dev"
LATENCY_SECONDS = 0.05
# Shortens the state machine's waits, such as 5 minutes before it rereads a changed source.
LEAST_WAIT_SPEED = 100.0

ALTERNATE_TYPES = ("BILLING", "OPERATIONS", "SECURITY")


def run_demo(options: Options) -> int:
    """Run the demo and return the exit code; always stop everything that it started."""
    try:
        with _standin(options) as standin:
            return _Demo(options, standin).run()
    except (StandinError, PackageError, AdminError, BotoCoreError, ClientError) as error:
        complain(f"error: {error}")
        return 1


@contextmanager
def _standin(options: Options) -> Iterator[Standin]:
    say(f"Starting the stand-in for AWS, at {pace(options.speed)} ...")
    world = _world(options.accounts)
    wait_speed = max(options.speed, LEAST_WAIT_SPEED)
    with Standin(speed=options.speed, wait_speed=wait_speed, world=world) as standin:
        yield standin
        say("Stopping the stand-in ...")


def _world(accounts: int) -> Json:
    """Return an organization with one account in ten in sync, and a few closing."""
    world = drifted_world(
        accounts,
        drift=0.9,
        states={"SUSPENDED": max(1, accounts // 30), "PENDING_CLOSURE": 1},
        latency={"default": LATENCY_SECONDS},
    )
    # The events in tests/events refer to the first account, which must be active.
    first, *others = world["accounts"]
    active = next(account for account in others if account["state"] == "ACTIVE")
    if first["state"] != "ACTIVE":
        first["state"], active["state"] = active["state"], first["state"]
    return world


@dataclass(frozen=True)
class _Fault:
    """A fault planned for one account."""

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
        # Faults and exclusions show best on accounts that differ from the source.
        active.sort(key=lambda account_id: contacts[account_id] == source)
        *self.synced, self.excluded = active
        say(
            f"Organization: {len(accounts)} member accounts, {len(accounts) - len(active)} of them "
            f"not ACTIVE, {drifted} of the others with contacts of their own."
        )

    def run(self) -> int:
        """Deploy, run, show the results, and return the exit code."""
        self.stack = self._deploy()
        if self.options.event is not None:
            self._sync_before()
        faults = self._plan_faults()
        before = self._shown_contacts()
        execution = self._start()
        succeeded = execution is None or self._follow(execution, before, faults)
        heading("Report of every account, as scripts/report.sh writes it")
        say(f"Open {self._report()}")
        if self.options.keep:
            self._keep()
        else:
            show_next()
        return 0 if succeeded else 1

    def _deploy(self) -> Stack:
        say(f"Packaging the functions, and deploying template.yaml ({ENVIRONMENT}) ...")
        stack = self.standin.deploy(ENVIRONMENT)
        Tables(stack).configure(excluded_accounts=[self.excluded])
        say(f"Account {self.excluded} is excluded.")
        return stack

    def _sync_before(self) -> None:
        say("Syncing once, so that the event finds everything in order ...")
        first = follow(self.stack.start({"reason": "before the event"}))
        if first.outcome.status != "SUCCEEDED":
            raise StandinError(f"the sync before the event: {_reason(first.outcome)}")

    def _start(self) -> Execution | None:
        """Start the execution, by hand or by an event; None if the event starts none."""
        if self.options.event is not None:
            return self._start_by_event(self.options.event)
        execution = self.stack.start(self.options.execution_input)
        say(f"Started run {execution.name}")
        return execution

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

    def _start_by_event(self, event: Json) -> Execution | None:
        """Put the event on the bus; return the execution that a rule starts, if any."""
        if contact_type := contact_type_of(event):
            self._change_source(contact_type, is_deleted="Delete" in event["detail"]["eventName"])
        before = {execution.arn for execution in self.stack.executions()}
        self.standin.put_event(event)
        say(f"Put the event on the bus: {event['detail-type']} of {event['source']}.")
        started = [each for each in self.stack.executions() if each.arn not in before]
        if not started:
            say("No rule starts a run for it.")
            return None
        say(
            f"A rule started run {started[0].name}, in which waits are "
            f"{self.standin.wait_speed:g} times as fast."
        )
        return started[0]

    def _change_source(self, contact_type: str, *, is_deleted: bool) -> None:
        organization = self.standin.organization
        contact = organization.contacts(MANAGEMENT_ACCOUNT_ID)[contact_type]
        name = "FullName" if contact_type == "PRIMARY" else "Name"
        changed = None if is_deleted else {**contact, name: f"{contact[name]} the Second"}
        organization.set_contact(MANAGEMENT_ACCOUNT_ID, contact_type, changed)
        done = "Deleted" if is_deleted else "Changed"
        say(f"{done} the {contact_type} contact of the management account.")

    def _follow(self, execution: Execution, before: Contacts, faults: list[_Fault]) -> bool:
        """Follow the execution to its end, and return whether it succeeded."""
        followed = follow(execution)
        show_account(self.synced[0], before, self._shown_contacts())
        if faults:
            _show_faults(faults, followed)
        show_messages(self.stack, execution)
        show_end(execution, self.options.speed)
        succeeded = followed.outcome.status == "SUCCEEDED"
        if not succeeded:
            complain(_reason(followed.outcome))
        return succeeded

    def _shown_contacts(self) -> Contacts:
        return self.standin.organization.contacts(self.synced[0])

    def _report(self) -> Path:
        return write_report(ENVIRONMENT, self.standin.variables)

    def _keep(self) -> None:
        """Explain how to explore the stack, and wait for Ctrl-C."""
        try:
            with served(self._report) as address:
                heading(f"The stand-in keeps running until Ctrl-C, or `kill {os.getpid()}`.")
                say(f"The report, written anew each time: {address}")
                say("With these variables, in another terminal, every operating command works:")
                say(_commands(self.standin, self.synced[0]))
                threading.Event().wait()
        except KeyboardInterrupt:
            say("")


def contact_type_of(event: Json) -> str | None:
    """Return the type of the source contact that the event reports as changed, if any."""
    name = event["detail"].get("eventName")
    # CloudTrail records parameters in either spelling, and none for a denied call.
    parameters = event["detail"].get("requestParameters") or {}
    if parameters.keys() & {"accountId", "AccountId"}:  # a member's contact
        return None
    if name == "PutContactInformation":
        return "PRIMARY"
    if name not in ("PutAlternateContact", "DeleteAlternateContact"):
        return None
    given = parameters.get("alternateContactType") or parameters.get("AlternateContactType")
    return given if given in ALTERNATE_TYPES else None


def _reason(outcome: Outcome) -> str:
    return f"{outcome.status}: {outcome.error}: {outcome.cause}"


def _show_faults(faults: list[_Fault], followed: Followed) -> None:
    heading("Planned faults")
    rows = [(one.account_id, one.what, followed.result_of(one.account_id)) for one in faults]
    table(["account", "what went wrong", "result"], rows)


def _commands(standin: Standin, member: str) -> str:
    commands = [
        f"bash scripts/resync.sh --environment {ENVIRONMENT} --dry-run --follow",
        f"bash scripts/config.sh explain {member} --environment {ENVIRONMENT}",
        f"bash scripts/report.sh --environment {ENVIRONMENT}",
        f"aws account get-contact-information --account-id {member}",
    ]
    exports = [f"export {name}={value}" for name, value in standin.variables.items()]
    return "\n".join(["", *exports, "", *commands, ""])
