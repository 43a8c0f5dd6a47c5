"""A round's contact types: what is configured, set at the source, asked for, and changed."""

from typing import Any

import pytest
from builders import KEY, make_config, make_contact, make_contacts
from contact_sync.config import parse_config
from contact_sync.contacts import ABSENT, Contact, ContactType, source_digests
from contact_sync.errors import EmptySourceError, InvalidRequestError, InvalidSourceError
from contact_sync.plan import NOT_SET, Plan, check_source, plan_round
from contact_sync.request import RoundRequest

ALL = list(ContactType)


def plan(
    source: dict[ContactType, Contact | None] | None = None,
    synced: dict[ContactType, str] | None = None,
    config: dict[str, Any] | None = None,
    **request: Any,
) -> Plan:
    contacts = source or make_contacts()
    return plan_round(
        parse_config(make_config(**(config or {}))),
        RoundRequest(**request),
        contacts,
        source_digests(contacts, KEY),
        synced or {},
    )


def test_every_configured_type_is_planned() -> None:
    assert Plan(ALL, ALL, {}) == plan()


def test_only_requested_types_are_planned_in_fixed_order() -> None:
    planned = plan(contact_types=["security", "primary"])
    assert [ContactType.PRIMARY, ContactType.SECURITY] == planned.contact_types


def test_a_type_that_is_not_configured_is_refused_by_name() -> None:
    config = {"contact_types": ["billing", "primary"]}
    with pytest.raises(InvalidRequestError, match=r"security is not configured .*primary, billing"):
        plan(config=config, contact_types=["billing", "security"])


def test_types_that_are_not_configured_are_listed() -> None:
    expected = r"contact_types: operations, security is not configured"
    with pytest.raises(InvalidRequestError, match=expected):
        plan(
            config={"contact_types": ["billing"]},
            contact_types=["billing", "operations", "security"],
        )


def test_a_queued_type_that_is_not_configured_is_left_out() -> None:
    config = {"contact_types": ["billing"]}
    planned = plan(config=config, contact_types=["billing", "security"], must_exist=False)
    assert Plan([ContactType.BILLING], [ContactType.BILLING], {}) == planned


def test_an_unset_type_is_skipped_and_reported() -> None:
    planned = plan(make_contacts(security=None))
    assert ContactType.SECURITY not in planned.contact_types
    assert {ContactType.SECURITY: NOT_SET} == planned.skipped_types


def test_an_unset_alternate_type_is_planned_where_deletions_are_wanted() -> None:
    planned = plan(make_contacts(security=None), config={"on_source_deleted": "delete"})
    assert ALL == planned.contact_types
    assert {} == planned.skipped_types


def test_a_type_is_expected_to_differ_where_the_source_does_from_what_was_synced() -> None:
    synced = source_digests(make_contacts(), KEY) | {ContactType.SECURITY: "another"}
    planned = plan(synced=synced)
    assert ALL == planned.contact_types
    assert [ContactType.SECURITY] == planned.changed_types


@pytest.mark.parametrize(
    ("synced", "changed"),
    [({}, []), ({ContactType.SECURITY: "another"}, [ContactType.SECURITY])],
)
def test_an_unset_type_is_expected_to_be_deleted_where_it_was_synced(
    synced: dict[ContactType, str], changed: list[ContactType]
) -> None:
    deletes = {"on_source_deleted": "delete", "contact_types": ["billing", "security"]}
    same = {ContactType.BILLING: source_digests(make_contacts(), KEY)[ContactType.BILLING]}
    planned = plan(make_contacts(security=None), config=deletes, synced=same | synced)
    assert changed == planned.changed_types


def test_an_unset_primary_contact_is_never_deleted() -> None:
    planned = plan(make_contacts(primary=None), config={"on_source_deleted": "delete"})
    assert {ContactType.PRIMARY: NOT_SET} == planned.skipped_types


def test_only_what_changed_is_planned_after_a_change() -> None:
    digests = source_digests(make_contacts(), KEY)
    synced = digests | {ContactType.BILLING: "another"}
    assert [ContactType.BILLING] == plan(synced=synced, only_if_changed=True).contact_types


def test_nothing_is_planned_where_nothing_changed() -> None:
    digests = source_digests(make_contacts(), KEY)
    assert Plan([], [], {}) == plan(synced=digests, only_if_changed=True)


def test_what_was_never_synced_has_changed() -> None:
    assert ALL == plan(synced={}, only_if_changed=True).contact_types


def test_a_deletion_at_the_source_is_a_change() -> None:
    synced = source_digests(make_contacts(), KEY)
    planned = plan(
        make_contacts(security=None),
        synced,
        {"on_source_deleted": "delete"},
        only_if_changed=True,
    )
    assert [ContactType.SECURITY] == planned.contact_types


def test_without_a_change_to_look_for_everything_is_compared() -> None:
    synced = source_digests(make_contacts(), KEY)
    assert ALL == plan(synced=synced).contact_types


def test_a_source_without_any_configured_contact_is_an_error() -> None:
    source = make_contacts(billing=None, security=None)
    config = parse_config(make_config(contact_types=["billing", "security"]))
    with pytest.raises(EmptySourceError, match="none of: billing, security"):
        check_source(config, source)


def test_an_empty_source_is_an_error_even_where_deletions_are_wanted() -> None:
    source = dict.fromkeys(ContactType)
    with pytest.raises(EmptySourceError):
        plan(source, config={"on_source_deleted": "delete"})


def test_an_invalid_source_names_every_fault_without_values() -> None:
    source = make_contacts(
        billing=make_contact("billing", EmailAddress="nobody"),
        primary=make_contact("primary", StateOrRegion=None),
    )
    with pytest.raises(InvalidSourceError) as caught:
        plan(source)
    expected = (
        "primary.StateOrRegion is required in that country; "
        "billing.EmailAddress has a form that the API refuses"
    )
    assert expected == str(caught.value)


def test_an_invalid_contact_stops_a_round_that_did_not_ask_for_it() -> None:
    source = make_contacts(billing=make_contact("billing", Name=None))
    with pytest.raises(InvalidSourceError):
        plan(source, contact_types=["security"])


def test_a_contact_that_is_not_configured_is_not_checked() -> None:
    source = make_contacts(billing=make_contact("billing", Name=None))
    config = {"contact_types": ["security"]}
    assert [ContactType.SECURITY] == plan(source, config=config).contact_types


def test_the_source_s_digests_are_keyed_and_tell_what_is_absent() -> None:
    contacts = make_contacts(security=None)
    digests = source_digests(contacts, KEY)
    assert make_contact("billing").digest(KEY) == digests[ContactType.BILLING]
    assert ABSENT == digests[ContactType.SECURITY]
    assert digests[ContactType.BILLING] != source_digests(contacts, b"other")[ContactType.BILLING]
