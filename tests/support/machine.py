"""The deployed system under test, with a new organization and empty tables for each test."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from standin.errors import StandinError
from standin.organization.worlds import drifted_world
from standin.running import RunningStandin
from standin.stack import POLL_SECONDS, Execution, Stack
from standin.standin import Standin
from standin.tables import Tables

Json = dict[str, Any]

# Enough for a run in a stand-in that shares two cores with other work; reached only on failure.
RUN_SECONDS = 240.0


class Machine(Tables):
    """One deployed stack with its tables, and every execution since the last reset."""

    def __init__(self, standin: RunningStandin, stack: Stack, *, recovers: bool) -> None:
        super().__init__(stack)
        self.standin = standin
        self._recovers = recovers
        self._dead_of: dict[str, str | None] = {}
        self._given_up: set[str] = set()
        self.organization = standin.organization
        self._message_count = 0

    def reset(self, world: Mapping[str, Any], **config: Any) -> None:
        """Start over with this organization, this configuration over the default, and no state."""
        self.standin.clear_faults()
        if self._recovers:
            self.await_recoveries()
        self.standin.await_quiet()
        self.organization.reset(world)
        for item in self.items():
            self.delete(item["pk"], item["sk"])
        self.configure(**config)
        self._message_count = len(self.stack.messages())

    def await_recoveries(self) -> None:
        """Wait until nothing runs, and each dead execution has been recovered.

        Only then does nothing read or write the tables. A dead recovery has no recovery. Executions
        that do not end in time fail one test, not every later one.
        """
        deadline = time.monotonic() + RUN_SECONDS
        while True:
            executions = self.stack.statuses()
            for execution in executions:
                if execution.arn not in self._dead_of:
                    self._dead_of[execution.arn] = _dead_execution(execution.input())
            pending = {
                execution: status
                for execution, status in executions.items()
                if execution.arn not in self._given_up
                and (status == "RUNNING" or self._lacks_recovery(execution.arn, status))
            }
            if not pending:
                return
            if time.monotonic() > deadline:
                self._give_up(pending)
                names = [execution.name for execution in pending]
                raise StandinError(f"still running, or dead and not recovered: {names}")
            time.sleep(POLL_SECONDS)

    def _lacks_recovery(self, arn: str, status: str) -> bool:
        is_recovery = bool(self._dead_of[arn])
        return status != "SUCCEEDED" and not is_recovery and arn not in self._dead_of.values()

    def _give_up(self, pending: Mapping[Execution, str]) -> None:
        for execution, status in pending.items():
            self._given_up.add(execution.arn)
            if status == "RUNNING":
                execution.stop()

    def run(self, execution_input: Any = None, name: str | None = None) -> Execution:
        """Start an execution and wait for its end."""
        execution = self.stack.start(execution_input, name)
        execution.wait(RUN_SECONDS)
        return execution

    def messages(self) -> list[Any]:
        """Return the messages published since the last reset."""
        return self.stack.messages()[self._message_count :]

    def writes(self) -> list[Json]:
        """Return every attempted write of a contact since the last reset or clear."""
        return [
            call
            for call in self.organization.calls()
            if call["operation"].startswith(("Put", "Del"))
        ]

    def item(self, pk: str, sk: str) -> Json:
        """Return one item of the state table, empty if there is none."""
        return next((i for i in self.items() if (i["pk"], i["sk"]) == (pk, sk)), {})

    def queue(self) -> list[str]:
        """Return the executions whose requests are queued."""
        keys = [item["sk"] for item in self.items() if item["pk"] == "LOCK"]
        return [key.removeprefix("QUEUE#") for key in keys if key.startswith("QUEUE#")]

    def lock(self) -> Json:
        """Return the lock item without its key."""
        found = self.item("LOCK", "LOCK")
        return {name: value for name, value in found.items() if name not in ("pk", "sk")}

    def account(self, account_id: str) -> Json:
        """Return an account's last known state."""
        return self.item(f"ACCOUNT#{account_id}", "STATE")


def _dead_execution(execution_input: Any) -> str | None:
    """Return the dead execution that the input recovers, None for any other input."""
    trigger = execution_input.get("trigger") if isinstance(execution_input, dict) else None
    return trigger.get("execution_arn") if isinstance(trigger, dict) else None


@contextmanager
def machine(
    *, triggers: str, speed: float = 100.0, environment: str = "dev", record_calls: bool = False
) -> Iterator[Machine]:
    """Deploy the real template to a stand-in; `speed` shortens waits and raises quotas."""
    with _standin(speed, record_calls=record_calls) as standin:
        yield deployed(standin, triggers, environment)


def deployed(standin: RunningStandin, triggers: str, environment: str = "dev") -> Machine:
    """Deploy the real template to this stand-in."""
    stack = standin.deploy(environment=environment, parameters={"Triggers": triggers})
    return Machine(standin, stack, recovers=triggers == "ENABLED")


def _standin(speed: float, *, record_calls: bool) -> AbstractContextManager[RunningStandin]:
    """Return the stand-in at STANDIN_URL and STANDIN_ORGANIZATION_URL, or start one."""
    if url := os.environ.get("STANDIN_URL"):
        return nullcontext(RunningStandin(url, os.environ["STANDIN_ORGANIZATION_URL"]))
    return Standin(accounts=0, speed=speed, world=drifted_world(0), record_calls=record_calls)
