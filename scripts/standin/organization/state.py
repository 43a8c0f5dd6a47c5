"""The state of the organization: accounts, OUs, trusted access, and contacts with read delays."""

import threading
from dataclasses import replace
from typing import Any

from standin.organization.errors import WorldError
from standin.organization.model import (
    CONTACT_TYPES,
    Account,
    Contact,
    World,
    build_account,
    check_account,
    check_contact_type,
)
from standin.organization.quotas import Clock


class DelayedValue:
    """A contact whose reads lag behind its writes; None means not set."""

    __slots__ = ("_pending", "_visible", "latest")

    def __init__(self, value: Contact | None) -> None:
        self.settle(value)

    def settle(self, value: Contact | None) -> None:
        """Set a value that is visible at once."""
        self.latest = self._visible = value
        self._pending: list[tuple[float, Contact | None]] | None = None

    def write(self, value: Contact | None, visible_from: float) -> None:
        """Set a value that becomes visible at the given time."""
        self.latest = value
        self._pending = [*(self._pending or []), (visible_from, value)]

    def visible(self, now: float) -> Contact | None:
        """Return the value that is visible at the given time."""
        while self._pending and self._pending[0][0] <= now:
            self._visible = self._pending.pop(0)[1]
        return self._visible


class Organization:
    """A world that changes. Its methods are thread-safe."""

    def __init__(self, world: World, speed: float, clock: Clock) -> None:
        self._lock = threading.RLock()
        self._clock = clock
        self._read_delay = world.read_delay / speed
        # Copied, because trusted access is changed in place.
        self._world = replace(world, trusted_access=list(world.trusted_access))
        self._accounts = {account.id: account for account in world.accounts}
        self._contacts: dict[str, dict[str, DelayedValue]] = {}
        self.units = {unit.id: unit for unit in world.organizational_units}
        for account_id in (*self._accounts, world.management_account_id):
            self._load_contacts(account_id, world.contacts.get(account_id, {}))

    @property
    def world(self) -> World:
        """The initial world; accounts, contacts and trusted access may have changed since."""
        return self._world

    @property
    def management_account(self) -> Account:
        """The management account, which is the caller."""
        account_id = self._world.management_account_id
        root = self._world.root_id
        return Account(account_id, "Management", "management@example.com", "ACTIVE", root)

    def snapshot(self) -> World:
        """Return the current world."""
        with self._lock:
            return replace(
                self._world,
                accounts=list(self._accounts.values()),
                contacts={account_id: self.contacts(account_id) for account_id in self._contacts},
                trusted_access=list(self._world.trusted_access),
            )

    def accounts(self) -> list[Account]:
        """All accounts, including the management account."""
        with self._lock:
            return [self.management_account, *self._accounts.values()]

    def account(self, account_id: str) -> Account | None:
        """Return an account, including the management account, or None if it does not exist."""
        if account_id == self._world.management_account_id:
            return self.management_account
        return self._accounts.get(account_id)

    def has_parent(self, parent_id: str) -> bool:
        """Return whether the root or an OU has this ID."""
        return parent_id == self._world.root_id or parent_id in self.units

    def path(self, parent_id: str) -> str:
        """Return the path of a root or OU, with a trailing slash."""
        steps = [parent_id]
        while steps[0] != self._world.root_id:
            steps.insert(0, self.units[steps[0]].parent)
        return f"{self._world.organization_id}/{'/'.join(steps)}/"

    def enable_access(self, principal: str) -> None:
        """Enable trusted access for a service."""
        with self._lock:
            if principal not in self._world.trusted_access:
                self._world.trusted_access.append(principal)

    def add_account(self, document: dict[str, Any]) -> None:
        """Add a member, with `contacts` if given. Raises WorldError."""
        contacts = document.pop("contacts", {})
        account = build_account({"parent": self._world.root_id, **document})
        with self._lock:
            if self.account(account.id):
                raise WorldError(f"account {account.id} already exists")
            self._store_account(account)
            self._load_contacts(account.id, contacts)

    def set_account(self, account_id: str, **changes: str) -> None:
        """Change a member's state or parent. Raises WorldError."""
        with self._lock:
            self._store_account(replace(self._member(account_id), **changes))

    def contacts(self, account_id: str) -> dict[str, Contact]:
        """Return the true contacts of an account, without read delay. Raises WorldError."""
        with self._lock:
            values = self._values(account_id).items()
            return {kind: dict(value.latest) for kind, value in values if value.latest}

    def set_contact(self, account_id: str, contact_type: str, value: Contact | None) -> None:
        """Set or remove a contact directly: any value, visible at once. Raises WorldError."""
        check_contact_type(contact_type)
        with self._lock:
            self._values(account_id)[contact_type].settle(value)

    def read(self, account_id: str, contact_type: str) -> Contact | None:
        """Return what a Get operation returns now."""
        with self._lock:
            return self._contacts[account_id][contact_type].visible(self._clock())

    def write(self, account_id: str, contact_type: str, value: Contact | None) -> bool:
        """Apply a Put or Delete; return whether the contact was set before."""
        with self._lock:
            contact = self._contacts[account_id][contact_type]
            existed = contact.latest is not None
            contact.write(value, self._clock() + self._read_delay)
            return existed

    def _member(self, account_id: str) -> Account:
        if account_id not in self._accounts:
            raise WorldError(f"no member account {account_id}")
        return self._accounts[account_id]

    def _store_account(self, account: Account) -> None:
        check_account(account)
        if not self.has_parent(account.parent):
            raise WorldError(f"no root or OU {account.parent}")
        self._accounts[account.id] = account

    def _values(self, account_id: str) -> dict[str, DelayedValue]:
        if account_id not in self._contacts:
            raise WorldError(f"no account {account_id}")
        return self._contacts[account_id]

    def _load_contacts(self, account_id: str, contacts: dict[str, Contact]) -> None:
        for contact_type in contacts:
            check_contact_type(contact_type)
        self._contacts[account_id] = {
            contact_type: DelayedValue(contacts.get(contact_type)) for contact_type in CONTACT_TYPES
        }
