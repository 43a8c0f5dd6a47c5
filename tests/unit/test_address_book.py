"""The address book is read tolerantly, and of it only what overrides use."""

from typing import Any

import pytest
from contact_sync.address_book import book_faults, parse_book, used_contacts
from contact_sync.contact_sets import Overrides
from contact_sync.contacts import ContactType
from contact_sync.errors import InvalidConfigError
from support.builders import ALTERNATE_FIELDS, MEMBER, PRIMARY_FIELDS, UNIT

RULES = Overrides(
    {MEMBER: {ContactType.SECURITY: "payments", ContactType.BILLING: "own"}},
    {UNIT: {ContactType.SECURITY: "source", ContactType.OPERATIONS: "payments"}},
)
BOOK = {"payments": ALTERNATE_FIELDS, "other": {}}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (None, {}),
        ({"config_key": "contacts"}, {}),
        ({"contacts": "payments"}, {}),
        ({"contacts": {"payments": "nobody"}}, {"payments": {}}),
        ({"contacts": {"payments": {"Name": "A", "Title": 5}}}, {"payments": {"Name": "A"}}),
        ({"contacts": {"payments": ALTERNATE_FIELDS}}, {"payments": ALTERNATE_FIELDS}),
    ],
)
def test_what_is_no_contact_is_not_set(item: Any, expected: Any) -> None:
    assert expected == parse_book(item)


def test_of_the_book_only_what_rules_use_is_taken() -> None:
    assert {"payments": ALTERNATE_FIELDS} == used_contacts(RULES, BOOK)


@pytest.mark.rule(4)
def test_names_that_do_not_exist_are_refused_by_name() -> None:
    with pytest.raises(InvalidConfigError, match="overrides: not in the address book: payments"):
        used_contacts(RULES, {"other": {}})


@pytest.mark.rule(4)
def test_faults_are_named_for_each_type_that_uses_the_contact() -> None:
    assert [] == book_faults(RULES, BOOK, ())
    broken = {"payments": {**ALTERNATE_FIELDS, "Title": "t" * 51}}
    assert [
        "payments: operations.Title is longer than 50 characters",
        "payments: security.Title is longer than 50 characters",
    ] == book_faults(RULES, broken, ())


def test_a_field_that_accounts_keep_may_be_missing() -> None:
    overrides = Overrides({MEMBER: {ContactType.PRIMARY: "branch"}})
    fields = {name: value for name, value in PRIMARY_FIELDS.items() if name != "PhoneNumber"}
    assert ["branch: primary.PhoneNumber is not set"] == book_faults(
        overrides, {"branch": fields}, ()
    )
    assert [] == book_faults(overrides, {"branch": fields}, ["PhoneNumber"])
