"""Every way through the machine is taken once, with the real functions behind it.

The tests set up one situation each; the last ones look at what all of them have left.
"""

from typing import Any

import pytest
from container import mocked
from standin.machine import Machine
from standin.organization.worlds import drifted_world
from standin.standin import Execution

from statemachine import asl, reference

FIRST, SECOND = "100000000001", "100000000002"
STATES = asl.states(asl.load())
ALL_TYPES = ["primary", "billing", "operations", "security"]

# The machine's own writes, told apart by their expressions.
TAKE_LOCK = {"service": "dynamodb", "operation": "UpdateItem", "match": "since = :now"}
RELEASE_LOCK = {**TAKE_LOCK, "match": "attribute_not_exists(holder) OR holder = :me) AND"}
FREE_LOCK = {**TAKE_LOCK, "match": '"ConditionExpression": "holder = :me"'}
RECORD_PUBLISHED = {**TAKE_LOCK, "match": "SET published_at"}
RECORD_FAILURE = {**TAKE_LOCK, "match": "#failure = :failure"}
FORGET = {"service": "dynamodb", "operation": "DeleteItem"}
PUBLISH = {"service": "sns", "operation": "Publish"}
REFUSED = {"error": "AccessDeniedException", "times": 1}

SLOW = {
    "operation": "GetAlternateContact",
    "account_id": FIRST,
    "error": "slow",
    "delay": 1,
    "times": 3,
}

HANDLER, LISTER, REPORTER = "contact-sync-handler", "account-lister", "sync-reporter"
ALTERNATE, PRIMARY = "alternate-contact-processor", "primary-contact-processor"


def crash(function: str, match: str = "") -> dict[str, Any]:
    """Return a fault: the function raises an error that nothing expects."""
    return {
        "function": function,
        "match": match,
        "kind": "error",
        "error": "CrashError",
        "times": 1,
    }


def failing(function: str, match: str, *errors: str) -> list[dict[str, Any]]:
    fault = {"function": function, "match": match, "kind": "error", "times": 1}
    return [{**fault, "error": error} for error in errors]


def trigger(source: str, **details: str) -> dict[str, Any]:
    """Return an execution input as a rule gives it."""
    event = {"event_id": "e-1", "event_name": "Named", "event_time": "2026-11-24T00:00:00Z"}
    return {"trigger": {"source": source, **event, **details}}


def recovery_of(execution: Execution) -> dict[str, Any]:
    return trigger("recovery", execution_arn=execution.arn)


@pytest.fixture(autouse=True)
def _fresh(machine: Machine) -> None:
    machine.reset(drifted_world(3, missing=0))


@pytest.fixture(name="busy")
def _busy(machine: Machine) -> Execution:
    """Return an execution that holds the lock and is in the middle of its accounts."""
    machine.organization.add_fault(SLOW)
    execution = machine.stack.start()
    while "SyncAccounts" not in execution.states():
        assert execution.status() == "RUNNING"
    return execution


def test_full_sync(machine: Machine) -> None:
    execution = machine.run()

    assert "SUCCEEDED" == execution.status()
    assert "Synchronized" == execution.states()[-1]
    assert {} == machine.lock()


def test_a_success_that_nobody_wants_to_hear_of_is_not_published(machine: Machine) -> None:
    machine.configure(notification_settings={"notify_on_success": False})

    execution = machine.run()

    assert "PublishResult" not in execution.states()
    assert [] == machine.messages()
    assert "published_at" in machine.run_item(execution)


def test_dry_run_takes_no_lock(machine: Machine) -> None:
    execution = machine.run({"dry_run": True})

    assert "SUCCEEDED" == execution.status()
    assert not {"TakeLock", "ReleaseLock"} & set(execution.states())
    assert [] == machine.writes()


def test_wrong_input_ends_before_anything_is_read(machine: Machine) -> None:
    execution = machine.run({"unknown": True})

    assert "InvalidRequestError" == execution.describe()["error"]
    assert "CheckRequest SummarizeRun".split() == execution.states()[:2]


def test_a_lock_that_cannot_be_taken_ends_in_failure(machine: Machine) -> None:
    machine.standin.set_faults([{**TAKE_LOCK, **REFUSED}])

    execution = machine.run()

    assert "DynamoDB.AccessDeniedException" == execution.describe()["error"]
    assert "TakeLock FreeLock SummarizeRun".split() == execution.states()[2:5]


def test_a_new_account_is_synced_once_it_is_active(machine: Machine) -> None:
    machine.organization.set_account(FIRST, state="PENDING_ACTIVATION")
    execution = machine.stack.start(trigger("account_joined", account_id=FIRST))
    while "AwaitAccount" not in execution.states():
        assert "RUNNING" == execution.status()
    assert {} == machine.lock()
    machine.organization.set_account(FIRST, state="ACTIVE")

    assert "SUCCEEDED" == execution.wait().status
    assert {FIRST} == {call["account_id"] for call in machine.writes()}


def test_a_new_account_that_never_comes_is_left_to_the_schedule(machine: Machine) -> None:
    execution = machine.run(trigger("account_joined", account_id="100000000009"))

    assert "LeftToSchedule" == execution.states()[-1]
    assert 30 == execution.states().count("AwaitAccount")
    assert [] == machine.writes()


def test_a_new_account_that_cannot_be_described_fails_by_name(machine: Machine) -> None:
    machine.standin.set_faults([crash(LISTER, "check_account")])

    execution = machine.run(trigger("account_joined", account_id=FIRST))

    assert "CrashError" == execution.describe()["error"]


def test_an_account_that_left_is_forgotten(machine: Machine) -> None:
    machine.run({"account_ids": [FIRST]})
    assert machine.account(FIRST)

    execution = machine.run(trigger("account_left", account_id=FIRST))

    assert "AccountForgotten" == execution.states()[-1]
    assert {} == machine.account(FIRST)


def test_an_account_that_cannot_be_forgotten_fails_by_name(machine: Machine) -> None:
    machine.standin.set_faults([{**FORGET, **REFUSED}])

    execution = machine.run(trigger("account_left", account_id=FIRST))

    assert "DynamoDB.AccessDeniedException" == execution.describe()["error"]


def test_a_second_execution_queues_and_the_first_does_another_round(
    machine: Machine, busy: Execution
) -> None:
    second = machine.run({"reason": "again"})
    busy.wait()

    assert {"queued_behind": busy.name} == second.wait().output
    assert 2 == busy.states().count("StartRound")
    assert "SUCCEEDED" == busy.status()


def test_a_request_that_cannot_be_queued_fails_by_name(machine: Machine, busy: Execution) -> None:
    second = machine.run({"retry_of": "no-such-run"})
    busy.wait()

    assert "InvalidRequestError" == second.describe()["error"]
    assert "QueueBehind SummarizeRun".split() == second.states()[3:5]


def test_a_lock_freed_meanwhile_is_taken(machine: Machine) -> None:
    held = {**TAKE_LOCK, "error": "ConditionalCheckFailedException", "times": 1}
    machine.standin.set_faults([held])

    execution = machine.run()

    assert "TakeLock QueueBehind IsQueued TakeLock".split() == execution.states()[2:6]
    assert "SUCCEEDED" == execution.status()


def test_an_aborted_holder_is_published_and_replaced(machine: Machine, busy: Execution) -> None:
    busy.stop()

    execution = machine.run()

    assert {"QueueBehind", "RecoverRun"} < set(execution.states())
    assert "SUCCEEDED" == execution.status()
    assert ["aborted", "success"] == [m.attributes["status"] for m in machine.messages()]
    assert {} == machine.lock()


def test_a_recovery_continues_what_a_failed_holder_had_left(machine: Machine) -> None:
    machine.standin.set_faults([{**RELEASE_LOCK, **REFUSED}])
    failed = machine.run({"account_ids": [FIRST]})
    assert failed.name == machine.lock()["holder"]
    machine.organization.set_contact(FIRST, "BILLING", None)

    recovery = machine.run(recovery_of(failed))

    assert "IsRecovered StartRound".split() == recovery.states()[3:5]
    assert "SUCCEEDED" == recovery.status()
    assert "BILLING" in machine.organization.contacts(FIRST)
    assert {} == machine.lock()


def test_a_recovery_publishes_for_an_aborted_holder_and_leaves_the_rest(
    machine: Machine, busy: Execution
) -> None:
    busy.stop()

    recovery = machine.run(recovery_of(busy))

    assert "NeedsSettling ReleaseLock SummarizeRun".split() == recovery.states()[-7:-4]
    assert "SUCCEEDED" == recovery.status()
    assert "aborted" == machine.messages()[0].attributes["status"]
    assert {} == machine.lock()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({**PUBLISH, "error": "AuthorizationError", "times": 5}, "SNS.AuthorizationError"),
        (crash(REPORTER, "summarize_run"), "CrashError"),
    ],
)
def test_a_recovery_that_cannot_tell_of_the_dead_run_does_its_work_all_the_same(
    machine: Machine, busy: Execution, fault: dict[str, Any], error: str
) -> None:
    machine.run({"account_ids": [SECOND]})
    busy.stop()
    machine.standin.set_faults([fault])

    recovery = machine.run(recovery_of(busy))

    states = recovery.states()
    assert "HasWorkLeft StartRound".split() == states[states.index("HasWorkLeft") :][:2]
    assert error == recovery.describe()["error"]
    assert recovery.name == machine.account(SECOND)["sync_id"]
    assert {} == machine.lock()


def test_a_recovery_of_a_run_that_could_not_publish_publishes_for_it(machine: Machine) -> None:
    machine.standin.set_faults([{**PUBLISH, "error": "AuthorizationError", "times": 5}])
    silent = machine.run()
    assert "SNS.AuthorizationError" == silent.describe()["error"]

    recovery = machine.run(recovery_of(silent))

    assert "Recovered" == recovery.states()[-1]
    assert silent.name == machine.messages()[0].attributes["sync_id"]


def test_a_recovery_of_a_run_that_ended_well_has_nothing_to_do(machine: Machine) -> None:
    failed = machine.run({"account_ids": ["100000000009"]})

    recovery = machine.run(recovery_of(failed))

    assert "NothingToRecover" == recovery.states()[-1]


def test_a_recovery_that_fails_says_so(machine: Machine) -> None:
    failed = machine.run({"account_ids": ["100000000009"]})
    machine.standin.set_faults([crash(HANDLER, "recover_run")])

    recovery = machine.run(recovery_of(failed))

    assert "CrashError" == recovery.describe()["error"]
    assert "RecoverRun FreeLock SummarizeRun".split() == recovery.states()[2:5]


@pytest.fixture(name="dead_recovery")
def _dead_recovery(machine: Machine) -> Execution:
    """Return a recovery that was stopped while it held the lock."""
    machine.standin.set_faults([{**RELEASE_LOCK, **REFUSED}])
    failed = machine.run()
    machine.organization.reset(drifted_world(3, missing=0, seed=2))
    machine.organization.add_fault(SLOW)
    recovery = machine.stack.start(recovery_of(failed))
    while "SyncAccounts" not in recovery.states():
        assert recovery.status() == "RUNNING"
    recovery.stop()
    return recovery


def test_a_dead_recovery_is_published_and_not_repeated(
    machine: Machine, dead_recovery: Execution
) -> None:
    execution = machine.run({"account_ids": [FIRST]})

    states = execution.states()
    assert "HowDidItEnd TakeLock".split() == states[states.index("HowDidItEnd") :][:2]
    assert "SUCCEEDED" == execution.status()
    assert dead_recovery.name == machine.messages()[-2].attributes["sync_id"]
    assert {FIRST} == {call["account_id"] for call in machine.writes()[-4:]}


def test_a_dead_recovery_that_was_published_only_frees_the_lock(
    machine: Machine, dead_recovery: Execution
) -> None:
    machine.put({**machine.run_item(dead_recovery), "published_at": "2026-11-24T00:00:00Z"})

    execution = machine.run()

    assert "IsRecovered TakeLock".split() == execution.states()[6:8]
    assert "SUCCEEDED" == execution.status()


def test_a_round_that_cannot_start_frees_the_lock(machine: Machine) -> None:
    execution = machine.run({"retry_of": "no-such-run"})

    assert "InvalidRequestError" == execution.describe()["error"]
    assert "StartRound FreeLock SummarizeRun".split() == execution.states()[3:6]
    assert {} == machine.lock()


def test_a_lock_that_cannot_be_freed_hides_no_error(machine: Machine) -> None:
    machine.standin.set_faults([{**FREE_LOCK, **REFUSED}])

    execution = machine.run({"retry_of": "no-such-run"})

    assert "InvalidRequestError" == execution.describe()["error"]
    assert execution.name == machine.lock()["holder"]


def test_a_broken_configuration_ends_the_round(machine: Machine) -> None:
    machine.put_config(None)

    execution = machine.run()

    assert "InvalidConfigError" == execution.describe()["error"]
    assert "PlanRound RecordRound TookLock ReleaseLock".split() == execution.states()[5:9]
    assert {} == machine.lock()


def test_a_change_that_changes_nothing_is_read_twice(machine: Machine) -> None:
    machine.run()
    machine.organization.clear_calls()

    execution = machine.run(trigger("contact_changed"))

    expected = "Settle PlanRound HasChanges SettleAgain PlanRound HasChanges RecordRound".split()
    assert expected == execution.states()[5:12]
    assert [] == machine.writes()


def test_an_unknown_account_ends_the_round(machine: Machine) -> None:
    execution = machine.run({"account_ids": ["100000000009"]})

    assert "InvalidRequestError" == execution.describe()["error"]
    assert "ListAccounts RecordRound".split() == execution.states()[7:9]


def test_no_account_in_scope_is_no_failure(machine: Machine) -> None:
    machine.configure(excluded_accounts=[FIRST])

    execution = machine.run({"account_ids": [FIRST]})

    assert "HasAccounts RecordRound".split() == execution.states()[8:10]
    assert "SUCCEEDED" == execution.status()


def test_a_manifest_that_cannot_be_read_ends_the_round(machine: Machine) -> None:
    fault = {"service": "s3", "operation": "GetObject", "match": "manifest", **REFUSED}
    machine.standin.set_faults([fault])

    execution = machine.run()

    assert "States.ItemReaderFailed" == execution.describe()["error"]
    assert {} == machine.lock()


def test_a_round_that_cannot_be_recorded_releases_the_lock(machine: Machine) -> None:
    machine.standin.set_faults([crash(REPORTER, "record_round")])

    execution = machine.run()

    assert "CrashError" == execution.describe()["error"]
    assert {} == machine.lock()


def test_a_run_that_cannot_be_summarized_fails_under_its_first_error(machine: Machine) -> None:
    machine.standin.set_faults([crash(REPORTER, "summarize_run")])

    assert "CrashError" == machine.run().describe()["error"]
    assert {} == machine.lock()


def test_a_publication_that_cannot_be_recorded_is_published_all_the_same(machine: Machine) -> None:
    machine.standin.set_faults([{**RECORD_PUBLISHED, **REFUSED}])

    execution = machine.run()

    assert "SUCCEEDED" == execution.status()
    assert 1 == len(machine.messages())


@pytest.mark.parametrize(
    ("contact_types", "expected"),
    [
        (["primary"], ["ChooseContacts", "SyncPrimaryContact"]),
        (["billing"], ["ChooseContacts", "SyncOnlyAlternateContacts"]),
        (ALL_TYPES, ["ChooseContacts", "SyncAlternateContacts", "SyncPrimaryContact"]),
    ],
)
def test_a_child_takes_only_the_tasks_that_are_asked_for(
    machine: Machine, contact_types: list[str], expected: list[str]
) -> None:
    execution = machine.run({"contact_types": contact_types, "account_ids": [FIRST]})

    assert [expected] == [child.states() for child in execution.children()]
    assert ["1"] == [child.describe()["output"] for child in execution.children()]


@pytest.mark.parametrize("contact_types", [["primary"], ["billing"], ALL_TYPES])
def test_a_throttled_account_is_tried_again_after_a_wait(
    machine: Machine, contact_types: list[str]
) -> None:
    fault = {"operation": "*", "account_id": FIRST, "error": "TooManyRequestsException"}
    machine.organization.add_fault({**fault, "times": 3 * len(contact_types)})

    execution = machine.run({"contact_types": contact_types, "account_ids": [FIRST]})

    (child,) = execution.children()
    assert "SUCCEEDED" == execution.status()
    assert "MayRepeat WaitBeforeAttempt RepeatAttempt".split() == child.states()[2:5]


@pytest.mark.parametrize("contact_types", [["billing"], ALL_TYPES])
def test_an_account_that_stays_throttled_fails_alone(
    machine: Machine, contact_types: list[str]
) -> None:
    fault = {"operation": "*", "account_id": FIRST, "error": "TooManyRequestsException"}
    machine.organization.add_fault({**fault, "times": None})
    machine.configure(retry_config={"max_attempts": 2, "base_delay": 1, "max_delay": 1})

    execution = machine.run({"contact_types": contact_types})

    assert "PartialSyncError" == execution.describe()["error"]
    assert {"1", "2"} == {child.describe()["output"] for child in execution.children()}
    assert "ThrottledError" == machine.account(FIRST)["billing"]["error"]


def test_the_longest_history_of_an_account_is_short(machine: Machine) -> None:
    """All attempts of the default configuration fail, for alternate and primary contacts."""
    fault = {"operation": "*", "account_id": FIRST, "error": "TooManyRequestsException"}
    machine.organization.add_fault({**fault, "times": None})

    execution = machine.run({"account_ids": [FIRST]})

    (child,) = execution.children()
    assert 6 == sum(name.startswith("Sync") for name in child.states())
    assert 80 > len(child.history())


def test_a_function_that_dies_for_good_is_recorded_by_the_child(machine: Machine) -> None:
    dies = {"function": ALTERNATE, "match": FIRST, "kind": "kill", "delay": 0, "times": 3}
    machine.standin.set_faults([dies])

    execution = machine.run()

    assert "PartialSyncError" == execution.describe()["error"]
    assert "Runtime.ExitError" == machine.account(FIRST)["alternate_failure"]["error"]
    assert "updated" == machine.account(FIRST)["primary"]["status"]
    assert "Runtime.ExitError" in machine.messages()[0].body


def test_the_same_without_a_primary_contact(machine: Machine) -> None:
    dies = {"function": ALTERNATE, "match": FIRST, "kind": "kill", "delay": 0, "times": 3}
    machine.standin.set_faults([*failing(ALTERNATE, FIRST, "Lambda.ServiceException"), dies])

    execution = machine.run({"contact_types": ["billing"], "account_ids": [FIRST]})

    assert "SyncFailedError" == execution.describe()["error"]
    (child,) = execution.children()
    assert "MayRecord RecordFailure HasPrimaryLeft AccountFailed".split() == child.states()[2:]


def test_a_failure_that_cannot_be_recorded_is_a_lost_child(machine: Machine) -> None:
    dies = {"function": PRIMARY, "match": FIRST, "kind": "kill", "delay": 0, "times": 3}
    machine.standin.set_faults([dies, {**RECORD_FAILURE, **REFUSED}])

    execution = machine.run()

    assert "PartialSyncError" == execution.describe()["error"]
    assert "ChildLostError" in machine.messages()[0].body


def test_a_dry_run_leaves_the_state_of_a_failed_account_alone(machine: Machine) -> None:
    dies = {"function": ALTERNATE, "match": FIRST, "kind": "kill", "delay": 0, "times": 3}
    machine.standin.set_faults([dies])

    execution = machine.run({"dry_run": True})

    assert "SUCCEEDED" == execution.status()
    assert {} == machine.account(FIRST)
    assert "ChildLostError" in machine.messages()[0].body


def test_a_dry_run_records_a_throttled_account_in_its_own_item(machine: Machine) -> None:
    fault = {"operation": "*", "account_id": FIRST, "error": "TooManyRequestsException"}
    machine.organization.add_fault({**fault, "times": None})
    machine.configure(retry_config={"max_attempts": 1, "base_delay": 1, "max_delay": 1})

    execution = machine.run({"dry_run": True})

    assert "SUCCEEDED" == execution.status()
    assert {} == machine.account(FIRST)
    assert "ThrottledError" in machine.messages()[0].body


# How often one run fails in each task of its good path, by each of the task's retriers.
ACTIONS = [
    (HANDLER, '"check_request"'),
    (HANDLER, '"start_round"'),
    (HANDLER, '"plan_round"'),
    (LISTER, '"list_accounts"'),
    (REPORTER, '"record_round"'),
    (REPORTER, '"summarize_run"'),
]
PROCESSORS = [(ALTERNATE, FIRST), (PRIMARY, FIRST)]
THROTTLED = {"error": "ProvisionedThroughputExceededException", "times": 1}


PLATFORM = ("Lambda.TooManyRequestsException", "Runtime.ExitError")
TRANSIENT = (*PLATFORM, "ThrottledError")


def test_every_task_of_the_good_path_outlives_its_transient_errors(machine: Machine) -> None:
    machine.standin.set_faults(
        [
            *(fault for action in ACTIONS for fault in failing(*action, *TRANSIENT)),
            *(fault for one in PROCESSORS for fault in failing(*one, *PLATFORM)),
            {**TAKE_LOCK, **THROTTLED},
            {**RELEASE_LOCK, **THROTTLED},
            {**RECORD_PUBLISHED, **THROTTLED},
            {**PUBLISH, "error": "InternalErrorException", "times": 1},
        ]
    )

    execution = machine.run()

    assert "SUCCEEDED" == execution.status()
    assert {0} == {fault["times"] for fault in machine.standin.faults()}


def test_the_tasks_beside_the_good_path_outlive_theirs(machine: Machine, busy: Execution) -> None:
    machine.standin.set_faults(
        [
            *failing(HANDLER, '"queue_behind"', *TRANSIENT),
            *failing(HANDLER, '"recover_run"', *TRANSIENT),
            {**FREE_LOCK, **THROTTLED},
            {**FORGET, **THROTTLED},
            *failing(LISTER, '"check_account"', *TRANSIENT),
            {**RECORD_FAILURE, **THROTTLED},
            {"function": PRIMARY, "match": SECOND, "kind": "kill", "delay": 0, "times": 3},
        ]
    )
    busy.stop()
    machine.run()  # finds the holder dead, and recovers
    machine.run({"retry_of": "no-such-run"})
    machine.run(trigger("account_joined", account_id=FIRST))
    machine.run(trigger("account_left", account_id=FIRST))

    assert {0} == {fault["times"] for fault in machine.standin.faults()}


def test_every_way_was_taken(machine: Machine) -> None:
    wanted = {edge for name, state in STATES.items() for edge in asl.edges(name, state)}
    taken: set[asl.Edge] = set()
    for execution in machine.stack.executions():
        for one in [execution, *execution.children()]:
            taken |= asl.taken(one.history())

    assert set() == wanted - taken
    assert set() == taken - wanted


def test_every_retrier_repeated_its_task(machine: Machine) -> None:
    repeated: set[tuple[str, str]] = set()
    for execution in machine.stack.executions():
        for one in [execution, *execution.children()]:
            repeated |= asl.retried(one.history())
    missing = [
        (name, retrier["ErrorEquals"])
        for name, state in STATES.items()
        for retrier in state.get("Retry", [])
        if not {(name, error) for error in _names(retrier)} & repeated
    ]

    assert [] == missing


def test_the_reference_implementation_evaluates_each_expression_alike(machine: Machine) -> None:
    evaluations = machine.standin.evaluations()

    assert set() == asl.expressions(asl.load()) - {one["expression"] for one in evaluations}
    assert [] == reference.differences(evaluations)


def test_every_mocked_response_has_the_shape_of_a_real_one(machine: Machine) -> None:
    real: set[tuple[str, str]] = set()
    for execution in machine.stack.executions():
        for one in [execution, *execution.children()]:
            real |= {(state, mocked.shape(result)) for state, result in asl.results(one.history())}

    assert set() == mocked.shapes() - real


def _names(retrier: dict[str, Any]) -> list[str]:
    """Return the names that a retrier lists; SNS's own error stands for States.TaskFailed."""
    return [
        "SNS.InternalErrorException" if n == "States.TaskFailed" else n
        for n in retrier["ErrorEquals"]
    ]
