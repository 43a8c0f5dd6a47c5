"""Runs one case through the whole machine: the template on the stand-in, with its rules enabled."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from faults.cases import SERVICE_CALLS, Case
from faults.clock import text
from faults.promise import DEAD, Asked, Pair, Trial, is_dry
from faults.rules import Template, status_event
from standin.organization import OrganizationClient
from standin.organization.worlds import MANAGEMENT_ACCOUNT_ID
from standin.standin import Execution
from support.machine import RUN_SECONDS, Machine

Json = dict[str, Any]

# Acts more steps apart than this find the machine at rest.
APART = 12
# Fault options that the stand-in lacks: it fails calls at once, and without performing them.
IN_PROCESS_ONLY = ("calls", "performed", "skip", "seconds", "where", "mild")
NOT_HERE = ("give up", "unprocessed")


@dataclass(eq=False)
class Run:
    """The last observed state of an execution."""

    execution: Execution
    input: Any
    status: str = "RUNNING"
    error: str | None = None
    redrives: int = 0

    @property
    def name(self) -> str:
        return self.execution.name

    @property
    def trigger(self) -> Json:
        trigger = self.input.get("trigger") if isinstance(self.input, dict) else None
        return trigger if isinstance(trigger, dict) else {}

    @property
    def is_recovery(self) -> bool:
        return "execution_arn" in self.trigger


@dataclass(frozen=True)
class Received:
    """A message, and when it was first seen."""

    at: float
    body: str
    attributes: dict[str, str]


@dataclass
class Deployed:
    """The machine on the stand-in, driven by a case."""

    machine: Machine
    _before: set[str] = field(default_factory=set)
    _runs: dict[str, Run] = field(default_factory=dict)
    _received: list[Received] = field(default_factory=list)
    _config: Json = field(default_factory=dict)
    _has_faults: bool = False
    _faults_ended: float = -1.0

    def __post_init__(self) -> None:
        self.organization: OrganizationClient = self.machine.organization
        self._machine_arn = self.machine.stack.outputs["StateMachineArn"]
        self._rules = [one for one in Template(self._machine_arn).rules() if one.starts_machine]

    def reset(self, case: Case) -> None:
        self.machine.standin.clear_faults()
        self.organization.reset(case.world)
        for item in self.machine.items():
            self.machine.delete(item["pk"], item["sk"])
        self.configure(case.config)
        self.write_book(case.book)
        self._before = {one.arn for one in self.machine.stack.executions()}
        self._runs, self._received = {}, []
        self._message_count = len(self.machine.stack.messages())
        for fault in case.organization_faults:
            self.organization.add_fault(fault)
        planned = [one for fault in case.faults for one in _planned(fault)]
        self.machine.standin.set_faults(planned)
        self._has_faults = bool(planned) or any(
            "account_id" not in fault for fault in case.organization_faults
        )
        self._faults_ended = -1.0

    # Actions of a case.

    def configure(self, config: Json) -> None:
        self.machine.configure(**config)

    def write_book(self, book: Json) -> None:
        self.machine.put_config({"config_key": "contacts", "contacts": book})

    def change_source(self, name: str, value: Json | None) -> None:
        self.organization.set_contact(MANAGEMENT_ACCOUNT_ID, name.upper(), value)

    def start(self, execution_input: Any) -> Run:
        self.messages()
        return self._run(self.machine.stack.start(execution_input))

    def stop(self, run: Run, _status: str) -> str | None:
        """Abort the execution: the stand-in cannot time out a single one.

        Returns its status, None if it had ended by itself.
        """
        with suppress(ClientError):
            run.execution.stop()
        status = run.execution.status()
        return status if status == "ABORTED" else None

    def redrive(self, run: Run) -> None:
        """Do nothing: the stand-in has no redrive."""

    def leave(self, account_id: str) -> None:
        self.organization.set_account(account_id, state="SUSPENDED")

    def join(self, account_id: str) -> None:
        self.organization.add_account(account_id)

    def after(self, _seconds: float, action: Callable[[], object]) -> None:
        action()

    def pass_time(self, _seconds: float) -> None:
        """Do nothing: time is real here."""

    def finish(self) -> None:
        """Wait until nothing runs, and the rules have responded to each end."""
        deadline = time.monotonic() + RUN_SECONDS
        while True:
            runs = self.executions()
            recoveries = sum(one.is_recovery for one in runs)
            expected = sum(self._starts_recovery(one) for one in runs)
            if recoveries >= expected and all(one.status != "RUNNING" for one in runs):
                return
            assert time.monotonic() < deadline, f"no end: {recoveries} of {expected} recoveries"
            time.sleep(0.05)

    def end_faults(self) -> None:
        self.machine.standin.clear_faults()
        self.organization.clear_faults()
        if self._has_faults:
            self._faults_ended = self.now()
        self._has_faults = False

    # Observations of a case.

    def now(self) -> float:
        return time.monotonic()

    def world(self) -> Json:
        return self.organization.world()

    def executions(self) -> Sequence[Run]:
        for execution, status in self.machine.stack.statuses().items():
            if execution.arn not in self._before:
                run = self._run(execution)
                if run.status == "RUNNING" != status:
                    run.status, run.error = status, execution.describe().get("error")
        return list(self._runs.values())

    def messages(self) -> Sequence[Received]:
        """Return the messages, except those of alarms."""
        messages = self.machine.stack.messages()[self._message_count :]
        self._message_count += len(messages)
        self._received += [
            Received(self.now(), one.body, one.attributes)
            for one in messages
            if "AlarmName" not in one.body
        ]
        return self._received

    def items(self) -> list[Json]:
        return self.machine.items()

    def last_fault(self) -> float:
        return self.now() if self._has_faults else self._faults_ended

    def topic_refused(self, since: float) -> bool:
        return self.last_fault() >= since

    def _run(self, execution: Execution) -> Run:
        if execution.arn not in self._runs:
            self._runs[execution.arn] = Run(execution, execution.input())
        return self._runs[execution.arn]

    def _starts_recovery(self, run: Run) -> bool:
        if run.status not in DEAD:
            return False
        event = status_event(self._machine_arn, run.name, run.status, run.input)
        return any(rule.is_for(event) for rule in self._rules)


class MachineTrial(Trial):
    """One case through the machine, observed only from outside."""

    system: Deployed

    def run(self) -> None:
        self.system.reset(self.case)
        for act in self.case.acts:
            if act.after is None or act.after > APART:
                self.system.finish()
            self.happen(act)
        self.system.finish()
        self.check_quiet()
        self.heal()
        self.system.finish()
        self.check_quiet()
        execution = self.repair()
        self.system.finish()
        self.check_quiet()
        self.check_repaired(execution)
        self._check_writes()

    def _last_work(self, pair: Pair, asked: Asked) -> tuple[float, str]:
        since_boot = time.monotonic() - time.time()
        calls = [
            call["time"] + since_boot
            for call in self.system.organization.calls()
            if (call["account_id"], (call["contact_type"] or "PRIMARY").lower()) == pair
            and not self._is_during_dry_run(call["time"])
        ]
        if self._need_not_try_again(asked):
            return max(calls, default=-1.0 if asked.heals else asked.at), ""
        return max((at for at in calls if at >= asked.at), default=asked.at), ""

    def _is_during_dry_run(self, at: float) -> bool:
        dry = [run.execution.describe() for run in self.system.executions() if is_dry(run)]
        return any(one["startDate"].timestamp() <= at <= one["stopDate"].timestamp() for one in dry)

    def _check_writes(self) -> None:
        """Check that only accounts that were once in scope were written."""
        calls = self.system.organization.calls()
        written = {
            one["account_id"] for one in calls if one["operation"].startswith(("Put", "Delete"))
        }
        forbidden = written - self.ever_in_scope
        assert not forbidden, f"only accounts in scope are written: {sorted(forbidden)}"

    def _time_of_day(self) -> str:
        return text(datetime.now(UTC))


def _planned(fault: Json) -> list[Json]:
    """Return the fault in the stand-in's format; without an operation, it applies to every one."""
    if fault["error"] in NOT_HERE:
        return []
    planned = {name: value for name, value in fault.items() if name not in IN_PROCESS_ONLY}
    planned["times"] = fault.get("times", 5 if "seconds" in fault else None)
    if "function" in fault:
        if fault["error"] == "kill":
            return [{**planned, "kind": "kill", "delay": 0.01 * fault.get("calls", 0)}]
        return [{**planned, "kind": "error"}]
    if fault["error"] in ("no answer", "InternalServerError"):
        planned |= {"error": "InternalServerError", "status": 500}
    service = fault["service"]
    operations = SERVICE_CALLS.get(service, ("Publish",))
    if "operation" in fault:
        operations = (fault["operation"],)
    return [{**planned, "operation": one} for one in sorted(set(operations))]
