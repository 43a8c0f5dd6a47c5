"""Undo and dead runs: a run is undone with its recovery, and a dead undo is repeated."""

from typing import Any

import pytest
from faults.system import Execution, System
from standin.organization.quotas import DEFAULT_QUOTAS
from standin.organization.worlds import drifted_world

CONFIG = {"contact_types": ["primary", "billing", "operations", "security"]}
SCHEDULE = {"source": "schedule", "event_id": "1", "event_name": "n", "event_time": "t"}
WORLD = {
    **drifted_world(3, missing=0.2),
    "quotas": {operation: [1e6, 1e6] for operation in DEFAULT_QUOTAS},
}


def contacts(system: System) -> dict[str, Any]:
    found: dict[str, Any] = system.organization.world()["contacts"]
    return found


def run_of(system: System, execution: Execution) -> dict[str, Any]:
    return next(i for i in system.items() if i["pk"] == "RUN" and i["sync_id"] == execution.name)


@pytest.mark.parametrize("named", ["the dead run", "its recovery"])
def test_a_dead_run_and_its_recovery_are_undone_together(named: str, system: System) -> None:
    system.reset(WORLD, CONFIG)
    former = contacts(system)
    dead = system.start({"trigger": SCHEDULE})
    system.run_up_to("PutContactInformation")
    system.stop(dead, "TIMED_OUT")
    system.finish()
    recovery = next(one for one in system.executions() if one.is_recovery)
    assert "SUCCEEDED" == recovery.status
    assert [dead.name] == run_of(system, recovery)["request"]["continues"]
    assert former != contacts(system)

    undo = system.start({"undo": (dead if named == "the dead run" else recovery).name})
    system.finish()

    assert "SUCCEEDED" == undo.status
    assert [recovery.name, dead.name] == run_of(system, undo)["undoes"]
    assert former == contacts(system)


def test_a_dead_undo_is_repeated_and_not_followed_by_a_full_run(system: System) -> None:
    system.reset(WORLD, CONFIG)
    former = contacts(system)
    run = system.start({"trigger": SCHEDULE})
    system.finish()
    undo = system.start({"undo": run.name})
    system.run_up_to("PutAlternateContact")
    system.stop(undo, "TIMED_OUT")
    system.finish()

    assert former == contacts(system)
