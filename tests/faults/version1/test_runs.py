"""Runs, lock and recovery: inputs that broke version 1."""

from typing import Any

import pytest
from faults.version1.bench import (
    ALTERNATE,
    DAY,
    HANDLER,
    MEMBERS,
    ONE,
    PRIMARY,
    REPORTER,
    SOURCE,
    THREE,
    TWO,
    Bench,
    changed,
    ending,
)
from support.stack import Stack

Json = dict[str, Any]

NEW = changed("SECURITY")
# Names of states in version 1 and since then.
RECORD = ("RecordRound", "RecordRun")
LEFT = ("ForgetAccount", "MarkLeft")
UNIMPORTABLE = "Runtime.ImportModuleError"
LASTING = {
    "the handler fails on import": {"function": HANDLER, "error": UNIMPORTABLE},
    "the reporter fails on import": {"function": REPORTER, "error": UNIMPORTABLE},
    "the topic refuses": {"service": "sns", "error": "AuthorizationErrorException"},
    "the tables' key is disabled": {"service": "dynamodb", "error": "KMSDisabledException"},
}
STARTS = ('"action": "start_round"', '"action": "take_lock"')
PLANS = ('"action": "plan_round"', '"action": "plan_run"')
OUTAGES: dict[str, tuple[Json, tuple[str, ...]]] = {
    "a run cannot start": ({"function": HANDLER, "error": UNIMPORTABLE}, STARTS),
    "a run cannot start, with a named error": (
        {"function": HANDLER, "error": "ServiceUnavailableError"},
        STARTS,
    ),
    "planning fails": ({"function": HANDLER, "error": UNIMPORTABLE}, PLANS),
    "planning fails, with a named error": (
        {"function": HANDLER, "error": "ServiceUnavailableError"},
        PLANS,
    ),
    "the source cannot be read": (
        {
            "service": "account",
            "operation": "GetContactInformation",
            "error": "InternalServerException",
        },
        ("{}",),  # calls about the management account contain no account ID
    ),
    "the key cannot be read": (
        {"service": "secretsmanager", "error": "InternalServiceError"},
        ("",),
    ),
}
# How integrations, and the SDK itself, report throttles that the SDK does not model.
THROTTLES = {
    "AmazonDynamoDBException": "ThrottlingException",
    "RequestLimitExceededException": "RequestLimitExceeded",
}


@pytest.mark.case("A1")
@pytest.mark.parametrize("cause", LASTING)
def test_a_permanent_failure_causes_no_endless_runs(bench: Bench, cause: str) -> None:
    """An event causes at most two executions and three messages, whatever fails."""
    bench.faults.plans = [{**LASTING[cause]}]

    bench.scheduled()
    bench.settle(most_executions=12)

    assert len([ending(one) for one in bench.executions()]) <= 2
    assert len([one.subject for one in bench.messages()]) <= 3


@pytest.mark.case("A2")
@pytest.mark.parametrize("contact_type", ["SECURITY", "PRIMARY"])
def test_a_reverted_source_reaches_every_account(bench: Bench, contact_type: str) -> None:
    bench.do({})
    bench.deny(ONE, contact_type)
    bench.change(contact_type, changed(contact_type))
    bench.settle()
    bench.end_faults()
    bench.wind(600)

    back = bench.change(contact_type, SOURCE[contact_type])
    bench.settle()

    assert [SOURCE[contact_type]] * 3 == bench.contacts(contact_type, *MEMBERS), ending(back)


@pytest.mark.case("A3")
def test_a_queued_request_does_not_hide_a_failure(bench: Bench) -> None:
    bench.do({})
    bench.wind(DAY)
    bench.deny(ONE, "BILLING")
    daily = bench.scheduled()
    bench.enter(daily, RECORD)

    bench.end(bench.start({"contact_types": ["security"]}))
    bench.settle()

    assert "PartialSyncError" == daily.error, ending(daily)
    [message] = bench.messages_of(daily)
    [line] = [line for line in message.body.splitlines() if ONE in line and "billing:" in line]
    assert "AccessDeniedError" in line


@pytest.mark.case("A3")
def test_a_failure_can_be_retried_after_another_request(bench: Bench) -> None:
    bench.deny(ONE, "BILLING")
    daily = bench.scheduled()
    bench.enter(daily, RECORD)
    bench.end(bench.start({"contact_types": ["security"]}))
    bench.settle()
    bench.end_faults()

    repeated = bench.do({"retry_of": daily.name})

    assert SOURCE["BILLING"] == bench.contact(ONE, "BILLING"), ending(repeated)


@pytest.mark.case("A4")
@pytest.mark.parametrize("lag", [45, 200])
def test_a_change_whose_first_reads_are_stale_is_synced(bench: Bench, lag: float) -> None:
    """Even if another account always fails."""
    bench.deny(ONE)
    bench.do({})
    bench.wind(DAY)
    bench.let_reads_lag(lag)

    change = bench.change("SECURITY", NEW)
    bench.settle()

    assert [NEW] * 2 == bench.contacts("SECURITY", TWO, THREE), ending(change)


@pytest.mark.case("A5")
@pytest.mark.parametrize("start", ["change", "schedule", "by hand"])
def test_one_read_is_not_enough_to_delete_a_contact(bench: Bench, start: str) -> None:
    """The contact was deleted and set again within a minute; a stale read misses it."""
    bench.configure({**bench.config, "on_source_deleted": "delete"})
    bench.do({})
    bench.wind(DAY)
    bench.let_reads_lag(40)
    bench.set_source("SECURITY", None)
    bench.wind(20)
    bench.set_source("SECURITY", NEW)
    bench.wind(25 if start != "change" else 0)

    if start == "change":
        bench.send_change("SECURITY")
    elif start == "schedule":
        bench.scheduled()
    else:
        bench.start({})
    bench.settle()

    assert [] == [one for one in bench.writes() if one[0] == "DeleteAlternateContact"]
    assert [NEW] * 3 == bench.contacts("SECURITY", *MEMBERS)


@pytest.mark.case("A6")
@pytest.mark.parametrize(
    "state", ["SyncAlternateContacts", "SyncPrimaryContact", RECORD], ids="before {}".format
)
def test_an_account_that_leaves_during_a_run_is_reported_as_skipped(
    bench: Bench, state: Any
) -> None:
    run = bench.start({})
    bench.enter(run, state, account=ONE if state != RECORD else "")

    [left] = bench.deliver(bench.event("account-departed-organization-left"))
    bench.leave(ONE)
    bench.end(left)
    bench.settle()

    assert "SUCCEEDED" == run.status, ending(run)
    assert "skipped" in bench.text_of(run)
    assert ONE in bench.text_of(run)


@pytest.mark.case("A7")
@pytest.mark.parametrize(
    ("function", "operation"),
    [
        (ALTERNATE, "GetAlternateContact"),
        (ALTERNATE, "PutAlternateContact"),
        (PRIMARY, "GetContactInformation"),
        (PRIMARY, "PutContactInformation"),
    ],
)
def test_a_late_function_of_an_aborted_run_reverts_no_later_write(
    bench: Bench, function: str, operation: str
) -> None:
    contact_type = "PRIMARY" if function == PRIMARY else "SECURITY"
    aborted = bench.start({})
    bench.hold(aborted, function, operation)
    held_at = bench.now()
    new = changed(contact_type)

    bench.change(contact_type, new)
    bench.settle()
    bench.continue_held()

    assert [new] * 3 == bench.contacts(contact_type, *MEMBERS)
    late = [one for one in bench.member_calls if one.execution is aborted and one.at > held_at]
    wrote = [one.operation for one in late if one.is_write and one.accepted]
    # A function held before its Put had already checked the lock.
    assert not wrote or operation.startswith("Put")
    bench.wind(DAY)
    daily = bench.end(bench.scheduled())
    assert "SUCCEEDED" == daily.status, ending(daily)


@pytest.mark.case("A7")
@pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT"])
def test_a_redriven_run_writes_nothing_without_the_lock(bench: Bench, status: str) -> None:
    bench.do({})
    bench.set_source("BILLING", changed("BILLING"))
    bench.wind(DAY)
    stopped = bench.scheduled()
    bench.enter(stopped, "SyncAccounts")
    bench.stop(stopped, status)
    bench.settle()
    bench.change("BILLING", SOURCE["BILLING"])
    bench.settle()
    bench.organization.clear_calls()

    bench.redrive(stopped)
    bench.settle()

    assert [] == bench.writes()
    assert "LockLostError" == stopped.error, ending(stopped)
    assert [SOURCE["BILLING"]] * 3 == bench.contacts("BILLING", *MEMBERS)
    bench.wind(DAY)
    daily = bench.end(bench.scheduled())
    assert "SUCCEEDED" == daily.status, ending(daily)


@pytest.mark.case("A8")
@pytest.mark.parametrize("status", ["FAILED", "ABORTED", "TIMED_OUT"])
def test_the_event_of_an_end_overrides_describe_execution(bench: Bench, status: str) -> None:
    """Queued requests are done although DescribeExecution still reports RUNNING."""
    stopped = bench.start({"account_ids": [ONE]})
    bench.enter(stopped, "SyncAccounts")
    queued = bench.end(bench.start({"account_ids": [TWO]}))
    assert {"queued_behind": stopped.name} == queued.output

    bench.set_conditions(end_lag=DAY)
    bench.stop(stopped, status)
    bench.settle()

    assert "holder" not in bench.item("LOCK", "LOCK")
    assert SOURCE["SECURITY"] == bench.contact(TWO, "SECURITY")


@pytest.mark.case("A9")
def test_a_recent_holder_unknown_to_describe_execution_counts_as_running(bench: Bench) -> None:
    holder = bench.start({})
    bench.enter(holder, "SyncAccounts")
    bench.set_conditions(start_lag=DAY)

    second = bench.start({"contact_types": ["security"]})
    bench.end(second)

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
    """Unknown keys are ignored; an unreadable request means every account."""
    bench.put({"pk": "LOCK", "sk": "LOCK", "pending": pending})

    run = bench.do({"account_ids": [THREE], "contact_types": ["billing"]})

    assert "SUCCEEDED" == run.status, ending(run)
    assert [SOURCE["SECURITY"]] * len(accounts) == bench.contacts("SECURITY", *accounts)
    assert "pending" not in bench.item("LOCK", "LOCK")


@pytest.mark.case("A11")
@pytest.mark.parametrize("event", ["account-departed-organization-left", "no event"])
def test_a_retry_syncs_the_accounts_that_have_not_left(bench: Bench, event: str) -> None:
    bench.deny(ONE)
    bench.deny(TWO)
    failed = bench.do({})
    bench.end_faults()
    bench.leave(ONE)
    if event != "no event":
        bench.deliver(bench.event(event))
        bench.settle()

    repeated = bench.do({"retry_of": failed.name})

    assert SOURCE["SECURITY"] == bench.contact(TWO, "SECURITY"), ending(repeated)
    assert SOURCE["PRIMARY"] == bench.contact(TWO, "PRIMARY")


@pytest.mark.case("A12")
@pytest.mark.parametrize("account", ["100000000777", TWO])
def test_a_request_for_an_unknown_account_does_not_fail_the_daily_run(
    bench: Bench, account: str
) -> None:
    """The ID is mistyped, or the account leaves while its request is queued."""
    daily = bench.scheduled()
    bench.enter(daily, "SyncAccounts")

    named = bench.start({"account_ids": [account]})
    bench.end(named)
    if account in MEMBERS:
        bench.enter(daily, RECORD)
        bench.leave(account)
    bench.settle()

    assert "SUCCEEDED" == daily.status, ending(daily)
    assert any(account in f"{one.subject} {one.body}" for one in bench.messages())


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
    run = bench.end(bench.start(execution_input))

    assert "InvalidRequestError" == run.error, ending(run)
    assert [] == bench.writes()


@pytest.mark.case("A14")
@pytest.mark.parametrize("fault", OUTAGES)
def test_queued_requests_survive_an_outage(bench: Bench, fault: str) -> None:
    """They stay queued, or the remedy in the messages repeats them."""
    first = bench.start({"account_ids": [ONE]})
    bench.enter(first, "SyncAccounts")
    bench.end(bench.start({"account_ids": [TWO]}))
    bench.enter(first, RECORD)

    plan, matches = OUTAGES[fault]
    bench.faults.plans = [{**plan, "match": match} for match in matches]
    bench.settle()
    bench.end_faults()
    failed = [one for one in bench.executions() if one.status == "FAILED"]
    repeated = [bench.do({"retry_of": one.name}) for one in failed]

    assert SOURCE["SECURITY"] == bench.contact(TWO, "SECURITY"), list(map(ending, repeated))


@pytest.mark.case("A15")
@pytest.mark.parametrize("reported", THROTTLES)
@pytest.mark.parametrize("state", ["TakeLock", "ReleaseLock"])
def test_a_throttled_call_for_the_lock_is_retried(bench: Bench, state: str, reported: str) -> None:
    run = bench.start({})
    bench.enter(run, state)
    bench.faults.plans = throttled_twice(reported)
    bench.settle()

    assert "SUCCEEDED" == run.status, ending(run)
    assert [run] == bench.executions()


@pytest.mark.case("A15")
@pytest.mark.parametrize("reported", THROTTLES)
def test_a_throttled_record_of_a_failure_is_retried(bench: Bench, reported: str) -> None:
    bench.faults.plans = [{"function": ALTERNATE, "match": ONE, "error": "Runtime.ExitError"}]
    run = bench.start({})
    bench.enter(run, "RecordFailure")
    bench.faults.plans += throttled_twice(reported)
    bench.settle()

    [line] = [
        line for line in bench.text_of(run).splitlines() if ONE in line and "billing:" in line
    ]
    assert "Runtime.ExitError" in line


@pytest.mark.case("A15")
@pytest.mark.parametrize("reported", THROTTLES)
def test_a_throttled_record_of_a_departure_is_retried(bench: Bench, reported: str) -> None:
    bench.do({})
    [left] = bench.deliver(bench.event("account-departed-organization-left"))
    bench.enter(left, LEFT)
    bench.faults.plans = throttled_twice(reported)
    bench.settle()

    assert "SUCCEEDED" == left.status, ending(left)


def throttled_twice(reported: str) -> list[Json]:
    """Return faults of the table's next two calls, from the machine or a function."""
    plan = {"service": "dynamodb", "times": 2}
    return [
        {**plan, "where": "machine", "error": reported},
        {**plan, "where": "function", "error": THROTTLES[reported]},
    ]


@pytest.mark.case("A16")
@pytest.mark.parametrize("error", ["InternalErrorException", "ThrottledException"])
def test_the_result_is_published_although_the_topic_refuses_for_a_minute(
    bench: Bench, error: str
) -> None:
    bench.deny(ONE)
    bench.faults.plans = [{"service": "sns", "error": error, "seconds": 60}]

    run = bench.do({})

    assert ONE in bench.text_of(run)
    assert "PartialSyncError" == run.error, ending(run)


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
def test_a_run_fails_without_active_accounts_or_with_an_unknown_state(
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

    assert "FAILED" == run.status, ending(run)
    assert run.error in ("NoActiveAccountsError", "UnknownAccountStateError")
    assert bench.messages_of(run)


@pytest.mark.case("A19")
@pytest.mark.parametrize("contact_type", ["SECURITY", "PRIMARY"])
def test_a_write_by_a_killed_process_counts_as_an_update(bench: Bench, contact_type: str) -> None:
    bench.do({})
    bench.wind(DAY)
    bench.organization.set_contact(ONE, contact_type, changed(contact_type))
    is_primary = contact_type == "PRIMARY"
    operation = "PutContactInformation" if is_primary else "PutAlternateContact"

    run = bench.start({})
    bench.kill_after(run, operation)
    bench.settle()

    assert "1 updated, 2 unchanged" in bench.text_of(run)


@pytest.mark.case("A19")
def test_a_contact_written_by_a_killed_process_can_be_deleted(bench: Bench) -> None:
    bench.configure({**bench.config, "on_source_deleted": "delete"})
    run = bench.start({"account_ids": [ONE], "contact_types": ["security"]})
    bench.kill_after(run, "PutAlternateContact")
    bench.settle()
    assert SOURCE["SECURITY"] == bench.contact(ONE, "SECURITY")
    bench.wind(DAY)

    bench.change("SECURITY", None)
    bench.settle()

    assert bench.contact(ONE, "SECURITY") is None


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

    assert "SUCCEEDED" == run.status, ending(run)
    assert "3 updated" in bench.text_of(run)
    assert len(bench.writes()) == len(set(bench.writes()))
