"""Runs one case through the whole machine: the deployed template on the stand-in, its rules on."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from faults.cases import Case, asked_for
from faults.invariants import NARROW, Trial
from standin import Execution
from standin.machine import Machine
from standin.organization import OrganizationClient
from standin.stack import Message

Json = dict[str, Any]

# Events this many steps apart find the machine at rest.
APART = 12
# What the stand-in cannot do of a fault: it fails a call at once, and performs none that fails.
IN_PROCESS_ONLY = {"calls", "performed", "skip"}


@dataclass(frozen=True)
class Run:
    """An execution that has ended, or runs."""

    execution: Execution
    input: Any
    status: str
    output: Any
    error: str | None

    @property
    def name(self) -> str:
        return self.execution.name

    @property
    def states(self) -> list[str]:
        return self.execution.states()

    @property
    def is_recovery(self) -> bool:
        return bool(self.input.get("trigger", {}).get("source") == "recovery")


class Deployed:
    """The machine on the stand-in, as a case drives it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.organization: OrganizationClient = machine.organization
        self._before: set[Execution] = set()

    def reset(self, case: Case) -> None:
        self.machine.reset(case.world, **case.config)
        self._before = set(self.machine.stack.executions())
        for fault in case.organization_faults:
            self.organization.add_fault(fault)
        functions = [_function_fault(fault) for fault in case.function_faults]
        services = [_service_fault(fault) for fault in case.service_faults]
        self.machine.standin.set_faults([*functions, *services])

    def start(self, execution_input: Json) -> Execution:
        return self.machine.stack.start(execution_input)

    def stop(self, run: Run, _status: str) -> None:
        with suppress(ClientError):  # it may have ended meanwhile
            run.execution.stop()

    def clear_faults(self) -> None:
        self.machine.standin.clear_faults()
        self.organization.clear_faults()

    def executions(self) -> list[Run]:
        started = self.machine.stack.statuses().keys() - self._before
        return [_run(execution) for execution in sorted(started, key=lambda one: one.name)]

    def messages(self) -> list[Message]:
        return self.machine.messages()

    def item(self, key: Mapping[str, str]) -> Json:
        return self.machine.item(key["pk"], key["sk"])

    def objects(self) -> list[str]:
        bucket = self.machine.stack.outputs["RunsBucketName"]
        listed = self.machine.standin.client("s3").list_objects_v2(Bucket=bucket)
        return [item["Key"] for item in listed.get("Contents", [])]


class MachineTrial(Trial):
    """One case through the machine, which is seen from outside alone."""

    system: Deployed

    def run(self) -> None:
        self.system.reset(self.case)
        before = 0
        for step, what in self.agenda():
            if step - before > APART:
                self._finish()
            before = step
            self._happen(what)
        self._finish()
        self._remember_failed()
        self._check_end()
        self._check_repair()

    def _finish(self) -> None:
        self.system.machine.await_recoveries()
        world = self.system.organization.world()
        for request in self._requests():
            self.asked |= asked_for(world, request)

    def _remember_failed(self) -> None:
        """Collect which accounts are recorded as failed."""
        for item in self.system.machine.items():
            if item.get("gsi1sk", "").startswith("failed#"):
                self.failed_accounts.add(item["pk"].removeprefix("ACCOUNT#"))

    def _requests(self) -> Iterable[Json]:
        """Return the accounts and units of each execution that may write."""
        for run in self.system.executions():
            account_id = run.input.get("trigger", {}).get("account_id")
            if account_id:
                yield {"account_ids": [account_id]}
            elif not run.input.get("dry_run") and not run.is_recovery:
                yield {name: run.input[name] for name in NARROW & run.input.keys()}


def _run(execution: Execution) -> Run:
    told = execution.describe()
    output = execution.wait().output if told["status"] == "SUCCEEDED" else None
    return Run(execution, execution.input(), told["status"], output, told.get("error"))


def _function_fault(fault: Json) -> Json:
    planned = {name: value for name, value in fault.items() if name not in IN_PROCESS_ONLY}
    if fault["error"] == "kill":
        return {**planned, "kind": "kill", "delay": 0.01 * fault["calls"]}
    return {**planned, "kind": "error"}


def _service_fault(fault: Json) -> Json:
    planned = {name: value for name, value in fault.items() if name not in IN_PROCESS_ONLY}
    if fault["error"] in ("no answer", "InternalServerError"):
        return {**planned, "error": "InternalServerError", "status": 500}
    return planned
