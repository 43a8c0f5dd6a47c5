"""Broken configurations and broken inputs: a named error, and nothing written to any account."""

from typing import Any

import pytest
from standin.machine import Machine
from standin.organization import drifted_world

TYPES = ["billing"]
CONFIGURATIONS: dict[str, dict[str, Any] | None] = {
    "no item": None,
    "no contact types": {},
    "empty contact types": {"contact_types": []},
    "contact types are a string": {"contact_types": "billing"},
    "unknown contact type": {"contact_types": ["technical"]},
    "contact type in capitals": {"contact_types": ["BILLING"]},
    "unknown key": {"contact_types": TYPES, "exclude_accounts": ["100000000001"]},
    "excluded accounts are a string": {"contact_types": TYPES, "excluded_accounts": "100000000001"},
    "excluded account is a number": {"contact_types": TYPES, "excluded_accounts": [100000000001]},
    "excluded account is short": {"contact_types": TYPES, "excluded_accounts": ["1000000001"]},
    "excluded accounts are null": {"contact_types": TYPES, "excluded_accounts": None},
    "excluded unit is no id": {"contact_types": TYPES, "excluded_organizational_units": ["Prod"]},
    "excluded unit is unknown": {
        "contact_types": TYPES,
        "excluded_organizational_units": ["ou-exam-nosuchunit"],
    },
    "unknown on_source_deleted": {"contact_types": TYPES, "on_source_deleted": "ask"},
    "no attempts": {"contact_types": TYPES, "retry_config": {"max_attempts": 0}},
    "attempts are a string": {"contact_types": TYPES, "retry_config": {"max_attempts": "3"}},
    "negative delay": {"contact_types": TYPES, "retry_config": {"base_delay": -1}},
    "delays contradict": {
        "contact_types": TYPES,
        "retry_config": {"base_delay": 10, "max_delay": 5},
    },
    "unknown retry key": {"contact_types": TYPES, "retry_config": {"jitter": True}},
    "retry_config is a list": {"contact_types": TYPES, "retry_config": []},
    "notify is a string": {
        "contact_types": TYPES,
        "notification_settings": {"notify_on_failure": "yes"},
    },
    "threshold of zero": {
        "contact_types": TYPES,
        "notification_settings": {"failure_threshold": 0},
    },
    "threshold is a fraction": {
        "contact_types": TYPES,
        "notification_settings": {"failure_threshold": "0.5"},
    },
}
INPUTS: dict[str, Any] = {
    "a list": [],
    "a string": "all",
    "unknown key": {"accounts": ["100000000001"]},
    "dry_run is a string": {"dry_run": "true"},
    "dry_run is null": {"dry_run": None},
    "empty account_ids": {"account_ids": []},
    "account_ids are a string": {"account_ids": "100000000001"},
    "an account id is a number": {"account_ids": [100000000001]},
    "an account id is short": {"account_ids": ["1"]},
    "unknown account": {"account_ids": ["100000000099"]},
    "management account": {"account_ids": ["999999999999"]},
    "empty organizational_units": {"organizational_units": []},
    "a unit is no id": {"organizational_units": ["Prod"]},
    "unknown unit": {"organizational_units": ["ou-exam-nosuchunit"]},
    "empty contact_types": {"contact_types": []},
    "unknown contact type": {"contact_types": ["technical"]},
    "contact type not configured": {"contact_types": ["primary"]},
    "unknown sync_id": {"retry_of": "no-such-run"},
    "empty sync_id": {"retry_of": ""},
    "retry_of not alone": {"retry_of": "a", "account_ids": ["100000000001"]},
    "empty reason": {"reason": ""},
    "trigger without a source": {"trigger": {"event_id": "1"}},
    "unknown trigger": {
        "trigger": {"source": "cron", "event_id": "1", "event_name": "a", "event_time": "b"}
    },
    "recovery of nothing": {
        "trigger": {"source": "recovery", "event_id": "1", "event_name": "a", "event_time": "b"}
    },
}


@pytest.mark.parametrize("item", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_a_broken_configuration_is_named_and_nothing_is_written(
    machine: Machine, item: dict[str, Any] | None
) -> None:
    machine.reset(drifted_world(2))
    machine.put_config(item if item is None else {"config_key": "default", **item})

    execution = machine.run()

    assert "InvalidConfigError" == execution.describe()["error"]
    assert [] == machine.writes()
    assert ["failure"] == [message.attributes["status"] for message in machine.messages()]
    assert {} == machine.lock()


@pytest.mark.parametrize("execution_input", INPUTS.values(), ids=INPUTS)
def test_a_broken_input_is_named_and_nothing_is_written(
    machine: Machine, execution_input: Any
) -> None:
    machine.reset(drifted_world(2), contact_types=TYPES)

    execution = machine.run(execution_input)

    assert "InvalidRequestError" == execution.describe()["error"]
    assert [] == machine.writes()
    assert {} == machine.lock()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"feature_set": "CONSOLIDATED_BILLING"}, "AllFeaturesRequiredError"),
        ({"trusted_access": []}, "TrustedAccessRequiredError"),
        ({"organization_id": None}, "OrganizationNotInUseError"),
        ({"accounts": [], "contacts": {}}, "EmptySourceError"),
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


def test_no_member_listed_is_never_a_success(machine: Machine) -> None:
    machine.reset(drifted_world(0))

    assert "NoMemberAccountsError" == machine.run().describe()["error"]


def test_a_source_that_members_refuse_is_not_written(machine: Machine) -> None:
    world = drifted_world(2)
    machine.reset(world)
    wrong = {**world["contacts"]["999999999999"]["PRIMARY"], "PhoneNumber": "555 0100"}
    machine.organization.set_contact("999999999999", "PRIMARY", wrong)

    execution = machine.run()

    assert "InvalidSourceError" == execution.describe()["error"]
    assert "primary.PhoneNumber" in execution.describe()["cause"]
    assert [] == machine.writes()
