"""Every path through the machine, with the deployed functions.

The last tests check the executions of all other tests.
"""

import pytest
from standin.organization.worlds import drifted_world
from standin.standin import Execution
from support import asl, mocked
from support.machine import Machine
from support.situations import (
    ALTERNATE,
    CONFIG,
    FIRST,
    HANDLER,
    LISTER,
    PATIENT,
    PRIMARY,
    REPORTER,
    SECOND,
    SITUATIONS,
    crash,
    late_request,
    start_and_hold,
    trigger,
)

from statemachine import reference

STATES = asl.states(asl.load())
AGAIN = "MayRepeat WaitBeforeAttempt RepeatAttempt"
RECORDED = "MayRepeat RecordFailure HasPrimaryLeft"


# In some situations: the states and the output of the first account's child.
CHILDREN = {
    "success": ("SyncAlternateContacts SyncPrimaryContact", "1"),
    "attempt is repeated": (
        f"SyncAlternateContacts {AGAIN} SyncAlternateContacts"
        f" SyncPrimaryContact {AGAIN} SyncPrimaryContact",
        "1",
    ),
    "account stays throttled": (
        f"SyncAlternateContacts {AGAIN} SyncAlternateContacts {RECORDED}"
        f" SyncPrimaryContact {AGAIN} SyncPrimaryContact {RECORDED} AccountFailed",
        "2",
    ),
    "function dies": (f"SyncAlternateContacts {RECORDED} SyncPrimaryContact", "2"),
    "function dies, and its failure cannot be recorded": (
        f"SyncAlternateContacts SyncPrimaryContact {RECORDED} AccountFailed",
        "2",
    ),
    "function dies after a newer run": (
        f"SyncAlternateContacts SyncPrimaryContact {RECORDED} AccountFailed",
        "4",
    ),
    "function dies in a dry run": (
        "SyncAlternateContacts MayRepeat HasPrimaryLeft SyncPrimaryContact",
        "2",
    ),
}


taken: set[str] = set()


@pytest.fixture(name="all_situations")
def _all_situations() -> None:
    if taken != set(SITUATIONS):
        pytest.skip("needs the executions of all situations, in one process (loadfile)")


@pytest.mark.rule(4)
@pytest.mark.rule(5)
@pytest.mark.rule(6)
@pytest.mark.rule(7)
@pytest.mark.rule(16)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_situation(machine: Machine, situation: str) -> None:
    execution = SITUATIONS[situation].take(machine)

    taken.add(situation)
    if situation in CHILDREN:
        states, digit = CHILDREN[situation]
        children = {child.input()["account_id"]: child for child in execution.children()}
        assert states.split() == children[FIRST].states()
        assert digit == children[FIRST].describe()["output"]
        # An account without failures costs three state transitions, including the child's start.
        events = [event["type"] for event in children[SECOND].history()]
        assert ["ExecutionStarted", "TaskStateEntered", "TaskStateEntered"] == [
            name for name in events if name.endswith(("Entered", "ExecutionStarted"))
        ]


# Transient errors, by their names in Lambda and in the functions; each has another retrier.
TRANSIENT = ("Lambda.TooManyRequestsException", "Runtime.ExitError", "ThrottledError")


def test_every_task_retries_transient_errors(machine: Machine) -> None:
    """A run with a queued request, an account that joined and one that left use every task."""
    machine.reset(drifted_world(2, missing=0), **CONFIG | {"retry_config": PATIENT})
    tasks = [
        *((HANDLER, f'"{name}"') for name in "check_request take_lock plan_run".split()),
        *((HANDLER, f'"{name}"') for name in ("release_lock", "check_source")),
        *((LISTER, f'"{name}"') for name in ("check_account", "list_accounts")),
        *((REPORTER, ""), (ALTERNATE, FIRST), (PRIMARY, FIRST)),
    ]
    throttled = {"error": "AmazonDynamoDBException", "times": 1}
    updates = {**throttled, "service": "dynamodb", "operation": "UpdateItem"}
    machine.standin.set_faults(
        [
            *(crash(*task, error) for task in tasks for error in TRANSIENT),
            {**updates, "match": "left_at"},
            {**updates, "match": "#failure"},
            {**throttled, "service": "states", "operation": "StartExecution"},
            {**throttled, "service": "sns", "operation": "Publish"},
            {"function": PRIMARY, "match": SECOND, "kind": "kill", "delay": 0, "times": 3},
        ]
    )

    machine.run(trigger("account_left", account_id=FIRST))
    machine.run(trigger("account_joined", account_id=FIRST))
    execution = start_and_hold(machine, trigger("contact_changed"), late_request)

    assert "PartialSyncError" == execution.wait(240).error
    assert {"StartNext", "CheckSource", "PublishResult"} <= set(execution.states())
    assert {0} == {fault["times"] for fault in machine.standin.faults()}


@pytest.mark.usefixtures("all_situations")
def test_every_transition_was_taken(machine: Machine) -> None:
    wanted = {edge for name, state in STATES.items() for edge in asl.edges(name, state)}
    found: set[asl.Edge] = set()
    for one in every_execution(machine):
        found |= asl.taken(one.history())

    assert set() == wanted - found
    assert set() == found - wanted


@pytest.mark.usefixtures("all_situations")
def test_the_reference_implementation_gives_the_same_result_for_each_expression(
    machine: Machine,
) -> None:
    evaluations = machine.standin.evaluations()

    evaluated = {one["expression"] for one in evaluations}
    assert set() == {deployed(one) for one in asl.expressions(asl.load())} - evaluated
    assert [] == reference.differences(evaluations)


@pytest.mark.usefixtures("all_situations")
def test_every_mocked_response_has_the_shape_of_a_real_one(machine: Machine) -> None:
    real: set[tuple[str, str]] = set()
    for one in every_execution(machine):
        real |= {(state, mocked.shape(result)) for state, result in asl.results(one.history())}

    assert set() == mocked.shapes() - real


def every_execution(machine: Machine) -> list[Execution]:
    executions = machine.stack.executions()
    return [one for parent in executions for one in [parent, *parent.children()]]


def deployed(expression: str) -> str:
    """Return an expression as the deployment writes it."""
    return expression.replace("${Environment}", "dev")
