"""Compare one contact of one account with the desired one, and decide what to do."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from contact_sync.contacts import ABSENT, ContactType

# A read may show the old value for minutes after a write.
READS_SETTLE_AFTER = timedelta(minutes=10)
# Later than that, a contact that differs from what we wrote was changed, or stored differently.
CONTESTED_AFTER = timedelta(hours=1)
MAX_CONTESTED_RUNS = 3


class Status(StrEnum):
    """The result of one contact of one account in one run."""

    UNCHANGED = "unchanged"
    UPDATED = "updated"
    DELETED = "deleted"
    SKIPPED = "skipped"
    FAILED = "failed"
    CONTESTED = "contested"


CHANGED = frozenset({Status.UPDATED, Status.DELETED})
FAILURES = frozenset({Status.FAILED, Status.CONTESTED})
# Results of an earlier attempt that the next one may replace.
UNSETTLED = frozenset({Status.FAILED, Status.SKIPPED})


@dataclass(frozen=True)
class Write:
    """A write of ours: keyed digests of the new and the replaced contact (ABSENT: not set), when.

    `planned_at` is the run's.
    """

    digest: str
    replaced: str
    at: datetime
    planned_at: str


@dataclass(frozen=True)
class InSync:
    """An unbroken time in sync: its start, and the digest that every comparison found."""

    since: datetime
    digest: str


@dataclass(frozen=True)
class KnownContact:
    """What the account's state has on one contact.

    `written` is our last recorded write. `intended` is a later one whose attempt died or failed
    before it recorded the result: it may have taken effect. `undone` and `undoing` are the same of
    an undo; neither is ours to delete. `status` and `status_of` are the last recorded result and
    the plan of its run. `contested` counts runs in a row, the last of which has the plan
    `contested_of`. `in_sync` is None if the last comparison left a difference. `drifted`: the run
    with the plan `status_of` found that the contact drifted.
    """

    written: Write | None = None
    intended: Write | None = None
    undone: Write | None = None
    undoing: Write | None = None
    status: Status | None = None
    status_of: str | None = None
    contested: int = 0
    contested_of: str | None = None
    in_sync: InSync | None = None
    drifted: bool = False

    def has_drifted_in(self, planned_at: str) -> bool:
        """Return whether an earlier attempt of the run with this plan found that it drifted."""
        return self.drifted and self.status_of == planned_at


UNKNOWN = KnownContact()


@dataclass(frozen=True)
class Decision:
    """What to do with a contact: its status, whether to write it, and the contested count.

    `wrote` is an earlier attempt's write that took effect and was not recorded. `reason` says why
    an undo skips the contact.
    """

    status: Status
    writes: bool = False
    contested: int = 0
    wrote: Write | None = None
    reason: str | None = None


def decide(  # noqa: PLR0913 - each is one fact that the decision needs
    contact_type: ContactType,
    wanted: str,
    seen: str,
    known: KnownContact,
    *,
    planned_at: str,
    now: datetime,
    is_insisted: bool = False,
) -> Decision:
    """Compare the digests of the desired and the actual contact, and decide.

    A contact that the source lacks (`wanted` is ABSENT) is deleted only where it is what we
    wrote. `is_insisted`: the account joined, or an operator's request names it.
    """
    ours = [write for write in (known.written, known.intended) if write]
    # A stale read is not trusted even if it shows the desired value: it may hide our write.
    is_stale = any(may_hide(write, seen, now) for write in ours)
    put_back = [write for write in (known.undone, known.undoing) if write]
    hides_undo = any(may_hide(write, seen, now) for write in put_back)
    if seen == wanted and not is_stale and not hides_undo:
        return _equal(wanted, known, planned_at, now)
    if wanted == ABSENT:
        is_ours = is_stale or any(seen == write.digest for write in ours)
        return Decision(Status.DELETED, writes=True) if is_ours else Decision(Status.SKIPPED)
    contested = _contested_runs(wanted, known, planned_at, now)
    if contested < MAX_CONTESTED_RUNS:
        return Decision(Status.UPDATED, writes=True, contested=contested)
    # Each write of a primary contact may send a text message to the account's phone.
    writes = contact_type is not ContactType.PRIMARY or is_insisted
    return Decision(Status.CONTESTED, writes=writes, contested=contested)


def in_sync_after(
    decision: Decision, wanted: str, known: KnownContact, now: datetime
) -> InSync | None:
    """Return the time in sync of a contact that is equal now, None for one that still differs."""
    if decision.status not in CHANGED | {Status.UNCHANGED}:
        return None
    was_equal = known.in_sync is not None and known.in_sync.digest == wanted
    is_unbroken = was_equal and not decision.writes and not decision.wrote
    return known.in_sync if is_unbroken else InSync(now, wanted)


def has_drifted(
    wanted: str, seen: str, known: KnownContact, *, planned_at: str, now: datetime
) -> bool:
    """Return whether a contact differs although nothing that decides it has changed.

    It was equal to the same contact when it was last compared, by this run or by one before.
    """
    if known.has_drifted_in(planned_at):
        return True
    was_equal = known.in_sync is not None and known.in_sync.digest == wanted
    is_stale = any(may_hide(one, seen, now) for one in (known.written, known.intended) if one)
    return seen != wanted and was_equal and not is_stale


def may_hide(write: Write, seen: str, now: datetime) -> bool:
    """Return whether the read may be stale: older than our write, it shows what that replaced."""
    return seen == write.replaced != write.digest and now - write.at < READS_SETTLE_AFTER


def _equal(wanted: str, known: KnownContact, planned_at: str, now: datetime) -> Decision:
    """Return the result of an equal contact; a change by an earlier attempt stays a change."""
    wrote = known.intended if known.intended and known.intended.digest == wanted else None
    if known.status and known.status_of == planned_at and known.status not in UNSETTLED:
        return Decision(known.status, contested=known.contested, wrote=wrote)
    last = wrote or known.written
    if last is None or (last.planned_at, last.digest) != (planned_at, wanted):
        return Decision(Status.UNCHANGED, wrote=wrote)
    if wanted == ABSENT:
        return Decision(Status.DELETED, wrote=wrote)
    contested = _contested_runs(wanted, known, planned_at, now)
    status = Status.CONTESTED if contested >= MAX_CONTESTED_RUNS else Status.UPDATED
    return Decision(status, contested=contested, wrote=wrote)


def _contested_runs(wanted: str, known: KnownContact, planned_at: str, now: datetime) -> int:
    """Count the runs in a row that found another contact than we wrote, this one included."""
    written = known.written
    if written is None or written.digest != wanted:
        return 0
    if known.contested_of == planned_at or now - written.at < CONTESTED_AFTER:
        return known.contested
    return known.contested + 1
