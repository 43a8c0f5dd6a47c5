"""The contacts of the management account, which all others get. Their values are never told."""

from collections.abc import Iterable

from botocore.exceptions import ClientError
from contact_sync.contacts import Contact, ContactType

from operate.aws import Aws, code_of


def read_source(aws: Aws, types: Iterable[str]) -> dict[ContactType, Contact | None]:
    """Return the contacts of these types; None where one is not set."""
    return {ContactType(name): _read(aws, ContactType(name)) for name in types}


def _read(aws: Aws, contact_type: ContactType) -> Contact | None:
    client = aws.client("account")
    try:
        if contact_type == ContactType.PRIMARY:
            found = client.get_contact_information()["ContactInformation"]
        else:
            wanted = contact_type.upper()
            answer = client.get_alternate_contact(AlternateContactType=wanted)
            found = answer["AlternateContact"]
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":
            return None
        raise
    return Contact.from_api(contact_type, found)
