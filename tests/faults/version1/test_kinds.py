"""Inputs of the same kinds, which broke later code, through the definition and the functions."""

from typing import Any

import pytest
from faults.system import Execution
from faults.version1.bench import DAY, HANDLER, MEMBERS, ONE, SOURCE, TYPES, Bench, changed
from standin.organization.worlds import MANAGEMENT_ACCOUNT_ID

TAKE_LOCK = '"action": "take_lock"'
NO_ANSWER = {"function": HANDLER, "error": "Sandbox.Timedout", "times": 3}
NEW = changed("SECURITY")


def _a_change(bench: Bench) -> tuple[list[Any], Execution]:
    """Sync a change to every account; return the contacts before it, and its run."""
    bench.do({})
    bench.wind(DAY)
    before = bench.contacts("SECURITY", *MEMBERS)
    run = bench.change("SECURITY", NEW)
    bench.settle()
    bench.wind(DAY)
    return before, run


@pytest.fixture(name="undone")
def _undone(bench: Bench) -> tuple[str, str, list[Any]]:
    """Return a run, its undo that failed in one account, and the contacts before the run."""
    before, run = _a_change(bench)
    bench.deny(ONE, "SECURITY")
    undo = bench.start({"undo": run.name})
    bench.settle()
    bench.end_faults()
    return run.name, undo.name, before


@pytest.mark.parametrize("error", ["Sandbox.Timedout", "ThrottledError"])
def test_a_retried_undo_that_dies_is_not_followed_by_a_full_run(
    bench: Bench, undone: tuple[str, str, list[Any]], error: str
) -> None:
    """Neither its recovery nor the retry that its message suggests is a full run."""
    _, undo, before = undone
    retry = bench.start({"retry_of": undo})
    bench.faults.plans = [{**NO_ANSWER, "match": TAKE_LOCK, "error": error, "times": 9}]
    bench.settle()
    bench.end_faults()
    bench.wind(600.0)
    bench.do({"retry_of": retry.name})
    bench.settle()

    assert before == bench.contacts("SECURITY", *MEMBERS)


def test_a_dead_continuation_adds_no_request(bench: Bench) -> None:
    before, run = _a_change(bench)
    other = bench.start({"account_ids": [ONE], "contact_types": ["billing"]})
    bench.enter(other, "SyncAccounts")
    bench.end(bench.start({"undo": run.name}))
    bench.faults.plans = [{**NO_ANSWER, "match": '"source": "continuation"'}]
    bench.settle()

    assert before == bench.contacts("SECURITY", *MEMBERS)


@pytest.mark.parametrize(
    "item",
    [
        {"sk": "QUEUE#x", "started_at": None, "queued_at": None, "request": None},
        {"sk": "LOCK", "planned_at": "Mon, 05 Jan 2026 10:00:05 GMT"},
    ],
)
def test_an_unreadable_item_fails_no_run(bench: Bench, item: dict[str, Any]) -> None:
    bench.put({"pk": "LOCK", **item})

    assert "SUCCEEDED" == bench.do({}).status


def test_contacts_deleted_one_after_the_other(bench: Bench) -> None:
    """A contact missing only in the second read is read again by another run."""
    bench.begin(on_source_deleted="delete")
    bench.do({})
    bench.wind(DAY)
    first = bench.change("BILLING", None)
    bench.enter(first, "ConfirmDeletion")
    for name in ("OPERATIONS", "SECURITY"):
        bench.end(bench.change(name, None))  # its request waits for the second read
    bench.settle()

    for name in ("BILLING", "OPERATIONS", "SECURITY"):
        assert [None] * 3 == bench.contacts(name, *MEMBERS)


def test_a_contact_that_stays_invalid_does_not_block_the_others(bench: Bench) -> None:
    invalid = {**SOURCE["PRIMARY"], "PhoneNumber": "0400 000 000"}
    bench.organization.set_contact(MANAGEMENT_ACCOUNT_ID, "PRIMARY", invalid)
    bench.send_change("PRIMARY")
    bench.settle()
    bench.do({})
    bench.wind(DAY)
    bench.organization.set_contact(ONE, "SECURITY", NEW)
    run = bench.send_change("SECURITY")
    bench.settle()

    assert "SUCCEEDED" == run.status
    assert SOURCE["SECURITY"] == bench.contact(ONE, "SECURITY")


def test_a_check_that_always_fails_is_reported_once(bench: Bench) -> None:
    bench.begin(notification_settings={"notify_on_success": True}, contact_types=TYPES)
    bench.faults.plans = [
        {
            "function": HANDLER,
            "match": '"action": "check_source"',
            "error": "Runtime.ImportModuleError",
        }
    ]
    bench.change("SECURITY", NEW)
    bench.settle()

    assert 3 == len(bench.messages())
    assert 1 == sum("check of the source failed" in one.body for one in bench.messages())


def test_a_redriven_run_is_stopped_like_any_other(bench: Bench) -> None:
    """Even after an abort: it takes the lock, and works."""
    bench.do({})
    bench.wind(DAY)
    run = bench.start({"contact_types": ["security"], "account_ids": [ONE]})
    bench.enter(run, "TakeLock")
    bench.stop(run, "ABORTED")
    bench.settle()
    bench.redrive(run)
    bench.enter(run, "SyncAccounts")
    refused = [bench.end(bench.start({key: run.name})) for key in ("undo", "retry_of")]
    bench.organization.set_contact(ONE, "SECURITY", NEW)
    bench.stop(run, "ABORTED")
    bench.settle()

    assert ["InvalidRequestError"] * 2 == [one.error for one in refused]
    assert [] == [one for one in bench.items() if one["sk"].startswith("QUEUE#")]
    assert NEW == bench.contact(ONE, "SECURITY")


def test_an_undo_and_its_recovery_are_undone_together(bench: Bench) -> None:
    _, run = _a_change(bench)
    undo = bench.start({"undo": run.name})
    bench.enter(undo, "SyncPrimaryContact")
    bench.stop(undo, "TIMED_OUT")
    bench.settle()
    recovery = bench.executions()[-1]
    bench.wind(DAY)
    bench.do({"undo": recovery.name})

    assert [NEW] * 3 == bench.contacts("SECURITY", *MEMBERS)


@pytest.mark.parametrize("key", ["retry_of", "undo"])
def test_the_arn_of_an_execution_names_its_run(bench: Bench, key: str) -> None:
    run = bench.do({})
    bench.wind(DAY)
    arn = f"arn:aws:states:us-east-1:999999999999:execution:contact-sync:{run.name}"

    named, by_arn = (bench.do({key: name}) for name in (run.name, arn))

    assert named.error == by_arn.error
    assert arn not in by_arn.cause


def test_a_retry_of_a_dry_run_must_be_a_dry_run(bench: Bench) -> None:
    check = {"function": HANDLER, "match": '"action": "check_request"', "error": "ThrottledError"}
    bench.faults.plans = [{**check, "times": 9}]
    dry = bench.do({"dry_run": True, "account_ids": [ONE]})
    bench.end_faults()
    bench.writes()

    refused = bench.do({"retry_of": dry.name})

    assert "InvalidRequestError" == refused.error
    assert [] == bench.writes()
    assert "SUCCEEDED" == bench.do({"retry_of": dry.name, "dry_run": True}).status


def test_a_contested_primary_contact_is_repaired_as_its_message_says(bench: Bench) -> None:
    bench.do({})
    for _ in range(3):
        bench.organization.set_contact(ONE, "PRIMARY", changed("PRIMARY"))
        bench.wind(DAY)
        run = bench.do({})
    assert changed("PRIMARY") == bench.contact(ONE, "PRIMARY")
    assert "written again by a run that names the account (--account)" in bench.text_of(run)

    bench.do({"account_ids": [ONE]})

    assert SOURCE["PRIMARY"] == bench.contact(ONE, "PRIMARY")


def test_a_contact_that_an_undo_cannot_put_back_is_told_with_what_helps(bench: Bench) -> None:
    """The account has it from the console, which knows no rule of the API."""
    former = {**changed("PRIMARY"), "PhoneNumber": "0400 000 000"}
    bench.organization.set_contact(ONE, "PRIMARY", former)
    run = bench.do({})
    bench.wind(DAY)

    undo = bench.do({"undo": run.name})

    assert f"{ONE}  primary: ContactRefusedError" in bench.text_of(undo)
    assert "What an undo cannot put back, set in the account itself." in bench.text_of(undo)
