"""Runs, lock and recovery: what once broke version 1."""

from typing import Any

import pytest
from cases.bench import (
    ALTERNATE,
    DAY,
    HANDLER,
    ONE,
    PRIMARY,
    RECORD,
    REPORTER,
    THREE,
    TWO,
    TYPES,
    Bench,
    Fault,
    changed,
)
from standin.organization.worlds import SOURCE_CONTACTS
from template.stack import Stack

MEMBERS = (ONE, TWO, THREE)
SOURCE = SOURCE_CONTACTS
NEW = changed("SECURITY")
LASTING = {
    "the handler does not import": Fault("Runtime.ImportModuleError", function=HANDLER),
    "the reporter does not import": Fault("Runtime.ImportModuleError", function=REPORTER),
    "the topic refuses": Fault("AuthorizationErrorException", service="sns"),
    "the tables' key is disabled": Fault("KMSDisabledException", service="dynamodb"),
}
START = '"action": "(start_round|take_lock)"'
PLAN = '"action": "plan_(round|run)"'
OUTAGES = {
    "a run cannot start": Fault("Runtime.ImportModuleError", function=HANDLER, match=START),
    "a run cannot start, by name": Fault("ServiceUnavailableError", function=HANDLER, match=START),
    "nothing is planned": Fault("Runtime.ImportModuleError", function=HANDLER, match=PLAN),
    "nothing is planned, by name": Fault("ServiceUnavailableError", function=HANDLER, match=PLAN),
    "the source cannot be read": Fault(
        "InternalServerException", service="account", states=("PlanRound", "PlanRun")
    ),
    "the key cannot be read": Fault("InternalServiceError", service="secretsmanager"),
}
# How optimized integrations report a throttle that their SDK does not model, and the SDK itself.
THROTTLES = {
    "DynamoDB.AmazonDynamoDBException": "ThrottlingException",
    "DynamoDB.RequestLimitExceededException": "RequestLimitExceeded",
}


@pytest.mark.case("A1")
@pytest.mark.parametrize("cause", LASTING)
def test_a_lasting_cause_starts_nothing_without_end(bench: Bench, cause: str) -> None:
    """Per delivered event at most two executions and three messages, whatever is broken."""
    bench.faults = [LASTING[cause]]

    bench.scheduled()
    bench.run(most_executions=12)

    assert len([one.summary for one in bench.executions]) <= 2
    assert len([one.subject for one in bench.messages]) <= 3


@pytest.mark.case("A2")
@pytest.mark.parametrize("contact_type", ["SECURITY", "PRIMARY"])
def test_a_source_that_is_set_back_reaches_every_account(bench: Bench, contact_type: str) -> None:
    bench.do({})
    bench.deny(ONE, contact_type)
    bench.change(contact_type, changed(contact_type))
    bench.run()
    bench.heal()
    bench.pass_time(600)

    bench.change(contact_type, SOURCE[contact_type])
    bench.run()

    assert [SOURCE[contact_type]] * 3 == bench.contacts(contact_type, *MEMBERS)


@pytest.mark.case("A3")
def test_a_failure_stands_whatever_else_is_asked_for_meanwhile(bench: Bench) -> None:
    bench.do({})
    bench.pass_time(DAY)
    bench.deny(ONE, "BILLING")
    daily = bench.scheduled()
    bench.enter(daily, RECORD)

    bench.finish(bench.start({"contact_types": ["security"]}))
    bench.run()

    assert "PartialSyncError" == daily.error, daily.summary
    [message] = bench.messages_of(daily)
    [line] = [line for line in message.body.splitlines() if ONE in line and "billing:" in line]
    assert "AccessDeniedError" in line


@pytest.mark.case("A3")
def test_a_failure_can_be_repeated_whatever_was_done_since(bench: Bench) -> None:
    bench.deny(ONE, "BILLING")
    daily = bench.scheduled()
    bench.enter(daily, RECORD)
    bench.finish(bench.start({"contact_types": ["security"]}))
    bench.run()
    bench.heal()

    repeated = bench.do({"retry_of": daily.name})

    assert SOURCE["BILLING"] == bench.contact(ONE, "BILLING"), repeated.summary


@pytest.mark.case("A4")
@pytest.mark.parametrize("lag", [45, 200])
def test_a_change_that_is_read_stale_at_first_arrives(bench: Bench, lag: float) -> None:
    """Although one account fails every day."""
    bench.deny(ONE)
    bench.do({})
    bench.pass_time(DAY)
    bench.let_reads_lag(lag)

    bench.change("SECURITY", NEW)
    bench.run()

    assert [NEW] * 2 == bench.contacts("SECURITY", TWO, THREE)


@pytest.mark.case("A5")
@pytest.mark.parametrize("start", ["change", "schedule", "by hand"])
def test_nothing_is_deleted_on_one_read(bench: Bench, start: str) -> None:
    """The contact was deleted and put again within a minute; a read still lacks it."""
    bench.configure(contact_types=TYPES, on_source_deleted="delete")
    bench.do({})
    bench.pass_time(DAY)
    bench.let_reads_lag(40)
    bench.set_source("SECURITY", None)
    bench.pass_time(20)
    bench.set_source("SECURITY", NEW)
    bench.pass_time(25 if start != "change" else 0)

    if start == "change":
        bench.tell_change("SECURITY")
    elif start == "schedule":
        bench.scheduled()
    else:
        bench.start({})
    bench.run()

    assert [] == [one for one in bench.writes() if one[0] == "DeleteAlternateContact"]
    assert [NEW] * 3 == bench.contacts("SECURITY", *MEMBERS)


@pytest.mark.case("A6")
@pytest.mark.parametrize(
    "state", ["SyncAlternateContacts", "SyncPrimaryContact", RECORD], ids="before {}".format
)
def test_an_account_that_leaves_during_a_run_is_skipped_by_name(bench: Bench, state: Any) -> None:
    run = bench.start({})
    bench.enter(run, state, account=ONE if state != RECORD else "")

    [left] = bench.deliver(bench.event("account-departed-organization-left"))
    bench.remove_account(ONE)
    bench.finish(left)
    bench.run()

    assert "SUCCEEDED" == run.status, run.summary
    assert "skipped" in bench.text_of(run)
    assert ONE in bench.text_of(run)


@pytest.mark.case("A7")
@pytest.mark.parametrize("before", ["Get.*", "Put.*"])
@pytest.mark.parametrize("function", [ALTERNATE, PRIMARY])
def test_a_late_function_of_an_aborted_run_undoes_nothing(
    bench: Bench, function: str, before: str
) -> None:
    contact_type = "PRIMARY" if function == PRIMARY else "SECURITY"
    bench.hold(function, before, ONE)
    aborted = bench.start({})
    bench.finish(aborted)
    assert "ABORTED" == aborted.status
    new = changed(contact_type)

    bench.change(contact_type, new)
    bench.run()
    bench.go_on()

    assert [new] * 3 == bench.contacts(contact_type, *MEMBERS)
    [late] = bench.late
    wrote = [one for one in late.calls if one.startswith("Put")]
    assert not wrote or before == "Put.*"  # it had looked at the lock before it was held
    bench.pass_time(DAY)
    daily = bench.finish(bench.scheduled())
    assert "SUCCEEDED" == daily.status, daily.summary


@pytest.mark.case("A7")
@pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT"])
def test_a_redriven_run_writes_nothing_without_the_lock(bench: Bench, status: str) -> None:
    bench.do({})
    bench.set_source("BILLING", changed("BILLING"))
    bench.pass_time(DAY)
    stopped = bench.scheduled()
    bench.enter(stopped, "SyncAccounts")
    bench.stop(stopped, status)
    bench.run()
    bench.change("BILLING", SOURCE["BILLING"])
    bench.run()
    bench.organization.clear_calls()

    bench.redrive(stopped)
    bench.run()

    assert [] == bench.writes()
    assert "LockLostError" == stopped.error, stopped.summary
    assert [SOURCE["BILLING"]] * 3 == bench.contacts("BILLING", *MEMBERS)
    bench.pass_time(DAY)
    daily = bench.finish(bench.scheduled())
    assert "SUCCEEDED" == daily.status, daily.summary


@pytest.mark.case("A8")
@pytest.mark.parametrize("status", ["FAILED", "ABORTED", "TIMED_OUT"])
def test_the_event_of_an_end_is_believed(bench: Bench, status: str) -> None:
    """Also where DescribeExecution still says RUNNING: what was queued is done."""
    stopped = bench.start({"account_ids": [ONE]})
    bench.enter(stopped, "SyncAccounts")
    queued = bench.finish(bench.start({"account_ids": [TWO]}))
    assert {"queued_behind": stopped.name} == queued.output

    bench.described[stopped.name] = "RUNNING"
    bench.stop(stopped, status)
    bench.run()

    assert "holder" not in bench.lock()
    assert SOURCE["SECURITY"] == bench.contact(TWO, "SECURITY")


@pytest.mark.case("A9")
def test_a_young_holder_that_nobody_knows_is_alive(bench: Bench) -> None:
    holder = bench.start({})
    bench.enter(holder, "SyncAccounts")
    bench.described[holder.name] = "ExecutionDoesNotExist"

    second = bench.start({"contact_types": ["security"]})
    bench.finish(second)

    assert "SyncAccounts" not in second.states
    assert {"queued_behind": holder.name} == second.output


@pytest.mark.case("A10")
@pytest.mark.parametrize(
    ("pending", "accounts"),
    [
        ({"account_ids": [ONE], "from_the_next_release": True}, (ONE,)),
        ({"account_ids": {"ids": [ONE]}}, MEMBERS),
        ("every account", MEMBERS),
    ],
)
def test_a_queued_request_of_another_release_is_done(
    bench: Bench, pending: Any, accounts: tuple[str, ...]
) -> None:
    """Unknown keys are ignored; one that cannot be read asks for every account."""
    bench.put({"pk": "LOCK", "sk": "LOCK", "pending": pending})

    run = bench.do({"account_ids": [THREE], "contact_types": ["billing"]})

    assert "SUCCEEDED" == run.status, run.summary
    assert [SOURCE["SECURITY"]] * len(accounts) == bench.contacts("SECURITY", *accounts)
    assert "pending" not in bench.lock()


@pytest.mark.case("A11")
@pytest.mark.parametrize("event", ["account-departed-organization-left", "no event"])
def test_a_retry_repairs_the_accounts_that_are_still_there(bench: Bench, event: str) -> None:
    bench.deny(ONE)
    bench.deny(TWO)
    failed = bench.do({})
    bench.heal()
    bench.remove_account(ONE)
    if event != "no event":
        bench.deliver(bench.event(event))
        bench.run()

    repeated = bench.do({"retry_of": failed.name})

    assert SOURCE["SECURITY"] == bench.contact(TWO, "SECURITY"), repeated.summary
    assert SOURCE["PRIMARY"] == bench.contact(TWO, "PRIMARY")


@pytest.mark.case("A12")
@pytest.mark.parametrize("account", ["100000000777", TWO])
def test_an_account_that_does_not_exist_costs_the_daily_run_nothing(
    bench: Bench, account: str
) -> None:
    """Neither a mistyped one, nor one that leaves while its request is queued."""
    daily = bench.scheduled()
    bench.enter(daily, "SyncAccounts")

    named = bench.start({"account_ids": [account]})
    bench.finish(named)
    if account in MEMBERS:
        bench.enter(daily, RECORD)
        bench.remove_account(account)
    bench.run()

    assert "SUCCEEDED" == daily.status, daily.summary
    assert any(account in f"{one.subject} {one.body}" for one in bench.messages)


@pytest.mark.case("A13")
@pytest.mark.parametrize(
    "execution_input",
    [
        {"account_ids": None},
        {"organizational_units": None},
        {"contact_types": None},
        {"retry_of": None},
        {"reason": None},
        {"trigger": None},
        {"account_ids": None, "contact_types": ["security"]},
        {"account_ids": [ONE], "organizational_units": None},
    ],
    ids=str,
)
def test_null_is_refused(bench: Bench, execution_input: Any) -> None:
    run = bench.finish(bench.start(execution_input))

    assert "InvalidRequestError" == run.error, run.summary
    assert [] == bench.writes()


@pytest.mark.case("A14")
@pytest.mark.parametrize("fault", OUTAGES)
def test_what_is_queued_survives_an_outage(bench: Bench, fault: str) -> None:
    """It is kept, or repeated by the remedy that the messages name."""
    first = bench.start({"account_ids": [ONE]})
    bench.enter(first, "SyncAccounts")
    bench.finish(bench.start({"account_ids": [TWO]}))
    bench.enter(first, RECORD)

    bench.faults = [OUTAGES[fault]]
    bench.run()
    bench.heal()
    for failed in [one for one in bench.executions if one.status == "FAILED"]:
        bench.do({"retry_of": failed.name})

    assert SOURCE["SECURITY"] == bench.contact(TWO, "SECURITY")


@pytest.mark.case("A15")
@pytest.mark.parametrize("reported", THROTTLES)
@pytest.mark.parametrize("state", ["TakeLock", "ReleaseLock"])
def test_a_throttled_lock_is_tried_again(bench: Bench, state: str, reported: str) -> None:
    bench.faults = [_throttle(reported, state)]

    run = bench.do({})

    assert "SUCCEEDED" == run.status, run.summary
    assert [run] == bench.executions


@pytest.mark.case("A15")
@pytest.mark.parametrize("reported", THROTTLES)
def test_a_throttled_note_about_a_failure_is_tried_again(bench: Bench, reported: str) -> None:
    killed = Fault("Runtime.ExitError", function=ALTERNATE, match=ONE)
    bench.faults = [killed, _throttle(reported, "RecordFailure")]

    run = bench.do({})

    [line] = [
        line for line in bench.text_of(run).splitlines() if ONE in line and "billing:" in line
    ]
    assert "Runtime.ExitError" in line


@pytest.mark.case("A15")
@pytest.mark.parametrize("reported", THROTTLES)
def test_a_throttled_note_about_a_leave_is_tried_again(bench: Bench, reported: str) -> None:
    bench.do({})
    bench.faults = [_throttle(reported, ("ForgetAccount", "MarkLeft"))]

    [left] = bench.deliver(bench.event("account-departed-organization-left"))
    bench.run()

    assert "SUCCEEDED" == left.status, left.summary


def _throttle(reported: str, states: Any) -> Fault:
    error = THROTTLES[reported]
    return Fault(error, service="dynamodb", states=states, times=2, reported=reported)


@pytest.mark.case("A16")
@pytest.mark.parametrize("error", ["InternalErrorException", "ThrottledException"])
def test_the_result_is_told_although_the_topic_refuses_for_a_minute(
    bench: Bench, error: str
) -> None:
    bench.deny(ONE)
    bench.faults = [Fault(error, service="sns", until=bench.clock.seconds + 60)]

    run = bench.do({})

    assert ONE in bench.text_of(run)
    assert "PartialSyncError" == run.error, run.summary


@pytest.mark.case("A18")
@pytest.mark.parametrize(
    "states",
    [
        ("SUSPENDED", "SUSPENDED", "SUSPENDED"),
        ("SUSPENDED", "PENDING_CLOSURE", "CLOSED"),
        ("PENDING_ACTIVATION", "SUSPENDED", "SUSPENDED"),
        ("HIBERNATING", "HIBERNATING", "HIBERNATING"),
        ("ACTIVE", "ACTIVE", "HIBERNATING"),
    ],
    ids=" ".join,
)
def test_a_run_over_nobody_it_understands_is_an_error(
    bench: Bench, states: tuple[str, ...]
) -> None:
    by_account = dict(zip(MEMBERS, states, strict=True))
    bench.answers["ListAccounts"] = lambda answer: {
        **answer,
        "Accounts": [
            {**one, "State": by_account[one["Id"]]} if one["Id"] in by_account else one
            for one in answer["Accounts"]
        ],
    }

    run = bench.do({})

    assert "FAILED" == run.status, run.summary
    assert run.error in ("NoActiveAccountsError", "UnknownAccountStateError")
    assert bench.messages_of(run)


@pytest.mark.case("A19")
@pytest.mark.parametrize("contact_type", ["SECURITY", "PRIMARY"])
def test_a_write_whose_process_died_counts_as_a_change(bench: Bench, contact_type: str) -> None:
    bench.do({})
    bench.pass_time(DAY)
    bench.organization.set_contact(ONE, contact_type, changed(contact_type))
    is_primary = contact_type == "PRIMARY"
    operation = "PutContactInformation" if is_primary else "PutAlternateContact"
    bench.kill_after(PRIMARY if is_primary else ALTERNATE, operation, ONE)

    run = bench.do({})

    assert "1 updated, 2 unchanged" in bench.text_of(run)


@pytest.mark.case("A19")
def test_what_was_written_by_a_process_that_died_can_be_deleted(bench: Bench) -> None:
    bench.configure(contact_types=TYPES, on_source_deleted="delete")
    bench.kill_after(ALTERNATE, "PutAlternateContact", ONE)
    bench.do({"contact_types": ["security"]})
    assert SOURCE["SECURITY"] == bench.contact(ONE, "SECURITY")
    bench.pass_time(DAY)

    bench.change("SECURITY", None)
    bench.run()

    assert [None] * 3 == bench.contacts("SECURITY", *MEMBERS)


@pytest.mark.case("A20")
def test_objects_of_a_run_outlive_the_longest_run(stack: Stack, bench: Bench) -> None:
    [bucket] = [
        bucket
        for bucket in stack.of_type("AWS::S3::Bucket").values()
        if "runs" in bucket.get("BucketName", "")
    ]
    lives = [
        rule["ExpirationInDays"] * DAY
        for rule in bucket["LifecycleConfiguration"]["Rules"]
        if "runs/".startswith(rule.get("Prefix", "")) and "ExpirationInDays" in rule
    ]

    assert lives
    assert min(lives) > bench.longest_run()


@pytest.mark.case("A21")
@pytest.mark.parametrize("times", [2, 3])
def test_an_account_that_is_listed_twice_is_synced_once(bench: Bench, times: int) -> None:
    bench.answers["ListAccounts"] = lambda answer: {
        **answer,
        "Accounts": [one for one in answer["Accounts"] for _ in range(times)],
    }

    run = bench.do({})

    assert "SUCCEEDED" == run.status, run.summary
    assert "3 updated" in bench.text_of(run)
    assert len(bench.writes()) == len(set(bench.writes()))
