"""In-memory gateways; they record what was written, and fail as they are told."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from contact_sync.account_sync import AccountTask, Outcome, Source
from contact_sync.contacts import Contact, ContactType
from contact_sync.executions import Execution
from contact_sync.lock import Lock
from contact_sync.reconcile import LastWrite, Status
from contact_sync.request import RoundRequest


class FakeContacts:
    """The contacts of some accounts; `failures` maps (operation, account, type) to an error."""

    def __init__(self, contacts: Mapping[tuple[str | None, str], Contact] | None = None) -> None:
        self.contacts: dict[tuple[str | None, str], Contact] = dict(contacts or {})
        self.failures: dict[tuple[str, str | None, str], Exception] = {}
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


class FakeStates:
    """The account items: what was last written, and what was recorded."""

    def __init__(self, last_writes: Mapping[ContactType, LastWrite] | None = None) -> None:
        self.written = dict(last_writes or {})
        self.earlier: dict[ContactType, Status] = {}
        self.recorded: list[dict[ContactType, Outcome]] = []
        self.recorded_for: list[tuple[AccountTask, Source, datetime]] = []
        self.asked: list[tuple[object, ...]] = []
        self.reads = 0

    def last_writes(self, account_id: str) -> dict[ContactType, LastWrite]:
        """Return what was last written."""
        self.reads += 1
        self.asked.append((account_id,))
        return self.written

    def changes(self, task: AccountTask, started_at: str) -> dict[ContactType, Status]:
        """Return what earlier attempts changed."""
        self.asked.append((task, started_at))
        return self.earlier

    def record(
        self,
        task: AccountTask,
        outcomes: Mapping[ContactType, Outcome],
        source: Source,
        at: datetime,
    ) -> None:
        """Record one attempt."""
        self.recorded.append(dict(outcomes))
        self.recorded_for.append((task, source, at))


class FakeLock:
    """The lock item; `before_change` runs before each change, as others' changes do."""

    def __init__(self, holder: str | None = None, pending: RoundRequest | None = None) -> None:
        self.item: dict[str, Any] = {}
        if holder:
            self.item["holder"] = holder
        if pending:
            self.item["pending"] = pending.stored()
        self.runs: FakeRuns | None = None
        self.before_change: Callable[[], None] = lambda: None

    def read(self) -> Lock:
        """Return the lock as it is now."""
        return Lock.from_item(self.item)

    def queue(self, seen: Lock, request: RoundRequest) -> bool:
        """Queue the request behind the holder seen."""
        merged = seen.pending.merge(request) if seen.pending else request
        return self._change(seen, {"holder": seen.holder, "pending": merged.stored()})

    def take_over(self, seen: Lock, sync_id: str, at: str) -> bool:
        """Hold the lock in place of the holder seen."""
        return self._change(seen, {**self.item, "holder": sync_id, "since": at})

    def free(self, seen: Lock) -> bool:
        """Free the lock; what is queued stays."""
        pending = {name: value for name, value in self.item.items() if name == "pending"}
        return self._change(seen, pending)

    def start_round(
        self, seen: Lock, run_key: Mapping[str, str], round_values: Mapping[str, Any]
    ) -> bool:
        """Move what is queued into the run's item."""
        changed = self._change(seen, {"holder": seen.holder})
        if changed and self.runs is not None:
            self.runs.items.setdefault(run_key["sk"], {}).update(round_values)
        return changed

    def _change(self, seen: Lock, item: dict[str, Any]) -> bool:
        self.before_change()
        current = (self.item.get("holder"), self.item.get("pending"))
        if current != (seen.holder, seen.stored):
            return False
        self.item = item
        return True


class FakeRuns:
    """The runs' items by `<start>#<sync_id>`, and the accounts that failed in them.

    `before_update` runs before each update, and may raise.
    """

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.failed: dict[str, list[str]] = {}
        self.synced_entries: dict[str, Any] = {}
        self.before_update: Callable[[], None] = lambda: None

    def read(self, started_at: str, sync_id: str) -> dict[str, Any]:
        """Return the run's item, empty where there is none."""
        return self.items.get(f"{started_at}#{sync_id}", {})

    def find(self, sync_id: str) -> dict[str, Any] | None:
        """Return the run's item by its sync_id alone."""
        return next((item for key, item in self.items.items() if key.endswith(f"#{sync_id}")), None)

    def failed_accounts(self, sync_id: str) -> list[str]:
        """Return the accounts that failed in the run."""
        return self.failed.get(sync_id, [])

    def update(self, started_at: str, sync_id: str, values: Mapping[str, Any]) -> None:
        """Set attributes of the run's item."""
        self.before_update()
        self.items.setdefault(f"{started_at}#{sync_id}", {}).update(values)

    def synced(self) -> dict[str, Any]:
        """Return what was last synced to every account."""
        return self.synced_entries

    def record_synced(
        self, digests: Mapping[ContactType, str], key_id: str, sync_id: str, at: str
    ) -> None:
        """Record the contact types that every account now has."""
        for name, digest in digests.items():
            self.synced_entries[name] = {
                "digest": digest,
                "key_id": key_id,
                "sync_id": sync_id,
                "at": at,
            }


class FakeExecutions:
    """Executions by name; one that is not there is forgotten."""

    def __init__(self, *executions: Execution) -> None:
        self.executions = {execution.name: execution for execution in executions}

    def describe(self, name: str) -> Execution:
        """Return the execution."""
        return self.executions.get(name) or Execution(name, "FORGOTTEN", "", None)


class FakeBucket:
    """The runs bucket; objects by key. `before_delete` runs before each deletion, and may raise."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.before_delete: Callable[[], None] = lambda: None

    def store_scope(self, key: str, scope: Any) -> None:
        """Store the scope."""
        self.objects[key] = scope

    def store_source(self, key: str, source: Any) -> None:
        """Store the source."""
        self.objects[key] = source

    def load_source(self, key: str) -> Any:
        """Load the source."""
        return self.objects[key]

    def load_manifest(self, key: str) -> Any:
        """Load the manifest."""
        return self.objects[key]

    def delete(self, key: str) -> None:
        """Delete the object."""
        self.before_delete()
        self.objects.pop(key, None)


class FakeAccountItems:
    """The account items as the reporter reads them; keeps the runs' items it writes."""

    def __init__(self, items: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.items = dict(items or {})
        self.written: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str, bool]] = []

    def read(
        self, account_ids: Iterable[str], sync_id: str, started_at: str, *, dry_run: bool
    ) -> Iterable[tuple[str, Mapping[str, Any]]]:
        """Return each account's item; a dry run's is the one that its reporter replaces."""
        self.asked.append((sync_id, started_at, dry_run))
        rewritten = {item["pk"].removeprefix("ACCOUNT#"): item for item in self.written}
        items = self.items | rewritten if dry_run else self.items
        return [(account_id, items.get(account_id, {})) for account_id in account_ids]

    def write_runs(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Keep the items."""
        self.written += [dict(item) for item in items]


class FakeTime:
    """A clock that moves when somebody sleeps."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def clock(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.slept.append(seconds)
        self.now += seconds
