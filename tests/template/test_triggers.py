"""The rules match the events that matter, hand on nothing but identifiers, and lose nothing."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from contact_sync.request import parse_request
from moto.events.models import EventPattern
from template.event_rules import matches, requires, transform
from template.stack import ACCOUNT, ROOT, Stack

CONTACT_CHANGES = {
    "put-alternate-contact",
    "put-alternate-contact-pascal",
    "put-alternate-contact-root",
    "put-alternate-contact-user",
    "delete-alternate-contact",
    "delete-alternate-contact-pascal",
    "put-contact-information",
    "put-contact-information-pascal",
    "put-contact-information-no-parameters",
}
DEATHS = {"execution-failed", "execution-aborted", "execution-timed-out"}
MATCHING = {"ContactChangedRule": CONTACT_CHANGES, "RecoveryRule": DEATHS}
EVENTS: dict[str, dict[str, Any]] = {
    file.stem: json.loads(file.read_text())
    for file in sorted((ROOT / "tests" / "events").glob("*.json"))
    if file.stem.startswith(("put-", "get-", "delete-", "execution-"))
}

Matcher = Callable[[dict[str, Any], dict[str, Any]], bool]


def moto_matches(pattern: dict[str, Any], event: Any) -> bool:
    """Tell what moto's matcher says."""
    return bool(EventPattern.load(json.dumps(pattern)).matches_event(event))


@pytest.fixture(params=MATCHING, name="rule_id")
def _rule_id(request: pytest.FixtureRequest) -> str:
    rule_id: str = request.param
    return rule_id


@pytest.fixture(name="rule")
def _rule(stack: Stack, rule_id: str) -> dict[str, Any]:
    return stack.properties(rule_id)


def test_every_rule_is_tested(stack: Stack) -> None:
    """No rule escapes the tests of this file."""
    assert set(MATCHING) == set(stack.of_type("AWS::Events::Rule"))


@pytest.mark.parametrize("matcher", [matches, moto_matches], ids=["documentation", "moto"])
def test_rule_matches_exactly_its_events(
    rule: dict[str, Any], rule_id: str, matcher: Matcher
) -> None:
    """Own writes, failed calls, reads, other accounts and other machines start nothing."""
    matched = {name for name, event in EVENTS.items() if matcher(rule["EventPattern"], event)}

    assert MATCHING[rule_id] == matched


def test_paths_are_required_by_the_pattern(rule: dict[str, Any]) -> None:
    """The transformer uses no path that an event which matches may lack."""
    [target] = rule["Targets"]
    paths = set(target["InputTransformer"]["InputPathsMap"].values())

    assert set() == {path for path in paths if not requires(rule["EventPattern"], path)}


def test_contact_change_becomes_a_request(stack: Stack) -> None:
    """The execution learns which event it was, and nothing of its content."""
    [target] = stack.properties("ContactChangedRule")["Targets"]

    for name in CONTACT_CHANGES:
        detail = EVENTS[name]["detail"]
        execution_input = transform(target["InputTransformer"], EVENTS[name])

        assert {
            "trigger": {
                "source": "contact_changed",
                "event_id": detail["eventID"],
                "event_name": detail["eventName"],
                "event_time": detail["eventTime"],
            }
        } == execution_input
        assert parse_request(execution_input, ACCOUNT).trigger


def test_death_becomes_a_request(stack: Stack) -> None:
    """The execution that recovers learns whose death it was, and how it died."""
    [target] = stack.properties("RecoveryRule")["Targets"]

    for name in DEATHS:
        event = EVENTS[name]
        execution_input = transform(target["InputTransformer"], event)

        assert {
            "trigger": {
                "source": "recovery",
                "event_id": event["id"],
                "event_name": event["detail"]["status"],
                "event_time": event["time"],
                "execution_arn": event["detail"]["executionArn"],
            }
        } == execution_input
        assert parse_request(execution_input, ACCOUNT).trigger


def test_rule_starts_the_machine_and_keeps_what_it_cannot_deliver(
    stack: Stack, rule: dict[str, Any]
) -> None:
    """A rule's one target is the machine, repeated for a day and then kept in the queue."""
    [target] = rule["Targets"]

    assert stack.arn("ContactSyncStateMachine") == target["Arn"]
    assert {"Arn": stack.arn("DeadLetterQueue")} == target["DeadLetterConfig"]
    assert {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185} == target["RetryPolicy"]


def test_rules_can_be_turned_off(expanded: dict[str, Any], rule_id: str) -> None:
    """Triggers turns every rule on and off."""
    states = [
        Stack(expanded, Triggers=state).properties(rule_id)["State"]
        for state in ("ENABLED", "DISABLED")
    ]

    assert ["ENABLED", "DISABLED"] == states
