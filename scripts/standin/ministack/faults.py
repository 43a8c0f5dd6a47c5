"""Planned faults of functions and services."""

import json
import threading
from collections.abc import Callable
from typing import Any

from ministack import app
from ministack.core.responses import error_response_json, error_response_xml
from ministack.services import stepfunctions as sfn

from standin.ministack.executions import Json
from standin.ministack.registry import hook
from standin.ministack.routes import BadRequestError, route

# The tests' own requests are exempt from faults.
CLIENT_MARK = "standin-client"

_FUNCTION_FIELDS = {"function", "match", "kind", "error", "times", "delay"}
_SERVICE_FIELDS = {"service", "operation", "match", "error", "status", "times"}
_KINDS = {"kill", "error"}
# Prefixes of the errors of a state machine's own calls.
_PREFIXES = {"dynamodb": "DynamoDB", "sns": "SNS", "states": "StepFunctions"}

_faults: list[Json] = []
_lock = threading.Lock()


@route("GET", "/_standin/faults")
def list_faults(_: Any) -> list[Json]:
    """Return the planned faults with their remaining times."""
    with _lock:
        return [dict(fault) for fault in _faults]


@route("POST", "/_standin/faults")
def replace_faults(faults: list[Json]) -> list[Json]:
    """Replace all planned faults."""
    for fault in faults:
        _check(fault)
    with _lock:
        _faults[:] = [{"times": 1, **fault} for fault in faults]
    return list_faults(None)


@route("DELETE", "/_standin/faults")
def clear_faults(_: Any) -> list[Json]:
    """Remove all planned faults."""
    return replace_faults([])


def take_function_fault(function_name: str, event: Any) -> Json | None:
    """Return the fault planned for this invocation, if any, and count it."""

    def matches(fault: Json) -> bool:
        suffix = str(fault.get("function", ""))
        return suffix != "" and function_name.endswith(suffix) and _holds(fault, event)

    return _take(matches)


def take_service_fault(service: str, operation: str, request: Any) -> Json | None:
    """Return the fault planned for this call, if any, and count it."""

    def matches(fault: Json) -> bool:
        named = (fault.get("service"), fault.get("operation"))
        return named == (service, operation) and _holds(fault, request)

    return _take(matches)


@hook
def service_faults() -> None:
    """Fail planned calls, over HTTP or by a state machine itself."""

    async def dispatch(
        method: str, path: str, headers: Any, body: bytes, query: Any, *rest: Any
    ) -> Any:
        if _faults and CLIENT_MARK not in headers.get("user-agent", ""):
            parameters = app._routing_params(method, path, headers, body, query)
            service = app.detect_service(method, path, headers, parameters)
            operation = app._ct_event_name(service, method, path, headers, parameters)
            request = path + body.decode(errors="replace")
            if fault := take_service_fault(service, operation, request):
                return _error_response(fault)
        return await original_dispatch(method, path, headers, body, query, *rest)

    def invoke_resource(resource: str, arguments: Any) -> Any:
        service, _, action = resource.rpartition(":::")[2].partition(":")
        operation = action[:1].upper() + action[1:]
        if fault := take_service_fault(service, operation, arguments):
            prefix = _PREFIXES.get(service, service)
            raise sfn._ExecutionError(f"{prefix}.{fault['error']}", _message(fault))
        return original_invoke(resource, arguments)

    def s3_object_text(bucket: str, key: str) -> str:
        if fault := take_service_fault("s3", "GetObject", f"{bucket}/{key}"):
            raise sfn._ExecutionError("States.ItemReaderFailed", _message(fault))
        return original_text(bucket, key)

    original_dispatch = app._dispatch_service_request
    original_invoke = sfn._invoke_resource
    original_text = sfn._s3_object_text
    app._dispatch_service_request = dispatch
    sfn._invoke_resource = invoke_resource
    sfn._s3_object_text = s3_object_text


def _check(fault: Json) -> None:
    fields = _FUNCTION_FIELDS if "function" in fault else _SERVICE_FIELDS
    if unknown := fault.keys() - fields:
        raise BadRequestError(f"unknown fields of a fault: {', '.join(sorted(unknown))}")
    if "function" in fault:
        complete = fault.get("kind") in _KINDS and (fault["kind"] != "error" or "error" in fault)
    else:
        complete = {"service", "operation", "error"} <= fault.keys()
    if not complete:
        raise BadRequestError(f"a field of the fault is missing or wrong: {json.dumps(fault)}")


def _holds(fault: Json, request: Any) -> bool:
    text = request if isinstance(request, str) else json.dumps(request)
    return fault.get("match", "") in text


def _take(matches: Callable[[Json], bool]) -> Json | None:
    with _lock:
        for fault in _faults:
            if fault["times"] != 0 and matches(fault):
                if fault["times"] is not None:
                    fault["times"] -= 1
                return dict(fault)
    return None


def _message(fault: Json) -> str:
    return f"Planned fault of {fault['service']} {fault['operation']}"


def _error_response(fault: Json) -> Any:
    code, status = fault["error"], fault.get("status", 400)
    if fault["service"] == "s3":
        body = f"<Error><Code>{code}</Code><Message>{_message(fault)}</Message></Error>"
        return status, {"Content-Type": "application/xml"}, body.encode()
    if fault["service"] == "sns":
        namespace = "http://sns.amazonaws.com/doc/2010-03-31/"
        return error_response_xml(code, _message(fault), status, namespace)
    return error_response_json(code, _message(fault), status)
