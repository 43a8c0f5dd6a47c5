"""Results of contacts and accounts, and the counts and outcome of the run."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from contact_sync.accounts import JUST_JOINED
from contact_sync.comparison import CHANGED, FAILURES, Status
from contact_sync.contact_sets import OWN, SOURCE, ContactSet
from contact_sync.contacts import ALTERNATE_TYPES, ContactType
from contact_sync.errors import (
    NotReadyError,
    NotRecordedError,
    PartialSyncError,
    SyncFailedError,
    UnknownAccountStateError,
)

LEFT = "left the organization"
# The message and the run's item name this many accounts; the index has all of them.
MAX_NAMED_ACCOUNTS = 25
MAX_CAUSE_ACCOUNTS = 5
# The run may not have reached the account, and nothing else may: its own run may have died.
NOT_TRIED = frozenset({NotRecordedError.__name__, NotReadyError.__name__, JUST_JOINED})


@dataclass(frozen=True)
class ContactRecord:
    """One contact of one account in one run; `error` names a failure, or why it was skipped."""

    status: Status
    error: str | None = None
    drifted: bool = False


@dataclass(frozen=True)
class AccountResult:
    """One account in one run; `stays`: the types that no later run overwrites, after an undo."""

    account_id: str
    contacts: Mapping[ContactType, ContactRecord]
    stays: Collection[str] = ()

    @property
    def status(self) -> Status:
        """Return the account's status: a failure outranks a change, a change outranks the rest."""
        statuses = {record.status for record in self.contacts.values()}
        if statuses & FAILURES:
            return Status.FAILED
        if statuses & CHANGED:
            return Status.UPDATED
        return Status.SKIPPED if statuses == {Status.SKIPPED} else Status.UNCHANGED

    @property
    def errors(self) -> dict[str, str]:
        """Return the error of each contact that failed."""
        return {
            str(name): record.error or ""
            for name, record in self.contacts.items()
            if record.status in FAILURES
        }

    @property
    def changed(self) -> list[str]:
        """Return the contacts that were changed, or would be."""
        return [str(name) for name, one in self.contacts.items() if one.status in CHANGED]

    @property
    def overwritten(self) -> list[str]:
        """Return the contacts that an undo put back and the next full run overwrites."""
        return [name for name in self.changed if name not in self.stays]

    @property
    def drifted(self) -> list[str]:
        """Return the contacts that differed although nothing that decides them had changed."""
        return [str(name) for name, one in self.contacts.items() if one.drifted]

    @property
    def skips(self) -> dict[str, str]:
        """Return the reason for each skipped contact."""
        return {
            str(name): one.error
            for name, one in self.contacts.items()
            if one.status is Status.SKIPPED and one.error
        }

    @property
    def skipped(self) -> str | None:
        """Return why the account was skipped, or which of its contacts; None if none was."""
        reason = next(iter(self.skips.values()), None)
        if reason is None or self.status is Status.SKIPPED:
            return reason
        return f"{', '.join(self.skips)}: {reason}"


def account_result(
    account_id: str,
    item: Mapping[str, Any],
    contact_types: Iterable[ContactType],
    planned_at: str,
) -> AccountResult:
    """Read one account's item; a contact without a record of this plan has failed."""
    # An account that left before the plan has rejoined: the run has listed it.
    if item.get("left_at", "") > planned_at:
        return AccountResult(
            account_id, {name: ContactRecord(Status.SKIPPED, LEFT) for name in contact_types}
        )
    return AccountResult(
        account_id, {name: _contact(item, name, planned_at) for name in contact_types}
    )


def _contact(item: Mapping[str, Any], name: ContactType, planned_at: str) -> ContactRecord:
    record = item.get(name, {})
    if record.get("planned_at") == planned_at:
        return ContactRecord(
            Status(record["status"]), record.get("error"), record.get("drifted") is True
        )
    # The child recorded the error of a function that died.
    stage = "alternate" if name in ALTERNATE_TYPES else "primary"
    failure = item.get(f"{stage}_failure", {})
    is_of_this_run = failure.get("planned_at") == planned_at
    return ContactRecord(
        Status.FAILED, failure["error"] if is_of_this_run else NotRecordedError.__name__
    )


@dataclass
class Named:
    """The number of accounts of a kind, and the first of them."""

    count: int = 0
    first: list[AccountResult] = field(default_factory=list)

    def add(self, result: AccountResult, *, of_it: Collection[str]) -> None:
        """Count the account if any of its contacts (`of_it`) is of the kind."""
        if not of_it:
            return
        self.count += 1
        if len(self.first) < MAX_NAMED_ACCOUNTS:
            self.first.append(result)


@dataclass
class RunCounts:
    """The counts of a run: accounts by status, contacts by type and status, and some by name.

    `not_tried` are types that the run did not try in some account.
    """

    accounts: Counter[str] = field(default_factory=Counter)
    types: dict[ContactType, Counter[str]] = field(default_factory=dict)
    errors: dict[ContactType, Counter[str]] = field(default_factory=dict)
    failures: list[AccountResult] = field(default_factory=list)
    changed: list[AccountResult] = field(default_factory=list)
    not_tried: set[ContactType] = field(default_factory=set)
    changes: int = 0
    drifted: Named = field(default_factory=Named)
    overwritten: Named = field(default_factory=Named)
    partly_skipped: Named = field(default_factory=Named)
    skipped: Counter[str] = field(default_factory=Counter)
    named_skips: dict[str, str] = field(default_factory=dict)
    sets: dict[ContactType, dict[str, Counter[str]]] = field(default_factory=dict)

    def add(self, result: AccountResult, contact_set: ContactSet | None = None) -> None:
        """Count one account; name the first that failed, changed or were skipped."""
        self.accounts[result.status] += 1
        for name, which in (contact_set or {}).items():
            status = result.contacts[name].status if name in result.contacts else OWN
            self.sets.setdefault(name, {}).setdefault(which, Counter())[status] += 1
        for name, record in result.contacts.items():
            self.types.setdefault(name, Counter())[record.status] += 1
            if record.error in NOT_TRIED:
                self.not_tried.add(name)
        for error_type, error in result.errors.items():
            self.errors.setdefault(ContactType(error_type), Counter())[error] += 1
        if result.status is Status.FAILED and len(self.failures) < MAX_NAMED_ACCOUNTS:
            self.failures.append(result)
        if result.changed:
            self.changes += 1
            if len(self.changed) < MAX_NAMED_ACCOUNTS:
                self.changed.append(result)
        self.drifted.add(result, of_it=result.drifted)
        self.overwritten.add(result, of_it=result.overwritten)
        self.partly_skipped.add(result, of_it=result.skips)
        if reason := result.skipped:
            self._add_skip(result, reason)

    def _add_skip(self, result: AccountResult, reason: str) -> None:
        """Name an account of which contacts were skipped; count it only if all were."""
        if result.status is Status.SKIPPED:
            self.skipped[reason] += 1
        if len(self.named_skips) < MAX_NAMED_ACCOUNTS:
            self.named_skips[result.account_id] = reason

    @property
    def differing_sets(self) -> dict[ContactType, dict[str, Counter[str]]]:
        """Return, by type that differs between accounts, the counts by contact, most used first."""
        return {
            name: dict(sorted(some.items(), key=lambda one: -one[1].total())[:MAX_NAMED_ACCOUNTS])
            for name, some in self.sets.items()
            if some.keys() != {SOURCE}
        }

    @property
    def failed(self) -> int:
        """Return the number of accounts with a failed contact."""
        return self.accounts[Status.FAILED]

    @property
    def has_only_failures(self) -> bool:
        """Return whether every contact of every account failed."""
        return bool(self.types) and all(
            self._failed(name) == self._all(name) for name in self.types
        )

    def described(self) -> str:
        """Return for example `billing failed in 5 of 5 accounts (AccessDeniedError); ...`."""
        failed = [
            f"{name} failed in {count} of {self._all(name)} accounts "
            f"({', '.join(sorted(self.errors[name]))})"
            for name in self.types
            if (count := self._failed(name))
        ]
        done = [name for name in self.types if not self._failed(name)]
        if done:
            failed.append(f"{', '.join(done)}: no failure")
        named = [
            f"{one.account_id} ({', '.join(sorted(set(one.errors.values())))})"
            for one in self.failures[:MAX_CAUSE_ACCOUNTS]
        ]
        return f"{'; '.join(failed)}. Failed accounts: {self.failed}, first {', '.join(named)}."

    def _failed(self, name: ContactType) -> int:
        return sum(self.types[name][status] for status in FAILURES)

    def _all(self, name: ContactType) -> int:
        return sum(self.types[name].values())


class RunStatus(StrEnum):
    """How a run ended."""

    SUCCESS = "success"
    PARTIAL = "partial"
    FAILURE = "failure"
    ABORTED = "aborted"


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended; `error` fails the execution under that name."""

    status: RunStatus
    error: str | None = None
    cause: str = ""


def run_outcome(
    counts: RunCounts,
    *,
    failure_threshold: int,
    unknown_states: Mapping[str, int],
    has_invalid: bool,
    dry_run: bool,
) -> RunOutcome:
    """Return the outcome of a run that no error ended.

    A dry run succeeds whatever it finds. `has_invalid`: a contact of the source broke the API's
    rules and was left out.
    """
    if dry_run:
        return RunOutcome(RunStatus.PARTIAL if counts.failed or has_invalid else RunStatus.SUCCESS)
    if counts.has_only_failures:
        cause = f"{counts.described()} {SyncFailedError.remedy}"
        return RunOutcome(RunStatus.FAILURE, SyncFailedError.__name__, cause)
    if unknown_states:
        states = ", ".join(f"{count} {state}" for state, count in sorted(unknown_states.items()))
        cause = f"accounts in an unknown state: {states}. {UnknownAccountStateError.remedy}"
        return RunOutcome(RunStatus.PARTIAL, UnknownAccountStateError.__name__, cause)
    if counts.failed >= failure_threshold:
        cause = f"{counts.described()} {PartialSyncError.remedy}"
        return RunOutcome(RunStatus.PARTIAL, PartialSyncError.__name__, cause)
    if counts.failed or has_invalid:
        return RunOutcome(RunStatus.PARTIAL, cause=counts.described() if counts.failed else "")
    return RunOutcome(RunStatus.SUCCESS)
