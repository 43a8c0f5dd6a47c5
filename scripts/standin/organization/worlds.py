"""Generates worlds, always the same for the same arguments."""

import random
from collections.abc import Mapping
from typing import Any

from standin.organization.model import CONTACT_TYPES, Contact

MANAGEMENT_ACCOUNT_ID = "999999999999"
ORGANIZATION_ID = "o-exampleorg1"
ROOT_ID = "r-exam"
FIRST_MEMBER = 100_000_000_001

# A root with two OUs, one of them three deep.
ORGANIZATIONAL_UNITS = [
    {"id": "ou-exam-workloads", "name": "Workloads", "parent": ROOT_ID},
    {"id": "ou-exam-production", "name": "Production", "parent": "ou-exam-workloads"},
    {"id": "ou-exam-payments", "name": "Payments", "parent": "ou-exam-production"},
    {"id": "ou-exam-sandboxes", "name": "Sandboxes", "parent": ROOT_ID},
]

# The management account's contacts. Their words occur nowhere else, so that a search finds leaks;
# the phone numbers are from 555-0100 to 555-0199, which no subscriber has.
SOURCE_CONTACTS: dict[str, Contact] = {
    "PRIMARY": {
        "FullName": "Zephyrine Quillmark",
        "AddressLine1": "4471 Marmalade Orchard Way",
        "AddressLine2": "Belfry Suite 93",
        "City": "Fixtureville",
        "StateOrRegion": "Washington",
        "DistrictOrCounty": "Mockinghamshire",
        "PostalCode": "98199-4471",
        "CountryCode": "US",
        "PhoneNumber": "+12025550141",
        "CompanyName": "Orchardmere Fixtures",
        "WebsiteUrl": "https://orchardmere.example.com",
    },
    "BILLING": {
        "Name": "Bartholomea Ledgerwick",
        "Title": "Keeper of Invoices",
        "EmailAddress": "ledgerwick@orchardmere.example.com",
        "PhoneNumber": "+1 202-555-0142",
    },
    "OPERATIONS": {
        "Name": "Osgood Runbooker",
        "Title": "Pager Warden",
        "EmailAddress": "runbooker@orchardmere.example.com",
        "PhoneNumber": "+1 202-555-0143",
    },
    "SECURITY": {
        "Name": "Severine Padlockton",
        "Title": "Warden of Locks",
        "EmailAddress": "padlockton@orchardmere.example.com",
        "PhoneNumber": "+1 202-555-0144",
    },
}


def drifted_world(
    accounts: int,
    seed: int = 1,
    *,
    drift: float = 1.0,
    missing: float = 0.25,
    states: Mapping[str, int] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Return a world in which a share of the members drifted from the management account.

    Every contact of a drifted member differs from the management account's: an alternate contact is
    missing with the probability `missing`, otherwise has other values; the primary contact has
    other values and one more optional field. The other members have the same contacts.
    `states` maps states other than ACTIVE to numbers of members, which the seed selects.
    `settings` are other keys of a world, such as `read_delay` or `latency`.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable, not for security
    ids = [str(FIRST_MEMBER + index) for index in range(accounts)]
    drifted = set(rng.sample(ids, round(accounts * drift)))
    special = _spread_states(ids, states or {}, rng)
    parents = [ROOT_ID, *(unit["id"] for unit in ORGANIZATIONAL_UNITS)]
    contacts = {
        account_id: _drifted_contacts(index, missing, rng)
        if account_id in drifted
        else _copy(SOURCE_CONTACTS)
        for index, account_id in enumerate(ids)
    }
    return {
        "organization_id": ORGANIZATION_ID,
        "management_account_id": MANAGEMENT_ACCOUNT_ID,
        "root_id": ROOT_ID,
        "organizational_units": [dict(unit) for unit in ORGANIZATIONAL_UNITS],
        "accounts": [
            {
                "id": account_id,
                "name": f"Member {account_id}",
                "email": f"member-{account_id}@example.com",
                "state": special.get(account_id, "ACTIVE"),
                "parent": rng.choice(parents),
            }
            for account_id in ids
        ],
        "contacts": {MANAGEMENT_ACCOUNT_ID: _copy(SOURCE_CONTACTS), **contacts},
        **settings,
    }


def _spread_states(ids: list[str], states: Mapping[str, int], rng: random.Random) -> dict[str, str]:
    wanted = [state for state, count in states.items() for _ in range(count)]
    return dict(zip(rng.sample(ids, len(wanted)), wanted, strict=True))


def _copy(contacts: Mapping[str, Contact]) -> dict[str, Contact]:
    return {contact_type: dict(contact) for contact_type, contact in contacts.items()}


def _drifted_contacts(index: int, missing: float, rng: random.Random) -> dict[str, Contact]:
    # Accounts without alternate contacts are common; none without a primary contact is known.
    return {
        contact_type: _drifted_contact(contact_type, index)
        for contact_type in CONTACT_TYPES
        if contact_type == "PRIMARY" or rng.random() >= missing
    }


def _drifted_contact(contact_type: str, index: int) -> Contact:
    area, line = 210 + index // 100, 100 + index % 100
    if contact_type != "PRIMARY":
        return {
            "Name": f"Formerly {contact_type.title()} {index:06}",
            "Title": f"Stale {contact_type.title()} Desk {index:06}",
            "EmailAddress": f"stale-{contact_type.lower()}-{index:06}@leftover.example.com",
            "PhoneNumber": f"+1 {area}-555-0{line}",
        }
    return {
        "FullName": f"Formerly Primary {index:06}",
        "AddressLine1": f"{index:06} Leftover Lane",
        "AddressLine2": f"Attic {index:06}",
        "AddressLine3": f"Crate {index:06}",
        "City": "Leftoverton",
        "StateOrRegion": "OR",
        "PostalCode": "97299",
        "CountryCode": "US",
        "PhoneNumber": f"+1{area}5550{line}",
        "CompanyName": f"Leftover Holdings {index:06}",
    }
