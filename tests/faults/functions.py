"""Runs the functions as Lambda does, in separate processes; calls pause before each API call.

As in Lambda, each process has its own copy of the product's modules, so overlapping calls share
nothing. Each call runs in a thread, one thread at a time. It pauses before every service call and
resumes when the case says so, or never.
"""

import importlib
import json
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

from faults.clock import Clock
from faults.interpreter import StateError

Json = dict[str, Any]

FOLDER = Path(__file__).parents[2] / "functions"
PACKAGES = {path.name for path in FOLDER.iterdir() if path.is_dir()}


class KilledError(BaseException):
    """The function's process is gone; the function must not catch this."""


class ApiCall(NamedTuple):
    """A service call that a function is about to make."""

    service: str
    operation: str
    request: Json


class Process:
    """One process of one function."""

    def __init__(self, folder: str, clock: Clock) -> None:
        self.folder = folder
        self._clock = clock
        for name in _product_modules():
            del sys.modules[name]
        self._handler = importlib.import_module(f"{folder}.handler").lambda_handler
        for name in _module_names(folder, "contact_sync"):
            importlib.import_module(name)  # late imports need this clock, too
        self._modules = _product_modules()
        self._clock.rule(self._modules)

    def install(self) -> None:
        """Make imports find this process's modules."""
        sys.modules.update(self._modules)

    def handle(self, event: Json, deadline: float) -> Any:
        context = SimpleNamespace(
            function_name="function",
            memory_limit_in_mb=256,
            invoked_function_arn="arn:aws:lambda:us-east-1:999999999999:function:function",
            aws_request_id="request-1",
            get_remaining_time_in_millis=lambda: int(1000 * (deadline - self._clock.now)),
        )
        return self._handler(event, context)


class Call(threading.Thread):
    """One call of a function. `next` is the service call before which it has paused."""

    def __init__(self, process: Process, event: Json, deadline: float) -> None:
        super().__init__(daemon=True)
        self.process = process
        self.deadline = deadline
        self.next: ApiCall | None = None
        self.is_over = False
        self.is_killed = False
        # The call's execution, its planned fault, and whether its execution no longer waits for it.
        self.owner: Any = None
        self.function = ""
        self.plan: Json | None = None
        self.is_given_up = False
        self._event = event
        self._answer: Any = None
        self._failure: StateError | None = None
        self._turn, self._stopped = threading.Semaphore(0), threading.Semaphore(0)

    def resume(self) -> None:
        """Resume until the next service call or the end."""
        self.process.install()
        if self.ident is None:
            self.start()
        else:
            self._turn.release()
        self._stopped.acquire()

    def kill(self) -> None:
        """End the call at its current point."""
        self.is_killed = True
        while not self.is_over:
            self.resume()

    def answer(self) -> Any:
        """Return the function's result; raise its error as Lambda reports it, as StateError."""
        if self._failure:
            raise self._failure
        return self._answer

    def stop_before(self, call: ApiCall) -> None:
        """Pause this thread until the next turn."""
        if not self.is_killed:
            self.next = call
            self._stopped.release()
            self._turn.acquire()
            self.next = None
        if self.is_killed:
            raise KilledError

    def run(self) -> None:
        try:
            self._answer = json.loads(json.dumps(self.process.handle(self._event, self.deadline)))
        except KilledError:
            self.is_killed = True
            self._failure = StateError("Runtime.ExitError", "planned")
        except Exception as error:  # noqa: BLE001 - as Lambda does
            cause = {"errorType": type(error).__name__, "errorMessage": str(error)}
            trace = traceback.format_exception(error)
            details = json.dumps({**cause, "trace": trace})
            self._failure = StateError(type(error).__name__, details)
        finally:
            self.is_over = True
            self._stopped.release()


@contextmanager
def private_modules() -> Iterator[None]:
    """Restore the product's modules afterwards."""
    before = _product_modules()
    try:
        yield
    finally:
        for name in _product_modules():
            del sys.modules[name]
        sys.modules.update(before)


class Pool:
    """The processes of all functions; each handles one call at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._idle: dict[str, list[Process]] = {}

    def call(self, folder: str, event: Json, deadline: float) -> Call:
        idle = self._idle.get(folder)
        process = idle.pop() if idle else Process(folder, self._clock)
        return Call(process, event, deadline)

    def give_back(self, call: Call) -> None:
        """Keep the process for a later call, unless it was killed."""
        if not call.is_killed:
            self._idle.setdefault(call.process.folder, []).append(call.process)


def _module_names(*packages: str) -> list[str]:
    return [
        ".".join(path.relative_to(FOLDER).with_suffix("").parts)
        for package in packages
        for path in sorted((FOLDER / package).rglob("*.py"))
        if path.stem != "__init__"
    ]


def _product_modules() -> dict[str, ModuleType]:
    return {
        name: module
        for name, module in sys.modules.items()
        if name.partition(".")[0] in PACKAGES and module is not None
    }
