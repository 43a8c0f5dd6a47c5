"""An update from the last release replaces nothing that has a fixed name."""

import json
import re
from typing import Any

import pytest
from support.stack import Stack
from template.kept import KEPT, named_resources, stacks


def replaced(now: dict[str, Any]) -> list[str]:
    """Name the resources of the last release that an update would replace under their name."""
    kept = json.loads(KEPT.read_text())
    return [name for name, facts in kept.items() if name in now and now[name] != facts]


@pytest.mark.case("D10")
def test_nothing_with_a_name_is_replaced() -> None:
    """CONTRIBUTING.md says when a release is written down."""
    assert [] == replaced(named_resources(*stacks()))


@pytest.mark.case("D10")
def test_what_would_be_replaced_is_found(expanded: dict[str, Any]) -> None:
    """Another logical ID, or another value of what only creation sets; a new name is no fault."""
    template = json.loads(re.sub(r"\bConfigTable\b", "Table", json.dumps(expanded)))
    resources = template["Resources"]
    resources["ContactSyncStateMachine"]["Properties"]["StateMachineType"] = "EXPRESS"
    resources["NotificationTopic"]["Properties"]["TopicName"] = "another"

    assert [
        "AWS::DynamoDB::Table aws-contact-sync-dev-config",
        "AWS::StepFunctions::StateMachine aws-contact-sync-dev-contact-sync",
    ] == replaced(named_resources(Stack(template)))
