"""The address book as a file, checked by the API's rules; output masks its values."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contact_sync.address_book import CONTACTS_KEY, book_faults, parse_book, used_contacts
from contact_sync.aws.items import from_item, to_item
from contact_sync.config import SyncConfig
from contact_sync.contact_sets import OWN, SOURCE
from contact_sync.contacts import (
    ALTERNATE_RULES,
    PRIMARY_RULES,
    Contact,
    ContactType,
    shared_addresses,
)
from contact_sync.errors import InvalidConfigError
from contact_sync.validation import CONTACT_NAME

from operate import configuration
from operate.aws import Aws
from operate.configuration import Json
from operate.console import OperateError, warn

MASK = "********"
Book = dict[str, dict[str, str]]


def read_item(aws: Aws, table: str) -> Json | None:
    """Return the item in DynamoDB's typed form, None if there is none."""
    return configuration.read_item(aws, table, CONTACTS_KEY)


def contacts_of(item: Json | None) -> Book:
    """Return the contacts of an item, as runs read them."""
    return parse_book(from_item(item) if item else None)


def read_file(path: Path) -> Book:
    """Return the contacts of a file; raise OperateError that names each error, but no value."""
    content = configuration.read_json(path)
    if faults := [fault for name, fields in content.items() for fault in _faults(name, fields)]:
        raise OperateError(f"{path}: {'; '.join(faults)}")
    return content


def item_of(book: Book) -> Json:
    """Return the item for these contacts, with a version that runs record."""
    version = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return to_item({"config_key": CONTACTS_KEY, "version": version, "contacts": book})


def check_use(config: SyncConfig, book: Mapping[str, Mapping[str, str]]) -> None:
    """Raise OperateError if an override uses a name that is missing or of another contact type.

    Warns of overrides that give one e-mail address to several contacts.
    """
    try:
        used_contacts(config.overrides_by_subject, book)
    except InvalidConfigError as error:
        raise OperateError(
            f"{error}: an override uses it. Change the override first, or keep the name"
        ) from None
    if faults := book_faults(config.overrides_by_subject, book, config.primary_keeps):
        raise OperateError(f"an override uses a contact that AWS would refuse: {'; '.join(faults)}")
    for number, override in enumerate(config.overrides):
        named = {
            name: Contact.from_api(name, book[which])
            for name, which in override.contacts.items()
            if which in book
        }
        for names in shared_addresses(named):
            warn(f"overrides.{number}: {names} share one e-mail address: checks require several")


def shown(book: Mapping[str, Mapping[str, str]], *, reveal: bool) -> str:
    """Return the contacts in the form of a file, with masked values unless `reveal` is set."""
    values = {
        name: {field: value if reveal else MASK for field, value in book[name].items()}
        for name in sorted(book)
    }
    return json.dumps(values, indent=2, ensure_ascii=False)


def difference(old: Book, new: Book) -> list[str]:
    """Return what writing the new contacts would change, without their values."""
    lines = [f"- {name}" for name in sorted(old.keys() - new.keys())]
    lines += [f"+ {name}" for name in sorted(new.keys() - old.keys())]
    for name in sorted(old.keys() & new.keys()):
        before, after = old[name], new[name]
        if changed := sorted(
            one for one in before.keys() | after.keys() if before.get(one) != after.get(one)
        ):
            lines.append(f"~ {name}: {', '.join(changed)}")
    return lines


def _faults(name: str, fields: Any) -> list[str]:
    if name in (SOURCE, OWN):
        return [f"{name}: overrides reserve this name: use another one"]
    if not re.fullmatch(CONTACT_NAME.regex, name):
        return [f"{name[:64]!r}: expected a name of lowercase letters, digits, - and _"]
    if not isinstance(fields, dict):
        return [f"{name}: expected an object with the fields of a contact"]
    is_primary = "FullName" in fields
    rules = PRIMARY_RULES if is_primary else ALTERNATE_RULES
    faults = [
        f"{name}.{field}: unknown field: use {', '.join(rules)}" for field in fields.keys() - rules
    ]
    faults += [f"{name}.{one}: expected text" for one, v in fields.items() if not _is_text(v)]
    if MASK in fields.values():
        faults.append(f"{name}: has masked values: print the contacts with --reveal")
    contact = ContactType.PRIMARY if is_primary else ContactType.SECURITY
    texts = {one: value for one, value in fields.items() if _is_text(value)}
    found = Contact.from_api(contact, texts).faults()
    return faults + [f"{name}.{one.partition('.')[2]}" for one in found]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
