"""Reports running executions and tasks, including tasks whose execution has ended."""

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
    """Return the running executions and the number of running tasks."""
    running = [arn for arn, one in list(sfn._executions.items()) if one["status"] == "RUNNING"]
    return {"executions": running, "tasks": _begun}


@hook
def task_count() -> None:
    """Count tasks from before they start until they end.

    As on AWS, the function of a stopped execution keeps running: it may still read and write.
    """
    tasks._within = _counted(tasks._within)
    # A task that times out is abandoned, but keeps running.
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
