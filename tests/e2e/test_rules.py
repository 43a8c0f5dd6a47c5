"""The rules as they are deployed: what matches them, and what they do about a failed recovery."""

import json
from typing import Any

import pytest
from support.events import EVENTS, MATCHING
from support.machine import Machine

DEAD = "arn:aws:states:us-east-1:999999999999:execution:aws-contact-sync-prod-contact-sync:dead"
RECOVERY = {
    "source": "recovery",
    "event_id": "315c1398-40ff-4850-b213-500000000101",
    "event_name": "FAILED",
    "event_time": "2026-11-24T08:11:00Z",
    "execution_arn": DEAD,
}


@pytest.fixture(scope="module", name="resources")
def _resources(machine: Machine) -> dict[str, str]:
    """Return the physical ids of the stack's resources."""
    client = machine.standin.client("cloudformation")
    found = client.describe_stack_resources(StackName=machine.stack.name)["StackResources"]
    return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}


def here(event: dict[str, Any], resources: dict[str, str]) -> str:
    """Return the event as this stack would get it."""
    text = json.dumps(event).replace("aws-contact-sync-prod", "aws-contact-sync-staging")
    text = text.replace("aws-contact-sync-dev", "aws-contact-sync-prod")
    for role in ("AlternateContactProcessorRole", "PrimaryContactProcessorRole"):
        text = text.replace(f"aws-contact-sync-prod-{role}-1A2B3C4D5E6F", resources[role])
    return text


@pytest.mark.parametrize("rule_id", MATCHING)
def test_a_deployed_rule_matches_exactly_its_events(
    machine: Machine, resources: dict[str, str], rule_id: str
) -> None:
    client = machine.standin.client("events")
    rule = client.describe_rule(Name=resources[rule_id].rpartition("/")[2])

    matched = {
        name
        for name, event in EVENTS.items()
        if client.test_event_pattern(
            EventPattern=rule["EventPattern"], Event=here(event, resources)
        )["Result"]
    }

    assert MATCHING[rule_id] == matched


def test_a_recovery_that_fails_says_so_once_and_is_not_recovered_from(machine: Machine) -> None:
    machine.reset(machine.organization.world())
    started = len(machine.stack.executions())

    failed = machine.run({"trigger": RECOVERY, "unknown": 1})
    # By the end of a later failure and its recovery, the first one would have had its own.
    later = machine.run({"unknown": 1})
    machine.await_recoveries()

    assert ["FAILED", "FAILED"] == [each.status() for each in (failed, later)]
    (recovery,) = [
        execution
        for execution in machine.stack.executions()[started:]
        if execution.arn not in (failed.arn, later.arn)
    ]
    assert later.arn == recovery.input()["trigger"]["execution_arn"]
    (told,) = [message.body for message in machine.messages() if failed.name in message.body]
    assert told.startswith(f"Status: failure\nRun: {failed.name}\nError: InvalidRequestError")
