"""The configuration item: required, strict, and each fault named without its value."""

from typing import Any

import pytest
from contact_sync.config import (
    NotificationSettings,
    OnSourceDeleted,
    RetryConfig,
    parse_config,
    version_of,
)
from contact_sync.contact_sets import Overrides
from contact_sync.contacts import ContactType
from contact_sync.errors import InvalidConfigError
from support.builders import ARABIC_DIGITS, hides_its_context, make_config

BROKEN = {
    "empty contact types": ({"contact_types": []}, "contact_types: "),
    "capital contact type": (
        {"contact_types": ["SECURITY"]},
        "contact_types.0: unknown contact type 'SECURITY': use primary, billing, operations or "
        "security",
    ),
    "unknown key": (
        {"exclude_accounts": []},
        "exclude_accounts: unknown key: did you mean excluded_accounts?",
    ),
    "OU in Arabic digits": (
        {"excluded_organizational_units": [f"ou-exam-{ARABIC_DIGITS}"]},
        "excluded_organizational_units.0: ",
    ),
    "second account id": ({"excluded_accounts": ["100000000001", "x"]}, "excluded_accounts.1: "),
    "an override of an unknown type": (
        {"overrides": [{"account_ids": ["100000000001"], "fax": "own"}]},
        "overrides.0.fax: unknown key: use account_ids, billing, ",
    ),
    "an override without a contact": (
        {"overrides": [{"account_ids": ["100000000001"]}]},
        "overrides.0: specify at least one contact: primary, billing, operations, security",
    ),
    "an override of accounts and units": (
        {
            "overrides": [
                {
                    "account_ids": ["100000000001"],
                    "organizational_units": ["ou-exam-payments"],
                    "billing": "own",
                }
            ]
        },
        "overrides.0: specify either account_ids or organizational_units",
    ),
    "an override of nobody": (
        {"overrides": [{"billing": "own"}]},
        "overrides.0: specify either account_ids or organizational_units",
    ),
    "a name that is an address": (
        {"overrides": [{"account_ids": ["100000000001"], "billing": "a@example.com"}]},
        "overrides.0.billing: expected source, own or a contact name: ",
    ),
    "two overrides of equal rank": (
        {
            "overrides": [
                {"account_ids": ["100000000001"], "billing": "own"},
                {"account_ids": ["100000000002", "100000000001"], "billing": "source"},
            ]
        },
        "overrides.0 and overrides.1 both set the billing contact of 100000000001: ",
    ),
    "an unknown field to keep": (
        {"primary_keeps": ["Phone"]},
        "primary_keeps.0: unknown field of the primary contact 'Phone': use FullName, ",
    ),
    "unknown on_source_deleted": (
        {"on_source_deleted": "remove"},
        "on_source_deleted: unknown value 'remove': use keep or delete",
    ),
    "no attempt": ({"retry_config": {"max_attempts": 0}}, "retry_config.max_attempts: "),
    "too many attempts": ({"retry_config": {"max_attempts": 21}}, "retry_config.max_attempts: "),
    "no delay": ({"retry_config": {"base_delay": 0}}, "retry_config.base_delay: "),
    "too long a delay": ({"retry_config": {"max_delay": 3601}}, "retry_config.max_delay: "),
    "delays that contradict": (
        {"retry_config": {"base_delay": 9, "max_delay": 8}},
        "retry_config: max_delay must be at least base_delay",
    ),
    "threshold zero": (
        {"notification_settings": {"failure_threshold": 0}},
        "notification_settings.failure_threshold: ",
    ),
}


@pytest.mark.rule(15)
@pytest.mark.parametrize(("changes", "fault"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_configuration_is_refused_by_name(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        parse_config(make_config(**changes))
    assert f"configuration item `default`: {fault}" in str(caught.value)


@pytest.mark.rule(15)
def test_no_item_is_refused() -> None:
    with pytest.raises(InvalidConfigError, match="no configuration item"):
        parse_config(None)


def test_an_item_without_contact_types_is_refused() -> None:
    with pytest.raises(InvalidConfigError, match="contact_types: is required"):
        parse_config({"config_key": "default"})


def test_the_same_account_may_be_in_rules_for_other_types_and_twice_in_one() -> None:
    overrides = [
        {"account_ids": ["100000000001", "100000000001"], "billing": "own"},
        {"account_ids": ["100000000001"], "security": "payments"},
    ]
    config = parse_config(make_config(overrides=overrides))
    expected = {ContactType.BILLING: "own", ContactType.SECURITY: "payments"}
    assert {"100000000001": expected} == config.overrides_by_subject.accounts
    assert config.overrides_by_subject is config.overrides_by_subject


@pytest.mark.rule(12)
def test_a_fault_never_repeats_the_value() -> None:
    with pytest.raises(InvalidConfigError) as caught:
        parse_config(make_config(excluded_accounts=["trials@example.com"]))
    assert "trials@example.com" not in repr(caught.value)
    assert hides_its_context(caught.value)


def test_the_rest_defaults_to_the_guides_values() -> None:
    config = parse_config({"config_key": "default", "contact_types": ["billing"]})
    assert [] == config.excluded_accounts
    assert [] == config.excluded_organizational_units
    assert OnSourceDeleted.KEEP is config.on_source_deleted
    assert {"max_attempts": 3, "base_delay": 2, "max_delay": 60} == config.retry_config.model_dump()
    assert {
        "notify_on_failure": True,
        "notify_on_success": False,
        "notify_on_partial_failure": True,
        "failure_threshold": 1,
        "drift_threshold": None,
    } == config.notification_settings.model_dump()


def test_everything_can_be_set() -> None:
    config = parse_config(
        make_config(
            excluded_accounts=["100000000001"],
            excluded_organizational_units=["ou-exam-sandboxes"],
            on_source_deleted="delete",
            retry_config={"max_attempts": 20, "base_delay": 3600, "max_delay": 3600},
            notification_settings={"notify_on_success": True, "failure_threshold": 100},
            overrides=[{"organizational_units": ["ou-exam-payments"], "security": "payments"}],
            primary_keeps=["PhoneNumber"],
        )
    )
    units = {"ou-exam-payments": {ContactType.SECURITY: "payments"}}
    assert Overrides(units=units) == config.overrides_by_subject
    assert ["PhoneNumber"] == config.primary_keeps
    assert ["100000000001"] == config.excluded_accounts
    assert ["ou-exam-sandboxes"] == config.excluded_organizational_units
    assert OnSourceDeleted.DELETE is config.on_source_deleted
    assert RetryConfig(max_attempts=20, base_delay=3600, max_delay=3600) == config.retry_config
    assert config.notification_settings == NotificationSettings(
        notify_on_success=True, failure_threshold=100
    )


def test_contact_types_come_in_their_fixed_order_each_once() -> None:
    config = parse_config(make_config(contact_types=["security", "primary", "security"]))
    assert [ContactType.PRIMARY, ContactType.SECURITY] == config.ordered_types


def test_a_configuration_has_one_version_with_and_without_the_defaults() -> None:
    config = parse_config(make_config())
    explicit = parse_config(make_config(overrides=[], primary_keeps=[], on_source_deleted="keep"))
    assert version_of(config) == version_of(explicit)
    assert version_of(config) != version_of(parse_config(make_config(on_source_deleted="delete")))
    assert 12 == len(version_of(config))
