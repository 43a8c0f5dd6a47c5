"""The definition's structure: what no validator sees, and what the rules of the product ask."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from contact_sync import errors

from statemachine import asl

DEFINITION = asl.load()
STATES = asl.states(DEFINITION)
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
PARENT = DEFINITION["States"]
CHILD = PARENT["SyncAccounts"]["ItemProcessor"]
NODE_MODULES = Path(__file__).parents[2] / ".build/node/node_modules"
# Names that the services give; every other name is a class of ours.
SERVICE_ERRORS = ("States.", "Lambda.", "DynamoDB.", "Runtime.", "Sandbox.")


def reachable(
    states: dict[str, Any], start: str, without: frozenset[str] = frozenset()
) -> set[str]:
    found, todo = set(), [start]
    while todo:
        name = todo.pop()
        if name not in found and name not in without:
            found.add(name)
            todo += [edge.target for edge in asl.edges(name, states[name])]
    return found


@pytest.fixture(scope="module", name="validation")
def _validation() -> dict[str, Any]:
    """Run the validator and the reference parser, which scripts/test.sh installs."""
    completed = subprocess.run(
        ["node", Path(__file__).with_name("validate.js"), asl.DEFINITION],
        env={"PATH": os.environ["PATH"], "NODE_PATH": str(NODE_MODULES)},
        capture_output=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(completed.stdout)
    return found


def test_the_asl_validator_accepts_the_definition(validation: dict[str, Any]) -> None:
    assert [] == validation["structure"]


def test_the_reference_implementation_parses_every_expression(validation: dict[str, Any]) -> None:
    assert [] == validation["faults"]
    assert validation["expressions"] > 100


def test_the_language_is_jsonata_throughout() -> None:
    assert DEFINITION["QueryLanguage"] == "JSONata"
    assert not [name for name, state in STATES.items() if "QueryLanguage" in state]


def test_placeholders_stand_inside_strings_so_that_the_file_is_json() -> None:
    assert json.loads(asl.DEFINITION.read_text()) == DEFINITION


@pytest.mark.parametrize("machine", list(asl.machines(DEFINITION)), ids=["parent", "child"])
def test_every_way_leads_to_a_state_and_every_state_is_reached(machine: dict[str, Any]) -> None:
    assert set(machine["States"]) == reachable(machine["States"], machine["StartAt"])


def test_state_names_are_unique_across_parent_and_children() -> None:
    assert len(STATES) == len(PARENT) + len(CHILD["States"])


def test_the_machine_and_every_task_have_a_timeout() -> None:
    assert DEFINITION["TimeoutSeconds"] == 5 * 24 * 60 * 60
    assert not [name for name, task in TASKS.items() if "TimeoutSeconds" not in task]


def test_a_change_settles_before_its_source_is_read() -> None:
    waits = [(STATES[name]["Seconds"], STATES[name]["Next"]) for name in ("Settle", "SettleAgain")]
    assert [(30, "PlanRound"), (60, "PlanRound")] == waits


def test_every_task_repeats_and_catches() -> None:
    assert not [name for name, task in TASKS.items() if not task["Retry"]]
    assert not [
        name for name, task in TASKS.items() if task["Catch"][-1]["ErrorEquals"] != ["States.ALL"]
    ]


def test_nothing_repeats_on_every_error_and_no_map_is_repeated() -> None:
    repeated = [one["ErrorEquals"] for task in TASKS.values() for one in task["Retry"]]
    assert not [names for names in repeated if "States.ALL" in names]
    assert "Retry" not in PARENT["SyncAccounts"]


def test_every_error_caught_is_what_the_run_ends_with() -> None:
    """But in what comes after the run's end is known."""
    silent = {
        name
        for name, state in PARENT.items()
        for catcher in state.get("Catch", [])
        if catcher["ErrorEquals"] == ["States.ALL"]
        and not {"error", "summary"} & catcher.get("Assign", {}).keys()
    }
    assert silent == {"FreeLock", "RecordPublished"}


def test_every_error_named_is_a_class_of_ours_or_a_service_error() -> None:
    named = {
        name
        for state in STATES.values()
        for rule in [*state.get("Retry", []), *state.get("Catch", [])]
        for name in rule["ErrorEquals"]
    }
    ours = {name for name in named if not name.startswith(SERVICE_ERRORS)}
    assert ours == {error.__name__ for error in errors.TRANSIENT}


def test_only_transient_errors_of_an_account_repeat_through_a_wait() -> None:
    for name in ("SyncAlternateContacts", "SyncOnlyAlternateContacts", "SyncPrimaryContact"):
        first, rest = CHILD["States"][name]["Catch"]
        assert first["ErrorEquals"] == [error.__name__ for error in errors.TRANSIENT]
        assert first["Next"] == "MayRepeat"
        assert rest["Next"] == "MayRecord"


def test_no_way_from_a_round_to_the_summary_keeps_the_lock() -> None:
    # TookLock passes a dry run by, which took no lock.
    without = frozenset({"ReleaseLock", "FreeLock", "TookLock"})
    assert "SummarizeRun" not in reachable(PARENT, "StartRound", without)


def test_no_way_to_failure_passes_the_summary_by() -> None:
    assert "SyncFailed" not in reachable(PARENT, "CheckRequest", frozenset({"SummarizeRun"}))


def test_failure_and_success_end_in_states_of_their_own() -> None:
    assert {"Fail"} == {s["Type"] for n, s in PARENT.items() if n.endswith("Failed")}
    assert not [name for name, state in PARENT.items() if state.get("End")]


def test_failed_alternate_contacts_leave_the_primary_contact_its_turn() -> None:
    assert "SyncPrimaryContact" in reachable(CHILD["States"], "HasPrimaryLeft")


def test_the_map_is_distributed_explicit_and_tolerant() -> None:
    sync_accounts = PARENT["SyncAccounts"]
    assert CHILD["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert sync_accounts["Label"] == "SyncAccounts"
    assert sync_accounts["MaxConcurrency"] == "{% $states.input.max_concurrency %}"
    assert sync_accounts["ToleratedFailurePercentage"] == 100
    assert "ResultWriter" not in sync_accounts


def test_the_maps_own_fields_use_no_variable() -> None:
    fields = json.dumps(
        [PARENT["SyncAccounts"][f] for f in ("ItemReader", "ItemSelector", "MaxConcurrency")]
    )
    assert fields.count("{%") == fields.count("{% $states.")


def test_no_variable_of_a_child_has_the_name_of_one_of_its_parent() -> None:
    """A Map's iteration may not assign a variable of the scope around it."""
    assert set() == asl.assigned(CHILD["States"]) & asl.assigned(PARENT)


def test_a_child_gets_exactly_what_it_needs() -> None:
    wanted = "account_id sync_id round source_key contact_types dry_run retry".split()
    assert wanted == list(PARENT["SyncAccounts"]["ItemSelector"])


def test_the_good_path_of_a_child_is_at_most_three_states() -> None:
    """With the start of the child, which is paid for too, that is four state transitions."""
    good = {
        name: {k: v for k, v in state.items() if k != "Catch"}
        for name, state in CHILD["States"].items()
    }

    def longest(name: str) -> int:
        return 1 + max([longest(edge.target) for edge in asl.edges(name, good[name])], default=0)

    assert longest(CHILD["StartAt"]) == 3


def test_every_end_of_a_child_tells_of_its_account_in_a_digit() -> None:
    ends = {
        name: state["Output"]
        for name, state in CHILD["States"].items()
        if state.get("End") or state["Type"] == "Succeed"
    }
    assert set(ends) == {"SyncOnlyAlternateContacts", "SyncPrimaryContact", "AccountFailed"}
    assert ends["AccountFailed"] == "{% 2 %}"
    assert not [output for output in ends.values() if "$states.input" in output]
    assert not [state for state in CHILD["States"].values() if state["Type"] == "Fail"]
