"""Contact values as frozen types, with the Account Management API's own rules."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self


class ContactType(StrEnum):
    """The four contacts of an account."""

    PRIMARY = "primary"
    BILLING = "billing"
    OPERATIONS = "operations"
    SECURITY = "security"


# Stands for the digest of a contact that is not set.
ABSENT = "absent"
ALTERNATE_TYPES = (ContactType.BILLING, ContactType.OPERATIONS, ContactType.SECURITY)


@dataclass(frozen=True)
class Rule:
    """What the API accepts in one field; every length starts at 1."""

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
        """Keep the fields that can be written; what else a read brings is no contact value."""
        rules = _rules(contact_type)
        return cls(contact_type, tuple((name, answer[name]) for name in rules if answer.get(name)))

    def to_api(self) -> dict[str, str]:
        """Return the fields under the API's names, unset ones left out (minimum length is 1)."""
        return dict(self.fields)

    def faults(self) -> list[str]:
        """Name each rule of the API for members that the contact breaks, without its values."""
        values = self.to_api()
        faults = [
            f"{self.type}.{name} {fault}"
            for name, rule in _rules(self.type).items()
            if (fault := _fault(values.get(name), rule))
        ]
        needs_state = values.get("CountryCode") in STATE_REQUIRED_COUNTRIES
        if needs_state and "StateOrRegion" not in values:
            faults.append(f"{self.type}.StateOrRegion is required in that country")
        return faults

    def digest(self, key: bytes) -> str:
        """Return the keyed hash of the contact (HMAC-SHA-256, hex)."""
        content = json.dumps([self.type, self.fields], ensure_ascii=False).encode()
        return hmac.new(key, content, hashlib.sha256).hexdigest()


SourceContacts = Mapping[ContactType, Contact | None]


def digest_of(contact: Contact | None, key: bytes) -> str:
    """Return the contact's digest, ABSENT where it is not set."""
    return contact.digest(key) if contact else ABSENT


def source_digests(source: SourceContacts, key: bytes) -> dict[ContactType, str]:
    """Return the keyed digest of each contact of the source."""
    return {name: digest_of(contact, key) for name, contact in source.items()}


def _rules(contact_type: ContactType) -> dict[str, Rule]:
    return PRIMARY_RULES if contact_type is ContactType.PRIMARY else ALTERNATE_RULES


def _fault(value: str | None, rule: Rule) -> str | None:
    if value is None:
        return "is not set" if rule.required else None
    if len(value) > rule.max_length:
        return f"is longer than {rule.max_length} characters"
    if not re.fullmatch(rule.pattern, value, re.ASCII):
        return "has a form that the API refuses"
    return None
