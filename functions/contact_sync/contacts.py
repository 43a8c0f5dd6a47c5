"""Contact values as frozen types, with the Account Management API's own rules."""

import hashlib
import hmac
import json
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self


class ContactType(StrEnum):
    """The four contacts of an account."""

    PRIMARY = "primary"
    BILLING = "billing"
    OPERATIONS = "operations"
    SECURITY = "security"


ALTERNATE_TYPES = (ContactType.BILLING, ContactType.OPERATIONS, ContactType.SECURITY)
# The digest of a contact that is not set.
ABSENT = "absent"
# Part of every digest: digests under other normalization rules are not comparable.
NORMALIZATION = "1"


@dataclass(frozen=True)
class Rule:
    """What the API accepts in one field; the minimum length is always 1."""

    max_length: int
    pattern: str = r"[\s\S]*"
    required: bool = True


# Source: API_AlternateContact and API_ContactInformation; a test compares both with botocore's
# model, which checks neither the maximum length nor the pattern before it sends.
ALTERNATE_RULES = {
    "Name": Rule(64),
    "Title": Rule(50),
    "EmailAddress": Rule(254, r"[\s]*[\w+=.#|!&-]+@[\w.-]+\.[\w]+[\s]*"),
    "PhoneNumber": Rule(25, r"[\s0-9()+-]+"),
}
PRIMARY_RULES = {
    "FullName": Rule(50),
    "AddressLine1": Rule(60),
    "AddressLine2": Rule(60, required=False),
    "AddressLine3": Rule(60, required=False),
    "City": Rule(50),
    "StateOrRegion": Rule(50, required=False),
    "DistrictOrCounty": Rule(50, required=False),
    "PostalCode": Rule(20),
    "CountryCode": Rule(2, r"[A-Z]{2}"),
    "PhoneNumber": Rule(20, r"[+][\s0-9()-]+"),
    "CompanyName": Rule(50, required=False),
    "WebsiteUrl": Rule(256, required=False),
}
STATE_REQUIRED_COUNTRIES = frozenset({"US", "CA", "GB", "DE", "JP", "IN", "BR"})


@dataclass(frozen=True)
class Contact:
    """One contact: its type, and its fields under the API's names. The values never print."""

    type: ContactType
    fields: tuple[tuple[str, str], ...] = field(repr=False)

    @classmethod
    def from_api(cls, contact_type: ContactType, answer: Mapping[str, str]) -> Self:
        """Keep the fields that can be written; a read also returns some that cannot."""
        rules = _rules(contact_type)
        return cls(contact_type, tuple((name, answer[name]) for name in rules if answer.get(name)))

    def to_api(self) -> dict[str, str]:
        """Return the fields under the API's names without unset ones (minimum length is 1)."""
        return dict(self.fields)

    def faults(self, kept: Collection[str] = ()) -> list[str]:
        """Name each rule for member accounts that the contact violates, without its values.

        `kept` are fields of the primary contact that each account keeps.
        """
        kept = kept if self.type is ContactType.PRIMARY else ()
        values = self.to_api()
        faults = [
            f"{self.type}.{name} {fault}"
            for name, rule in _rules(self.type).items()
            if name not in kept and (fault := _fault(values.get(name), rule))
        ]
        needs_state = values.get("CountryCode") in STATE_REQUIRED_COUNTRIES
        is_kept = "StateOrRegion" in kept or "CountryCode" in kept
        if needs_state and not is_kept and "StateOrRegion" not in values:
            faults.append(f"{self.type}.StateOrRegion is required for this CountryCode")
        return faults

    def keeping(self, names: Collection[str], other: "Contact") -> "Contact":
        """Return this contact with the named fields of the other, unset ones too."""
        kept = [(name, value) for name, value in other.fields if name in names]
        given = [(name, value) for name, value in self.fields if name not in names]
        return Contact.from_api(self.type, dict([*given, *kept]))

    def digest(self, key: bytes) -> str:
        """Return the keyed hash of the normalized contact: `<version>:<HMAC-SHA-256, hex>`.

        Contacts with the same digest are equal: the API may store another spelling of a value.
        """
        normalized = [(name, normalize(name, value)) for name, value in self.fields]
        content = json.dumps([self.type, [pair for pair in normalized if pair[1]]]).encode()
        return f"{NORMALIZATION}:{hmac.new(key, content, hashlib.sha256).hexdigest()}"


SourceContacts = Mapping[ContactType, Contact | None]


def normalize(name: str, value: str) -> str:
    """Return the value of a field in the form that is compared."""
    text = unicodedata.normalize("NFC", value).strip()
    if name == "PhoneNumber":
        kept = re.sub(r"[^0-9+]", "", text)
        return kept[:1] + kept[1:].replace("+", "")
    if name == "EmailAddress":
        local, at, domain = text.rpartition("@")
        return f"{local}{at}{domain.lower()}"
    return text


def digest_of(contact: Contact | None, key: bytes) -> str:
    """Return the contact's digest, ABSENT where it is not set."""
    return contact.digest(key) if contact else ABSENT


def is_comparable(digest: str) -> bool:
    """Return whether a stored digest was made by the present rules of normalization."""
    return digest == ABSENT or digest.startswith(f"{NORMALIZATION}:")


def source_digests(source: SourceContacts, key: bytes) -> dict[ContactType, str]:
    """Return the keyed digest of each contact of the source."""
    return {name: digest_of(contact, key) for name, contact in source.items()}


def shared_addresses(source: SourceContacts) -> list[str]:
    """Name the alternate contacts that share one e-mail address, without the address.

    Compliance checks expect different addresses; the primary contact has none.
    """
    by_address: dict[str, list[str]] = {}
    for name in ALTERNATE_TYPES:
        contact = source.get(name)
        address = contact.to_api().get("EmailAddress") if contact else None
        if address:
            by_address.setdefault(normalize("EmailAddress", address).lower(), []).append(name)
    return [
        f"{', '.join(names[:-1])} and {names[-1]}"
        for names in by_address.values()
        if len(names) > 1
    ]


def _rules(contact_type: ContactType) -> dict[str, Rule]:
    return PRIMARY_RULES if contact_type is ContactType.PRIMARY else ALTERNATE_RULES


def _fault(value: str | None, rule: Rule) -> str | None:
    if value is None:
        return "is not set" if rule.required else None
    if len(value) > rule.max_length:
        return f"is longer than {rule.max_length} characters"
    if not re.fullmatch(rule.pattern, value, re.ASCII):
        return "has a format that the API refuses"
    return None
