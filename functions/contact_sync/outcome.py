"""What a round did, account by account and in sum, and how the run ends."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from contact_sync.contacts import ALTERNATE_TYPES, ContactType
from contact_sync.errors import ChildLostError, PartialSyncError, SyncFailedError
from contact_sync.reconcile import CHANGED, FAILURES, Status

ALTERNATE_FAILURE, PRIMARY_FAILURE = "alternate_failure", "primary_failure"
# The message and the run's item name this many failed accounts; the index has all of them.
MOST_NAMED_FAILURES = 25


@dataclass(frozen=True)
class AccountResult:
    """One account in one round: its statuses by contact type, and the errors of those failed."""

    account_id: str
    statuses: Mapping[ContactType, Status]
    errors: Mapping[ContactType, str]

    @property
    def status(self) -> Status:
        """Return the account's status: a failure over a change over nothing to do."""
        statuses = set(self.statuses.values())
        if statuses & FAILURES:
            return Status.FAILED
        if statuses & CHANGED:
            return Status.UPDATED
        return Status.SKIPPED if statuses == {Status.SKIPPED} else Status.UNCHANGED


def record_of(
    item: Mapping[str, Any], name: str, sync_id: str, round_number: int
) -> Mapping[str, Any] | None:
    """Return what an account's item holds under the name, if it was recorded in this round."""
    record: Mapping[str, Any] | None = item.get(name)
    if record and (record["sync_id"], record["round"]) == (sync_id, round_number):
        return record
    return None


def account_result(
    account_id: str,
    item: Mapping[str, Any],
    contact_types: Sequence[ContactType],
    sync_id: str,
    round_number: int,
) -> AccountResult:
    """Read one account's item; what no processor recorded in this round has failed."""
    statuses, errors = {}, {}
    for name in contact_types:
        if record := record_of(item, name, sync_id, round_number):
            statuses[name] = Status(record["status"])
            if statuses[name] in FAILURES:
                errors[name] = record["error"]
        else:
            statuses[name] = Status.FAILED
            errors[name] = _unrecorded(item, name, sync_id, round_number)
    return AccountResult(account_id, statuses, errors)


def _unrecorded(item: Mapping[str, Any], name: ContactType, sync_id: str, round_number: int) -> str:
    """Return the error that the child recorded for a processor that could not, if it could."""
    failure = ALTERNATE_FAILURE if name in ALTERNATE_TYPES else PRIMARY_FAILURE
    record = record_of(item, failure, sync_id, round_number)
    return str(record["error"]) if record else ChildLostError.__name__


@dataclass
class RoundSummary:
    """The counts of a round: accounts by status, and contacts by type and status."""

    accounts: Counter[str] = field(default_factory=Counter)
    types: dict[ContactType, Counter[str]] = field(default_factory=dict)
    failures: list[AccountResult] = field(default_factory=list)

    def add(self, result: AccountResult) -> None:
        """Count one account, and keep it by name if it failed and few did."""
        self.accounts[result.status] += 1
        for name, status in result.statuses.items():
            self.types.setdefault(name, Counter())[status] += 1
        if result.status is Status.FAILED and len(self.failures) < MOST_NAMED_FAILURES:
            self.failures.append(result)

    def is_clean(self, name: ContactType) -> bool:
        """Tell whether no account failed for the contact type."""
        counts = self.types.get(name, Counter())
        return not any(counts[status] for status in FAILURES)


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
    rounds: Iterable[Mapping[str, Any]], failed: int, failure_threshold: int, *, dry_run: bool
) -> RunOutcome:
    """Return the outcome of a run that no named error ended.

    `failed` is the number of accounts whose last round failed; every account has failed where
    none was well in any round. A dry run succeeds whatever it finds.
    """
    well = sum(
        count
        for one in rounds
        for status, count in one["accounts"].items()
        if status not in FAILURES
    )
    if not failed or dry_run:
        return RunOutcome(RunStatus.PARTIAL if failed else RunStatus.SUCCESS)
    if not well:
        return RunOutcome(
            RunStatus.FAILURE,
            SyncFailedError.__name__,
            f"Every account failed. {SyncFailedError.remedy}",
        )
    cause = f"Failed accounts: {failed}; failure_threshold is {failure_threshold}."
    if failed < failure_threshold:
        return RunOutcome(RunStatus.PARTIAL, cause=cause)
    return RunOutcome(
        RunStatus.PARTIAL, PartialSyncError.__name__, f"{cause} {PartialSyncError.remedy}"
    )
