"""The state machine's definition as the template tests read it."""

import json
from collections.abc import Iterator
from typing import Any

from support.stack import ROOT

FILE = ROOT / "statemachine" / "contact_sync.asl.json"


def text() -> str:
    """Return the definition as it is written."""
    return FILE.read_text()


def timeout_seconds() -> int:
    """Return how long an execution may take."""
    return int(json.loads(text())["TimeoutSeconds"])


def integrations() -> set[str]:
    """Return the services that states call, without the partition: `dynamodb:updateItem`."""
    return {integration(name) for _, state in states() for name in _resources(state)}


def integration(resource: str) -> str:
    """Return what a Resource calls, whichever partition it names."""
    arn, found, name = resource.partition(":states:::")
    if not found:
        raise ValueError(arn)
    return name


def _resources(state: dict[str, Any]) -> list[str]:
    named = (state.get("Resource"), state.get("ItemReader", {}).get("Resource"))
    return [resource for resource in named if resource]


def states() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every state with its name, those inside Map and Parallel included."""
    yield from _states(json.loads(text()))


def _states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in machine["States"].items():
        yield name, state
        for inner in [state.get("ItemProcessor"), *state.get("Branches", [])]:
            if inner:
                yield from _states(inner)
