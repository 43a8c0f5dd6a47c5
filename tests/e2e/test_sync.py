"""The product's promises, checked on the template deployed to the stand-in."""

import json
import time
from collections import Counter
from datetime import timedelta
from typing import Any

from standin.organization import drifted_world
from standin.standin import Execution
from support.events import event
from support.machine import Machine
from support.search import contact_values, search

INACTIVE = {"SUSPENDED": 2, "PENDING_CLOSURE": 2, "CLOSED": 2}
SPEED = 100
SUCCESS = {"notify_on_success": True}

# All contact values of these tests: none may be stored anywhere.
seen_values: set[str] = set()


def arrange(machine: Machine, accounts: int, *, config: Any = None, **world: Any) -> dict[str, Any]:
    """Set a drifted organization; remember its contact values."""
    made = drifted_world(accounts, **world)
    seen_values.update(contact_values(made))
    machine.reset(made, **(config or {}))
    return made


def change_source(machine: Machine, contact_type: str, name: str) -> None:
    """Change one field of an alternate contact of the management account."""
    contact = machine.organization.contacts("999999999999")[contact_type]
    machine.organization.set_contact("999999999999", contact_type, {**contact, "Name": name})
    seen_values.add(name)


def members(world: dict[str, Any]) -> list[str]:
    return [account["id"] for account in world["accounts"] if account["state"] == "ACTIVE"]


def agrees(machine: Machine, account_ids: list[str]) -> bool:
    """Tell whether the accounts' contacts equal the source's."""
    source = machine.organization.contacts("999999999999")
    return all(source == machine.organization.contacts(account_id) for account_id in account_ids)


def written_accounts(machine: Machine) -> set[str]:
    return {call["account_id"] for call in machine.writes() if call["outcome"] == "ok"}


def is_free(machine: Machine) -> bool:
    """Return whether no execution holds the lock, and nothing waits for a run."""
    return "holder" not in machine.lock() and not machine.queue()


def since(machine: Machine, started: int) -> list[Execution]:
    """Wait until nothing runs; return the executions after the first `started`."""
    machine.await_recoveries()
    return machine.stack.executions()[started:]


def reach(execution: Execution, state: str) -> None:
    """Wait until the execution has entered a state."""
    while state not in execution.states():
        assert "RUNNING" == execution.status()


def test_a_full_run_writes_only_contacts_in_scope_that_differ(machine: Machine) -> None:
    world = arrange(machine, 60, states=INACTIVE)
    excluded, *included = members(world)
    machine.configure(excluded_accounts=[excluded])
    before = machine.organization.contacts(excluded)

    first = machine.run()

    assert "SUCCEEDED" == first.status()
    assert agrees(machine, included)
    assert set(included) == written_accounts(machine)
    assert before == machine.organization.contacts(excluded)
    assert {} == machine.organization.stats()["inactive_writes"]

    machine.organization.clear_calls()
    second = machine.run()

    assert "SUCCEEDED" == second.status()
    assert [] == machine.writes()
    assert {"0"} == {child.describe()["output"] for child in second.children()}

    drifted = {**machine.organization.contacts(included[7])["SECURITY"], "Title": "Another Title"}
    machine.organization.set_contact(included[7], "SECURITY", drifted)
    machine.run()

    (write,) = machine.writes()
    assert ("PutAlternateContact", included[7], "SECURITY") == (
        write["operation"],
        write["account_id"],
        write["contact_type"],
    )


def test_retry_config_determines_the_attempts_and_waits(machine: Machine) -> None:
    world = arrange(machine, 2)
    throttled = members(world)[0]
    machine.configure(retry_config={"max_attempts": 5, "base_delay": 1, "max_delay": 4})
    machine.organization.add_fault(
        {
            "operation": "PutAlternateContact",
            "account_id": throttled,
            "error": "TooManyRequestsException",
            "times": None,
        }
    )

    execution = machine.run()

    child = next(c for c in execution.children() if c.input()["account_id"] == throttled)
    assert 5 == child.states().count("SyncAlternateContacts")
    # Jitter leaves at least half of the delays: 1, 2, 4 and 4 seconds, divided by SPEED here.
    shortest = [timedelta(seconds=seconds / SPEED) for seconds in (1, 1, 2, 2)]
    assert all(wait >= least for wait, least in zip(waits(child), shortest, strict=True))


def waits(execution: Execution) -> list[timedelta]:
    """Return the duration of each Wait state of an execution."""
    times = [
        event["timestamp"] for event in execution.history() if event["type"].startswith("WaitState")
    ]
    return [end - start for start, end in zip(times[::2], times[1::2], strict=True)]


def test_only_a_denied_account_fails_and_every_report_names_it(machine: Machine) -> None:
    world = arrange(machine, 6)
    denied, *others = members(world)
    machine.organization.reset({**world, "denied_accounts": [denied]})

    execution = machine.run()

    assert "PartialSyncError" == execution.describe()["error"]
    assert f"{denied} (AccessDeniedError)" in execution.describe()["cause"]
    assert agrees(machine, others)
    assert "AccessDeniedError" == machine.account(denied)["security"]["error"]
    child = next(c for c in execution.children() if c.input()["account_id"] == denied)
    assert "trusted access" in json.dumps(child.history(), default=str)
    (message,) = machine.messages()
    assert denied in message.body
    assert "Check trusted access" in message.body
    assert {"environment": "prod", "status": "partial", "sync_id": execution.name} == (
        message.attributes
    )


def test_what_comes_during_a_run_is_done_by_one_run_after_it(machine: Machine) -> None:
    world = arrange(machine, 12)
    slow = {"operation": "GetContactInformation", "error": "slow", "delay": 8, "times": 1}
    machine.organization.add_fault({**slow, "account_id": members(world)[5]})
    started = len(machine.stack.executions())
    first = machine.stack.start({"reason": "the first"})
    reach(first, "SyncAccounts")
    change_source(machine, "BILLING", "Newest Billing Name")
    queued = [machine.run({"reason": f"number {n}"}) for n in range(3)]

    executions = since(machine, started)

    assert ["SUCCEEDED"] * 5 == [execution.status() for execution in executions]
    asked = {first.name, *(each.name for each in queued)}
    following = next(each for each in executions if each.name not in asked)
    assert "continuation" == following.input()["trigger"]["source"]
    for each in queued:
        assert {"queued_behind": first.name} == each.wait().output
        assert following.name == machine.run_item(each)["done_by"]
    assert ["number 0", "number 1", "number 2"] == (
        machine.run_item(following)["request"]["reasons"]
    )
    assert agrees(machine, members(world))
    writes = Counter(
        (call["account_id"], call["contact_type"])
        for call in machine.writes()
        if call["outcome"] == "ok"
    )
    assert 1 == max(n for (_, contact_type), n in writes.items() if contact_type != "BILLING")
    assert 2 >= max(writes.values())
    assert is_free(machine)


def test_an_aborted_run_writes_nothing_more_and_what_waited_for_it_is_done(
    machine: Machine,
) -> None:
    """The aborted run's function reads a contact until long after another run has the lock."""
    world = arrange(machine, 6)
    late, other, *_ = members(world)
    slow = {"operation": "GetContactInformation", "error": "slow", "delay": 9, "times": 1}
    machine.organization.add_fault({**slow, "account_id": late})
    started = len(machine.stack.executions())
    aborted = machine.stack.start({"account_ids": [late], "contact_types": ["primary"]})
    reach(aborted, "SyncAccounts")
    while [0] != [fault["times"] for fault in machine.organization.faults()]:
        assert "RUNNING" == aborted.status()
    queued = machine.run({"account_ids": [other]})
    assert {"queued_behind": aborted.name} == queued.wait().output
    aborted.stop()

    recovery = since(machine, started)[-1]

    assert "recovery" == recovery.input()["trigger"]["source"]
    assert "SUCCEEDED" == recovery.status()
    assert recovery.name == machine.run_item(queued)["done_by"]
    assert "Settle" in recovery.states()
    assert ("aborted", "ABORTED") == tuple(
        machine.run_item(aborted)[name] for name in ("status", "error")
    )
    (line,) = [message.body for message in machine.messages() if " ended as " in message.body]
    assert f"execution {aborted.name} ended as ABORTED." in line
    assert "are dropped" in line
    wait_for_digit(machine, aborted, 4)
    assert {other} == written_accounts(machine)
    assert is_free(machine)

    machine.run()
    assert agrees(machine, members(world))


def wait_for_digit(machine: Machine, execution: Execution, digit: int) -> None:
    """Wait until a processor has returned this digit to the execution."""
    group = "/aws/lambda/aws-contact-sync-prod-primary-contact-processor"
    deadline = time.monotonic() + 30
    while True:
        pages = machine.standin.client("logs").get_paginator("filter_log_events")
        lines = [
            json.loads(event["message"])
            for page in pages.paginate(logGroupName=group)
            for event in page["events"]
            if event["message"].startswith("{")
        ]
        found = [line.get("digit") for line in lines if line.get("sync_id") == execution.name]
        if digit in found:
            return
        assert time.monotonic() < deadline, found


def test_services_that_refuse_once_stop_nothing(machine: Machine) -> None:
    world = arrange(machine, 6, config={"notification_settings": SUCCESS})
    once = {"times": 1}
    slow_down = {"service": "s3", "error": "SlowDown", "status": 503, **once}
    throttled = {"error": "ProvisionedThroughputExceededException", "times": 3}
    machine.standin.set_faults(
        [
            {"service": "dynamodb", "operation": "UpdateItem", **throttled},
            {"operation": "PutObject", **slow_down},
            {"operation": "GetObject", "match": "source", **slow_down},
            {"service": "sns", "operation": "Publish", "error": "InternalErrorException", **once},
            {"function": "alternate-contact-processor", "kind": "kill", **once},
        ]
    )

    execution = machine.run()

    assert "SUCCEEDED" == execution.status()
    assert agrees(machine, members(world))
    assert 1 == len(machine.messages())


def test_a_changed_contact_is_synced_and_the_source_is_checked_again(machine: Machine) -> None:
    world = arrange(machine, 6)
    machine.run()
    machine.organization.clear_calls()
    change_source(machine, "SECURITY", "Changed Security Name")
    started = len(machine.stack.executions())

    machine.standin.put_event(event("put-alternate-contact"))
    (execution,) = machine.stack.wait_for_executions(started + 1)[started:]

    assert "SUCCEEDED" == execution.status()
    assert "contact_changed" == execution.input()["trigger"]["source"]
    assert agrees(machine, members(world))
    assert {"SECURITY"} == {call["contact_type"] for call in machine.writes()}
    states = execution.states()
    assert states.index("ReleaseLock") < states.index("AwaitSource") < states.index("CheckSource")
    assert "RepeatChange" not in states
    least = timedelta(seconds=30) / SPEED, timedelta(seconds=290) / SPEED
    assert all(wait >= each for wait, each in zip(waits(execution), least, strict=True))


def test_a_deleted_source_contact_is_deleted_where_we_wrote_it(machine: Machine) -> None:
    world = arrange(machine, 4, config={"on_source_deleted": "delete"})
    first, *others = members(world)
    machine.run()
    own = {**machine.organization.contacts(first)["BILLING"], "Name": "Member's Own Name"}
    machine.organization.set_contact(first, "BILLING", own)
    machine.organization.set_contact("999999999999", "BILLING", None)

    execution = machine.run()

    assert 2 == execution.states().count("PlanRun")
    assert own == machine.organization.contacts(first)["BILLING"]
    assert not [one for one in others if "BILLING" in machine.organization.contacts(one)]


def test_a_dry_run_during_a_run_reports_drift_and_writes_nothing(machine: Machine) -> None:
    world = arrange(machine, 4, config={"notification_settings": SUCCESS})
    first, *others = members(world)
    slow = {"operation": "GetContactInformation", "error": "slow", "delay": 3, "times": 1}
    machine.organization.add_fault({**slow, "account_id": first})
    running = machine.stack.start({"account_ids": [first]})
    reach(running, "SyncAccounts")

    dry_run = machine.run({"dry_run": True, "account_ids": others})

    assert ("RUNNING", "SUCCEEDED") == (running.status(), dry_run.status())
    assert running.name == machine.lock()["holder"]
    assert not {*others} & {call["account_id"] for call in machine.writes()}
    (message,) = machine.messages()
    assert message.subject == "DRY RUN [prod] contact sync success: 3 would change"
    assert all(account_id in message.body for account_id in others)
    assert [{}, {}, {}] == [machine.account(account_id) for account_id in others]
    assert "SUCCEEDED" == running.wait().status


def test_a_retry_syncs_only_failed_accounts(machine: Machine) -> None:
    world = arrange(machine, 6)
    denied, *_ = members(world)
    machine.organization.reset({**world, "denied_accounts": [denied]})
    failed = machine.run()
    machine.organization.reset(world)

    repeated = machine.run({"retry_of": failed.name})

    assert "SUCCEEDED" == repeated.status()
    assert {denied} == written_accounts(machine)
    assert agrees(machine, [denied])


def test_hundreds_of_accounts_exceed_no_limit(machine: Machine) -> None:
    world = arrange(machine, 300, config={"notification_settings": SUCCESS})

    execution = machine.run()

    assert "SUCCEEDED" == execution.status()
    assert agrees(machine, members(world))
    history = execution.history()
    assert 200 > len(history)
    assert 64 * 1024 > max(len(json.dumps(event, default=str)) for event in history)
    assert {"1"} == {child.describe()["output"] for child in execution.children()}
    assert 80 > max(len(child.history()) for child in execution.children()[::20])


def test_no_contact_value_is_stored_anywhere(machine: Machine) -> None:
    """Search everything that the tests of this folder stored."""
    assert seen_values
    assert [] == search(machine.standin, seen_values)
