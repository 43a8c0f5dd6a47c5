"""The definition's structure: what validators do not check, and what the product's rules need."""

import json
import re
from typing import Any

import pytest
from contact_sync import errors, request
from support import asl

from statemachine import reference

TEXT = asl.DEFINITION.read_text()
DEFINITION = asl.load()
STATES = asl.states(DEFINITION)
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
PARENT = DEFINITION["States"]
SYNC_ACCOUNTS = PARENT["SyncAccounts"]
CHILD = SYNC_ACCOUNTS["ItemProcessor"]
# Error names of services; every other name is a class of the product.
SERVICE_ERRORS = ("States.", "Lambda.", "DynamoDB.", "StepFunctions.", "Runtime.", "Sandbox.")
PAYLOAD_LIMIT = 256 * 1024


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


def test_the_asl_validator_and_the_reference_parser_accept_the_definition() -> None:
    found = reference.run_node("validate.js", asl.DEFINITION)

    assert ([], []) == (found["structure"], found["faults"])
    assert found["expressions"] > 100


def test_the_definition_stays_readable() -> None:
    assert len(STATES) <= 40
    assert len(TEXT.splitlines()) < 900


def test_the_language_is_jsonata_throughout() -> None:
    assert DEFINITION["QueryLanguage"] == "JSONata"
    assert not [name for name, state in STATES.items() if "QueryLanguage" in state]


def test_no_expression_uses_the_context_value() -> None:
    """Step Functions has none: it rejects `$` and `$$` when it evaluates an expression."""
    assert [] == [one for one in asl.expressions(DEFINITION) if re.search(r"\$(?![A-Za-z{])", one)]


@pytest.mark.parametrize("machine", list(asl.machines(DEFINITION)), ids=["parent", "child"])
def test_every_transition_has_a_target_and_every_state_is_reachable(
    machine: dict[str, Any],
) -> None:
    assert set(machine["States"]) == reachable(machine["States"], machine["StartAt"])


def test_state_names_are_unique_across_parent_and_children() -> None:
    assert len(STATES) == len(PARENT) + len(CHILD["States"])


@pytest.mark.parametrize("machine", list(asl.machines(DEFINITION)), ids=["parent", "child"])
def test_every_variable_is_assigned_on_every_path_to_its_use(machine: dict[str, Any]) -> None:
    """Reading an unassigned variable is an error, which a Choice cannot catch."""
    assert set() == asl.unassigned(machine)


def test_a_map_reads_no_variable() -> None:
    """In Step Functions, a Distributed Map cannot use variables of an outer scope."""
    own = {key: value for key, value in SYNC_ACCOUNTS.items() if key != "Catch"}
    assert set() == asl.variables(own)
    assert set() == {name for state in CHILD["States"].values() for name in asl.variables(state)}


@pytest.mark.rule(16)
def test_the_machine_and_every_task_have_a_timeout() -> None:
    assert DEFINITION["TimeoutSeconds"] == 5 * 24 * 60 * 60
    assert not [name for name, task in TASKS.items() if "TimeoutSeconds" not in task]


def test_tasks_of_one_integration_have_the_same_retry_and_catch_every_error() -> None:
    retries: dict[str, list[Any]] = {}
    for task in TASKS.values():
        retries.setdefault(task["Resource"], []).append(task["Retry"])

    assert {1} == {len({json.dumps(one) for one in blocks}) for blocks in retries.values()}
    assert all(task["Catch"][-1]["ErrorEquals"] == ["States.ALL"] for task in TASKS.values())
    # With ALL, a permanent error would be retried for minutes; a retried Map starts every child.
    assert "States.ALL" not in json.dumps(retries)
    assert "Retry" not in SYNC_ACCOUNTS


def test_every_error_named_is_a_class_of_ours_or_a_service_error() -> None:
    named = {
        name
        for state in STATES.values()
        for rule in (*state.get("Retry", ()), *_catchers(state))
        for name in rule["ErrorEquals"]
    }
    ours = {name for name in named if not name.startswith(SERVICE_ERRORS)}
    repeated = (*errors.TRANSIENT, errors.RepeatAccountError)
    assert ours == {error.__name__ for error in repeated}


def test_waits_take_a_minute_or_the_time_that_a_function_returns() -> None:
    waits = {name: state["Seconds"] for name, state in STATES.items() if state["Type"] == "Wait"}
    del waits["WaitBeforeAttempt"]  # tested below
    assert waits == {
        "AwaitAccount": 60,
        "ConfirmDeletion": 60,
        "Settle": "{% $states.input.settle_seconds %}",
        "AwaitSource": "{% $summary.check_source_in %}",
    }


@pytest.mark.parametrize(("attempt", "least", "most"), [(1, 2, 3), (2, 3, 6), (4, 10, 20)])
def test_each_attempt_at_an_account_waits_longer(attempt: int, least: int, most: int) -> None:
    retry = {"base_delay": 3, "max_delay": 20}
    evaluation = {
        "expression": _expression(STATES["WaitBeforeAttempt"]["Seconds"]),
        "bindings": {"states": {"input": {"retry": retry, "attempt": attempt}}},
    }
    bounds = [{**evaluation, "value": seconds} for seconds in (least, most)]
    beyond = [{**evaluation, "value": seconds} for seconds in (least - 1, most + 1)]

    assert [] == reference.differences(bounds)
    assert 2 == len(reference.differences(beyond))


@pytest.mark.rule(16)
def test_every_path_from_the_lock_to_the_message_releases_the_lock() -> None:
    # After TookLock, an execution without the lock skips ReleaseLock.
    without = frozenset({"ReleaseLock", "TookLock"})
    assert "ShouldPublish" not in reachable(PARENT, "TakeLock", without)


@pytest.mark.rule(16)
def test_every_path_to_failure_records_the_run() -> None:
    assert "SyncFailed" not in reachable(PARENT, "CheckRequest", frozenset({"RecordRun"}))


@pytest.mark.rule(6)
@pytest.mark.rule(10)
def test_the_map_is_explicitly_distributed_and_tolerates_failures() -> None:
    assert CHILD["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert SYNC_ACCOUNTS["Label"] == "SyncAccounts"
    assert SYNC_ACCOUNTS["MaxConcurrency"] == "{% $states.input.max_concurrency %}"
    assert SYNC_ACCOUNTS["ToleratedFailurePercentage"] == 100
    wanted = "account_id contact_set sync_id planned_at source_key dry_run retry attempt".split()
    assert wanted == list(SYNC_ACCOUNTS["ItemSelector"])


@pytest.mark.rule(10)
def test_the_success_path_of_a_child_costs_three_state_transitions() -> None:
    """The third is the child's start."""
    good = {
        name: {key: value for key, value in state.items() if key != "Catch"}
        for name, state in CHILD["States"].items()
    }
    assert {"SyncAlternateContacts", "SyncPrimaryContact"} == reachable(good, CHILD["StartAt"])
    assert good["SyncPrimaryContact"]["End"]


@pytest.mark.rule(6)
@pytest.mark.rule(10)
def test_every_child_returns_a_digit() -> None:
    ends = {
        name: _expression(state["Output"])
        for name, state in CHILD["States"].items()
        if state.get("End") or state["Type"] in ("Succeed", "Fail")
    }
    assert set(ends) == {"SyncPrimaryContact", "AccountFailed"}
    order = [4, 2, 1, 3, 0]
    for first in order:
        states = {"input": {"alternates": first}, "result": {"Payload": {"digit": 3}}}
        assert min(first, 3, key=order.index) == reference.evaluate(
            ends["SyncPrimaryContact"], states=states
        )
        assert reference.evaluate(ends["AccountFailed"], states=states) == (4 if first == 4 else 2)


LETTERS = {"ASCII": ("a", 120_000), "another": ("é", 20_000)}


@pytest.mark.rule(10)
@pytest.mark.parametrize("letters", LETTERS)
def test_no_larger_input_is_passed_on_than_documented(letters: str) -> None:
    letter, most = LETTERS[letters]
    expression = _expression(PARENT["CheckRequest"]["Arguments"]["Payload"]["input"])

    def passed_on(length: int) -> Any:
        content = [letter * (length - len('[""]'))]
        context = {"Execution": {"Input": content}}
        return reference.evaluate(expression, states={"context": context}) == content

    assert passed_on(most)
    assert not passed_on(most + 1)
    assert f"{most:,}" in request.MAX_INPUT


def test_the_largest_payload_fits() -> None:
    """A larger one would end the execution at once, without any Catch, and keep the lock."""
    values = {
        "sync_id": "s" * 80,
        "started_at": "2026-11-26T10:00:00.000Z",
        "execution_input": ["x" * 120_000],
        "may_hold_lock": True,
        "plan": {"words": "p" * 2_000},
        "listed": {"named_skips and warnings": "l" * 10_000},
        "error": None,
    }
    payload = PARENT["RecordRun"]["Arguments"]["Payload"]
    evaluated = {
        key: reference.evaluate(
            _expression(value), **values, states={"input": {"digits": [1] * 50_000}}
        )
        for key, value in payload.items()
        if value.startswith("{%")
    }

    assert len(json.dumps({**payload, **evaluated}, separators=(",", ":"))) < PAYLOAD_LIMIT
    assert "digits" in evaluated


def _catchers(state: dict[str, Any]) -> list[Any]:
    return list(state.get("Catch", ()))


def _expression(value: str) -> str:
    return value.removeprefix("{%").removesuffix("%}")
