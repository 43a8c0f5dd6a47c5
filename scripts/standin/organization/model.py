"""The parts of a world, and the checks that reject impossible worlds."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from standin.organization.errors import WorldError
from standin.organization.quotas import DEFAULT_QUOTAS

STATES = ("PENDING_ACTIVATION", "ACTIVE", "SUSPENDED", "PENDING_CLOSURE", "CLOSED")
ALTERNATE_TYPES = ("BILLING", "OPERATIONS", "SECURITY")
CONTACT_TYPES = ("PRIMARY", *ALTERNATE_TYPES)
FEATURE_SETS = ("ALL", "CONSOLIDATED_BILLING")

Contact = dict[str, str]


@dataclass(frozen=True, slots=True)
class Account:
    """A member account (the management account is not one)."""

    id: str
    name: str
    email: str
    state: str
    parent: str


@dataclass(frozen=True, slots=True)
class OrganizationalUnit:
    """An OU, and its parent: the root or another OU."""

    id: str
    name: str
    parent: str


@dataclass(frozen=True, slots=True)
class Policy:
    """A service control policy: its document, and the IDs of its targets."""

    id: str
    name: str
    content: dict[str, Any]
    targets: list[str] = field(default_factory=list)


@dataclass(slots=True)
class World:
    """An organization, its contacts and the behavior of the services, as `reset` takes them.

    `organization_id` is None if the caller is in no organization. `accounts` are the members; the
    management account always exists, in the root. Contacts are not validated: a test may need
    values that Put operations reject.
    """

    organization_id: str | None = "o-exampleorg1"
    management_account_id: str = "999999999999"
    feature_set: str = "ALL"
    trusted_access: list[str] = field(default_factory=lambda: ["account.amazonaws.com"])
    root_id: str = "r-exam"
    organizational_units: list[OrganizationalUnit] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)
    contacts: dict[str, dict[str, Contact]] = field(default_factory=dict)
    denied_accounts: list[str] = field(default_factory=list)
    quotas: dict[str, tuple[float, float]] = field(default_factory=dict)
    latency: dict[str, float] = field(default_factory=dict)
    read_delay: float = 0.0
    empty_pages: bool = True
    omit_paths: list[str] = field(default_factory=list)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Parse and check a world. Raises WorldError."""
        values = dict(document)
        units = [
            _build(OrganizationalUnit, unit) for unit in values.pop("organizational_units", [])
        ]
        accounts = [build_account(account) for account in values.pop("accounts", [])]
        policies = [_build(Policy, policy) for policy in values.pop("policies", [])]
        parts = {"organizational_units": units, "accounts": accounts, "policies": policies}
        world: Self = _build(cls, {**values, **parts})
        _check_world(world)
        return world

    def to_json(self) -> dict[str, Any]:
        """Return the world as `from_json` takes it."""
        return asdict(self)


def build_account(document: Mapping[str, Any]) -> Account:
    """Parse one member account; only its ID and parent have no default."""
    account_id = str(document.get("id"))
    defaults = {
        "name": f"Member {account_id}",
        "email": f"member-{account_id}@example.com",
        "state": "ACTIVE",
    }
    account: Account = _build(Account, {**defaults, **document})
    check_account(account)
    return account


def check_account(account: Account) -> None:
    """Raise WorldError if the account cannot exist."""
    _require(re.fullmatch(r"\d{12}", account.id), f"account id {account.id!r} is not 12 digits")
    _require(account.state in STATES, f"account {account.id} has no such state: {account.state!r}")


def check_contact_type(contact_type: str) -> None:
    """Raise WorldError for anything but one of the four contact types."""
    _require(contact_type in CONTACT_TYPES, f"no contact type {contact_type!r}")


def _check_world(world: World) -> None:
    _require(world.feature_set in FEATURE_SETS, f"no feature set {world.feature_set!r}")
    ids = [account.id for account in world.accounts]
    _require(len(ids) == len(set(ids)), "an account id occurs twice")
    _require(
        world.management_account_id not in ids,
        "the management account is not listed in accounts, which are the members",
    )
    known = {*ids, world.management_account_id}
    named = {*world.contacts, *world.denied_accounts, *world.omit_paths}
    _require(named <= known, f"unknown accounts: {sorted(named - known)}")
    for contacts in world.contacts.values():
        for contact_type in contacts:
            check_contact_type(contact_type)
    _check_tree(world)
    _check_operations(world)


def _check_tree(world: World) -> None:
    parents = {unit.id: unit.parent for unit in world.organizational_units}
    _require(len(parents) == len(world.organizational_units), "an OU id occurs twice")
    for unit in world.organizational_units:
        ancestor, seen = unit.id, set[str]()
        while ancestor != world.root_id:
            _require(ancestor in parents and ancestor not in seen, f"OU {unit.id} hangs in no root")
            seen.add(ancestor)
            ancestor = parents[ancestor]
    for account in world.accounts:
        known = account.parent == world.root_id or account.parent in parents
        _require(known, f"account {account.id} has no such parent: {account.parent!r}")


def _check_operations(world: World) -> None:
    operations = set(DEFAULT_QUOTAS)
    unknown = (set(world.quotas) | set(world.latency)) - {*operations, "default"}
    _require(not unknown and "default" not in world.quotas, f"unknown operations: {unknown}")


def _build(kind: type, document: Mapping[str, Any]) -> Any:
    names = {item.name for item in fields(kind)}
    _require(set(document) <= names, f"{kind.__name__} has no {sorted(set(document) - names)}")
    try:
        return kind(**document)
    except TypeError as error:
        raise WorldError(f"{kind.__name__}: {error}") from error


def _require(condition: object, message: str) -> None:
    if not condition:
        raise WorldError(message)
