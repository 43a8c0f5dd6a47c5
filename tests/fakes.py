"""In-memory stand-ins for the account's contacts and state, and for time."""

from collections.abc import Mapping
from datetime import datetime

from builders import PLANNED_AT, SYNC_ID
from contact_sync.account_sync import AccountState, AccountTask, ContactResult
from contact_sync.comparison import KnownContact, Write
from contact_sync.contacts import Contact, ContactType


class FakeContacts:
    """The contacts of some accounts.

    `failures` maps (operation, account, type) to an error; `stale` to what a read still shows.
    """

    def __init__(self, contacts: Mapping[tuple[str | None, str], Contact] | None = None) -> None:
        self.contacts: dict[tuple[str | None, str], Contact] = dict(contacts or {})
        self.failures: dict[tuple[str, str | None, str], BaseException] = {}
        self.stale: dict[tuple[str | None, str], Contact | None] = {}
        self.writes: list[tuple[str, str | None, str]] = []

    def get(self, account_id: str | None, contact_type: ContactType) -> Contact | None:
        """Return the contact."""
        self._meet("get", account_id, contact_type)
        key = (account_id, contact_type)
        return self.stale[key] if key in self.stale else self.contacts.get(key)

    def put(self, account_id: str, contact: Contact) -> None:
        """Replace the contact."""
        self._meet("put", account_id, contact.type)
        self.contacts[account_id, contact.type] = contact
        self.writes.append(("put", account_id, contact.type))

    def delete(self, account_id: str, contact_type: ContactType) -> None:
        """Delete the contact."""
        self._meet("delete", account_id, contact_type)
        self.contacts.pop((account_id, contact_type), None)
        self.writes.append(("delete", account_id, contact_type))

    def _meet(self, operation: str, account_id: str | None, contact_type: str) -> None:
        failure = self.failures.get((operation, account_id, contact_type))
        if failure:
            raise failure


class FakeStates:
    """One account's state: what it says is given, what is intended and recorded is kept.

    `is_late`: a newer run has recorded the account, so that neither is stored.
    """

    def __init__(self) -> None:
        self.known: dict[ContactType, KnownContact] = {}
        self.holder: str | None = SYNC_ID
        self.planned_at: str | None = PLANNED_AT
        self.is_late = False
        self.reads: list[str] = []
        self.intended: list[dict[ContactType, Write]] = []
        self.recorded: list[dict[ContactType, ContactResult]] = []
        self.recorded_for: list[tuple[AccountTask, str, datetime]] = []

    def read(self, account_id: str) -> AccountState:
        """Return the account's state and the lock."""
        self.reads.append(account_id)
        return AccountState(self.known, self.holder, self.planned_at)

    def intend(self, _task: AccountTask, writes: Mapping[ContactType, Write]) -> bool:
        """Keep writes that are about to happen."""
        if not self.is_late:
            self.intended.append(dict(writes))
        return not self.is_late

    def record(
        self,
        task: AccountTask,
        results: Mapping[ContactType, ContactResult],
        started_at: str,
        at: datetime,
    ) -> bool:
        """Keep the record of one attempt."""
        if not self.is_late:
            self.recorded.append(dict(results))
            self.recorded_for.append((task, started_at, at))
        return not self.is_late


class FakeTime:
    """A clock that moves when somebody sleeps."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def time_ns(self) -> int:
        """Return the time in nanoseconds."""
        return round(self.now * 1e9)

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.slept.append(seconds)
        self.now += seconds
