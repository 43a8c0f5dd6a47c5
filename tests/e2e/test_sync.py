"""What the product promises, through its public face: the deployed template in the stand-in."""

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from standin.machine import Machine
from standin.organization import contact_values, drifted_world
from standin.standin import Execution

EVENTS = Path(__file__).parents[1] / "events"
INACTIVE = {"SUSPENDED": 2, "PENDING_CLOSURE": 2, "CLOSED": 2}
SPEED = 100
SUCCESS = {"notify_on_success": True}

# Every value that a contact had in any of these tests: none may be stored anywhere.
seen_values: set[str] = set()


def arrange(machine: Machine, accounts: int, *, config: Any = None, **world: Any) -> dict[str, Any]:
    """Begin with a drifted organization; remember its contacts' values."""
    made = drifted_world(accounts, **world)
    seen_values.update(contact_values(made))
    machine.reset(made, **(config or {}))
    return made


def change_source(machine: Machine, contact_type: str, name: str) -> dict[str, str]:
    """Change one field of a contact of the management account."""
    contact = {**machine.organization.contacts("999999999999")[contact_type]}
    contact["FullName" if contact_type == "PRIMARY" else "Name"] = name
    machine.organization.set_contact("999999999999", contact_type, contact)
    seen_values.add(name)
    return contact


def members(world: dict[str, Any], state: str = "ACTIVE") -> list[str]:
    return [account["id"] for account in world["accounts"] if account["state"] == state]


def agrees(machine: Machine, account_ids: list[str]) -> bool:
    """Tell whether the accounts' contacts equal the source's, field by field."""
    source = machine.organization.contacts("999999999999")
    return all(source == machine.organization.contacts(account_id) for account_id in account_ids)


def written_accounts(machine: Machine) -> set[str]:
    return {call["account_id"] for call in machine.writes() if call["outcome"] == "ok"}


def settled(machine: Machine, count: int) -> list[Execution]:
    """Wait until that many executions have started since the reset, and all have ended."""
    return machine.stack.wait_for_executions(count, timeout=120)


def test_a_full_resync_writes_what_differs_where_it_may_and_nothing_twice(machine: Machine) -> None:
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


def test_retry_config_is_obeyed_and_visible_in_the_history(machine: Machine) -> None:
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
    # A wait of n seconds takes n / SPEED here; at least d/2 of d = 1, 2, 4, 4 seconds is waited.
    shortest = [timedelta(seconds=seconds / SPEED) for seconds in (1, 1, 2, 2)]
    assert all(wait >= least for wait, least in zip(waits(child), shortest, strict=True))


def waits(execution: Execution) -> list[timedelta]:
    """Return how long each Wait state of an execution took."""
    times = [
        event["timestamp"] for event in execution.history() if event["type"].startswith("WaitState")
    ]
    return [end - start for start, end in zip(times[::2], times[1::2], strict=True)]


def test_one_denied_account_fails_alone_and_is_named_everywhere(machine: Machine) -> None:
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


def test_below_the_threshold_a_partial_run_succeeds(machine: Machine) -> None:
    world = arrange(machine, 6)
    machine.organization.reset({**world, "denied_accounts": members(world)[:1]})
    machine.configure(notification_settings={"failure_threshold": 2})

    execution = machine.run()

    assert "SUCCEEDED" == execution.status()
    assert "partial" == machine.run_item(execution)["status"]


def test_with_every_account_denied_the_run_fails(machine: Machine) -> None:
    world = arrange(machine, 3)
    machine.organization.reset({**world, "denied_accounts": members(world)})

    assert "SyncFailedError" == machine.run().describe()["error"]


def test_three_executions_at_once_end_with_the_newest_source_written_once(
    machine: Machine,
) -> None:
    world = arrange(machine, 12)
    slow = {"operation": "GetContactInformation", "error": "slow", "delay": 1, "times": 2}
    machine.organization.add_fault({**slow, "account_id": members(world)[5]})
    executions = [machine.stack.start({"reason": f"number {n}"}) for n in range(3)]
    while not any("SyncAccounts" in execution.states() for execution in executions):
        assert "FAILED" not in [execution.status() for execution in executions]
    change_source(machine, "BILLING", "Newest Billing Name")
    executions.append(machine.stack.start({"reason": "the source has changed"}))
    ends = [execution.wait(120) for execution in executions]

    assert {"SUCCEEDED"} == {end.status for end in ends}
    assert 3 == sum("queued_behind" in end.output for end in ends)
    assert agrees(machine, members(world))
    writes = Counter(
        (call["account_id"], call["contact_type"])
        for call in machine.writes()
        if call["outcome"] == "ok"
    )
    assert 1 == max(n for (_, contact_type), n in writes.items() if contact_type != "BILLING")
    assert 2 >= max(writes.values())
    assert {} == machine.lock()


def test_an_aborted_run_is_recovered_and_followed_by_a_clean_one(machine: Machine) -> None:
    world = arrange(machine, 6)
    slow = {"operation": "GetAlternateContact", "error": "slow", "delay": 1, "times": 1}
    machine.organization.add_fault({**slow, "account_id": members(world)[0]})
    started = len(machine.stack.executions())
    aborted = machine.stack.start()
    while "SyncAccounts" not in aborted.states():
        assert "RUNNING" == aborted.status()
    aborted.stop()

    settled(machine, started + 2)
    following = machine.run()

    assert "aborted" == machine.run_item(aborted)["status"]
    assert "SUCCEEDED" == following.status()
    assert "RecoverRun" not in following.states()
    assert agrees(machine, members(world))
    assert "aborted" in [message.attributes.get("status") for message in machine.messages()]


def test_a_timed_out_run_is_continued_by_its_recovery(machine: Machine) -> None:
    world = arrange(machine, 6)
    slow = {"operation": "GetAlternateContact", "error": "slow", "delay": 9, "times": 1}
    machine.organization.add_fault({**slow, "account_id": members(world)[0]})
    started = len(machine.stack.executions())
    # The recovery may start before the timeout is as before, and then has as little.
    with shorter_timeout(machine, 6):
        timed_out = machine.run()
    assert "TIMED_OUT" == timed_out.status()

    recovery = settled(machine, started + 2)[-1]

    assert "SUCCEEDED" == recovery.status()
    assert agrees(machine, members(world))
    assert {} == machine.lock()


def test_a_crashed_run_is_continued_by_its_recovery(machine: Machine) -> None:
    world = arrange(machine, 6)
    refused = {"service": "dynamodb", "operation": "UpdateItem", "error": "AccessDeniedException"}
    release = "attribute_not_exists(holder) OR holder = :me) AND"
    machine.standin.set_faults([{**refused, "match": release, "times": 1}])
    started = len(machine.stack.executions())
    crashed = machine.run()
    assert "FAILED" == crashed.status()

    recovery = settled(machine, started + 2)[-1]

    assert "SUCCEEDED" == recovery.status()
    assert agrees(machine, members(world))
    assert {} == machine.lock()


class shorter_timeout:  # noqa: N801 - reads as a statement where it is used
    """Give the machine another timeout for the executions started in the block."""

    def __init__(self, machine: Machine, seconds: int) -> None:
        self._client = machine.standin.client("stepfunctions")
        self._arn = machine.stack.outputs["StateMachineArn"]
        self._definition = self._client.describe_state_machine(stateMachineArn=self._arn)[
            "definition"
        ]
        self._seconds = seconds

    def __enter__(self) -> None:
        changed = {**json.loads(self._definition), "TimeoutSeconds": self._seconds}
        self._client.update_state_machine(stateMachineArn=self._arn, definition=json.dumps(changed))

    def __exit__(self, *_error: object) -> None:
        self._client.update_state_machine(stateMachineArn=self._arn, definition=self._definition)


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


def test_a_contact_changed_event_syncs_only_what_changed(machine: Machine) -> None:
    world = arrange(machine, 6)
    machine.run()
    machine.organization.clear_calls()
    change_source(machine, "SECURITY", "Changed Security Name")
    started = len(machine.stack.executions())

    machine.standin.put_event(json.loads((EVENTS / "put-alternate-contact.json").read_text()))
    execution = settled(machine, started + 1)[-1]

    assert "SUCCEEDED" == execution.status()
    assert "contact_changed" == execution.input()["trigger"]["source"]
    assert agrees(machine, members(world))
    assert {"SECURITY"} == {call["contact_type"] for call in machine.writes()}


def test_a_deleted_source_contact_is_deleted_where_we_wrote_it(machine: Machine) -> None:
    world = arrange(machine, 4, config={"on_source_deleted": "delete"})
    first, *others = members(world)
    machine.run()
    own = {**machine.organization.contacts(first)["BILLING"], "Name": "Member's Own Name"}
    machine.organization.set_contact(first, "BILLING", own)
    machine.organization.set_contact("999999999999", "BILLING", None)

    machine.run()

    assert own == machine.organization.contacts(first)["BILLING"]
    assert not [one for one in others if "BILLING" in machine.organization.contacts(one)]


def test_a_dry_run_reports_the_drift_and_writes_nothing(machine: Machine) -> None:
    arrange(machine, 4, config={"notification_settings": SUCCESS})

    execution = machine.run({"dry_run": True})

    assert "SUCCEEDED" == execution.status()
    assert [] == machine.writes()
    assert "4 updated" in machine.messages()[0].subject
    assert {"RUN"} == {
        item["pk"] if item["pk"] == "RUN" else item["sk"][:3] for item in machine.items()
    }


def test_a_thousand_accounts_pass_within_every_limit(machine: Machine) -> None:
    world = arrange(machine, 1_000, config={"notification_settings": SUCCESS})

    execution = machine.run()

    assert "SUCCEEDED" == execution.status()
    assert agrees(machine, members(world))
    history = execution.history()
    assert 200 > len(history)
    assert 64 * 1024 > max(len(json.dumps(event, default=str)) for event in history)
    assert {"1"} == {child.describe()["output"] for child in execution.children()}
    assert 80 > max(len(child.history()) for child in execution.children()[::50])


def test_no_contact_value_is_stored_anywhere(machine: Machine) -> None:
    """Look through all that the tests of this folder have left."""
    assert seen_values
    assert [] == machine.standin.search(seen_values)
