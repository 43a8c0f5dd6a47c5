"""Simulated latency of AWS: starts of execution environments and of children.

Each environment variable holds seconds at AWS's own speed, 0 if unset.
"""

import os
import time
from typing import Any

from ministack.services import lambda_svc

from standin.ministack.executions import Json
from standin.ministack.registry import hook

# Before the import of a function's module, in a new execution environment.
FUNCTION_START = "STANDIN_FUNCTION_START"
# Between a state machine and the handler, for each invocation.
INVOCATION = "STANDIN_INVOCATION"
# Between a free slot of a Distributed Map and the first state of the next child.
CHILD_START = "STANDIN_CHILD_START"


def pause(name: str) -> None:
    """Sleep for the variable's seconds, at the stand-in's speed."""
    seconds = float(os.environ.get(name, "0")) / float(os.environ.get("STANDIN_SPEED", "1"))
    if seconds > 0:
        time.sleep(seconds)


@hook
def start_latency() -> None:
    """Delay each invocation, and the start of each execution environment, as configured.

    In MiniStack, an invocation has no delay, and a start takes only the time of the import.
    """

    def execute(function: Json, event: Any, request_id: str) -> Json:
        pause(INVOCATION)
        return original_execute(function, event, request_id)

    def acquire(*arguments: Any, **options: Any) -> tuple[Any, str]:
        worker, reason = original_acquire(*arguments, **options)
        if reason == "spawn":
            pause(FUNCTION_START)
        return worker, reason

    original_execute = lambda_svc._execute_function_warm
    original_acquire = lambda_svc.acquire_worker
    lambda_svc._execute_function_warm = execute
    lambda_svc.acquire_worker = acquire
