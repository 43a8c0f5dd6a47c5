"""Invalid configurations and inputs cause a named error and no write."""

from typing import Any

import pytest
from standin.organization import drifted_world
from support.machine import Machine

TYPES = ["billing"]
CONFIGURATIONS: dict[str, dict[str, Any] | None] = {
    "no item": None,
    "unknown key": {"contact_types": TYPES, "exclude_accounts": ["100000000001"]},
    "excluded unit is unknown": {
        "contact_types": TYPES,
        "excluded_organizational_units": ["ou-exam-nosuchunit"],
    },
}
INPUTS: dict[str, Any] = {
    "unknown key": {"accounts": ["100000000001"]},
    "unknown account": {"account_ids": ["100000000099"]},
    "unknown run to undo": {"undo": "no-such-run"},
}


@pytest.mark.parametrize("item", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_an_invalid_configuration_is_a_named_error_and_nothing_is_written(
    machine: Machine, item: dict[str, Any] | None
) -> None:
    machine.reset(drifted_world(2))
    machine.put_config(item if item is None else {"config_key": "default", **item})

    execution = machine.run()

    assert "InvalidConfigError" == execution.describe()["error"]
    assert [] == machine.writes()
    assert ["failure"] == [message.attributes["status"] for message in machine.messages()]
    assert "holder" not in machine.lock()
    assert [] == machine.queue()


@pytest.mark.parametrize("execution_input", INPUTS.values(), ids=INPUTS)
def test_an_invalid_input_is_a_named_error_and_nothing_is_written(
    machine: Machine, execution_input: Any
) -> None:
    machine.reset(drifted_world(2), contact_types=TYPES)

    execution = machine.run(execution_input)

    assert "InvalidRequestError" == execution.describe()["error"]
    assert [] == machine.writes()
    assert {} == machine.lock()
    assert [] == machine.queue()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"trusted_access": []}, "TrustedAccessRequiredError"),
        ({"accounts": [], "contacts": {}}, "EmptySourceError"),
        (drifted_world(0), "NoMemberAccountsError"),
    ],
)
def test_an_organization_that_cannot_be_synced_is_an_error_with_the_remedy(
    machine: Machine, change: dict[str, Any], error: str
) -> None:
    machine.reset({**drifted_world(2), **change})

    execution = machine.run()

    assert error == execution.describe()["error"]
    assert [] == machine.writes()
    assert error in machine.messages()[0].body


def test_a_contact_that_members_refuse_is_left_out_and_the_others_are_synced(
    machine: Machine,
) -> None:
    world = drifted_world(2)
    machine.reset(world)
    wrong = {**world["contacts"]["999999999999"]["PRIMARY"], "PhoneNumber": "555 0100"}
    machine.organization.set_contact("999999999999", "PRIMARY", wrong)

    execution = machine.run()
    alone = machine.run({"contact_types": ["primary"]})

    assert "SUCCEEDED" == execution.status()
    assert {"SECURITY", "BILLING", "OPERATIONS"} == {
        call["contact_type"] for call in machine.writes()
    }
    assert "InvalidSourceError" == alone.describe()["error"]
    assert "primary.PhoneNumber" in alone.describe()["cause"]
    first, second = (message for message in machine.messages())
    assert first.subject == "[prod] contact sync partial: 2 updated"
    assert "primary: left out, invalid: primary.PhoneNumber" in first.body
    assert "InvalidSourceError" in second.subject
