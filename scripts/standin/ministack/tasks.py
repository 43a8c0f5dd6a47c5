"""Runs Task states as Step Functions does: retries, timeouts and the history."""

import contextvars
import random
import threading
from concurrent.futures import Future
from typing import Any

from ministack.core.responses import get_region
from ministack.services import stepfunctions as sfn

from standin.ministack.executions import Json, encode, record
from standin.ministack.registry import hook


@hook
def task_states() -> None:
    """Replace JSONata Task states.

    MiniStack's history lacks the arguments of a call and the TaskStarted event. MiniStack ignores
    the 256 KiB limit, caps retry delays at 60 s, and accepts no expression in `TimeoutSeconds`.
    """

    def execute_task(
        state: Json, data: Any, execution: Json, context: Json
    ) -> tuple[Any, str | None]:
        language = sfn._state_query_language(state, context)
        if language != "JSONata" or ".waitForTaskToken" in state["Resource"]:
            return original(state, data, execution, context)
        return _execute_task(state, data, execution, context)

    original = sfn._execute_task
    sfn._execute_task = execute_task


@hook
def retry_delays() -> None:
    """Apply a retrier's `MaxDelaySeconds` and `JitterStrategy`.

    Returns a retrier whose next interval is already computed.
    """

    def find_retrier(
        retriers: list[Json], error: str, counts: dict[int, int]
    ) -> tuple[Json | None, int]:
        retrier, index = original(retriers, error, counts)
        if retrier is None:
            return retrier, index
        delay = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** counts.get(
            index, 0
        )
        delay = min(delay, retrier.get("MaxDelaySeconds", delay))
        if retrier.get("JitterStrategy") == "FULL":
            delay = random.uniform(0, delay)  # noqa: S311 - not for security
        return {**retrier, "IntervalSeconds": delay, "BackoffRate": 1.0}, index

    original = sfn._find_matching_retrier
    sfn._find_matching_retrier = find_retrier


def _execute_task(state: Json, data: Any, execution: Json, context: Json) -> tuple[Any, str | None]:
    counts: dict[int, int] = {}
    while True:
        context["State"]["RetryCount"] = sum(counts.values())
        try:
            return _attempt(state, data, execution, context)
        except sfn._ExecutionError as error:
            if not _wait_for_retry(state, error, counts):
                return _catch(state, data, context, error)


def _attempt(state: Json, data: Any, execution: Json, context: Json) -> tuple[Any, str | None]:
    arguments = sfn._apply_jsonata_arguments(state, data, context)
    result = _call(state, arguments, data, execution, context)
    output = sfn._apply_jsonata_output(state, data, context, result=result, default=result)
    sfn._apply_state_assign(state, data, context, result=result)
    return output, sfn._next_or_end(state)


def _call(state: Json, arguments: Any, data: Any, execution: Json, context: Json) -> Any:
    kind, action = _resource_parts(state["Resource"])
    resource = {"resourceType": kind, "resource": action}
    scheduled: Json = {
        **resource,
        "region": get_region(),
        "parameters": encode(arguments, "task's input"),
    }
    timeout = None
    if "TimeoutSeconds" in state:
        timeout = sfn._jsonata_state_field(state, "TimeoutSeconds", "number", data, context)
        scheduled["timeoutInSeconds"] = timeout
    record(execution, "TaskScheduled", scheduled)
    record(execution, "TaskStarted", resource)
    try:
        result = _within(timeout, state["Resource"], arguments)
        text = encode(result, "task's result")
    except sfn._ExecutionError as error:
        event = "TaskTimedOut" if error.error == "States.Timeout" else "TaskFailed"
        record(execution, event, {**resource, "error": error.error, "cause": error.cause})
        raise
    record(execution, "TaskSucceeded", {**resource, "output": text})
    return result


def _resource_parts(resource: str) -> tuple[str, str]:
    """Split `arn:aws:states:::dynamodb:updateItem` into `dynamodb` and `updateItem`."""
    if ":::" not in resource:
        return "lambda", "invoke"
    kind, _, action = resource.split(":::", 1)[1].rpartition(":")
    return kind, action


def _within(timeout: float | None, resource: str, arguments: Any) -> Any:
    """Call the resource; raise States.Timeout after `timeout` seconds."""
    future: Future[Any] = Future()

    def call() -> None:
        try:
            future.set_result(sfn._invoke_resource(resource, arguments))
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            future.set_exception(error)

    # Keep the account and region of the execution in the thread, which may outlive its task.
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(call,), daemon=True).start()
    try:
        return future.result(timeout)
    except TimeoutError:
        if future.done():
            raise
        raise sfn._ExecutionError(
            "States.Timeout", f"The task did not end within {timeout} seconds."
        ) from None


def _wait_for_retry(state: Json, error: Any, counts: dict[int, int]) -> bool:
    retriers = state.get("Retry", [])
    retrier, index = sfn._find_matching_retrier(retriers, error.error, counts)
    if retrier is None:
        return False
    count = counts.get(index, 0)
    delay = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** count
    sfn._scaled_sleep(delay)
    counts[index] = count + 1
    return True


def _catch(state: Json, data: Any, context: Json, error: Any) -> tuple[Any, str | None]:
    catcher = sfn._find_matching_catcher(state.get("Catch", []), error.error)
    if catcher is None:
        raise error
    error_output = {"Error": error.error, "Cause": error.cause}
    output = sfn._apply_catcher(catcher, data, context, "JSONata", error_output)
    return output, catcher["Next"]
