"""Whatever fails, for however long, causes few executions and messages, and can be repaired."""

from typing import Any

import pytest
from standin.organization import drifted_world
from standin.stack import Message
from support.events import event
from support.machine import Machine

BROKEN: list[dict[str, Any]] = [
    # The handler of a bad release fails on import.
    {"function": "contact-sync-handler", "kind": "error", "error": "Runtime.ImportModuleError"},
    {"function": "account-lister", "kind": "kill", "delay": 0},
    {"function": "alternate-contact-processor", "kind": "kill", "delay": 0},
    {"function": "sync-reporter", "kind": "kill", "delay": 0},
    {"service": "dynamodb", "operation": "UpdateItem", "error": "AccessDeniedException"},
    {"service": "s3", "operation": "PutObject", "error": "AccessDenied", "status": 403},
]

DEAD = "arn:aws:states:us-east-1:999999999999:execution:aws-contact-sync-prod-contact-sync:dead"
RECOVERY = {
    "source": "recovery",
    "event_id": "315c1398-40ff-4850-b213-500000000101",
    "event_name": "FAILED",
    "event_time": "2026-11-24T08:11:00Z",
    "execution_arn": DEAD,
}


def is_alarm(message: Message) -> bool:
    return message.body.startswith("{")


@pytest.mark.parametrize("fault", BROKEN, ids=lambda one: one.get("function") or one["service"])
def test_an_event_causes_at_most_two_executions_and_three_messages(
    machine: Machine, fault: dict[str, Any]
) -> None:
    machine.reset(drifted_world(3))
    machine.standin.set_faults([{**fault, "times": None}])
    started = len(machine.stack.executions())

    machine.standin.put_event(event("put-alternate-contact"))
    failed = machine.stack.wait_until_started(started + 1)
    failed.wait()
    machine.await_recoveries()
    # Once a later run and its recovery have ended, any further run of the first has begun.
    later = machine.run({"reason": "later"})
    machine.await_recoveries()

    assert ["FAILED", "FAILED"] == [failed.status(), later.status()]
    executions = machine.stack.executions()[started:]
    assert 4 == len(executions)
    assert {failed.arn, later.arn} == {
        execution.input()["trigger"]["execution_arn"]
        for execution in executions
        if execution.input().get("trigger", {}).get("source") == "recovery"
    }
    texts = [each.body for each in machine.messages() if not is_alarm(each)]
    assert len(texts) <= 2 * 3
    assert [] == [each.name for each in (failed, later) if each.name not in "".join(texts)]

    machine.standin.clear_faults()
    assert "SUCCEEDED" == machine.run().status()
    source = machine.organization.contacts("999999999999")
    assert [source] * 3 == [
        machine.organization.contacts(account["id"])
        for account in machine.organization.world()["accounts"]
    ]
    assert "holder" not in machine.lock()
    assert [] == machine.queue()


def test_a_recovery_that_fails_says_so_once_and_is_not_recovered_from(machine: Machine) -> None:
    machine.reset(machine.organization.world())
    started = len(machine.stack.executions())

    failed = machine.run({"trigger": RECOVERY, "unknown": 1})
    # By the end of a later failure and its recovery, the first one would have had its own.
    later = machine.run({"unknown": 1})
    machine.await_recoveries()

    assert ["FAILED", "FAILED"] == [each.status() for each in (failed, later)]
    (recovery,) = [
        execution
        for execution in machine.stack.executions()[started:]
        if execution.arn not in (failed.arn, later.arn)
    ]
    assert later.arn == recovery.input()["trigger"]["execution_arn"]
    (told,) = [message.body for message in machine.messages() if failed.name in message.body]
    assert told.startswith(f"Status: failure\nRun: {failed.name}\nError: InvalidRequestError")
