"""The definition as tests read it: states with their edges, and edges as histories show them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

Json = dict[str, Any]
DEFINITION = Path(__file__).parents[2] / "statemachine/contact_sync.asl.json"


class Edge(NamedTuple):
    """A way from one state to the next; `caught` where an error leads there."""

    source: str
    target: str
    caught: bool


def load() -> Json:
    """Return the definition."""
    definition: Json = json.loads(DEFINITION.read_text())
    return definition


def machines(definition: Mapping[str, Any]) -> Iterator[Json]:
    """Yield the machine and, for each Map in it, the machine of its children."""
    yield dict(definition)
    for state in definition["States"].values():
        if "ItemProcessor" in state:
            yield from machines(state["ItemProcessor"])


def states(definition: Mapping[str, Any]) -> dict[str, Json]:
    """Return all states by name, those of children included."""
    return {name: state for one in machines(definition) for name, state in one["States"].items()}


def expressions(value: Any) -> set[str]:
    """Return every JSONata expression in a part of the definition."""
    if isinstance(value, str):
        return {value[2:-2].strip()} if value.startswith("{%") else set()
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return set().union(*(expressions(part) for part in parts))
    return set()


def assigned(states: Mapping[str, Any]) -> set[str]:
    """Return the names of the variables that these states assign, not those of a Map's children."""
    rules = [
        rule
        for state in states.values()
        for rule in [state, *state.get("Catch", ()), *state.get("Choices", ())]
    ]
    return {name for rule in rules for name in rule.get("Assign", {})}


def edges(name: str, state: Mapping[str, Any]) -> set[Edge]:
    """Return every way out of a state."""
    targets = [state[key] for key in ("Next", "Default") if key in state]
    targets += [choice["Next"] for choice in state.get("Choices", ())]
    ways = {Edge(name, target, caught=False) for target in targets}
    return ways | {Edge(name, catch["Next"], caught=True) for catch in state.get("Catch", ())}


def taken(history: list[Json]) -> set[Edge]:
    """Return the ways that an execution took, as its history shows them."""
    found = set()
    source, unfinished = None, False
    for event in history:
        if event["type"] in ("TaskSucceeded", "MapStateSucceeded"):
            unfinished = False
        if "stateEnteredEventDetails" in event:
            target = event["stateEnteredEventDetails"]["name"]
            if source:
                found.add(Edge(source, target, unfinished))
            source, unfinished = target, event["type"] in ("TaskStateEntered", "MapStateEntered")
    return found


def retried(history: list[Json]) -> set[tuple[str, str]]:
    """Return (state, error) for each error after which the same state's task ran again."""
    found = set()
    state, error = "", None
    for event in history:
        if "stateEnteredEventDetails" in event:
            state, error = event["stateEnteredEventDetails"]["name"], None
        elif event["type"] == "TaskFailed":
            error = event["taskFailedEventDetails"]["error"]
        elif event["type"] == "TaskTimedOut":
            error = "States.Timeout"
        elif event["type"] == "TaskScheduled" and error:
            found.add((state, error))
            error = None
    return found


def results(history: list[Json]) -> Iterator[tuple[str, Json]]:
    """Yield (state, result) for each task that succeeded."""
    state = ""
    for event in history:
        if "stateEnteredEventDetails" in event:
            state = event["stateEnteredEventDetails"]["name"]
        elif event["type"] == "TaskSucceeded":
            yield state, json.loads(event["taskSucceededEventDetails"]["output"])
