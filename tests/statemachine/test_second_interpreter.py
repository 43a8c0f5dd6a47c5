"""The ways through the machine, on an interpreter that shares no code with the other one's."""

from collections.abc import Iterator
from typing import Any

import pytest
from standin.organization import OrganizationClient, OrganizationServer, drifted_world
from statemachine.second_interpreter import SecondMachine, second_machine

from statemachine import asl

Json = dict[str, Any]

FIRST = "100000000001"
TYPES = ["primary", "billing"]
STATES = asl.states(asl.load())
ROUND = "StartRound NeedsSettling PlanRound HasChanges ListAccounts HasAccounts SyncAccounts"
RELEASE = "RecordRound TookLock ReleaseLock"
END = "SummarizeRun ShouldPublish PublishResult RecordPublished HowDidItEnd"
TAKE_LOCK, RECORD_PUBLISHED = "since = :now", "SET published_at"
RELEASE_LOCK = "AND attribute_not_exists(pending)"
FREE_LOCK = '"ConditionExpression": "holder = :me"'
DENIED = "AccessDeniedException"

# What only an aborted execution leaves behind; moto's StopExecution leaves a Map RUNNING.
NOT_TAKEN = {
    asl.Edge("HowDidItEnd", "TakeLock", caught=False),
    asl.Edge("IsRecovered", "TakeLock", caught=False),
    asl.Edge("NeedsSettling", "ReleaseLock", caught=False),
}


@pytest.fixture(scope="module", name="machine")
def _machine() -> Iterator[SecondMachine]:
    with (
        OrganizationServer(drifted_world(0), speed=1000) as server,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("AWS_ENDPOINT_URL_ACCOUNT", server.url)
        environment.setenv("AWS_ENDPOINT_URL_ORGANIZATIONS", server.url)
        environment.setenv("QUOTA_SHARE", "1000")
        environment.setattr("botocore.endpoint.time.sleep", lambda _: None)
        environment.setenv("STATE_MACHINE_ARN", ARN)
        with second_machine(OrganizationClient(server.url)) as machine:
            yield machine


ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:machine"


@pytest.fixture(autouse=True)
def _fresh(machine: SecondMachine) -> None:
    machine.reset()
    machine.organization.reset(drifted_world(2, missing=0))
    machine.configure(contact_types=TYPES, notification_settings={"notify_on_success": True})


def trigger(source: str, **details: str) -> Json:
    event = {"event_id": "e-1", "event_name": "Named", "event_time": "2026-11-24T00:00:00Z"}
    return {"trigger": {"source": source, **event, **details}}


JOINED, LEFT = (
    trigger("account_joined", account_id=FIRST),
    trigger("account_left", account_id=FIRST),
)


def test_the_machine_is_the_one_that_functions_look_for(machine: SecondMachine) -> None:
    assert ARN == machine.arn


def test_full_sync(machine: SecondMachine) -> None:
    run = machine.run()

    assert (
        f"CheckRequest ChooseStart TakeLock {ROUND} {RELEASE} {END} Synchronized".split()
        == (run["states"])
    )
    source = machine.organization.contacts("999999999999")
    for contact_type in map(str.upper, TYPES):
        assert source[contact_type] == machine.organization.contacts(FIRST)[contact_type]
    assert {} == machine.lock()


WAYS: dict[str, tuple[Json, dict[str, str], str, str | None]] = {
    # what: (input, {what fails: error}, the states of interest, the error that it ends with)
    "dry run": ({"dry_run": True}, {}, f"ChooseStart {ROUND} RecordRound TookLock {END}", None),
    "wrong input": (
        {"unknown": True},
        {},
        f"CheckRequest {END} SyncFailed",
        "InvalidRequestError",
    ),
    "account left": (LEFT, {}, "ChooseStart ForgetAccount AccountForgotten", None),
    "account joined": (
        JOINED,
        {},
        f"ChooseStart CheckAccount IsAccountReady TakeLock {ROUND}",
        None,
    ),
    "account never comes": (
        trigger("account_joined", account_id="100000000009"),
        {},
        "AwaitAccount CheckAccount IsAccountReady LeftToSchedule",
        None,
    ),
    "unknown account": (
        {"account_ids": ["100000000009"]},
        {},
        f"HasChanges ListAccounts {RELEASE}",
        "InvalidRequestError",
    ),
    "round cannot start": (
        {"retry_of": "no-such-run"},
        {},
        f"StartRound FreeLock {END} SyncFailed",
        "InvalidRequestError",
    ),
    "lock cannot be freed": (
        {"retry_of": "no-such-run"},
        {FREE_LOCK: DENIED},
        f"StartRound FreeLock {END} SyncFailed",
        "InvalidRequestError",
    ),
    "lock cannot be taken": (
        {},
        {TAKE_LOCK: DENIED},
        f"TakeLock FreeLock {END} SyncFailed",
        f"DynamoDB.{DENIED}",
    ),
    "lock freed meanwhile": (
        {},
        {TAKE_LOCK: "ConditionalCheckFailedException"},
        f"TakeLock QueueBehind IsQueued TakeLock {ROUND}",
        None,
    ),
    "lock cannot be released": (
        {},
        {RELEASE_LOCK: DENIED},
        f"ReleaseLock {END} SyncFailed",
        f"DynamoDB.{DENIED}",
    ),
    "account cannot be checked": (
        JOINED,
        {"check_account": "CrashError"},
        f"CheckAccount {END} SyncFailed",
        "CrashError",
    ),
    "account cannot be forgotten": (
        LEFT,
        {"ACCOUNT#": DENIED},
        f"ForgetAccount {END} SyncFailed",
        f"DynamoDB.{DENIED}",
    ),
    "round cannot be planned": (
        {},
        {"plan_round": "CrashError"},
        f"PlanRound {RELEASE} {END} SyncFailed",
        "CrashError",
    ),
    "round cannot be recorded": (
        {},
        {"record_round": "CrashError"},
        f"SyncAccounts {RELEASE} {END} SyncFailed",
        "CrashError",
    ),
    "run cannot be summarized": (
        {},
        {"summarize_run": "CrashError"},
        f"{RELEASE} SummarizeRun HasWorkLeft SyncFailed",
        "CrashError",
    ),
    "end cannot be recorded": (
        {},
        {RECORD_PUBLISHED: DENIED},
        "RecordPublished HowDidItEnd Synchronized",
        None,
    ),
    "plan throttled": ({}, {"plan_round": "ThrottledError"}, f"{ROUND} {RELEASE}", None),
}


@pytest.mark.parametrize("what", WAYS)
def test_a_way(machine: SecondMachine, what: str) -> None:
    told, faults, states, error = WAYS[what]
    for match, name in faults.items():
        machine.fail(name, match)

    run = machine.run(told)

    assert states in " ".join(run["states"])
    assert error == run.get("error")


def test_a_publication_that_stays_refused_fails_the_run(machine: SecondMachine) -> None:
    machine.fail("InternalErrorException", "TopicArn", times=5)

    run = machine.run()

    assert "PublishResult HasWorkLeft SyncFailed".split() == run["states"][-3:]


def test_a_broken_configuration_fails_the_run(machine: SecondMachine) -> None:
    machine.configure()

    assert "InvalidConfigError" == machine.run()["error"]


def test_no_account_in_scope_is_no_failure(machine: SecondMachine) -> None:
    machine.configure(contact_types=TYPES, excluded_accounts=[FIRST])

    run = machine.run({"account_ids": [FIRST]})

    assert "HasAccounts RecordRound" in " ".join(run["states"])
    assert "SUCCEEDED" == run["status"]


def test_a_manifest_that_cannot_be_read_ends_the_round(machine: SecondMachine) -> None:
    machine.lose_manifests = True

    run = machine.run()

    assert f"SyncAccounts {RELEASE} {END} SyncFailed" in " ".join(run["states"])
    # Step Functions' error is States.ItemReaderFailed; moto has no such, and lets no Fail be one.
    assert "States.Runtime" == run["error"]
    assert {} == machine.lock()


def test_a_success_that_nobody_wants_to_hear_of_is_not_published(machine: SecondMachine) -> None:
    machine.configure(contact_types=TYPES, notification_settings={"notify_on_success": False})

    assert "ShouldPublish RecordPublished" in " ".join(machine.run()["states"])


def test_a_change_that_changes_nothing_is_read_twice(machine: SecondMachine) -> None:
    machine.run()

    run = machine.run(trigger("contact_changed"))

    expected = "Settle PlanRound HasChanges SettleAgain PlanRound HasChanges RecordRound"
    assert expected in " ".join(run["states"])


def test_a_second_execution_queues_and_the_first_does_another_round(
    machine: SecondMachine,
) -> None:
    with machine.held("list_accounts"):
        first = machine.start({})
        machine.await_held()
        second = machine.run({"reason": "again"})
        refused = machine.run({"retry_of": "no-such-run"})

    assert "Queued" == second["states"][-1]
    assert "QueueBehind SummarizeRun" in " ".join(refused["states"])
    assert 2 == machine.wait(first)["states"].count("StartRound")


def test_a_dead_holder_is_recovered(machine: SecondMachine) -> None:
    machine.put_lock("forgotten-run")

    run = machine.run()

    assert "QueueBehind IsQueued RecoverRun IsRecovered" in " ".join(run["states"])
    assert {} == machine.lock()


def test_a_recovery_continues_what_a_failed_run_had_left(machine: SecondMachine) -> None:
    machine.fail(DENIED, RELEASE_LOCK)
    failed = machine.run()

    recovery = machine.run(trigger("recovery", execution_arn=failed["executionArn"]))

    assert "ChooseStart RecoverRun IsRecovered StartRound" in " ".join(recovery["states"])
    assert "SUCCEEDED" == recovery["status"]


def test_a_recovery_publishes_for_a_run_that_could_not(machine: SecondMachine) -> None:
    machine.fail("InternalErrorException", "TopicArn", times=5)
    silent = machine.run()

    recovery = machine.run(trigger("recovery", execution_arn=silent["executionArn"]))

    assert f"RecoverRun IsRecovered {END} Recovered" in " ".join(recovery["states"])


@pytest.mark.parametrize(
    ("refusals", "state"), [(5, "HowDidItEnd"), (10, "HasWorkLeft")], ids=["told", "untold"]
)
def test_what_a_silent_holder_had_left_is_done(
    machine: SecondMachine, refusals: int, state: str
) -> None:
    machine.fail(DENIED, RELEASE_LOCK)
    machine.fail("InternalErrorException", "TopicArn", times=refusals)
    silent = machine.run()

    recovery = machine.run(trigger("recovery", execution_arn=silent["executionArn"]))

    assert f"{state} StartRound" in " ".join(recovery["states"])
    assert {} == machine.lock()


def test_a_recovery_with_nothing_to_recover(machine: SecondMachine) -> None:
    failed = machine.run({"unknown": True})

    recovery = machine.run(trigger("recovery", execution_arn=failed["executionArn"]))

    assert "NothingToRecover" == recovery["states"][-1]


def test_a_recovery_that_fails_says_so(machine: SecondMachine) -> None:
    failed = machine.run({"unknown": True})
    machine.fail("CrashError", "recover_run")

    recovery = machine.run(trigger("recovery", execution_arn=failed["executionArn"]))

    assert "RecoverRun FreeLock SummarizeRun" in " ".join(recovery["states"])


@pytest.mark.parametrize("types", [["primary"], ["billing"], TYPES])
def test_a_throttled_account_is_tried_again_and_a_dead_one_fails_alone(
    machine: SecondMachine, types: list[str]
) -> None:
    for processor in ("alternate_contact_processor", "primary_contact_processor"):
        machine.fail("ThrottledError", processor, FIRST)
        machine.fail("CrashError", processor, FIRST)

    assert "PartialSyncError" == machine.run({"contact_types": types})["error"]


def test_an_account_that_stays_throttled_fails_alone(machine: SecondMachine) -> None:
    machine.fail("ThrottledError", "contact_processor", FIRST, times=9)

    assert "PartialSyncError" == machine.run()["error"]


def test_a_failure_that_cannot_be_recorded_is_a_lost_child(machine: SecondMachine) -> None:
    machine.fail("CrashError", "primary_contact_processor", FIRST)
    machine.fail(DENIED, "#failure = :failure")

    assert "PartialSyncError" == machine.run()["error"]


@pytest.mark.parametrize("error", ["CrashError", "ThrottledError"])
def test_a_dry_run_records_no_failure_of_an_account(machine: SecondMachine, error: str) -> None:
    machine.fail(error, "primary_contact_processor", FIRST, times=3)

    assert "SUCCEEDED" == machine.run({"dry_run": True})["status"]


def test_no_other_way_was_left_out(machine: SecondMachine) -> None:
    wanted = {edge for name, state in STATES.items() for edge in asl.edges(name, state)}

    assert NOT_TAKEN == wanted - machine.taken()
    assert set() == machine.taken() - wanted
