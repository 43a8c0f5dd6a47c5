"""An update from the last release replaces no resource with a fixed name."""

import json
import re
from typing import Any

import pytest
from support.stack import Stack
from template.kept import KEPT, named_resources, stacks


def replaced(now: dict[str, Any]) -> list[str]:
    """Return the resources of the last release that an update would replace with the same name."""
    kept = json.loads(KEPT.read_text())
    return [name for name, facts in kept.items() if name in now and now[name] != facts]


@pytest.mark.case("D10")
def test_no_named_resource_is_replaced() -> None:
    """CONTRIBUTING.md says when to record a release."""
    assert [] == replaced(named_resources(*stacks()))


@pytest.mark.case("D10")
def test_a_replacement_is_found(expanded: dict[str, Any]) -> None:
    """Another logical ID or create-only property is found; a new name is allowed."""
    template = json.loads(re.sub(r"\bConfigTable\b", "Table", json.dumps(expanded)))
    resources = template["Resources"]
    resources["ContactSyncStateMachine"]["Properties"]["StateMachineType"] = "EXPRESS"
    resources["NotificationTopic"]["Properties"]["TopicName"] = "another"

    assert [
        "AWS::DynamoDB::Table aws-contact-sync-dev-config",
        "AWS::StepFunctions::StateMachine aws-contact-sync-dev-contact-sync",
    ] == replaced(named_resources(Stack(template)))
