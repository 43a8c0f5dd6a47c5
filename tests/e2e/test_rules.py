"""The deployed rules: the events that they match, and their response to a failed recovery."""

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
    """Return the physical IDs of the stack's resources."""
    client = machine.standin.client("cloudformation")
    found = client.describe_stack_resources(StackName=machine.stack.name)["StackResources"]
    return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}


def here(event: dict[str, Any], resources: dict[str, str]) -> str:
    """Return the event with the names of this stack."""
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


def test_a_failed_recovery_is_reported_once_and_starts_no_recovery(machine: Machine) -> None:
    machine.reset(machine.organization.world())
    started = len(machine.stack.executions())

    failed = machine.run({"trigger": RECOVERY, "unknown": 1})
    # Once a later failure's recovery has ended, any recovery of the first has begun.
    later = machine.run({"unknown": 1})
    machine.await_recoveries()

    assert ["FAILED", "FAILED"] == [each.status() for each in (failed, later)]
    (recovery,) = [
        execution
        for execution in machine.stack.executions()[started:]
        if execution.arn not in (failed.arn, later.arn)
    ]
    assert later.arn == recovery.input()["trigger"]["execution_arn"]
    (body,) = [message.body for message in machine.messages() if failed.name in message.body]
    assert body.startswith(f"Status: failure\nRun: {failed.name}\nError: InvalidRequestError")
