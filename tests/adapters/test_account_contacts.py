"""Contacts over the Account Management API, against the strict stand-in."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from contact_sync.aws.account_contacts import AccountContactsClient
from contact_sync.contacts import ALTERNATE_TYPES, Contact, ContactType
from contact_sync.errors import (
    AccessDeniedError,
    ContactRefusedError,
    ServiceUnavailableError,
    SyncError,
    ThrottledError,
)
from standin.organization import OrganizationClient
from support.builders import (
    ALTERNATE_FIELDS,
    MANAGEMENT,
    MEMBER,
    PRIMARY_FIELDS,
    SECRET_VALUES,
    hides_its_context,
    make_contact,
    make_world,
)

BILLING = ContactType.BILLING
API_FIELDS = {name.upper(): dict(ALTERNATE_FIELDS) for name in ALTERNATE_TYPES} | {
    "PRIMARY": dict(PRIMARY_FIELDS)
}


@pytest.fixture
def contacts(
    organization: OrganizationClient, client_of: Callable[[str], Any]
) -> AccountContactsClient:
    organization.reset(make_world(MEMBER))
    return AccountContactsClient(client_of("account"))


def calls(organization: OrganizationClient) -> list[tuple[str, str, str]]:
    return [
        (call["operation"], call["account_id"], call["outcome"]) for call in organization.calls()
    ]


@pytest.mark.rule(3)
@pytest.mark.parametrize("contact_type", list(ContactType))
def test_a_contact_that_is_not_set_is_none(
    contact_type: ContactType, contacts: AccountContactsClient
) -> None:
    assert contacts.get(MEMBER, contact_type) is None


@pytest.mark.parametrize("contact_type", list(ContactType))
def test_the_source_is_read_without_an_account_id(
    contact_type: ContactType, contacts: AccountContactsClient, organization: OrganizationClient
) -> None:
    """Like AWS, the stand-in denies a call with the management account's own ID."""
    organization.set_contact(MANAGEMENT, contact_type.upper(), API_FIELDS[contact_type.upper()])
    assert make_contact(contact_type) == contacts.get(None, contact_type)
    with pytest.raises(AccessDeniedError):
        contacts.get(MANAGEMENT, contact_type)


@pytest.mark.parametrize("contact_type", list(ContactType))
def test_a_written_contact_is_read_unchanged(
    contact_type: ContactType, contacts: AccountContactsClient, organization: OrganizationClient
) -> None:
    contacts.put(MEMBER, make_contact(contact_type))
    assert make_contact(contact_type) == contacts.get(MEMBER, contact_type)
    assert {contact_type.upper(): API_FIELDS[contact_type.upper()]} == organization.contacts(MEMBER)


def test_a_contact_is_deleted(
    contacts: AccountContactsClient, organization: OrganizationClient
) -> None:
    organization.set_contact(MEMBER, "BILLING", ALTERNATE_FIELDS)
    contacts.delete(MEMBER, BILLING)
    assert {} == organization.contacts(MEMBER)


def test_deleting_a_missing_contact_is_not_an_error(contacts: AccountContactsClient) -> None:
    contacts.delete(MEMBER, BILLING)


Call = Callable[[AccountContactsClient], object]
CALLS: dict[str, Call] = {
    "GetAlternateContact": lambda contacts: contacts.get(MEMBER, BILLING),
    "GetContactInformation": lambda contacts: contacts.get(MEMBER, ContactType.PRIMARY),
    "PutAlternateContact": lambda contacts: contacts.put(MEMBER, make_contact()),
    "PutContactInformation": lambda contacts: contacts.put(MEMBER, make_contact("primary")),
    "DeleteAlternateContact": lambda contacts: contacts.delete(MEMBER, BILLING),
}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("TooManyRequestsException", ThrottledError),
        ("InternalServerException", ServiceUnavailableError),
        ("drop_connection", ServiceUnavailableError),
        ("AccessDeniedException", AccessDeniedError),
        ("ValidationException", ContactRefusedError),
    ],
)
@pytest.mark.parametrize("operation", CALLS)
def test_a_refusal_becomes_a_named_error(
    operation: str,
    fault: str,
    error: type[SyncError],
    contacts: AccountContactsClient,
    organization: OrganizationClient,
) -> None:
    organization.add_fault({"operation": operation, "error": fault})
    with pytest.raises(error, match=f"contact of account {MEMBER}: ") as caught:
        CALLS[operation](contacts)
    assert hides_its_context(caught.value)


@pytest.mark.rule(12)
@pytest.mark.parametrize(
    ("contact", "fields"),
    [
        (make_contact(EmailAddress="trials"), "EmailAddress"),
        (make_contact(PhoneNumber="call 555-0100", Name="Tester" * 20), "Name, PhoneNumber"),
        (make_contact("primary", PhoneNumber="555-0100"), "ContactInformation.PhoneNumber"),
        (make_contact("primary", StateOrRegion=None), "ContactInformation.StateOrRegion"),
    ],
)
def test_the_error_of_a_refused_value_names_the_fields_but_not_the_value(
    contact: Contact, fields: str, contacts: AccountContactsClient
) -> None:
    with pytest.raises(ContactRefusedError) as caught:
        contacts.put(MEMBER, contact)
    assert str(caught.value).endswith(f": ValidationException for {fields}")
    assert [] == [value for value in contact.to_api().values() if value in str(caught.value)]


def test_what_cannot_be_sent_is_an_error_without_its_value(contacts: AccountContactsClient) -> None:
    """botocore's own check fails before anything is sent, and its message repeats the input."""
    broken = Contact(BILLING, (("Name", SECRET_VALUES[0]),))
    with pytest.raises(ContactRefusedError, match=r"a required field is not set$") as caught:
        contacts.put(MEMBER, broken)
    assert SECRET_VALUES[0] not in repr(caught.value)


@pytest.mark.parametrize(
    ("operation", "name"),
    [("get_alternate_contact", BILLING), ("get_contact_information", ContactType.PRIMARY)],
)
def test_an_answer_without_a_contact_does_not_mean_that_none_is_set(
    operation: str, name: ContactType
) -> None:
    client: Any = boto3.client("account")
    with Stubber(client) as stub:
        stub.add_response(operation, {})
        with pytest.raises(ServiceUnavailableError, match=r"no contact in the answer$"):
            AccountContactsClient(client).get(MEMBER, name)


def test_every_call_names_its_account(
    contacts: AccountContactsClient, organization: OrganizationClient
) -> None:
    for call in CALLS.values():
        call(contacts)
    assert {MEMBER} == {account_id for _, account_id, _ in calls(organization)}
