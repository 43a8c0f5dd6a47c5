"""Reads the definition for tests: states with their edges, and edges taken in histories."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from support.stack import ROOT

Json = dict[str, Any]
DEFINITION = ROOT / "statemachine" / "contact_sync.asl.json"


class Edge(NamedTuple):
    """A transition from one state to the next; `caught` if an error leads there."""

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
    """Return all states by name, including those of children."""
    return {name: state for one in machines(definition) for name, state in one["States"].items()}


def integration(resource: str) -> str:
    """Return what a Resource calls, in any partition: `dynamodb:updateItem`."""
    arn, found, name = resource.partition(":states:::")
    if not found:
        raise ValueError(arn)
    return name


def expressions(value: Any) -> set[str]:
    """Return every JSONata expression in a part of the definition."""
    if isinstance(value, str):
        return {value[2:-2].strip()} if value.startswith("{%") else set()
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return set().union(*(expressions(part) for part in parts))
    return set()


def edges(name: str, state: Mapping[str, Any]) -> set[Edge]:
    """Return every transition out of a state."""
    return {
        Edge(name, target, caught)
        for rule, caught in _rules(state)
        if (target := rule.get("Next") or rule.get("Default"))
    }


def unassigned(machine: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return (state, variable) for each variable that is not assigned on every path to its use."""
    states = machine["States"]
    transitions = [
        (name, target, set(rule.get("Assign", ())))
        for name, state in states.items()
        for rule, _ in _rules(state)
        if (target := rule.get("Next") or rule.get("Default"))
    ]
    every = set().union(*(assigned for _, _, assigned in transitions))
    known = dict.fromkeys(states, every) | {machine["StartAt"]: set()}
    for _ in states:  # each pass propagates missing variables by one state
        for name, target, assigned in transitions:
            known[target] = known[target] & (known[name] | assigned)
    return {(name, used) for name in states for used in variables(states[name]) - known[name]}


def variables(state: Mapping[str, Any]) -> set[str]:
    """Return the variables that a state's expressions read, except in a Map's children."""
    own = {key: value for key, value in state.items() if key != "ItemProcessor"}
    found: set[str] = set()
    for expression in expressions(own):
        local = re.findall(r"(?:function\()?\$(\w+)(?: :=|\) {)", expression)
        found.update(set(re.findall(r"\$(\w+)\b(?!\()", expression)) - {"states", *local})
    return found


def _rules(state: Mapping[str, Any]) -> list[tuple[Json, bool]]:
    """Return the transitions from a state, with their Assign, and whether an error leads there."""
    rules = [state, *state.get("Choices", ())]
    return [(rule, False) for rule in rules] + [(rule, True) for rule in state.get("Catch", ())]


def taken(history: list[Json]) -> set[Edge]:
    """Return the transitions that an execution took, from its history."""
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


def results(history: list[Json]) -> Iterator[tuple[str, Json]]:
    """Yield (state, result) for each task that succeeded."""
    state = ""
    for event in history:
        if "stateEnteredEventDetails" in event:
            state = event["stateEnteredEventDetails"]["name"]
        elif event["type"] == "TaskSucceeded":
            yield state, json.loads(event["taskSucceededEventDetails"]["output"])
