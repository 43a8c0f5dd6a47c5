"""Resource usage of a run: invocations, requests to other services, size of executions."""

import json
import os
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core import lambda_runtime
from ministack.services import stepfunctions as sfn

from standin.ministack.executions import Json
from standin.ministack.faults import CLIENT_MARK
from standin.ministack.registry import hook
from standin.ministack.routes import route

STATE_MACHINE = "state machine"

# botocore warns about longer application names.
_LONGEST_NAME = 50
_PAYLOADS = ("input", "output", "parameters", "cause")

# Function processes identify themselves in the user agent of their requests.
_NAME_IN_USER_AGENT = f"""
def _standin_name_caller():
    import os
    name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
    os.environ["AWS_SDK_UA_APP_ID"] = name[-{_LONGEST_NAME}:]

_standin_name_caller()
"""


@dataclass
class FunctionUsage:
    """Total usage of one function's execution environments; the peak is that of the largest.

    `seconds` covers imports and handlers. Without /proc, processor time and memory are 0.
    """

    invocations: int = 0
    starts: int = 0
    seconds: float = 0.0
    processor_seconds: float = 0.0
    peak_bytes: int = 0
    log_bytes: int = 0


_functions: dict[str, FunctionUsage] = {}
# By caller, service, operation, and, for single-item DynamoDB writes, the kind of item.
_requests: Counter[tuple[str, str, str, str]] = Counter()
_items: Counter[tuple[str, str, str, str]] = Counter()
_processor_seconds: dict[int, float] = {}  # process id -> seconds already counted
_lock = threading.Lock()


@route("GET", "/_standin/stats")
def usage(_: Any) -> Json:
    """Return the usage since the start or the last DELETE, and the sizes of all executions."""
    with _lock:
        functions = {name: asdict(used) for name, used in _functions.items()}
        requests = [
            {
                "caller": caller,
                "service": service,
                "operation": operation,
                "kind": kind,
                "count": count,
                "items": _items[caller, service, operation, kind],
            }
            for (caller, service, operation, kind), count in sorted(_requests.items())
        ]
    return {"functions": functions, "requests": requests, "executions": _executions()}


@route("DELETE", "/_standin/stats")
def forget_usage(_: Any) -> Json:
    """Reset the counts; keep the executions."""
    with _lock:
        _functions.clear()
        _requests.clear()
        _items.clear()
    return usage(None)


@hook
def function_usage() -> None:
    """Measure each invocation; the memory that MiniStack reports is not a measurement."""

    def invoke(worker: Any, event: Any, request_id: str, **options: Any) -> Json:
        start = time.monotonic()
        response = original(worker, event, request_id, **options)
        _count_invocation(worker, response, time.monotonic() - start)
        return response

    original = lambda_runtime.Worker.invoke
    lambda_runtime.Worker.invoke = invoke


@hook
def request_usage() -> None:
    """Count the requests of each function, and those of the state machines themselves."""

    async def dispatch(
        method: str, path: str, headers: Any, body: bytes, query: Any, *rest: Any
    ) -> Any:
        agent = headers.get("user-agent", "")
        if CLIENT_MARK not in agent and "app/" in agent:
            parameters = app._routing_params(method, path, headers, body, query)
            service = app.detect_service(method, path, headers, parameters)
            operation = app._ct_event_name(service, method, path, headers, parameters)
            caller = agent.partition("app/")[2].partition(" ")[0]
            kind = _kind(operation, body)
            _count_request(caller, service, operation, _item_count(operation, body), kind)
        return await original_dispatch(method, path, headers, body, query, *rest)

    def invoke_resource(resource: str, arguments: Any) -> Any:
        service, _, action = resource.rpartition(":::")[2].partition(":")
        _count_request(STATE_MACHINE, service, action[:1].upper() + action[1:], 1)
        return original_invoke(resource, arguments)

    def s3_object_text(bucket: str, key: str) -> str:
        _count_request(STATE_MACHINE, "s3", "GetObject", 1)
        return original_text(bucket, key)

    original_dispatch = app._dispatch_service_request
    original_invoke = sfn._invoke_resource
    original_text = sfn._s3_object_text
    app._dispatch_service_request = dispatch
    sfn._invoke_resource = invoke_resource
    sfn._s3_object_text = s3_object_text
    lambda_runtime._PYTHON_WORKER_SCRIPT = (
        _NAME_IN_USER_AGENT + lambda_runtime._PYTHON_WORKER_SCRIPT
    )


def _count_invocation(worker: Any, response: Json, seconds: float) -> None:
    process = worker._proc
    processor, peak = _process_usage(process.pid) if process else (0.0, 0)
    with _lock:
        used = _functions.setdefault(worker.func_name, FunctionUsage())
        used.invocations += 1
        used.starts += bool(response.get("cold_start"))
        used.seconds += seconds
        used.log_bytes += len(response.get("log", "").encode())
        used.peak_bytes = max(used.peak_bytes, peak)
        if process:
            used.processor_seconds += processor - _processor_seconds.get(process.pid, 0.0)
            _processor_seconds[process.pid] = processor


def _process_usage(pid: int) -> tuple[float, int]:
    """Return the processor seconds and the peak memory of a process, zeros if unknown."""
    try:
        # The name, in parentheses, may contain spaces.
        times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0, 0
    peak = status.partition("VmHWM:")[2].split()[:1]
    ticks = os.sysconf("SC_CLK_TCK")
    return sum(map(int, times)) / ticks, int(peak[0]) * 1024 if peak else 0


def _count_request(caller: str, service: str, operation: str, items: int, kind: str = "") -> None:
    with _lock:
        _requests[caller, service, operation, kind] += 1
        _items[caller, service, operation, kind] += items


def _kind(operation: str, body: bytes) -> str:
    """Return the prefixes of the keys of the single item that a DynamoDB request writes."""
    if operation not in ("UpdateItem", "PutItem", "DeleteItem"):
        return ""
    request = json.loads(body)
    key = request.get("Key") or request["Item"]
    values = (str(key.get(name, {}).get("S", "")) for name in ("pk", "sk"))
    return " ".join(value.partition("#")[0] for value in values).strip()


def _item_count(operation: str, body: bytes) -> int:
    """Return the number of items in a DynamoDB request, 1 for any other request."""
    if not operation.startswith(("Batch", "TransactWrite")):
        return 1
    request = json.loads(body)
    tables = request.get("RequestItems", {}).values()
    keys = [table["Keys"] if isinstance(table, dict) else table for table in tables]
    return sum(map(len, keys)) or len(request.get("TransactItems", []))


def _executions() -> list[Json]:
    """Return the size of every top-level execution, including its children."""
    children: dict[str, list[Json]] = {}
    for execution in list(sfn._executions.values()):
        if map_run := sfn._map_runs.get(execution.get("mapRunArn")):
            children.setdefault(map_run["executionArn"], []).append(execution)
    return [
        _size(execution, children.get(arn, []))
        for arn, execution in list(sfn._executions.items())
        if "mapRunArn" not in execution
    ]


def _size(execution: Json, children: list[Json]) -> Json:
    """Return a run's events, transitions and largest payload in bytes."""
    # Each child's start is one more transition.
    transitions = [1 + _transitions(child) for child in children]
    return {
        "arn": execution["executionArn"],
        "events": len(execution["events"]),
        "transitions": _transitions(execution) + sum(transitions),
        "children": len(children),
        "child_transitions": sum(transitions),
        "most_child_events": max((len(child["events"]) for child in children), default=0),
        "largest_payload": max(map(_largest_payload, [execution, *children])),
    }


def _transitions(execution: Json) -> int:
    """Count the states entered and the tasks retried, which AWS bills."""
    kinds = Counter(event["type"] for event in execution["events"])
    entered = sum(count for kind, count in kinds.items() if kind.endswith("StateEntered"))
    repeated = max(0, kinds["TaskScheduled"] - kinds["TaskStateEntered"])
    return entered + repeated


def _largest_payload(execution: Json) -> int:
    return max(
        len(str(details.get(name, "")).encode())
        for event in execution["events"]
        for details in [{}, *(value for value in event.values() if isinstance(value, dict))]
        for name in _PAYLOADS
    )
