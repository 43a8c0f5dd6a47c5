"""One account, some of its contacts: read, compare, write what differs, record, and tell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, Protocol, Self

from contact_sync.contacts import Contact, ContactType, digest_of
from contact_sync.errors import TRANSIENT, AccessDeniedError, NotAcceptedError, SyncError
from contact_sync.reconcile import CHANGED, FAILURES, LastWrite, Status, decide
from contact_sync.selection import ACTIVE


@dataclass(frozen=True)
class AccountTask:
    """One attempt of one processor for one account: the child's input and the attempt's number."""

    account_id: str
    sync_id: str
    round: int
    contact_types: tuple[ContactType, ...]
    dry_run: bool
    attempt: int

    @classmethod
    def from_event(cls, event: Mapping[str, Any], types: Sequence[ContactType]) -> Self:
        """Take the child's input; `types` are those that the processor is responsible for."""
        return cls(
            account_id=event["account_id"],
            sync_id=event["sync_id"],
            round=event["round"],
            contact_types=tuple(name for name in types if name in event["contact_types"]),
            dry_run=event["dry_run"],
            attempt=event["attempt"],
        )


@dataclass(frozen=True)
class Source:
    """The source of a round, as the plan stored it.

    `started_at` is the run's start; `planned_at` orders the rounds, also those of several runs.
    """

    started_at: str
    planned_at: str
    digest_key: bytes = field(repr=False)
    contacts: Mapping[ContactType, Contact | None] = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """What became of one contact; `error` names the failure, `write` what was written.

    `change` is what an earlier attempt of the round did to it, should this one have failed.
    """

    status: Status
    digest: str | None = None
    error: str | None = None
    write: LastWrite | None = None
    change: Status | None = None


class AccountContacts(Protocol):
    """The contacts of member accounts (Account Management API)."""

    def get(self, account_id: str, contact_type: ContactType) -> Contact | None:
        """Return the contact, None where it is not set."""

    def put(self, account_id: str, contact: Contact) -> None:
        """Replace the contact."""

    def delete(self, account_id: str, contact_type: ContactType) -> None:
        """Delete the contact."""


class AccountStates(Protocol):
    """The last known state of each account (state table)."""

    def last_writes(self, account_id: str) -> Mapping[ContactType, LastWrite]:
        """Return what we last wrote to the account."""

    def changes(self, task: AccountTask, started_at: str) -> Mapping[ContactType, Status]:
        """Return what earlier attempts of the same round changed."""

    def record(
        self,
        task: AccountTask,
        outcomes: Mapping[ContactType, Outcome],
        source: Source,
        at: datetime,
    ) -> None:
        """Record one attempt."""


@dataclass(frozen=True)
class AccountSync:
    """Syncs single accounts with one source."""

    source: Source
    contacts: AccountContacts
    states: AccountStates
    state_of: Callable[[str], str]

    def run(self, task: AccountTask) -> int:
        """Sync the task's contacts and return the digit that tells of them.

        Every contact is tried and recorded before the first error is raised, transient ones
        first: those are what the state machine repeats.
        """
        now = datetime.now(UTC)
        last_writes = cache(partial(self.states.last_writes, task.account_id))
        outcomes: dict[ContactType, Outcome] = {}
        errors: list[SyncError] = []
        for contact_type in task.contact_types:
            try:
                last_write = last_writes().get(contact_type)
                outcomes[contact_type] = self._sync(task, contact_type, last_write, now)
            except NotAcceptedError as error:
                errors.append(error)
                outcomes[contact_type] = _failed(error, Status.NOT_ACCEPTED)
            except SyncError as error:
                errors.append(error)
                outcomes[contact_type] = _failed(error)
        if any(isinstance(error, AccessDeniedError) for error in errors):
            errors = self._forgive_inactive(task, outcomes, errors)
        self._record(task, outcomes, now)
        if errors:
            raise min(errors, key=lambda error: not isinstance(error, TRANSIENT))
        return digit([outcome.status for outcome in outcomes.values()])

    def _forgive_inactive(
        self, task: AccountTask, outcomes: dict[ContactType, Outcome], errors: list[SyncError]
    ) -> list[SyncError]:
        """Skip what was denied because the account closed or left since it was listed."""
        try:
            state = self.state_of(task.account_id)
        except SyncError as error:
            return [*errors, error]
        if state == ACTIVE:
            return errors
        for contact_type, outcome in outcomes.items():
            if outcome.status in FAILURES:
                outcomes[contact_type] = Outcome(Status.SKIPPED, error=state)
        return []

    def _sync(
        self,
        task: AccountTask,
        contact_type: ContactType,
        last_write: LastWrite | None,
        now: datetime,
    ) -> Outcome:
        key = self.source.digest_key
        desired = self.source.contacts[contact_type]
        actual = self.contacts.get(task.account_id, contact_type)
        digest = digest_of(desired, key)
        status = decide(desired, actual, last_write, key, now)
        if status is Status.NOT_ACCEPTED:
            raise NotAcceptedError(
                f"account {task.account_id}: the {contact_type} contact was written before and "
                f"is still another. {NotAcceptedError.remedy}"
            )
        if status not in CHANGED or task.dry_run:
            return Outcome(status, digest)
        self._write(task.account_id, contact_type, desired)
        return Outcome(status, digest, write=LastWrite(digest, digest_of(actual, key), now))

    def _write(self, account_id: str, contact_type: ContactType, desired: Contact | None) -> None:
        if desired is None:
            self.contacts.delete(account_id, contact_type)
        else:
            self.contacts.put(account_id, desired)

    def _record(
        self, task: AccountTask, outcomes: dict[ContactType, Outcome], now: datetime
    ) -> None:
        # A repeated attempt finds equal what an earlier one wrote: that stays a change.
        changes = self.states.changes(task, self.source.started_at) if task.attempt > 1 else {}
        for contact_type, outcome in outcomes.items():
            change = changes.get(contact_type)
            if change and outcome.status not in CHANGED:
                status = outcome.status if outcome.status in FAILURES else change
                outcomes[contact_type] = replace(outcome, status=status, change=change)
        self.states.record(task, outcomes, self.source, now)


def digit(statuses: Sequence[Status]) -> int:
    """Return what a child tells of its account: 0 unchanged, 1 updated, 3 skipped (2 is failed)."""
    if any(status in CHANGED for status in statuses):
        return 1
    if statuses and all(status is Status.SKIPPED for status in statuses):
        return 3
    return 0


def _failed(error: SyncError, status: Status = Status.FAILED) -> Outcome:
    return Outcome(status, error=type(error).__name__)
