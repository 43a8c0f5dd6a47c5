"""Events on the bus, as AWS puts them there: each starts the run that it should, and no other."""

import json
from pathlib import Path
from typing import Any

import pytest
from standin.machine import Machine
from standin.organization import drifted_world
from standin.standin import Execution

EVENTS = Path(__file__).parents[1] / "events"
MANAGEMENT, JOINED, OTHER = "999999999999", "100000000001", "100000000002"


def event(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return content


@pytest.fixture(name="started")
def _started(machine: Machine) -> int:
    """Begin with a drifted organization; return how many executions there were before."""
    machine.reset(drifted_world(4, missing=0))
    return len(machine.stack.executions())


def since(machine: Machine, started: int, count: int) -> list[Execution]:
    """Wait until that many executions have started since, and all have ended; return them."""
    return machine.stack.wait_for_executions(started + count, timeout=120)[started:]


@pytest.mark.parametrize(
    "name",
    [
        "put-alternate-contact",
        "put-alternate-contact-pascal",
        "put-alternate-contact-root",
        "delete-alternate-contact",
        "put-contact-information",
        "put-contact-information-console",
        "set-additional-contacts",
        "set-contact-address",
    ],
)
def test_a_change_of_the_source_starts_a_full_run(
    machine: Machine, started: int, name: str
) -> None:
    machine.standin.put_event(event(name))

    (execution,) = since(machine, started, 1)
    assert "SUCCEEDED" == execution.status()
    assert "contact_changed" == execution.input()["trigger"]["source"]
    assert 4 == len({call["account_id"] for call in machine.writes()})


@pytest.mark.parametrize(
    "name",
    [
        "create-account-result",
        "account-joined-organization-created",
        "account-joined-organization-invited",
        "create-managed-account",
        "update-managed-account",
    ],
)
def test_a_new_account_starts_a_run_for_itself(machine: Machine, started: int, name: str) -> None:
    machine.standin.put_event(event(name))

    (execution,) = since(machine, started, 1)
    assert "SUCCEEDED" == execution.status()
    assert {JOINED} == {call["account_id"] for call in machine.writes()}


def test_a_new_account_that_is_excluded_is_skipped(machine: Machine, started: int) -> None:
    machine.configure(excluded_accounts=[JOINED])

    machine.standin.put_event(event("create-account-result"))

    (execution,) = since(machine, started, 1)
    assert "SUCCEEDED" == execution.status()
    assert [] == machine.writes()


@pytest.mark.parametrize("name", ["account-departed-organization-left", "close-account-result"])
def test_an_account_that_left_leaves_the_state_table(
    machine: Machine, started: int, name: str
) -> None:
    machine.run()

    machine.standin.put_event(event(name))

    since(machine, started, 2)
    assert {} == machine.account(JOINED)
    assert machine.account(OTHER)


def test_a_runs_own_writes_start_nothing(machine: Machine, started: int) -> None:
    machine.run()
    writes = [call for call in machine.writes() if call["outcome"] == "ok"]

    for number, write in enumerate(writes):
        machine.standin.put_event(own_write(write, number))

    machine.standin.put_event(event("put-alternate-contact"))  # by its run the others are seen
    since(machine, started, 2)
    assert 16 == len(writes)
    assert started + 2 == len(machine.stack.executions())


def own_write(write: dict[str, Any], number: int) -> dict[str, Any]:
    """Return the CloudTrail event of one of our writes; live events use both casings."""
    primary = write["operation"] == "PutContactInformation"
    kind = "put-contact-information" if primary else "put-alternate-contact"
    told = event(f"{kind}-member-pascal" if number % 2 else f"{kind}-member")
    casing = "AccountId" if number % 2 else "accountId"
    told["detail"]["requestParameters"][casing] = write["account_id"]
    told["detail"]["eventID"] = f"{told['detail']['eventID'][:-4]}{number:04}"
    return told


def test_a_burst_of_changes_is_few_rounds_and_none_is_lost(machine: Machine, started: int) -> None:
    # Long enough for all of the burst to find a run under way, as within the half minute of Settle.
    for operation in ("DescribeOrganization", "ListAWSServiceAccessForOrganization"):
        slow = {"operation": operation, "error": "slow", "delay": 8, "times": 1}
        machine.organization.add_fault(slow)
    running = machine.stack.start()
    while "ListAccounts" not in running.states():
        assert "RUNNING" == running.status()
    for number in range(30):
        contact_type = ("BILLING", "OPERATIONS", "SECURITY")[number % 3]
        contact = machine.organization.contacts(MANAGEMENT)[contact_type]
        changed = {**contact, "Name": f"Name number {number}"}
        machine.organization.set_contact(MANAGEMENT, contact_type, changed)
        told = event("put-alternate-contact")
        told["detail"]["eventID"] = f"{told['detail']['eventID'][:-4]}{number:04}"
        machine.standin.put_event(told)
        # One after the other: thirty functions starting at once would outlast the run under way.
        while "RUNNING" in [e.status() for e in machine.stack.executions()[started + 1 :]]:
            pass

    executions = since(machine, started, 31)

    assert 3 >= sum(execution.states().count("StartRound") for execution in executions)
    source = machine.organization.contacts(MANAGEMENT)
    assert [source] * 4 == [
        machine.organization.contacts(account["id"])
        for account in machine.organization.world()["accounts"]
    ]


def test_a_change_during_a_run_reaches_every_account(machine: Machine, started: int) -> None:
    slow = {"operation": "GetAlternateContact", "error": "slow", "delay": 1, "times": 1}
    machine.organization.add_fault({**slow, "account_id": OTHER})
    running = machine.stack.start()
    while "SyncAccounts" not in running.states():
        assert "RUNNING" == running.status()
    contact = machine.organization.contacts(MANAGEMENT)["SECURITY"]
    machine.organization.set_contact(MANAGEMENT, "SECURITY", {**contact, "Name": "Newest Name"})

    machine.standin.put_event(event("put-alternate-contact"))
    since(machine, started, 2)

    names = {
        machine.organization.contacts(account["id"])["SECURITY"]["Name"]
        for account in machine.organization.world()["accounts"]
    }
    assert {"Newest Name"} == names


def test_what_was_queued_behind_an_aborted_run_is_done(machine: Machine, started: int) -> None:
    slow = {"operation": "GetAlternateContact", "error": "slow", "delay": 8, "times": 1}
    machine.organization.add_fault({**slow, "account_id": JOINED})
    running = machine.stack.start({"account_ids": [JOINED]})
    while "SyncAccounts" not in running.states():
        assert "RUNNING" == running.status()
    queued = machine.run({"account_ids": [OTHER]})
    assert {"queued_behind": running.name} == queued.wait().output

    running.stop()
    since(machine, started, 3)

    source = machine.organization.contacts(MANAGEMENT)
    assert source == machine.organization.contacts(OTHER)
    assert {} == machine.lock()
