"""In-memory stand-ins for the gateways of the processors, the run control and the reporter."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from contact_sync.account_sync import AccountState, AccountTask, ContactResult
from contact_sync.aws.executions import UNKNOWN, Execution
from contact_sync.aws.lock_table import Lock, QueuedRequest
from contact_sync.comparison import KnownContact, Write
from contact_sync.contacts import Contact, ContactType
from contact_sync.request import RunRequest
from contact_sync.undo import Replaced
from support.builders import PLANNED_AT, SYNC_ID, make_queued


class FakeContacts:
    """The contacts of some accounts; `failures` maps (operation, account, type) to an error."""

    def __init__(self, contacts: Mapping[tuple[str | None, str], Contact] | None = None) -> None:
        self.contacts: dict[tuple[str | None, str], Contact] = dict(contacts or {})
        self.failures: dict[tuple[str, str | None, str], BaseException] = {}
        self.writes: list[tuple[str, str | None, str]] = []

    def get(self, account_id: str | None, contact_type: ContactType) -> Contact | None:
        """Return the contact."""
        self._meet("get", account_id, contact_type)
        return self.contacts.get((account_id, contact_type))

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


class FakeReplaced:
    """Replaced contacts, by run, account and type. `before` must hold at each store."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str, ContactType], Replaced] = {}
        self.failure: Exception | None = None
        self.before: Callable[[], object] = lambda: True

    def store(self, sync_id: str, account_id: str, name: ContactType, replaced: Replaced) -> None:
        """Store the contact, unless one is stored already."""
        assert self.before()
        if self.failure:
            raise self.failure
        self.stored.setdefault((sync_id, account_id, name), replaced)

    def load(self, sync_id: str, account_id: str, name: ContactType) -> Replaced:
        """Return the stored contact."""
        if self.failure:
            raise self.failure
        return self.stored[sync_id, account_id, name]


class FakeStates:
    """One account's state: returns a given state, and keeps intentions and records.

    `is_late`: a newer run has recorded the account, so neither is stored.
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
        """Keep planned writes."""
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
    """A clock that advances on sleep."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def time_ns(self) -> int:
        """Return the time in nanoseconds."""
        return round(self.now * 1e9)

    def sleep(self, seconds: float) -> None:
        """Advance the clock."""
        self.slept.append(seconds)
        self.now += seconds


class FakeLock:
    """The lock item and the queued requests.

    `before` runs before each operation, with its name, to simulate concurrent changes.
    """

    def __init__(self, holder: str | None = None, **item: Any) -> None:
        self.item: dict[str, Any] = {**({"holder": holder} if holder else {}), **item}
        self.requests: dict[str, QueuedRequest] = {}
        self.before: Callable[[str], None] = lambda _operation: None

    def add(self, name: str, request: RunRequest | None = None, **changes: Any) -> None:
        """Queue a request without running `before`."""
        self.requests[name] = make_queued(name, request, **changes)

    def continue_undo(self, name: str, dead: str) -> None:
        """Record the dead run that a queued undo continues."""
        if name in self.requests:
            one = self.requests[name]
            self.requests[name] = replace(one, request=replace(one.request, continues=[dead]))

    def read(self) -> Lock:
        """Return the current lock."""
        self.before("read")
        return Lock.from_item(self.item)

    def take(self, sync_id: str, at: datetime) -> bool:
        """Take the lock, unless it is held."""
        self.before("take")
        if self.item.get("holder", sync_id) != sync_id:
            return False
        self.item = {"since": at.isoformat(), **self.item, "holder": sync_id}
        return True

    def release(self, holder: str, quiet_until: datetime | None = None) -> bool:
        """Free the lock of this holder."""
        self.before("release")
        if self.item.get("holder") != holder:
            return False
        del self.item["holder"]
        self.item.pop("since", None)
        if quiet_until:
            self.item["quiet_until"] = quiet_until.isoformat()
        return True

    def record_plan(self, sync_id: str, planned_at: str, held: Mapping[str, str]) -> bool:
        """Store the plan's time and the entries that remain valid."""
        self.before("record_plan")
        if self.item.get("holder") != sync_id or self.item.get("planned_at", "") > planned_at:
            return False
        self.item |= {"planned_at": planned_at, "held": dict(held)}
        return True

    def record_end(self, sync_id: str, planned_at: str, held: Mapping[str, str]) -> bool:
        """Store what the run tried in every account, and remove the request of version 1."""
        self.before("record_end")
        if (self.item.get("holder"), self.item.get("planned_at")) != (sync_id, planned_at):
            return False
        self.item.pop("pending", None)
        self.item["held"] = dict(held)
        return True

    def forget_pending(self, sync_id: str) -> bool:
        """Remove the request of version 1."""
        self.before("forget_pending")
        if self.item.get("holder") != sync_id:
            return False
        self.item.pop("pending", None)
        return True

    def queue(self, queued: QueuedRequest) -> None:
        """Queue an execution's request."""
        self.before("queue")
        self.requests[queued.name] = queued

    def queued(self) -> list[QueuedRequest]:
        """Return every queued request, oldest first."""
        self.before("queued")
        return sorted(self.requests.values(), key=lambda one: (one.queued_at, one.name))

    def has_queued(self) -> bool:
        """Return whether any request is queued."""
        self.before("has_queued")
        return bool(self.requests) or "pending" in self.item

    def remove(self, names: Iterable[str]) -> None:
        """Remove these executions' requests from the queue."""
        self.before("remove")
        for name in names:
            self.requests.pop(name, None)


class FakeRuns:
    """The runs' items by `<start>#<sync_id>`, and the accounts that failed in them.

    `before_update` runs before each update, and may raise.
    """

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.failed: dict[str, list[str]] = {}
        self.before_update: Callable[[], None] = lambda: None

    def read(self, started_at: str, sync_id: str) -> dict[str, Any]:
        """Return the run's item, empty if there is none."""
        return dict(self.items.get(f"{started_at}#{sync_id}", {}))

    def find(self, sync_id: str) -> dict[str, Any] | None:
        """Return the run's item by its sync_id alone."""
        found = [item for key, item in self.items.items() if key.endswith(f"#{sync_id}")]
        return dict(found[0]) if found else None

    def failed_accounts(self, sync_id: str) -> list[str]:
        """Return the accounts that failed in the run."""
        return self.failed.get(sync_id, [])

    def update(
        self, started_at: str, sync_id: str, values: Mapping[str, Any], removed: Sequence[str] = ()
    ) -> None:
        """Set attributes of the run's item, and remove others."""
        self.before_update()
        item = self.items.setdefault(f"{started_at}#{sync_id}", {})
        item.update({"sync_id": sync_id, "started_at": started_at, **values})
        for name in removed:
            item.pop(name, None)

    def record_end(self, started_at: str, sync_id: str, values: Mapping[str, Any]) -> bool:
        """Set attributes of a run that has no outcome yet."""
        if "ended_at" in self.read(started_at, sync_id):
            return False
        self.update(started_at, sync_id, values)
        return True


class FakeExecutions:
    """Executions by name; others are unknown."""

    def __init__(self, *executions: Execution) -> None:
        self.executions = {execution.name: execution for execution in executions}

    def describe(self, name: str) -> Execution:
        """Return the execution."""
        return self.executions.get(name) or Execution(name, UNKNOWN)


class FakeBucket:
    """The runs bucket: objects by key. `before_delete` runs before each deletion, and may raise."""

    def __init__(self, objects: Mapping[str, Any] | None = None) -> None:
        self.objects: dict[str, Any] = dict(objects or {})
        self.before_delete: Callable[[], None] = lambda: None

    def store_scope(self, key: str, scope: Any) -> None:
        """Store the scope."""
        self.objects[key] = scope

    def store_source(self, key: str, source: Any) -> None:
        """Store the source."""
        self.objects[key] = source

    def load_manifest(self, key: str) -> Any:
        """Load the manifest."""
        return self.objects[key]

    def load_sets(self, key: str) -> Any:
        """Load the contact sets."""
        return self.objects[key]

    def delete(self, key: str) -> None:
        """Delete the object."""
        self.before_delete()
        self.objects.pop(key, None)


class FakeAccountItems:
    """The account items that the reporter reads, and the run items that it writes."""

    def __init__(self, items: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._items = dict(items or {})
        self.written: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str, bool]] = []

    def items(
        self, account_ids: Iterable[str], sync_id: str, started_at: str, *, dry_run: bool
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield each account's item; in a dry run, the one that its reporter replaces."""
        self.asked.append((sync_id, started_at, dry_run))
        rewritten = {item["pk"].removeprefix("ACCOUNT#"): item for item in self.written}
        items = {**self._items, **rewritten} if dry_run else self._items
        for account_id in account_ids:
            yield account_id, items.get(account_id, {})

    def write_runs(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Keep the items."""
        self.written += [dict(item) for item in items]
