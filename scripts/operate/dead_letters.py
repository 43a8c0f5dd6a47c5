"""Finds what each dead letter should have started; the content of a letter is never shown.

A rule's dead letter is the event itself: EventBridge tests it with the deployed rules, and their
targets give the input. The schedule's letter identifies its invocation in its attributes.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from contact_sync.request_checks import Trigger
from pydantic import ValidationError

from operate.aws import code_of, pages
from operate.stacks import Stack

Json = dict[str, Any]

# TestEventPattern requires all of them.
EVENT_KEYS = {"id", "account", "source", "time", "region", "resources", "detail-type", "detail"}
IDENTIFIED = {"eventID", "eventTime"}  # required by every rule for CloudTrail events
# The values of a trigger: no free text, and nothing that would break a line.
IDENTIFIER = re.compile(r"[0-9A-Za-z_.:/+-]{1,256}")
EXECUTION_NAME = re.compile(r"[0-9A-Za-z_-]{1,72}")


@dataclass(frozen=True)
class Letter:
    """A message of the queue."""

    message_id: str
    receipt_handle: str
    body: Any
    attributes: Mapping[str, str]

    @classmethod
    def from_message(cls, message: Json) -> "Letter":
        """Return the letter of a message from ReceiveMessage."""
        attributes = {
            name: str(attribute.get("StringValue", ""))
            for name, attribute in message.get("MessageAttributes", {}).items()
        }
        body = _parsed(message["Body"])
        return cls(message["MessageId"], message["ReceiptHandle"], body, attributes)

    @property
    def origin(self) -> str:
        """Return the rule or schedule that could not deliver it, and the error code."""
        arn = self.attributes.get("RULE_ARN") or self.attributes.get("SCHEDULE_ARN", "")
        name = _identifier(arn.rpartition("/")[2]) or "unknown origin"
        return f"{name}, {_identifier(self.attributes.get('ERROR_CODE')) or 'no error code'}"

    @property
    def event(self) -> Json | None:
        """Return the event, None if the letter has none."""
        is_event = isinstance(self.body, dict) and self.body.keys() >= EVENT_KEYS
        return self.body if is_event and isinstance(self.body["detail"], dict) else None


@dataclass(frozen=True)
class Plan:
    """How to redrive a letter: `payload` goes to the topic or the state machine, or nowhere.

    `name` is the name of the execution.
    """

    about: str
    target: str = ""
    payload: str = ""
    name: str = ""


class Rules:
    """The rules of one stack; `forwarded`: the letters are of its forwarding stack."""

    def __init__(self, stack: Stack, *, forwarded: bool) -> None:
        self._events = stack.aws.client("events")
        self._machine = stack.output("StateMachineArn")
        self._topic = stack.output("NotificationTopicArn")
        found = pages(self._events, "list_rules", "Rules", NamePrefix=f"{stack.name}-")
        # Somebody may have added a rule with a schedule instead, or a target of another kind.
        with_pattern = [one for one in found if "EventPattern" in one]
        self._patterns = {one["Name"]: one["EventPattern"] for one in with_pattern}
        # Of the stack's own queue, a rule matched each event; a deleted one may have matched it.
        missing = set(stack.names["AWS::Events::Rule"]) - self._patterns.keys()
        self._may_drop = forwarded and not missing

    def plan(self, letter: Letter) -> Plan | None:
        """Return how to redrive the letter, None if that is not clear."""
        if arn := letter.attributes.get("SCHEDULE_ARN"):
            trigger = {
                "source": "schedule",
                "event_id": letter.attributes.get("EXECUTION_ID"),
                "event_name": arn.rpartition("/")[2],
                "event_time": letter.attributes.get("SCHEDULED_TIME"),
            }
            return self._start({"trigger": trigger})
        if not (event := letter.event):
            return None
        at = letter.attributes.get("RULE_ARN", "").rpartition("/")[2]
        for name in [at] if at in self._patterns else self._patterns:
            if self._matches(name, event):
                return self._plan_of(name, event)
        if not self._may_drop or not event["detail"].keys() >= IDENTIFIED:
            return None
        name = _identifier(event["detail"].get("eventName"))
        return Plan(name) if name else None

    def _matches(self, rule: str, event: Json) -> bool:
        text = json.dumps(event)
        try:
            answer = self._events.test_event_pattern(EventPattern=self._patterns[rule], Event=text)
        except ClientError as error:
            if code_of(error) != "ValidationException":
                raise
            return False
        return bool(answer["Result"])

    def _plan_of(self, rule: str, event: Json) -> Plan | None:
        """Return what the rule would have sent to its target."""
        found = self._events.list_targets_by_rule(Rule=rule)["Targets"]
        for target in (one for one in found if "InputTransformer" in one):
            given = _transformed(target["InputTransformer"], event)
            if target["Arn"] == self._machine:
                return self._start(given)
            if target["Arn"] == self._topic and given:
                return Plan("notice of a stopped execution", self._topic, given)
        return None

    def _start(self, given: Any) -> Plan | None:
        """Return the start of an execution, None unless the trigger has only identifiers."""
        try:
            trigger = Trigger.model_validate(given["trigger"])
        except (TypeError, ValidationError):
            return None
        if not all(map(_identifier, given["trigger"].values())):
            return None
        about = f"{trigger.source} {trigger.event_id}"
        return Plan(about, self._machine, json.dumps(given), execution_name(trigger.event_id))


def execution_name(event_id: str) -> str:
    """Return a name that is the same for the same event, so that it cannot start twice."""
    if not EXECUTION_NAME.fullmatch(event_id):
        event_id = hashlib.sha256(event_id.encode()).hexdigest()
    return f"redrive-{event_id}"


def _transformed(transformer: Json, event: Json) -> Any:
    """Return the input of a target; a template that is a string takes unquoted values."""
    template: str = transformer["InputTemplate"]

    def value_of(match: re.Match[str]) -> str:
        value: Any = event
        for name in transformer["InputPathsMap"][match[1]].removeprefix("$.").split("."):
            value = value.get(name) if isinstance(value, dict) else None
        return str(value) if template.startswith('"') else json.dumps(value)

    return _parsed(re.sub(r"<(\w+)>", value_of, template))


def _identifier(value: Any) -> str | None:
    return value if isinstance(value, str) and IDENTIFIER.fullmatch(value) else None


def _parsed(text: str) -> Any:
    """Return the parsed JSON, None if the text is not JSON."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None
