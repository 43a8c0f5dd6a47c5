"""Runs executions as Step Functions does: limits, timeouts, stops, and the history."""

import contextvars
import json
import logging
import re
import threading
from collections.abc import Callable
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import stepfunctions as sfn

from standin.ministack.registry import hook

Json = dict[str, Any]

logger = logging.getLogger("standin.executions")

PAYLOAD_LIMIT = 262_144

_transition = threading.RLock()  # held while an execution's status or history changes
_endings: dict[str, threading.Event] = {}  # execution ARN -> set once the execution ended
_stop_listeners: dict[str, list[Callable[[], None]]] = {}  # parent ARN -> abort its Map Runs
_current: contextvars.ContextVar[str | None] = contextvars.ContextVar("execution_arn", default=None)


class ExecutionEndedError(Exception):
    """The execution was stopped or timed out while a state was running."""


def encode(value: object, what: str) -> str:
    """Return `value` as JSON; raise States.DataLimitExceeded above 256 KiB."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if len(text.encode()) > PAYLOAD_LIMIT:
        raise sfn._ExecutionError(
            "States.DataLimitExceeded",
            f"The {what} has a size exceeding the maximum number of bytes service limit.",
        )
    return text


def record(execution: Json, event_type: str, details: Json | None = None) -> None:
    """Add an event to a running execution's history."""
    with _transition:
        if execution["status"] != "RUNNING":
            raise ExecutionEndedError(execution["executionArn"])
        # TaskStateEntered has stateEnteredEventDetails, TaskFailed has taskFailedEventDetails
        name = re.sub(r"^\w+(?=State(Entered|Exited)$)", "", event_type)
        key = f"{name[0].lower()}{name[1:]}EventDetails"
        events = execution["events"]
        sfn._add_event(execution, event_type, {key: details} if details is not None else None)
        events[-1]["previousEventId"] = len(events) - 1


def end(execution: Json, status: str, details: Json | None = None, **fields: Any) -> bool:
    """Set the final status of a running execution; return whether this call did so."""
    kind = {"TIMED_OUT": "TimedOut"}.get(status, status.capitalize())
    with _transition:
        if execution["status"] != "RUNNING":
            return False
        record(execution, f"Execution{kind}", details or {})
        execution.update(status=status, stopDate=now_iso(), **fields)
    _announce_end(execution)
    return True


def fail(execution: Json, error: str, cause: str) -> None:
    """End a running execution as FAILED."""
    output = json.dumps({"Error": error, "Cause": cause})
    end(
        execution,
        "FAILED",
        {"error": error, "cause": cause},
        error=error,
        cause=cause,
        output=output,
    )


def on_stop(execution: Json, listener: Callable[[], None]) -> None:
    """Call `listener` when the execution is stopped or times out."""
    _stop_listeners.setdefault(execution["executionArn"], []).append(listener)


def walk(execution: Json, definition: Json, machine_name: str, query_language: str) -> None:
    """Run the states of `definition`, and record how the execution ended."""
    arn = execution["executionArn"]
    _current.set(arn)
    ending = _endings.setdefault(arn, threading.Event())
    timer = _start_timer(execution, definition)
    try:
        context = _context(execution, machine_name, query_language)
        output = _run_states(execution, definition, context)
        end(execution, "SUCCEEDED", {"output": output}, output=output)
    except ExecutionEndedError:
        logger.info("%s ended as %s", arn, execution["status"])
    except sfn._ExecutionError as error:
        fail(execution, error.error, error.cause)
    except Exception as error:
        logger.exception("Unexpected error in %s", arn)
        fail(execution, "States.Runtime", str(error))
    finally:
        timer.cancel()
        ending.set()
        _endings.pop(arn, None)
        _stop_listeners.pop(arn, None)


def current() -> Json:
    """Return the execution whose state this thread is running."""
    found: Json = sfn._executions[_current.get()]
    return found


def current_state() -> str:
    """Return the name of the state that this thread is running."""
    entered = (
        e["stateEnteredEventDetails"]
        for e in reversed(current()["events"])
        if "stateEnteredEventDetails" in e
    )
    return str(next(entered)["name"])


def _announce_end(execution: Json) -> None:
    arn = execution["executionArn"]
    if ending := _endings.get(arn):
        ending.set()
    if execution["status"] in ("ABORTED", "TIMED_OUT"):
        for listener in _stop_listeners.get(arn, []):
            listener()
    if "mapRunArn" not in execution:  # AWS documents no events for children
        sfn._emit_execution_status_event(execution)


def _start_timer(execution: Json, definition: Json) -> threading.Timer:
    # Keep the account and region of the execution in the timer's thread.
    run = contextvars.copy_context().run
    timer = threading.Timer(definition.get("TimeoutSeconds", 0), run, [end, execution, "TIMED_OUT"])
    timer.daemon = True
    if "TimeoutSeconds" in definition:
        timer.start()
    return timer


def _context(execution: Json, machine_name: str, query_language: str) -> Json:
    return {
        "QueryLanguage": query_language,
        "Execution": {
            "Id": execution["executionArn"],
            "Input": json.loads(execution["input"]),
            "Name": execution["name"],
            "StartTime": execution["startDate"],
            "RedriveCount": 0,
        },
        "StateMachine": {"Id": execution["stateMachineArn"], "Name": machine_name},
        "variables": {},
    }


def _run_states(execution: Json, definition: Json, context: Json) -> str:
    data = json.loads(execution["input"])
    name = definition["StartAt"]
    while name:
        if name not in definition["States"]:
            raise sfn._ExecutionError("States.Runtime", f"State '{name}' is not defined")
        data, name = _run_state(name, definition["States"][name], data, execution, context)
    return encode(data, "execution's output")


def _run_state(
    name: str, state: Json, data: Any, execution: Json, context: Json
) -> tuple[Any, str | None]:
    context["State"] = {"Name": name, "EnteredTime": now_iso(), "RetryCount": 0}
    context["AssignedVariables"] = {}
    kind = state["Type"]
    record(
        execution,
        f"{kind}StateEntered",
        {"name": name, "input": encode(data, f"input of the state '{name}'")},
    )
    output, following = _execute(state, data, execution, context)
    exited: Json = {"name": name, "output": encode(output, f"output of the state '{name}'")}
    if context["AssignedVariables"]:
        exited["assignedVariables"] = context["AssignedVariables"]
    record(execution, f"{kind}StateExited", exited)
    return output, following


def _execute(state: Json, data: Any, execution: Json, context: Json) -> tuple[Any, str | None]:
    kind = state["Type"]
    if kind == "Fail":
        raise sfn._ExecutionError(*sfn._fail_state_error(state, data, context))
    if kind == "Succeed":
        return _succeed(state, data, context), None
    function = getattr(sfn, f"_execute_{kind.lower()}")
    if kind in ("Task", "Parallel", "Map"):
        return function(state, data, execution, context)
    return function(state, data, context)


def _succeed(state: Json, data: Any, context: Json) -> Any:
    if sfn._state_query_language(state, context) == "JSONata":
        return sfn._apply_jsonata_output(state, data, context, default=data)
    return sfn._apply_output_path(state, sfn._apply_input_path(state, data, context), context)


@hook
def interpreter() -> None:
    """Replace the main loop.

    MiniStack's loop ignores a Succeed state's `Output`, the machine's `TimeoutSeconds` and the
    256 KiB limit, waits 150 ms before each execution, omits assigned variables from the
    history, and lets a late failure overwrite ABORTED.
    """

    def run_execution(execution_arn: str) -> None:
        execution = sfn._executions[execution_arn]
        machine = sfn._state_machines[execution["stateMachineArn"]]
        definition = json.loads(machine["definition"])
        language = definition.get("QueryLanguage", "JSONPath")
        walk(execution, definition, machine["name"], language)

    sfn._run_execution = run_execution


@hook
def stopping() -> None:
    """Make StopExecution also end Map Runs and children, and end waits at once."""

    def stop_execution(request: Json) -> Any:
        execution = sfn._executions.get(request.get("executionArn"))
        if execution is None or execution["status"] != "RUNNING":
            return original(request)
        reason = {name: request[name] for name in ("error", "cause") if request.get(name)}
        end(execution, "ABORTED", reason, **reason)
        return original(request)  # finds it ABORTED and returns its stop date

    def scaled_sleep(seconds: float) -> None:
        scaled = seconds * sfn._SFN_WAIT_SCALE
        ending = _endings.get(_current.get() or "")
        if ending is None:
            unscaled_sleep(seconds)
        elif scaled > 0:
            ending.wait(scaled)

    original = sfn._stop_execution
    unscaled_sleep = sfn._scaled_sleep
    sfn._stop_execution = stop_execution
    sfn._scaled_sleep = scaled_sleep


@hook
def terminal_errors() -> None:
    """Keep States.ALL and States.TaskFailed from matching errors that are terminal in AWS."""

    def error_matches(error_equals: list[str], error: str) -> bool:
        if error in ("States.DataLimitExceeded", "States.Runtime"):
            return error in error_equals
        return original(error_equals, error)

    original = sfn._error_matches
    sfn._error_matches = error_matches


@hook
def idempotent_start() -> None:
    """Return the running execution when StartExecution repeats its name and input."""

    def start_execution(request: Json) -> Any:
        machine = sfn._state_machines.get(request.get("stateMachineArn"))
        arn = f"{request.get('stateMachineArn')}:{request.get('name')}"
        running = sfn._executions.get(arn.replace(":stateMachine:", ":execution:"))
        if machine is None or running is None or running["status"] != "RUNNING":
            return original(request)
        if running["input"] != request.get("input", "{}"):
            return original(request)
        answer = {"executionArn": running["executionArn"], "startDate": running["startDate"]}
        return sfn.json_response(answer)

    original = sfn._start_execution
    sfn._start_execution = start_execution
