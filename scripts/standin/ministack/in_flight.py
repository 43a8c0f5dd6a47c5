"""Reports what still runs: executions, and tasks, including those whose execution has ended."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ministack.services import stepfunctions as sfn

from standin.ministack import tasks
from standin.ministack.executions import Json
from standin.ministack.registry import hook
from standin.ministack.routes import route

_lock = threading.Lock()
_begun = 0


@route("GET", "/_standin/in-flight")
def _in_flight(_: None) -> Json:
    """Return the executions that run, and how many tasks work."""
    running = [arn for arn, one in list(sfn._executions.items()) if one["status"] == "RUNNING"]
    return {"executions": running, "tasks": _begun}


@hook
def task_count() -> None:
    """Count tasks from before they begin until they end.

    A stopped execution's function keeps running, as on AWS: until it ends, it reads and writes.
    """
    tasks._within = _counted(tasks._within)
    # A task that timed out is given up, not ended.
    sfn._invoke_resource = _counted(sfn._invoke_resource)


def _counted(work: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*arguments: Any, **options: Any) -> Any:
        with _at_work():
            return work(*arguments, **options)

    return counted


@contextmanager
def _at_work() -> Iterator[None]:
    global _begun  # noqa: PLW0603 - one number for the whole server
    with _lock:
        _begun += 1
    try:
        yield
    finally:
        with _lock:
            _begun -= 1
