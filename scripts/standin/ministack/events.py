"""The default event bus for AWS service events, and dead-letter queues of rule targets."""

import contextvars
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from ministack.core.arn import parse_arn
from ministack.core.responses import get_account_id, get_region, new_uuid, set_request_region
from ministack.services import eventbridge, sqs
from ministack.services import stepfunctions as sfn

from standin.ministack.executions import Json
from standin.ministack.faults import take_service_fault
from standin.ministack.registry import hook
from standin.ministack.routes import BadRequestError, route

_REQUIRED = ("source", "detail-type", "detail")

_failure: contextvars.ContextVar[tuple[str, str] | None] = contextvars.ContextVar(
    "delivery_failure", default=None
)


@route("POST", "/_standin/events")
def put_event(event: Json) -> Json:
    """Put an event, in the form that rules see, on the default bus of its region; return it.

    MiniStack, like AWS, refuses `aws.*` sources from anyone else.
    """
    if missing := [name for name in _REQUIRED if name not in event]:
        raise BadRequestError(f"the event lacks {', '.join(missing)}")
    time = event.get("time")
    moment = datetime.fromisoformat(time) if time else datetime.now().astimezone()
    record = {
        "EventId": event.get("id", new_uuid()),
        "Source": event["source"],
        "DetailType": event["detail-type"],
        "Detail": json.dumps(event["detail"]),
        "EventBusName": "default",
        "Time": int(moment.timestamp()),
        "Resources": event.get("resources", []),
        "Account": event.get("account", get_account_id()),
        "Region": event.get("region", get_region()),
    }
    _in_region(record["Region"], lambda: eventbridge._dispatch_event(record))
    return eventbridge._pattern_event_view(record).event_with_detail()


@hook
def other_regions() -> None:
    """Forward events unchanged to a bus in another region; MiniStack drops them."""

    def dispatch(bus: Any, event: Json, rule: Json, path: set[str], payload: Any = None) -> None:
        if bus.region == get_region():
            original(bus, event, rule, path, payload)
            return
        name = bus.resource.removeprefix("event-bus/")
        forwarded = {**event, "EventBusName": name}
        _in_region(bus.region, lambda: eventbridge._dispatch_event(forwarded))

    original = eventbridge._dispatch_to_event_bus
    eventbridge._dispatch_to_event_bus = dispatch


def _in_region(region: str, action: Callable[[], None]) -> None:
    def run() -> None:
        set_request_region(region)
        action()

    contextvars.copy_context().run(run)


@hook
def dead_letters() -> None:
    """Send events that a rule's state machine rejects to the target's dead-letter queue.

    MiniStack drops them. Every failure here counts as final: one that AWS does not retry, or whose
    retries are exhausted. No retries are simulated.
    """

    def invoke_target(target: Json, event: Json, rule: Json, view: Any = None) -> None:
        token = _failure.set(None)
        view = view or eventbridge._pattern_event_view(event)
        original_invoke(target, event, rule, view)
        failure = _failure.get()
        _failure.reset(token)
        queue = target.get("DeadLetterConfig", {}).get("Arn")
        if failure and queue:
            _send_dead_letter(queue, target, rule, view, failure)

    def dispatch_to_machine(arn: str, payload: str) -> None:
        failure = _delivery_failure(arn, payload)
        if failure:
            _failure.set(failure)
        else:
            original_dispatch(arn, payload)

    original_invoke = eventbridge._invoke_target
    original_dispatch = eventbridge._dispatch_to_stepfunctions
    eventbridge._invoke_target = invoke_target
    eventbridge._dispatch_to_stepfunctions = dispatch_to_machine


def _delivery_failure(machine_arn: str, payload: str) -> tuple[str, str] | None:
    if fault := take_service_fault("events", "StartExecution", payload):
        return fault["error"], "Planned fault of EventBridge's StartExecution"
    if sfn._resolve_state_machine_arn(machine_arn) is None:
        return "RESOURCE_NOT_FOUND", f"State machine does not exist: {machine_arn}"
    try:
        json.loads(payload)
    except json.JSONDecodeError as error:
        return "INVALID_JSON", str(error)
    return None


def _send_dead_letter(
    queue_arn: str, target: Json, rule: Json, view: Any, failure: tuple[str, str]
) -> None:
    eventbridge._dispatch_to_sqs(parse_arn(queue_arn), json.dumps(view.event_with_detail()))
    attributes = {
        "RULE_ARN": rule.get("Arn", ""),
        "TARGET_ARN": target["Arn"],
        "ERROR_CODE": failure[0],
        "ERROR_MESSAGE": failure[1],
    }
    message = sqs._queue_by_arn(queue_arn)["messages"][-1]
    message["message_attributes"] = {
        name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
    }
