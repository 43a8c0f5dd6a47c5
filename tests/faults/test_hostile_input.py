"""Malicious input has no effect, or is refused with a named error."""

from typing import Any

import pytest
from faults.cases import ACCOUNT_NAMES, MARK, OTHER_NAMES
from faults.system import Execution, System
from standin.organization.quotas import DEFAULT_QUOTAS
from standin.organization.worlds import MANAGEMENT_ACCOUNT_ID, drifted_world

MEMBER = "100000000001"
TYPES = ["primary", "billing", "operations", "security"]
HOSTILE_TEXT = "\x1b[2J\x1b]0;title\x07\r\nSubject: injected\n<b>\u202e'\"`$(id)"


def run(system: System, execution_input: Any = None, **config: Any) -> Execution:
    """Run one execution over two drifted members; return it."""
    world = drifted_world(2, missing=0)
    world["quotas"] = {operation: [1e6, 1e6] for operation in DEFAULT_QUOTAS}
    system.reset(world, {"contact_types": TYPES, **config})
    return finished(system, {} if execution_input is None else execution_input)


def finished(system: System, execution_input: Any) -> Execution:
    execution = system.start(execution_input)
    system.finish()
    return execution


def is_harmless(text: str) -> bool:
    """Tell whether terminals show the text literally, and mail treats it as a single part."""
    return all(character.isprintable() or character == "\n" for character in text)


def assert_refused(system: System, execution: Execution, error: str) -> str:
    """Check that the error is published, short and harmless, and that nothing was written."""
    assert error == execution.error
    (message,) = system.messages()
    assert "failure" == message.attributes["status"]
    assert error in message.body
    assert is_harmless(message.body)
    assert len(message.body) < 5_000
    assert message.subject is not None
    assert len(message.subject) < 100
    assert not [one for one in system.organization.calls() if one["operation"].startswith("Put")]
    return message.body


@pytest.mark.parametrize("name", ACCOUNT_NAMES)
def test_account_names_are_stored_nowhere(system: System, name: str) -> None:
    world = drifted_world(2, missing=0, quotas={one: [1e6, 1e6] for one in DEFAULT_QUOTAS})
    for account in world["accounts"]:
        account |= {"name": name, "email": f"{MARK}-{account['id']}@example.com"}
    system.reset({**world, "denied_accounts": [MEMBER]}, {"contact_types": TYPES})

    assert "PartialSyncError" == finished(system, {}).error
    assert [] == [where for where, text in system.stored_texts() if MARK in text]


def test_a_reason_is_one_harmless_line_in_the_message(system: System) -> None:
    settings = {"notify_on_success": True}
    execution = run(system, {"reason": HOSTILE_TEXT}, notification_settings=settings)

    assert "SUCCEEDED" == execution.status
    (message,) = system.messages()
    assert is_harmless(message.body)
    assert "Subject: injected" not in message.body.splitlines()


@pytest.mark.parametrize("key", [HOSTILE_TEXT, "k" * 10_000])
def test_an_unknown_input_key_is_refused_in_a_harmless_message(system: System, key: str) -> None:
    assert_refused(system, run(system, {key: 1}), "InvalidRequestError")


@pytest.mark.parametrize("key", [HOSTILE_TEXT, "k" * 10_000])
def test_an_unknown_configuration_key_is_refused_in_a_harmless_message(
    system: System, key: str
) -> None:
    assert_refused(system, run(system, **{key: 1}), "InvalidConfigError")


def test_a_trigger_with_a_new_key_is_refused_and_names_the_key(system: System) -> None:
    event = {"event_id": "event-1", "event_name": "Named", "event_time": "2026-01-05T10:00:00Z"}
    trigger = {"source": "schedule", "event_version": "2.0", **event}

    body = assert_refused(system, run(system, {"trigger": trigger}), "InvalidRequestError")
    assert "event_version" in body


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_contacts_in_any_script_are_copied_unchanged(system: System, name: str) -> None:
    run(system)
    contact = {**system.organization.contacts(MANAGEMENT_ACCOUNT_ID)["BILLING"], "Name": name}
    system.organization.set_contact(MANAGEMENT_ACCOUNT_ID, "BILLING", contact)

    assert "SUCCEEDED" == finished(system, {}).status
    assert contact == system.organization.contacts(MEMBER)["BILLING"]
    assert [] == [where for where, text in system.stored_texts() if name in text]


def test_digits_of_another_script_are_not_a_phone_number(system: System) -> None:
    run(system)
    system.organization.clear_calls()
    contact = system.organization.contacts(MANAGEMENT_ACCOUNT_ID)["BILLING"]
    digits = "".join(chr(0x0660 + n) for n in range(10))
    changed = {**contact, "PhoneNumber": digits}
    system.organization.set_contact(MANAGEMENT_ACCOUNT_ID, "BILLING", changed)

    execution = finished(system, {"contact_types": ["billing"]})
    assert "billing.PhoneNumber" in assert_refused(system, execution, "InvalidSourceError")
