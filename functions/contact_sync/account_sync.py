"""Sync one account's contacts: read, compare, write the differences, record the results."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol, Self

from contact_sync.accounts import ACTIVE, JUST_JOINED, Account
from contact_sync.comparison import (
    CHANGED,
    FAILURES,
    UNKNOWN,
    Decision,
    InSync,
    KnownContact,
    Status,
    Write,
    decide,
    has_drifted,
    in_sync_after,
)
from contact_sync.contact_sets import SOURCE, ContactSet, written
from contact_sync.contacts import Contact, ContactType, digest_of
from contact_sync.errors import (
    TRANSIENT,
    AccessDeniedError,
    ContestedError,
    InvalidContactError,
    NotReadyError,
    RepeatAccountError,
    ReplacedNotStoredError,
    SyncError,
    error_class,
)
from contact_sync.quotas import calls_of_account
from contact_sync.undo import Replaced, former

# What a child returns for its account; the parent counts, and looks for a lost lock.
UNCHANGED_DIGIT, UPDATED_DIGIT, FAILED_DIGIT, SKIPPED_DIGIT, LOST_DIGIT = range(5)


@dataclass(frozen=True)
class AccountTask:
    """One attempt of one processor for one account.

    `contact_set` has, for each type that this processor syncs, the contact that the account gets;
    in an undo, the runs whose replaced contact it gets back: latest first, separated by spaces.
    """

    account_id: str
    sync_id: str
    planned_at: str
    contact_set: ContactSet
    dry_run: bool
    is_undo: bool = False

    @classmethod
    def from_event(
        cls,
        event: Mapping[str, Any],
        types: Sequence[ContactType],
        contact_set: ContactSet,
        *,
        is_undo: bool,
    ) -> Self:
        """Take the child's input, and these types of the account's contact set."""
        asked = written(contact_set)
        return cls(
            account_id=event["account_id"],
            sync_id=event["sync_id"],
            planned_at=event["planned_at"],
            contact_set={name: asked[name] for name in types if name in asked},
            dry_run=event["dry_run"],
            is_undo=is_undo,
        )


@dataclass(frozen=True)
class Source:
    """The source of a run, as its plan stored it.

    `started_at` is the run's start. `contact_types` are those that the run syncs; `contacts` has
    each of them, None where the source lacks it. `named` are contacts of the address book: their
    fields by name. `primary_keeps` are fields of the primary contact that each account keeps.
    `insisted` are accounts that an operator named or that joined. An undo has no contacts:
    `is_undo`.
    """

    started_at: str
    digest_key: bytes = field(repr=False)
    contact_types: tuple[ContactType, ...]
    contacts: Mapping[ContactType, Contact | None] = field(repr=False)
    insisted: frozenset[str] = frozenset()
    named: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    primary_keeps: tuple[str, ...] = ()
    is_undo: bool = False

    def contact(self, contact_type: ContactType, which: str) -> Contact | None:
        """Return the contact of that type: SOURCE, or a name of the address book."""
        if which == SOURCE:
            return self.contacts[contact_type]
        return Contact.from_api(contact_type, self.named[which])

    def decided(self, contact_type: ContactType, which: str) -> Contact | None:
        """Return the contact without the fields that accounts keep."""
        contact = self.contact(contact_type, which)
        if contact and contact_type is ContactType.PRIMARY:
            return contact.keeping(self.primary_keeps, Contact(contact_type, ()))
        return contact

    def wanted(
        self, contact_type: ContactType, which: str, actual: Contact | None
    ) -> Contact | None:
        """Return the contact that an account with this actual contact should have."""
        contact = self.contact(contact_type, which)
        if contact and actual and self.primary_keeps and contact_type is ContactType.PRIMARY:
            return contact.keeping(self.primary_keeps, actual)
        return contact


@dataclass(frozen=True)
class ContactResult:
    """The result of one contact in one attempt; `error` names a failure, or why it was skipped.

    `is_refused`: the API refused the write, so it had no effect. `in_sync` is what to record of an
    equal contact. `differs`: the contact was compared, and still differs.
    """

    status: Status
    error: str | None = None
    write: Write | None = None
    contested: int = 0
    is_refused: bool = False
    in_sync: InSync | None = None
    differs: bool = False
    drifted: bool = False


@dataclass(frozen=True)
class AccountState:
    """An account in the state table, and the run that holds the lock, with its plan."""

    contacts: Mapping[ContactType, KnownContact]
    holder: str | None
    planned_at: str | None


class AccountContacts(Protocol):
    """The contacts of member accounts (Account Management API)."""

    def get(self, account_id: str, contact_type: ContactType) -> Contact | None:
        """Return the contact, None where it is not set."""

    def put(self, account_id: str, contact: Contact) -> None:
        """Replace the contact."""

    def delete(self, account_id: str, contact_type: ContactType) -> None:
        """Delete the contact."""


class ReplacedContacts(Protocol):
    """What a run replaced in each account (runs bucket)."""

    def store(self, sync_id: str, account_id: str, name: ContactType, replaced: Replaced) -> None:
        """Store it, if enabled, unless an earlier attempt of the run has."""

    def load(self, sync_id: str, account_id: str, name: ContactType) -> Replaced:
        """Load what store stored."""


class AccountStates(Protocol):
    """The last known state of each account, and the fence of the writes (state table)."""

    def read(self, account_id: str) -> AccountState:
        """Return the account's state and the lock, in one strongly consistent read."""

    def intend(self, task: AccountTask, writes: Mapping[ContactType, Write]) -> bool:
        """Record writes before they are made; return False if a newer run recorded the account."""

    def record(
        self,
        task: AccountTask,
        results: Mapping[ContactType, ContactResult],
        started_at: str,
        at: datetime,
    ) -> bool:
        """Record one attempt of a run; return False if a newer run recorded the account."""


@dataclass(frozen=True)
class AccountSync:
    """Syncs single accounts with one source, or puts back what runs replaced in them.

    `reserve` takes the time slots of an account's next calls together, by operation.
    """

    source: Source
    contacts: AccountContacts
    states: AccountStates
    account: Callable[[str], Account]
    reserve: Callable[[Mapping[str, int]], None]
    replaced: ReplacedContacts

    def run(self, task: AccountTask) -> int:
        """Sync the task's contacts and return the account's digit.

        Tries and records every contact, then raises RepeatAccountError if the attempt is to be
        repeated, else the first error, if any. Returns LOST_DIGIT, and writes and records nothing,
        if the run does not hold the lock with its own plan.
        """
        attempt = _Attempt(self, task, datetime.now(UTC))
        actual = attempt.read_contacts()
        state = self.states.read(task.account_id)
        if not task.dry_run and (state.holder, state.planned_at) != (task.sync_id, task.planned_at):
            return LOST_DIGIT
        decisions = attempt.decide(actual, state)
        if not (attempt.write(decisions, actual) and attempt.record()):
            return LOST_DIGIT
        attempt.raise_errors()
        return digit([result.status for result in attempt.results.values()])


class _Attempt:
    """One attempt at one account: its results so far, and the errors among them."""

    def __init__(self, sync: AccountSync, task: AccountTask, now: datetime) -> None:
        self._sync = sync
        self._task = task
        self._now = now
        self.results: dict[ContactType, ContactResult] = {}
        self._wanted: dict[ContactType, Contact | None] = {}
        self._in_sync: dict[ContactType, InSync | None] = {}
        self._drifted: set[ContactType] = set()
        self._errors: list[SyncError] = []

    def read_contacts(self) -> dict[ContactType, Contact | None]:
        """Return the account's contacts that could be read."""
        actual = {}
        self._reserve(read=self._task.contact_set)
        for name in self._task.contact_set:
            try:
                actual[name] = self._sync.contacts.get(self._task.account_id, name)
            except SyncError as error:
                self._fail(name, error)
        return actual

    def decide(
        self, actual: Mapping[ContactType, Contact | None], state: AccountState
    ) -> dict[ContactType, Decision]:
        """Decide about each contact that was read, and note the results that need no write."""
        if self._task.is_undo:
            return self._decide_undo(actual, state)
        source, decisions = self._sync.source, {}
        # An earlier attempt has read what this one may have failed to read.
        known_before, plan = state.contacts.items(), self._task.planned_at
        self._drifted = {name for name, one in known_before if one.has_drifted_in(plan)}
        for name, contact in actual.items():
            if not self._has_valid(name, contact):
                continue
            wanted = digest_of(self._wanted[name], source.digest_key)
            seen = digest_of(contact, source.digest_key)
            known = state.contacts.get(name, UNKNOWN)
            planned_at, now = self._task.planned_at, self._now
            decisions[name] = decide(
                name,
                wanted,
                seen,
                known,
                planned_at=planned_at,
                now=now,
                is_insisted=self._task.account_id in source.insisted,
            )
            # An account may change the fields that it keeps: neither ends the time in sync nor
            # hides the drift of the others.
            which = self._task.contact_set[name]
            decided = digest_of(source.decided(name, which), source.digest_key)
            self._in_sync[name] = in_sync_after(decisions[name], decided, known, now)
            is_equal = seen == wanted
            if not is_equal and has_drifted(decided, seen, known, planned_at=planned_at, now=now):
                self._drifted.add(name)
            self._note(name, decisions[name], decisions[name].wrote)
        return decisions

    def _decide_undo(
        self, actual: Mapping[ContactType, Contact | None], state: AccountState
    ) -> dict[ContactType, Decision]:
        key, decisions = self._sync.source.digest_key, {}
        for name, contact in actual.items():
            try:
                links = self._replaced(name)
            except SyncError as error:
                self._fail(name, error)
                continue
            found = former(
                name,
                links,
                digest_of(contact, key),
                state.contacts.get(name, UNKNOWN),
                key,
                planned_at=self._task.planned_at,
                now=self._now,
            )
            decisions[name], self._wanted[name] = found.decision, found.contact
            self._note(name, found.decision, found.decision.wrote)
        return decisions

    def _replaced(self, name: ContactType) -> list[Replaced]:
        """Return what the runs to undo replaced, the latest first."""
        sync_ids = self._task.contact_set[name].split()
        return [self._sync.replaced.load(one, self._task.account_id, name) for one in sync_ids]

    def write(
        self,
        decisions: Mapping[ContactType, Decision],
        actual: Mapping[ContactType, Contact | None],
    ) -> bool:
        """Write what the decisions ask for; return False if a newer run recorded the account."""
        key, contacts = self._sync.source.digest_key, self._wanted
        writes = {
            name: Write(
                digest=digest_of(contacts[name], key),
                replaced=digest_of(actual[name], key),
                at=self._now,
                planned_at=self._task.planned_at,
            )
            for name, decision in decisions.items()
            if decision.writes and not self._task.dry_run
        }
        # If the attempt dies between write and record, the next one must know of the write.
        if writes and not self._sync.states.intend(self._task, writes):
            return False
        self._reserve(written=writes)
        for name, write in writes.items():
            try:
                self._store_replaced(name, Replaced(actual[name], write.digest))
                self._put_or_delete(name, contacts[name])
            except SyncError as error:
                self._fail(name, error, is_refused=not isinstance(error, TRANSIENT))
            else:
                self._note(name, decisions[name], write)
        return True

    def record(self) -> bool:
        """Record the results; return False if a newer run recorded the account."""
        if any(isinstance(error, AccessDeniedError) for error in self._errors):
            self._explain_denials()
        started_at = self._sync.source.started_at
        results = {
            name: replace(result, drifted=name in self._drifted)
            for name, result in self.results.items()
        }
        return self._sync.states.record(self._task, results, started_at, self._now)

    def raise_errors(self) -> None:
        """Raise RepeatAccountError if a failure may be transient, else the first error, if any."""
        # Storing may have failed transiently, too.
        may_pass = (*TRANSIENT, ReplacedNotStoredError, NotReadyError)
        transient = [error for error in self._errors if isinstance(error, may_pass)]
        if transient:
            names = ", ".join(sorted({type(error).__name__ for error in transient}))
            raise RepeatAccountError(f"account {self._task.account_id}: {names}")
        if self._errors:
            raise self._errors[0]

    def _reserve(
        self, read: Collection[ContactType] = (), written: Collection[ContactType] = ()
    ) -> None:
        self._sync.reserve(calls_of_account(self._wanted, read, written))

    def _has_valid(self, name: ContactType, actual: Contact | None) -> bool:
        """Note the contact that the account should have; return whether the API accepts it.

        The plan has checked the source; this checks combined contacts and the address book's.
        """
        source, which = self._sync.source, self._task.contact_set[name]
        self._wanted[name] = wanted = source.wanted(name, which, actual)
        is_checked = wanted is None or wanted is source.contacts.get(name)
        faults = wanted.faults() if wanted and not is_checked else []
        key = source.digest_key
        if faults and digest_of(wanted, key) == digest_of(actual, key):
            return True  # there is nothing to write
        if faults:
            subject = f"account {self._task.account_id}: {name} contact {which}"
            reason = f"{', '.join(faults)}. {InvalidContactError.remedy}"
            self._fail(name, InvalidContactError(f"{subject}: {reason}"))
        return not faults

    def _store_replaced(self, name: ContactType, replaced: Replaced) -> None:
        account_id = self._task.account_id
        try:
            self._sync.replaced.store(self._task.sync_id, account_id, name, replaced)
        except SyncError as error:
            raise ReplacedNotStoredError(f"account {account_id}: not written: {error}") from None

    def _put_or_delete(self, name: ContactType, contact: Contact | None) -> None:
        if contact is None:
            self._sync.contacts.delete(self._task.account_id, name)
        else:
            self._sync.contacts.put(self._task.account_id, contact)

    def _note(self, name: ContactType, decision: Decision, write: Write | None = None) -> None:
        error = decision.reason
        if decision.status is Status.CONTESTED:
            error = ContestedError.__name__
            if write or not decision.writes or self._task.dry_run:
                self._errors.append(
                    ContestedError(
                        f"account {self._task.account_id}: the {name} contact differed in "
                        f"{decision.contested} runs in a row. {ContestedError.remedy}"
                    )
                )
        self.results[name] = ContactResult(
            decision.status,
            error,
            write,
            decision.contested,
            in_sync=self._in_sync.get(name),
            differs=name in self._in_sync and self._in_sync[name] is None,
        )

    def _fail(self, name: ContactType, error: SyncError, *, is_refused: bool = False) -> None:
        self._errors.append(error)
        self.results[name] = ContactResult(
            Status.FAILED,
            type(error).__name__,
            is_refused=is_refused,
            differs=name in self._in_sync,
        )

    def _explain_denials(self) -> None:
        """Skip the failures of an account that was closed or left, the denials of a new one.

        A run that was started for the new account does not skip them: no other run is to come.
        """
        account_id = self._task.account_id
        try:
            account = self._sync.account(account_id)
        except SyncError as error:
            self._errors.append(error)
            return
        if account.state != ACTIVE:
            self._explain(SyncError, Status.SKIPPED, account.state)
        elif account.has_just_joined(self._now):
            if account_id in self._sync.source.insisted:
                self._explain(AccessDeniedError, Status.FAILED, NotReadyError.__name__)
                self._errors.append(NotReadyError(f"account {account_id} has just joined"))
            else:
                self._explain(AccessDeniedError, Status.SKIPPED, JUST_JOINED)

    def _explain(self, failures: type[SyncError], status: Status, reason: str) -> None:
        """Give these failures another status and reason; what is known of writes stays known."""
        self._errors = [error for error in self._errors if not isinstance(error, failures)]
        for name, result in self.results.items():
            if result.status in FAILURES and issubclass(error_class(result.error or ""), failures):
                self.results[name] = replace(result, status=status, error=reason)


def digit(statuses: Sequence[Status]) -> int:
    """Return the digit of an account without failures."""
    if any(status in CHANGED for status in statuses):
        return UPDATED_DIGIT
    if statuses and all(status is Status.SKIPPED for status in statuses):
        return SKIPPED_DIGIT
    return UNCHANGED_DIGIT
