"""Tells what each dead letter would have started, and never shows what it says.

A rule's dead letter is the event itself, before the transformer; the schedule's names its
invocation in its attributes. Started by redrive-dlq.sh: reads the answer of ReceiveMessage, and
prints one line a message, its fields between tabs.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

NOTHING = "-"  # a field between tabs may not be empty
UNNAMED_REASON = "an account joined, and its event does not name it"

_SOURCES = {"contact_changed", "account_joined", "account_left", "schedule", "recovery"}
_ABOUT_ONE_ACCOUNT = {"account_joined", "account_left"}
_TRIGGER_KEYS = ("source", "event_id", "event_name", "event_time", "account_id", "execution_arn")
# What a trigger consists of: no text of people, and nothing that would break a line.
_IDENTIFIER = re.compile(r"[0-9A-Za-z_.:/+-]{1,256}")
_ACCOUNT_ID = re.compile(r"[0-9]{12}")
_EXECUTION_NAME = re.compile(r"[0-9A-Za-z_-]{1,72}")

_SERVICE_EVENT = "AWS Service Event via CloudTrail"
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


_CONTACT_CHANGED = _Shape("contact_changed")
_SHAPES = {
    "PutAlternateContact": _CONTACT_CHANGED,
    "DeleteAlternateContact": _CONTACT_CHANGED,
    "PutContactInformation": _CONTACT_CHANGED,
    "SetAdditionalContacts": _CONTACT_CHANGED,
    "SetContactAddress": _CONTACT_CHANGED,
    "CreateAccountResult": _Shape(
        "account_joined", "organizations", ("createAccountStatus", "accountId"), _SERVICE_EVENT
    ),
    "CloseAccountResult": _Shape(
        "account_left", "organizations", ("closeAccountStatus", "accountId"), _SERVICE_EVENT
    ),
    "AccountJoinedOrganization": _Shape("account_joined", "organizations", ("accountId",)),
    "AccountDepartedOrganization": _Shape("account_left", "organizations", ("accountId",)),
    "CreateManagedAccount": _Shape(
        "account_joined",
        "controltower",
        ("createManagedAccountStatus", "account", "accountId"),
        _SERVICE_EVENT,
    ),
    "UpdateManagedAccount": _Shape(
        "account_joined",
        "controltower",
        ("updateManagedAccountStatus", "account", "accountId"),
        _SERVICE_EVENT,
    ),
}


@dataclass(frozen=True)
class Letter:
    """One message of the queue."""

    message_id: str
    receipt_handle: str
    body: Any
    attributes: Mapping[str, str]

    @property
    def origin(self) -> str:
        """Return the name of the rule or schedule that could not deliver."""
        arn = self.attributes.get("RULE_ARN") or self.attributes.get("SCHEDULE_ARN", "")
        return _identifier(arn.rpartition("/")[2]) or "unknown origin"

    @property
    def error_code(self) -> str:
        """Return why it could not."""
        return _identifier(self.attributes.get("ERROR_CODE")) or "no error code"


def letters(answer: Json) -> Iterator[Letter]:
    """Yield the messages of a ReceiveMessage."""
    for message in answer.get("Messages", []):
        attributes = {
            name: str(attribute.get("StringValue", ""))
            for name, attribute in message.get("MessageAttributes", {}).items()
        }
        body = _parsed(message["Body"])
        yield Letter(message["MessageId"], message["ReceiptHandle"], body, attributes)


def execution_input(letter: Letter, machine_arn: str) -> Json | None:
    """Return the input of the execution that the message is about; None if that is not clear."""
    if "SCHEDULE_ARN" in letter.attributes and (found := _of_schedule(letter)):
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
        return None if _is_recovery(detail) else ended
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
    if status == "FAILED" and not _is_recovery(detail):
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


def plan(letter: Letter, machine_arn: str) -> tuple[str, ...]:
    """Return message, receipt, origin, error, action, name, payload and what it is about."""
    head = (letter.message_id, letter.receipt_handle, letter.origin, letter.error_code)
    if text := notice(letter, machine_arn):
        return (*head, "publish", NOTHING, text, "notice of a stopped execution")
    given = execution_input(letter, machine_arn)
    if given is None and starts_nothing(letter, machine_arn):
        return (*head, "drop", NOTHING, NOTHING, letter.body["detail"]["eventName"])
    if given is None:
        return (*head, "leave", NOTHING, NOTHING, NOTHING)
    about = f"{given['trigger']['source']} {given['trigger']['event_id']}"
    return (*head, "start", execution_name(given), json.dumps(given), about)


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


def _is_recovery(detail: Json) -> bool:
    return _RECOVERY_KEY in str(detail.get("input"))


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


def _of_schedule(letter: Letter) -> Json | None:
    return _checked(
        {
            "source": "schedule",
            "event_id": letter.attributes.get("EXECUTION_ID"),
            "event_name": letter.attributes["SCHEDULE_ARN"].rpartition("/")[2],
            "event_time": letter.attributes.get("SCHEDULED_TIME"),
        }
    )


def _given_input(given: Json, machine_arn: str) -> Json | None:
    """Return an input that was transformed already, if it is one that a rule or schedule makes."""
    trigger, reason = given["trigger"], given.get("reason")
    if not given.keys() <= {"trigger", "reason"} or reason not in (None, UNNAMED_REASON):
        return None
    if not isinstance(trigger, dict) or not trigger.keys() <= set(_TRIGGER_KEYS):
        return None
    executions = f"{machine_arn.replace(':stateMachine:', ':execution:')}:"
    if not trigger.get("execution_arn", executions).startswith(executions):
        return None
    return _checked(trigger, reason)


def _checked(trigger: Json, reason: str | None = None) -> Json | None:
    """Return the input, None unless the trigger is complete and has identifiers only."""
    source = trigger.get("source")
    required = {"event_id", "event_name", "event_time"}
    if source in _ABOUT_ONE_ACCOUNT:
        required.add("account_id")
    if source == "recovery":
        required.add("execution_arn")
    if source not in _SOURCES or not required <= trigger.keys():
        return None
    if not all(_identifier(value) for value in trigger.values()):
        return None
    if not _ACCOUNT_ID.fullmatch(trigger.get("account_id", "0" * 12)):
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


def main() -> None:
    """Print the plan for the messages on standard input."""
    (machine_arn,) = sys.argv[1:]
    answer = sys.stdin.read()
    for letter in letters(json.loads(answer) if answer.strip() else {}):
        print("\t".join(plan(letter, machine_arn)))


if __name__ == "__main__":
    main()
