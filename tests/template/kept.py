"""What an update must not change: the create-only properties of each resource with a fixed name.

CloudFormation replaces a resource if a create-only property or its logical ID changes. It creates
the new one first, and fails because the name is taken.

    PYTHONPATH=tests:functions AWS_DEFAULT_REGION=us-east-1 python -m template.kept

records the template as the last release.
"""

import json
from pathlib import Path
from typing import Any

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from support.stack import NAMES, REGION, Stack, expand, forwarding_template, source_template

KEPT = Path(__file__).parents[1] / "support/releases/last/named.json"
Json = dict[str, Any]


def named_resources(*stacks: Stack) -> dict[str, Json]:
    """Return each resource's logical ID and create-only properties, by type and name."""
    found: dict[str, Json] = {}
    for stack in stacks:
        for logical_id, resource in stack.deployed()["Resources"].items():
            kind, properties = resource["Type"], resource["Properties"]
            name = next((properties[key] for key in NAMES if key in properties), None)
            if name:
                values = {path: value_at(properties, path) for path in create_only(kind)}
                found[f"{kind} {name}"] = {"logical_id": logical_id, **values}
    return found


def create_only(kind: str) -> list[str]:
    """Return the paths of the properties that are, or can be, create-only."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema
    keys = ("createOnlyProperties", "conditionalCreateOnlyProperties")
    paths = {path for key in keys for path in schema.get(key, [])}
    return sorted(path.removeprefix("/properties/") for path in paths)


def value_at(properties: Any, path: str) -> Any:
    for key in path.split("/"):
        properties = properties.get(key) if isinstance(properties, dict) else None
    return properties


def stacks() -> list[Stack]:
    """Return the stacks with all named resources."""
    main = Stack(expand(source_template()), CreateTrail="true", NotificationEmail="a@example.com")
    forwarding = Stack(forwarding_template(), HomeRegion="eu-west-1", Kind="Both")
    forwarding.values["AWS::StackName"] = f"{main.name}-forwarding"
    return [main, forwarding]


if __name__ == "__main__":
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(named_resources(*stacks()), indent=1, sort_keys=True) + "\n")
