"""What each dead letter would have started; what a letter says is never shown.

A rule's dead letter is the event itself, before the transformer; the schedule's names its
invocation in its attributes.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contact_sync.request_checks import Trigger
from pydantic import ValidationError

Json = dict[str, Any]

UNNAMED_REASON = "an account joined, and its event does not name it"

_SOURCES = {"contact_changed", "account_joined", "account_left", "schedule", "recovery"}
# What a trigger consists of: no text of people, and nothing that would break a line.
_IDENTIFIER = re.compile(r"[0-9A-Za-z_.:/+-]{1,256}")
_EXECUTION_NAME = re.compile(r"[0-9A-Za-z_-]{1,72}")

_STATUS_CHANGE = "Step Functions Execution Status Change"
# Only the input of an execution that recovery started has this key.
_RECOVERY_KEY = '"execution_arn":'
# The roles that write to members; CloudFormation may shorten what follows.
_WRITERS = ("AlternateContact", "PrimaryContact")


@dataclass(frozen=True)
class _Shape:
    """Events that one of the stack's rules turns into a trigger."""

    trigger: str
    service: str = ""  # any, where AWS moves the events from one to another
    account_path: tuple[str, ...] = ()
    detail_type: str = ""


def _status(trigger: str, service: str, *account_path: str) -> _Shape:
    return _Shape(trigger, service, account_path, "AWS Service Event via CloudTrail")


_JOINED, _LEFT = "account_joined", "account_left"
_ORGANIZATIONS, _TOWER = "organizations", "controltower"
_SHAPES = {
    "PutAlternateContact": _Shape("contact_changed"),
    "DeleteAlternateContact": _Shape("contact_changed"),
    "PutContactInformation": _Shape("contact_changed"),
    "SetAdditionalContacts": _Shape("contact_changed"),
    "SetContactAddress": _Shape("contact_changed"),
    "CreateAccountResult": _status(_JOINED, _ORGANIZATIONS, "createAccountStatus", "accountId"),
    "CloseAccountResult": _status(_LEFT, _ORGANIZATIONS, "closeAccountStatus", "accountId"),
    "AccountJoinedOrganization": _Shape(_JOINED, _ORGANIZATIONS, ("accountId",)),
    "AccountDepartedOrganization": _Shape(_LEFT, _ORGANIZATIONS, ("accountId",)),
    "CreateManagedAccount": _status(
        _JOINED, _TOWER, "createManagedAccountStatus", "account", "accountId"
    ),
    "UpdateManagedAccount": _status(
        _JOINED, _TOWER, "updateManagedAccountStatus", "account", "accountId"
    ),
}


@dataclass(frozen=True)
class Letter:
    """One message of the queue."""

    message_id: str
    receipt_handle: str
    body: Any
    attributes: Mapping[str, str]

    @classmethod
    def from_message(cls, message: Json) -> "Letter":
        """Read a message of ReceiveMessage."""
        attributes = {
            name: str(attribute.get("StringValue", ""))
            for name, attribute in message.get("MessageAttributes", {}).items()
        }
        body = _parsed(message["Body"])
        return cls(message["MessageId"], message["ReceiptHandle"], body, attributes)

    @property
    def origin(self) -> str:
        """Return the rule or schedule that could not deliver, and why."""
        arn = self.attributes.get("RULE_ARN") or self.attributes.get("SCHEDULE_ARN", "")
        name = _identifier(arn.rpartition("/")[2]) or "unknown origin"
        return f"{name}, {_identifier(self.attributes.get('ERROR_CODE')) or 'no error code'}"


@dataclass(frozen=True)
class Plan:
    """What is to be done with a letter: `start`, `publish`, `drop` or `leave` it.

    `payload` is the execution input, or the text to publish.
    """

    action: str
    about: str = ""
    name: str = ""
    payload: str = ""


def plan(letter: Letter, machine_arn: str) -> Plan:
    """Return what is to be done with the letter."""
    if text := notice(letter, machine_arn):
        return Plan("publish", "notice of a stopped execution", payload=text)
    if given := execution_input(letter, machine_arn):
        about = f"{given['trigger']['source']} {given['trigger']['event_id']}"
        return Plan("start", about, execution_name(given), json.dumps(given))
    if starts_nothing(letter, machine_arn):
        return Plan("drop", letter.body["detail"]["eventName"])
    return Plan("leave")


def execution_input(letter: Letter, machine_arn: str) -> Json | None:
    """Return the input of the execution that the message is about; None if that is not clear."""
    if arn := letter.attributes.get("SCHEDULE_ARN"):
        trigger = {
            "source": "schedule",
            "event_id": letter.attributes.get("EXECUTION_ID"),
            "event_name": arn.rpartition("/")[2],
            "event_time": letter.attributes.get("SCHEDULED_TIME"),
        }
        if found := _checked(trigger):
            return found
    body = letter.body
    if isinstance(body, dict) and "trigger" not in body:
        # Scheduler's dead letters have been seen to hold the request to the target.
        body = _parsed(body.get("Input", body.get("input", body)))
    if not isinstance(body, dict):
        return None
    if "trigger" in body:
        return _given_input(body, machine_arn)
    return input_of_event(body, machine_arn)


def input_of_event(event: Json, machine_arn: str) -> Json | None:
    """Return what the stack's rules make of an event, None where no rule starts an execution."""
    detail = event.get("detail")
    if not isinstance(detail, dict):
        return None
    if event.get("source") == "aws.states":
        ended = _ended_execution(event, detail, machine_arn)
        return None if _RECOVERY_KEY in str(detail.get("input")) else ended
    shape = _shape_of(event, detail, machine_arn)
    if not shape or not _starts(shape, event, detail, machine_arn):
        return None
    trigger: Json = {
        "source": shape.trigger,
        "event_id": detail.get("eventID"),
        "event_name": detail["eventName"],
        "event_time": detail.get("eventTime"),
    }
    if not shape.account_path:
        return _checked(trigger)
    account_id = _at(detail.get("serviceEventDetails"), shape.account_path)
    if account_id is None and detail["eventName"] == "AccountJoinedOrganization":
        return _checked({**trigger, "source": "schedule"}, reason=UNNAMED_REASON)
    return _checked({**trigger, "account_id": account_id})


def starts_nothing(letter: Letter, machine_arn: str) -> bool:
    """Tell whether the event was forwarded for the stack's rules to see that it tells no change."""
    event = letter.body
    detail = event.get("detail") if isinstance(event, dict) else None
    if not isinstance(detail, dict) or not (shape := _shape_of(event, detail, machine_arn)):
        return False
    departed = detail["eventName"] == "AccountDepartedOrganization"
    is_unnamed = _at(detail.get("serviceEventDetails"), shape.account_path) is None
    return not _starts(shape, event, detail, machine_arn) or (departed and is_unnamed)


def notice(letter: Letter, machine_arn: str) -> str | None:
    """Return the line that the topic should have got of a stopped execution, if it is about one."""
    event = letter.body
    if ":sns:" not in letter.attributes.get("TARGET_ARN", "") or not isinstance(event, dict):
        return None
    detail = event.get("detail")
    if not isinstance(detail, dict) or not _ended_execution(event, detail, machine_arn):
        return None
    name, status = _identifier(detail.get("name")), detail["status"]
    if status == "FAILED" and _RECOVERY_KEY not in str(detail.get("input")):
        return None
    stack = _stack_of(machine_arn)
    return (
        f"{stack}: execution {name} ended as {status}. What was queued behind it will be done by "
        "the next execution; what an ABORTED execution was itself asked to do is dropped. To "
        "synchronize every account now, run: bash scripts/resync.sh "
        f"--environment {stack.rpartition('-')[2]} --follow ({detail['executionArn']})"
    )


def execution_name(given: Json) -> str:
    """Return the same name for the same event, so that it cannot be started twice."""
    event_id = given["trigger"]["event_id"]
    if not _EXECUTION_NAME.fullmatch(event_id):
        event_id = hashlib.sha256(event_id.encode()).hexdigest()
    return f"redrive-{event_id}"


def _shape_of(event: Json, detail: Json, machine_arn: str) -> _Shape | None:
    shape = _SHAPES.get(str(detail.get("eventName")))
    is_ours = event.get("account") == machine_arn.split(":")[4]
    is_of_aws = str(event.get("source")).startswith("aws.")
    if not shape or not is_ours or not is_of_aws:
        return None
    if shape.service and detail.get("eventSource") != f"{shape.service}.amazonaws.com":
        return None
    return shape


def _starts(shape: _Shape, event: Json, detail: Json, machine_arn: str) -> bool:
    parameters = detail.get("requestParameters") or {}
    status = _at(detail.get("serviceEventDetails"), shape.account_path[:1])
    return (
        shape.detail_type in ("", event.get("detail-type"))
        and not {"errorCode", "errorMessage"} & detail.keys()
        and not {"accountId", "AccountId"} & parameters.keys()  # own writes to members
        and not _is_own_write(detail, machine_arn)  # also where CloudTrail masks the parameters
        and (not isinstance(status, dict) or status.get("state") == "SUCCEEDED")
    )


def _is_own_write(detail: Json, machine_arn: str) -> bool:
    issuer = _at(detail, ("userIdentity", "sessionContext", "sessionIssuer", "arn"))
    return any(f":role/{_stack_of(machine_arn)}-{name}" in str(issuer) for name in _WRITERS)


def _stack_of(machine_arn: str) -> str:
    return machine_arn.rpartition(":")[2].removesuffix("-contact-sync")


def _ended_execution(event: Json, detail: Json, machine_arn: str) -> Json | None:
    """Return what recovery starts after an execution that ended without success."""
    if (
        event.get("detail-type") != _STATUS_CHANGE
        or detail.get("stateMachineArn") != machine_arn
        or detail.get("status") not in ("FAILED", "ABORTED", "TIMED_OUT")
    ):
        return None
    return _checked(
        {
            "source": "recovery",
            "event_id": event.get("id"),
            "event_name": detail["status"],
            "event_time": event.get("time"),
            "execution_arn": detail.get("executionArn"),
        }
    )


def _given_input(given: Json, machine_arn: str) -> Json | None:
    """Return an input that was transformed already, if it is one that a rule or schedule makes."""
    trigger, reason = given["trigger"], given.get("reason")
    if not given.keys() <= {"trigger", "reason"} or reason not in (None, UNNAMED_REASON):
        return None
    executions = f"{machine_arn.replace(':stateMachine:', ':execution:')}:"
    if not isinstance(trigger, dict) or not str(
        trigger.get("execution_arn", executions)
    ).startswith(executions):
        return None
    return _checked(trigger, reason)


def _checked(trigger: Json, reason: str | None = None) -> Json | None:
    """Return the input, None unless the trigger is complete and has identifiers only."""
    try:
        Trigger.model_validate(trigger)
    except ValidationError:
        return None
    if trigger["source"] not in _SOURCES or not all(map(_identifier, trigger.values())):
        return None
    return {**({"reason": reason} if reason else {}), "trigger": trigger}


def _identifier(value: Any) -> str | None:
    return value if isinstance(value, str) and _IDENTIFIER.fullmatch(value) else None


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _parsed(value: Any) -> Any:
    """Return what a text has as JSON, None if it is no JSON; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return None
