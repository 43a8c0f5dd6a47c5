"""Each event, as AWS sends it, starts exactly the run that it should."""

from typing import Any

import pytest
from standin.organization import drifted_world
from standin.standin import Execution
from support.events import event
from support.machine import Machine

MANAGEMENT, JOINED, OTHER = "999999999999", "100000000001", "100000000002"


@pytest.fixture(name="started")
def _started(machine: Machine) -> int:
    """Set a drifted organization; return the number of executions so far."""
    machine.reset(drifted_world(4, missing=0))
    return len(machine.stack.executions())


def since(machine: Machine, started: int, count: int) -> list[Execution]:
    """Wait until `count` more executions have started, and all have ended; return them."""
    return machine.stack.wait_for_executions(started + count, timeout=120)[started:]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("put-alternate-contact-pascal", "contact_changed"),
        ("delete-alternate-contact", "contact_changed"),
        ("set-contact-address", "contact_changed"),
        ("put-contact-information-console", "contact_changed"),
        ("account-joined-organization-unnamed", "schedule"),
    ],
)
def test_a_change_starts_a_run_for_every_account(
    machine: Machine, started: int, name: str, source: str
) -> None:
    machine.standin.put_event(event(name))

    (execution,) = since(machine, started, 1)
    assert "SUCCEEDED" == execution.status()
    assert source == execution.input()["trigger"]["source"]
    assert 4 == len({call["account_id"] for call in machine.writes()})


@pytest.mark.parametrize(
    "name",
    [
        "create-account-result",
        "account-joined-organization-invited",
        "update-managed-account",
        "move-account",
    ],
)
def test_a_new_or_moved_account_starts_a_run_for_that_account_only(
    machine: Machine, started: int, name: str
) -> None:
    machine.standin.put_event(event(name))

    (execution,) = since(machine, started, 1)
    assert "SUCCEEDED" == execution.status()
    assert {JOINED} == {call["account_id"] for call in machine.writes()}


def test_a_run_waits_for_a_new_account_without_the_lock(machine: Machine, started: int) -> None:
    """The API temporarily denies a new account's contacts; no other run has to wait for it."""
    machine.organization.reset({**machine.organization.world(), "denied_accounts": [JOINED]})
    machine.standin.put_event(event("create-account-result"))
    joined = machine.stack.wait_until_started(started + 1)
    while joined.states().count("AwaitAccount") < 2:
        assert "RUNNING" == joined.status()
    assert {} == machine.lock()
    other = machine.run({"account_ids": [OTHER]})
    assert "Synchronized" == other.states()[-1]

    machine.organization.reset({**machine.organization.world(), "denied_accounts": []})
    joined.wait()

    assert "Synchronized" == joined.states()[-1]
    assert machine.organization.contacts(MANAGEMENT) == machine.organization.contacts(JOINED)


@pytest.mark.parametrize("name", ["account-departed-organization-left", "close-account-result"])
def test_the_state_of_an_account_that_left_gets_an_expiry_time(
    machine: Machine, started: int, name: str
) -> None:
    machine.run()
    before = machine.account(JOINED)

    machine.standin.put_event(event(name))

    *_, execution = since(machine, started, 2)
    assert ["CheckRequest", "ChooseStart", "MarkLeft"] == execution.states()
    assert {"left_at", "expires_at"} == machine.account(JOINED).keys() - before.keys()
    assert "left_at" not in machine.account(OTHER)


def test_an_account_that_leaves_during_a_run_is_reported_as_skipped(
    machine: Machine, started: int
) -> None:
    slow = {"operation": "GetContactInformation", "error": "slow", "delay": 6, "times": 1}
    machine.organization.add_fault({**slow, "account_id": OTHER})
    machine.configure(notification_settings={"notify_on_success": True})
    running = machine.stack.start()
    while machine.account(JOINED).get("primary") is None:
        assert "RUNNING" == running.status()

    machine.standin.put_event(event("account-departed-organization-left"))
    since(machine, started, 2)

    assert "SUCCEEDED" == running.status()
    assert {JOINED: "left the organization"} == machine.run_item(running)["named_skips"]
    (message,) = machine.messages()
    assert f"skipped: {JOINED}, left the organization" in message.body


def test_the_writes_of_a_run_start_no_run(machine: Machine, started: int) -> None:
    machine.run()
    writes = [call for call in machine.writes() if call["outcome"] == "ok"]

    for number, write in enumerate(writes):
        machine.standin.put_event(own_write(write, number))

    # Any other run would start before the end of this one.
    machine.standin.put_event(event("put-alternate-contact"))
    since(machine, started, 2)
    assert 16 == len(writes)
    assert started + 2 == len(machine.stack.executions())


def own_write(write: dict[str, Any], number: int) -> dict[str, Any]:
    """Return the CloudTrail event of a run's write; live events use both casings."""
    primary = write["operation"] == "PutContactInformation"
    kind = "put-contact-information" if primary else "put-alternate-contact"
    sent = event(f"{kind}-member-pascal" if number % 2 else f"{kind}-member")
    casing = "AccountId" if number % 2 else "accountId"
    sent["detail"]["requestParameters"][casing] = write["account_id"]
    sent["detail"]["eventID"] = f"{sent['detail']['eventID'][:-4]}{number:04}"
    return sent
