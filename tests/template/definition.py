"""The state machine's definition as the template tests read it."""

import json
from collections.abc import Iterator
from typing import Any

from template.stack import ROOT

FILE = ROOT / "statemachine" / "contact_sync.asl.json"


def text() -> str:
    """Return the definition as it is written."""
    return FILE.read_text()


def states() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every state with its name, those inside Map and Parallel included."""
    yield from _states(json.loads(text()))


def _states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in machine["States"].items():
        yield name, state
        for inner in [state.get("ItemProcessor"), *state.get("Branches", [])]:
            if inner:
                yield from _states(inner)
