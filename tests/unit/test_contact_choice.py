"""A run's contact types: what is asked for, configured, set at the source, valid, and changed."""

from typing import Any

import pytest
from contact_sync.config import parse_config
from contact_sync.contacts import Contact, ContactType, source_digests
from contact_sync.errors import EmptySourceError, InvalidSourceError
from contact_sync.request import RunRequest
from contact_sync_handler.contact_choice import (
    NOT_CONFIGURED,
    NOT_SET,
    READ_AGAIN,
    ContactChoice,
    asked_types,
    choose_contacts,
    differing_types,
)
from support.builders import KEY, OTHER, make_config, make_contact, make_contacts

ALL = list(ContactType)
PRIMARY, BILLING, OPERATIONS, SECURITY = ALL
CHANGE = RunRequest(is_change=True)
DELETES = {"on_source_deleted": "delete"}
NO_NAME = make_contact("billing", Name=None)


def asked(
    *requests: RunRequest,
    differing: tuple[ContactType, ...] = (),
    unset: ContactType | None = None,
    **config: Any,
) -> list[ContactType]:
    source = make_contacts() | dict.fromkeys([unset] if unset else [])
    return asked_types(requests, parse_config(make_config(**config)), source, differing)


def choose(
    asked_for: list[ContactType] | None = None,
    config: dict[str, Any] | None = None,
    before: list[ContactType] | None = None,
    **source: Contact | None,
) -> ContactChoice:
    return choose_contacts(
        parse_config(make_config(**(config or {}))),
        asked_for or ALL,
        make_contacts(**source),
        before,
    )


# What is asked for


def test_a_request_without_types_asks_for_those_configured() -> None:
    assert [BILLING, SECURITY] == asked(RunRequest(), contact_types=["security", "billing"])


def test_requests_add_up_in_fixed_order() -> None:
    named = [RunRequest(contact_types=[SECURITY]), RunRequest(contact_types=[PRIMARY])]
    assert [PRIMARY, SECURITY] == asked(*named)
    assert ALL == asked(*named, RunRequest())


def test_a_change_asks_for_the_types_that_differ() -> None:
    assert [BILLING, SECURITY] == asked(CHANGE, differing=(SECURITY, BILLING))


@pytest.mark.rule(9)
def test_a_change_where_none_differs_was_missed_or_is_read_stale_and_asks_for_all() -> None:
    assert ALL == asked(CHANGE)


@pytest.mark.rule(9)
def test_a_change_that_finds_only_a_missing_contact_different_asks_for_all() -> None:
    assert ALL == asked(CHANGE, differing=(SECURITY,), unset=SECURITY)
    assert [BILLING, SECURITY] == asked(CHANGE, differing=(BILLING, SECURITY), unset=SECURITY)
    # What can be done about it is done.
    assert [SECURITY] == asked(CHANGE, differing=(SECURITY,), unset=SECURITY, **DELETES)
    override = {"account_ids": [OTHER], "security": "night"}
    assert [SECURITY] == asked(CHANGE, differing=(SECURITY,), unset=SECURITY, overrides=[override])


def test_a_type_that_differs_and_is_not_configured_is_not_asked_for() -> None:
    assert [BILLING] == asked(CHANGE, differing=(SECURITY,), contact_types=["billing"])


def test_a_change_does_not_narrow_another_request() -> None:
    named = RunRequest(contact_types=[OPERATIONS])
    assert [BILLING, OPERATIONS] == asked(CHANGE, named, differing=(BILLING,))
    assert ALL == asked(CHANGE, RunRequest(), differing=(BILLING,))


def test_a_change_that_finds_only_an_invalid_contact_different_asks_for_all() -> None:
    source = make_contacts(billing=NO_NAME)
    config = parse_config(make_config())
    assert ALL == asked_types([CHANGE], config, source, (BILLING,))
    assert [BILLING, SECURITY] == asked_types([CHANGE], config, source, (BILLING, SECURITY))


def test_no_request_asks_for_nothing() -> None:
    assert [] == asked(differing=(BILLING,))


# What the source has


def test_every_type_asked_for_is_chosen_where_the_source_has_it() -> None:
    assert ContactChoice(ALL) == choose()
    assert ContactChoice([SECURITY]) == choose([SECURITY])


def test_a_type_that_is_not_configured_is_left_out() -> None:
    choice = choose([BILLING, SECURITY], {"contact_types": ["billing"]})
    assert ContactChoice([BILLING], {SECURITY: NOT_CONFIGURED}) == choice


@pytest.mark.rule(4)
def test_an_unset_type_is_left_out_and_the_others_are_chosen() -> None:
    expected = ContactChoice([PRIMARY, BILLING, OPERATIONS], {SECURITY: NOT_SET})
    assert expected == choose(security=None)


def test_an_unset_primary_contact_is_never_deleted() -> None:
    choice = choose(config=DELETES, primary=None)
    assert {PRIMARY: NOT_SET} == choice.left_out
    assert not choice.confirm


@pytest.mark.rule(4)
@pytest.mark.parametrize("config", [{}, DELETES])
def test_a_source_without_any_configured_contact_is_an_error(config: dict[str, str]) -> None:
    types = {"contact_types": ["billing", "security"], **config}
    with pytest.raises(EmptySourceError, match=r"configured contacts \(billing, security\)$"):
        choose([BILLING], types, billing=None, security=None)


# Deletions


@pytest.mark.rule(4)
def test_one_reading_that_lacks_a_contact_deletes_nothing_and_asks_for_another() -> None:
    choice = choose(config=DELETES, security=None)
    assert ContactChoice([], missing=[SECURITY], confirm=True) == choice


def test_a_second_reading_that_lacks_it_too_deletes_it() -> None:
    choice = choose(config=DELETES, before=[SECURITY], security=None)
    assert ContactChoice(ALL, missing=[SECURITY]) == choice


def test_a_contact_that_is_back_at_the_second_reading_is_synced() -> None:
    assert ContactChoice(ALL) == choose(config=DELETES, before=[SECURITY])


@pytest.mark.rule(4)
def test_a_contact_that_only_the_second_reading_lacks_is_not_deleted_yet() -> None:
    choice = choose(config=DELETES, before=[SECURITY], security=None, billing=None)
    assert {BILLING: READ_AGAIN} == choice.left_out
    assert [PRIMARY, OPERATIONS, SECURITY] == choice.contact_types
    assert not choice.confirm


def test_a_missing_contact_that_is_not_asked_for_needs_no_second_reading() -> None:
    assert ContactChoice([BILLING]) == choose([BILLING], DELETES, security=None)


# Contacts that break the API's rules


@pytest.mark.rule(4)
def test_an_invalid_contact_is_left_out_and_the_others_are_chosen() -> None:
    choice = choose(billing=NO_NAME)
    assert (
        ContactChoice(
            [PRIMARY, OPERATIONS, SECURITY],
            {BILLING: "invalid: billing.Name is not set"},
            invalid=[BILLING],
        )
        == choice
    )


def test_an_invalid_contact_that_is_not_asked_for_or_not_configured_is_not_looked_at() -> None:
    assert ContactChoice([SECURITY]) == choose([SECURITY], billing=NO_NAME)
    config = {"contact_types": ["security"]}
    assert ContactChoice([SECURITY]) == choose([SECURITY], config, billing=NO_NAME)


@pytest.mark.rule(4)
def test_invalid_contacts_alone_are_an_error_that_names_every_fault_without_values() -> None:
    broken = make_contact("billing", EmailAddress="nobody")
    stateless = make_contact("primary", StateOrRegion=None)
    with pytest.raises(InvalidSourceError) as caught:
        choose([PRIMARY, BILLING], billing=broken, primary=stateless)
    expected = (
        "primary.StateOrRegion is required for this CountryCode; "
        "billing.EmailAddress has a format that the API refuses"
    )
    assert expected == str(caught.value)


def test_what_is_left_out_is_named_with_every_fault_also_while_a_deletion_is_confirmed() -> None:
    invalid = make_contact("billing", Name=None, Title=None)
    choice = choose(None, {"on_source_deleted": "delete"}, billing=invalid, security=None)
    expected = "invalid: billing.Name is not set; billing.Title is not set"
    assert (True, {BILLING: expected}) == (choice.confirm, choice.left_out)


def test_an_invalid_contact_beside_an_unset_one_is_no_error() -> None:
    choice = choose([BILLING, SECURITY], billing=NO_NAME, security=None)
    assert ([], [BILLING], NOT_SET) == (
        choice.contact_types,
        choice.invalid,
        choice.left_out[SECURITY],
    )


# What differs from what was last tried everywhere


DIGESTS = source_digests(make_contacts(security=None), KEY)
HELD = {"configuration": "c", **{str(name): digest for name, digest in DIGESTS.items()}}


def test_nothing_differs_from_what_was_last_tried_everywhere() -> None:
    assert [] == differing_types(DIGESTS, HELD, "c")


@pytest.mark.rule(9)
@pytest.mark.parametrize("name", ALL)
def test_a_type_with_another_digest_or_without_an_entry_differs(name: ContactType) -> None:
    assert [name] == differing_types(DIGESTS, {**HELD, name: "another"}, "c")
    without = {key: value for key, value in HELD.items() if key != name}
    assert [name] == differing_types(DIGESTS, without, "c")


@pytest.mark.rule(9)
@pytest.mark.parametrize("held", [{}, {**HELD, "configuration": "another"}])
def test_with_another_configuration_every_type_differs(held: dict[str, str]) -> None:
    assert ALL == differing_types(DIGESTS, held, "c")
