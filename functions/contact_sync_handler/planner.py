"""Plan one run: read configuration and source, and store them for the run's functions."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from contact_sync.account_sync import Source
from contact_sync.accounts import Scope
from contact_sync.address_book import AddressBook, book_faults, used_contacts
from contact_sync.aws.account_contacts import AccountContactsClient
from contact_sync.aws.lock_table import Lock, LockTable, QueuedRequest
from contact_sync.aws.runs_bucket import MANIFEST, SCOPE, SOURCE, RunsBucket, object_key
from contact_sync.aws.runs_table import RunsTable
from contact_sync.config import SyncConfig, version_of
from contact_sync.contacts import (
    Contact,
    ContactType,
    SourceContacts,
    shared_addresses,
    source_digests,
)
from contact_sync.errors import MAX_LISTED, LockLostError
from contact_sync.quotas import Quota, accounts_at_once, seconds_by_type, seconds_per_account
from contact_sync.request import RunRequest, merged, trigger_of

from contact_sync_handler.contact_choice import (
    READ_AGAIN,
    ContactChoice,
    asked_types,
    choose_contacts,
    differing_types,
)
from contact_sync_handler.run_control import Run
from contact_sync_handler.undo import runs_to_undo

# An item holds 400 KB, and a request's name and start take 100 bytes of the run's.
MAX_TAKEN = 1_000
OUTCOME = ("ended_at", "status", "error", "cause")
# The source may be read stale for minutes after a change.
SOURCE_SETTLES_AFTER = timedelta(minutes=5)


@dataclass(frozen=True)
class _Reading:
    """The current configuration and source, and the digests of both.

    `config` also keeps the fields that cannot be changed; `version` is the stored one's. `named`
    are the contacts of the address book that the overrides use.
    """

    config: SyncConfig
    key: bytes
    contacts: SourceContacts
    digests: Mapping[ContactType, str]
    configuration: str
    named: AddressBook
    version: str
    book_version: str | None


@dataclass(frozen=True)
class Planner:
    """Plans runs from current values; keeps nothing between them."""

    lock: LockTable
    load_config: Callable[[], SyncConfig]
    load_book: Callable[[], tuple[AddressBook, str | None]]
    load_key: Callable[[], bytes]
    source: AccountContactsClient
    runs: RunsTable
    bucket: RunsBucket
    management_account_id: str
    quotas: Mapping[str, Quota]
    max_concurrency: int
    # Fields of the primary contact that nobody can change in this partition.
    fixed_fields: Sequence[str] = ()

    def plan(
        self, run: Run, execution_input: Any, own: RunRequest | None, missing: Sequence[str] | None
    ) -> dict[str, Any]:
        """Take everything queued, and plan it; return what the run's next states need.

        `own` is the request of a dry run, which neither queues nor holds the lock. `missing` is
        that of the previous plan, if this one confirms a deletion. Raises LockLostError,
        InvalidConfigError, InvalidSourceError, EmptySourceError.
        """
        lock = self.lock.read()
        if own is None and lock.holder != run.sync_id:
            raise LockLostError(f"the lock is held by {lock.holder or 'nobody'}")
        queued = _to_take(self.lock.queued(), lock) if own is None else []
        requests = _requests(queued, lock, own)
        planned_at = _later_than(lock.planned_at)
        request = merged(requests) or RunRequest()
        self._record_taken(run, execution_input, queued, request, planned_at)
        if request.undo:
            now, choice, differing = self._choose_undo(request)
        else:
            now, choice, differing = self._choose(run, lock, requests, missing)
        written = [] if own else [name for name in choice.contact_types if name in differing]
        # If the source did not change, the number of accounts that differ is not known yet.
        most = [] if own else written or choice.contact_types
        # An undo may delete every contact that its run has set; no call is slower.
        worst = dict.fromkeys(choice.contact_types) if request.undo else now.contacts
        seconds = {
            "least": self._seconds(now.contacts, choice, []),
            "expected": self._seconds(now.contacts, choice, written),
            "most": self._seconds(worst, choice, most),
        }
        self._record_choice(run, choice, seconds)
        if choice.confirm:
            return {"confirm": True, "missing": [str(name) for name in choice.missing]}
        if own is None:
            held = _still_held(lock.held, now, choice)
            if not self.lock.record_plan(run.sync_id, planned_at, held):
                raise LockLostError("another execution took over the lock")
        # A redriven execution may have an outcome, from before it was redriven; a late attempt of
        # a dead one keeps it, or what it took would be dropped with an aborted run.
        self.runs.update(run.started_at, run.sync_id, {}, removed=OUTCOME)
        source_key = object_key(run.sync_id, planned_at, SOURCE)
        scope_key = object_key(run.sync_id, planned_at, SCOPE)
        if choice.contact_types:
            self.bucket.store_source(source_key, _source(run, now, choice, request))
            self.bucket.store_scope(scope_key, self._scope(now, choice, request, written))
        return {
            "confirm": False,
            "sync_id": run.sync_id,
            "planned_at": planned_at,
            "dry_run": run.request.dry_run,
            "contact_types": [str(name) for name in choice.contact_types],
            "source_key": source_key,
            "scope_key": scope_key,
            "manifest_key": object_key(run.sync_id, planned_at, MANIFEST),
            "retry": now.config.retry_config.model_dump(),
            "notification": now.config.notification_settings.model_dump(),
            # A dry run leaves the quotas to the run beside it.
            "max_concurrency": 1 if own and lock.holder else self._accounts_at_once(worst, choice),
        }

    def _choose(
        self,
        run: Run,
        lock: Lock,
        requests: Sequence[RunRequest],
        missing: Sequence[str] | None,
    ) -> tuple[_Reading, ContactChoice, Sequence[ContactType]]:
        """Return a reading, the types to sync, and those that differ from what was tried."""
        now = self._read()
        self._record_reading(run, now)
        differing = differing_types(now.digests, lock.held, now.configuration)
        asked = asked_types(requests, now.config, now.contacts, differing)
        before = None if missing is None else [ContactType(name) for name in missing]
        return now, choose_contacts(now.config, asked, now.contacts, before), differing

    def _choose_undo(
        self, request: RunRequest
    ) -> tuple[_Reading, ContactChoice, Sequence[ContactType]]:
        """Return what _choose does, without the source: an undo does not need it."""
        config, key = self.load_config(), self.load_key()
        types = [name for name in ContactType if name in (request.contact_types or ContactType)]
        # What is put back is not known yet: expect that all contacts are written.
        contacts = {name: Contact(name, ()) for name in types}
        now = _Reading(
            config=config,
            key=key,
            contacts=contacts,
            digests={},
            configuration=configuration_digest(config, {}, key),
            named={},
            version=version_of(config),
            book_version=None,
        )
        return now, ContactChoice(types), types

    def _seconds(
        self, contacts: SourceContacts, choice: ContactChoice, written: Sequence[ContactType]
    ) -> float:
        return seconds_per_account(contacts, choice.contact_types, written, self.quotas)

    def _undoes(self, request: RunRequest) -> list[str]:
        return runs_to_undo(self.runs, request.undo) if request.undo else []

    def _accounts_at_once(self, contacts: SourceContacts, choice: ContactChoice) -> int:
        """Return how many accounts the Map may sync at once if all contacts must be written."""
        seconds = self._seconds(contacts, choice, choice.contact_types)
        return accounts_at_once(seconds, self.max_concurrency)

    def is_settled(self, item: Mapping[str, Any]) -> bool:
        """Return whether the source is what the plan read, or what a later run tried everywhere."""
        if READ_AGAIN in item.get("left_out", {}).values():
            return False
        planned: Mapping[str, str] = item.get("source", {})
        key = self.load_key()
        contacts = {ContactType(name): self.source.get(None, ContactType(name)) for name in planned}
        now = {str(name): one for name, one in source_digests(contacts, key).items()}
        return now == planned or now.items() <= self.lock.read().held.items()

    def _read(self) -> _Reading:
        stored = self.load_config()
        config = stored.keeping(self.fixed_fields)
        key = self.load_key()
        book, version = self.load_book() if config.overrides_by_subject.names else ({}, None)
        named = used_contacts(config.overrides_by_subject, book)
        contacts = {name: self.source.get(None, name) for name in config.ordered_types}
        return _Reading(
            config=config,
            key=key,
            contacts=contacts,
            digests=source_digests(contacts, key),
            configuration=configuration_digest(config, named, key),
            named=named,
            version=version_of(stored),
            book_version=version,
        )

    def _record_taken(
        self,
        run: Run,
        execution_input: Any,
        queued: Sequence[QueuedRequest],
        request: RunRequest,
        planned_at: str,
    ) -> None:
        """Record what the run takes; the requests stay queued until it has recorded its end."""
        for name in request.continues:
            self._record_continued(name, run.sync_id)
        changes = [one.queued_at for one in queued if one.request.is_change]
        check_at = (max(changes) + SOURCE_SETTLES_AFTER).isoformat() if changes else None
        values = {
            "dry_run": run.request.dry_run,
            "trigger": trigger_of(execution_input),
            "planned_at": planned_at,
            "taken": [one.name for one in queued],
            "taken_started_at": [one.started_at for one in queued],
            "request": request.stored(),
            "undoes": self._undoes(request),
            "check_source_at": check_at,
        }
        self.runs.update(run.started_at, run.sync_id, values)

    def _record_continued(self, name: str, sync_id: str) -> None:
        """Name the run in the dead one, or in the last that continued it: events come twice."""
        while item := self.runs.find(name):
            later = item.get("continued_by", sync_id)
            if later == sync_id:
                self.runs.update(item["started_at"], name, {"continued_by": sync_id})
                return
            name = later

    def _record_reading(self, run: Run, now: _Reading) -> None:
        """Record what was read, for check_source: an invalid source may only be a stale read."""
        faults = book_faults(now.config.overrides_by_subject, now.named, now.config.primary_keeps)
        warnings = [
            *(f"{names} share one e-mail address" for names in shared_addresses(now.contacts)),
            *(f"address book: {fault}" for fault in faults[:MAX_LISTED]),
        ]
        values = {
            "missing": [str(name) for name, contact in now.contacts.items() if contact is None],
            "warnings": warnings,
            "source": {str(name): digest for name, digest in now.digests.items()},
            "configuration": now.configuration,
            "versions": {"configuration": now.version, "contacts": now.book_version},
        }
        self.runs.update(run.started_at, run.sync_id, values)

    def _record_choice(self, run: Run, choice: ContactChoice, seconds: Mapping[str, float]) -> None:
        """Record what the run syncs, and the seconds that the quotas need for an account."""
        values = {
            "contact_types": [str(name) for name in choice.contact_types],
            "left_out": {str(name): why for name, why in choice.left_out.items()},
            "invalid": [str(name) for name in choice.invalid],
            "milliseconds_per_account": {name: round(one * 1000) for name, one in seconds.items()},
        }
        self.runs.update(run.started_at, run.sync_id, values)

    def _scope(
        self,
        now: _Reading,
        choice: ContactChoice,
        request: RunRequest,
        written: Sequence[ContactType],
    ) -> Scope:
        return Scope(
            management_account_id=self.management_account_id,
            account_ids=request.account_ids,
            organizational_units=request.organizational_units,
            excluded_accounts=now.config.excluded_accounts,
            excluded_organizational_units=now.config.excluded_organizational_units,
            overrides=now.config.overrides_by_subject,
            left_out={
                name: choice.left_out[name] for name in now.contacts if name in choice.left_out
            },
            seconds=seconds_by_type(now.contacts, choice.contact_types, written, self.quotas),
            undoes=tuple(self._undoes(request)),
            synced_types=tuple(now.config.ordered_types) if request.undo else (),
        )


def _source(run: Run, now: _Reading, choice: ContactChoice, request: RunRequest) -> Source:
    return Source(
        started_at=run.started_at,
        digest_key=now.key,
        contact_types=tuple(choice.contact_types),
        contacts={name: now.contacts[name] for name in choice.from_source},
        is_undo=request.undo is not None,
        insisted=frozenset(request.insisted),
        named=now.named,
        primary_keeps=tuple(now.config.primary_keeps),
    )


def _to_take(queued: Sequence[QueuedRequest], lock: Lock) -> list[QueuedRequest]:
    """Return the oldest undo alone, or the oldest of everything else: an undo is never merged.

    A request of version 1 goes first, because the end of any run removes it.
    """
    undos = [one for one in queued if one.request.undo]
    if undos and lock.pending is None:
        return undos[:1]
    return [one for one in queued if not one.request.undo][:MAX_TAKEN]


def _requests(
    queued: Sequence[QueuedRequest], lock: Lock, own: RunRequest | None
) -> list[RunRequest]:
    if own is not None:
        return [own]
    requests = [one.request for one in queued]
    if lock.pending is not None:
        requests.append(RunRequest.from_stored(lock.pending))
    return requests


def _later_than(planned_at: str | None) -> str:
    """Return now, or a moment after the last plan where the clocks of two processes differ."""
    now = datetime.now(UTC)
    if planned_at:
        now = max(now, datetime.fromisoformat(planned_at) + timedelta(microseconds=1))
    return now.isoformat(timespec="microseconds")


def _still_held(held: Mapping[str, str], now: _Reading, choice: ContactChoice) -> dict[str, str]:
    """Return the entries that the run does not contradict."""
    if held.get("configuration") != now.configuration:
        return {}
    contradicted = {
        str(name) for name in choice.contact_types if held.get(name) != now.digests.get(name)
    }
    return {name: digest for name, digest in held.items() if name not in contradicted}


def configuration_digest(config: SyncConfig, named: AddressBook, key: bytes) -> str:
    """Return the keyed digest of all but the source that decides contacts, for the lock item."""
    content = config.model_dump_json() + json.dumps(named, sort_keys=True)
    return hmac.new(key, content.encode(), hashlib.sha256).hexdigest()
