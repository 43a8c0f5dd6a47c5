"""The address book: contacts by name, for accounts that do not get the source's."""

from collections.abc import Collection, Mapping
from typing import Any

from contact_sync.contact_sets import Overrides
from contact_sync.contacts import Contact
from contact_sync.errors import InvalidConfigError, listed

CONTACTS_KEY = "contacts"

# The API's fields of each contact, by name.
AddressBook = Mapping[str, Mapping[str, str]]


def parse_book(item: Mapping[str, Any] | None) -> dict[str, dict[str, str]]:
    """Read the item as DynamoDB holds it; a value that is not text counts as not set."""
    contacts = (item or {}).get("contacts")
    return {
        name: _texts(fields)
        for name, fields in (contacts.items() if isinstance(contacts, Mapping) else ())
    }


def used_contacts(overrides: Overrides, book: AddressBook) -> dict[str, Mapping[str, str]]:
    """Return the contacts that overrides use; raise InvalidConfigError for an unknown name."""
    if missing := sorted(name for name in overrides.names if name not in book):
        raise InvalidConfigError(f"overrides: not in the address book: {listed(missing)}")
    return {name: book[name] for name in sorted(overrides.names)}


def book_faults(overrides: Overrides, book: AddressBook, kept: Collection[str]) -> list[str]:
    """Name the faults of the contacts that overrides use, without their values.

    `kept` are fields of the primary contact that each account keeps.
    """
    return [
        f"{name}: {fault}"
        for name, contact_types in sorted(overrides.names.items())
        for contact_type in sorted(contact_types)
        for fault in Contact.from_api(contact_type, book[name]).faults(kept)
    ]


def _texts(fields: Any) -> dict[str, str]:
    if not isinstance(fields, Mapping):
        return {}
    return {name: value for name, value in fields.items() if isinstance(value, str)}
