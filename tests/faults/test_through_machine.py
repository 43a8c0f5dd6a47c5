"""The same cases through the deployed machine; none leaves a contact value behind."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from faults import seeds
from faults.cases import ACCOUNT_CALLS, FUNCTIONS, ORGANIZATIONS_CALLS, SERVICE_CALLS, Case
from faults.through_machine import Deployed, MachineTrial
from standin.organization.worlds import MANAGEMENT_ACCOUNT_ID, drifted_world
from support.events import event
from support.machine import machine as started
from support.search import search


def _refused(service: str, match: str = "") -> list[dict[str, Any]]:
    """Return faults: a service refuses every call that matches."""
    error = "AccessDenied" if service == "s3" else "AccessDeniedException"
    return [
        {"service": service, "operation": operation, "error": error, "match": match}
        for operation in dict.fromkeys(SERVICE_CALLS.get(service, ("Publish",)))
    ]


# Permanent faults, each in one part of the system: a function, or a service that is used.
PLANS = {
    **{
        name: [{"function": name, "kind": "error", "error": "Runtime.ImportModuleError"}]
        for name in FUNCTIONS
    },
    "state table": _refused("dynamodb", "-state"),
    "configuration table": _refused("dynamodb", "-config"),
    "runs bucket": _refused("s3"),
    "digest key": _refused("secretsmanager"),
    "topic": _refused("sns"),
    "executions": _refused("stepfunctions"),
}
CALLS = {"Account API": ACCOUNT_CALLS, "Organizations API": ORGANIZATIONS_CALLS}


@pytest.fixture(scope="module")
def deployed() -> Iterator[Deployed]:
    with started(triggers="ENABLED", environment="prod", speed=1_000.0) as machine:
        yield Deployed(machine)


@pytest.fixture(scope="module")
def values() -> set[str]:
    """Return every contact value that the cases used."""
    return set()


def test_the_promise_is_kept_through_the_machine(deployed: Deployed, values: set[str]) -> None:
    def run(case: Case) -> None:
        trial = MachineTrial(deployed, case)
        trial.run()
        values.update(trial.values)

    for number in seeds.numbers(seconds=60):
        seeds.check(number, run)


@pytest.mark.parametrize("part", [*PLANS, *CALLS])
def test_a_permanent_fault_has_bounded_effects_and_the_next_run_repairs(
    deployed: Deployed, part: str
) -> None:
    machine = deployed.machine
    machine.reset(drifted_world(2, missing=0), notification_settings={"notify_on_success": True})
    before = len(machine.stack.executions())
    machine.standin.set_faults([{**plan, "times": None} for plan in PLANS.get(part, [])])
    for operation in CALLS.get(part, ()):
        fault = {"operation": operation, "error": "AccessDeniedException", "times": None}
        machine.organization.add_fault(fault)

    machine.standin.put_event(event("put-alternate-contact"))
    machine.stack.wait_for_executions(before + 1)
    machine.await_recoveries()

    assert len(machine.stack.executions()) - before <= 2
    assert len(machine.messages()) <= 3

    deployed.machine.standin.clear_faults()
    machine.organization.clear_faults()
    assert "SUCCEEDED" == machine.run({}).status()
    source = machine.organization.contacts(MANAGEMENT_ACCOUNT_ID)
    for account in machine.organization.world()["accounts"]:
        assert source == machine.organization.contacts(account["id"])


def test_an_event_of_256_kb_and_of_another_version_starts_a_run(deployed: Deployed) -> None:
    machine = deployed.machine
    machine.reset(drifted_world(1, missing=0))
    before = len(machine.stack.executions())
    sent = event("put-alternate-contact")
    sent["detail"]["eventVersion"] = "9.99"
    sent["detail"]["requestParameters"] = {"anything": "x" * 250_000}

    machine.standin.put_event(sent)

    (execution,) = machine.stack.wait_for_executions(before + 1)[before:]
    assert "SUCCEEDED" == execution.status()
    assert len(json.dumps(execution.input())) < 1_000
    assert 4 == len(machine.writes())


def test_a_configuration_of_400_kb_exceeds_no_limit(deployed: Deployed) -> None:
    machine = deployed.machine
    many = [str(200_000_000_000 + n) for n in range(25_000)]
    machine.reset(drifted_world(2, missing=0), excluded_accounts=[*many, "100000000001"])

    assert "SUCCEEDED" == machine.run().status()
    assert {"100000000002"} == {call["account_id"] for call in machine.writes()}


def test_an_input_of_250_kb_is_refused_for_its_size(deployed: Deployed) -> None:
    deployed.machine.reset(drifted_world(1, missing=0))
    accounts = [str(200_000_000_000 + n) for n in range(16_000)]

    execution = deployed.machine.run({"account_ids": accounts})

    assert "InvalidRequestError" == execution.describe()["error"]
    (message,) = deployed.machine.messages()
    assert "of at most 120,000 characters" in message.body
    assert [] == deployed.machine.writes()


def test_no_contact_value_is_stored_anywhere(deployed: Deployed, values: set[str]) -> None:
    assert values
    assert [] == search(deployed.machine.standin, values)
