"""One contact compared: what is equal, stale, ours, or contested, and what is done about it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from contact_sync.comparison import (
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
from contact_sync.contacts import ABSENT, ContactType
from support.builders import EARLIER_PLAN, NOW, PLANNED_AT, make_write

# Digests: decide() sees nothing else of a contact.
NEW, OLD, THIRD = "1:new", "1:old", "1:third"
BILLING, PRIMARY = ContactType.BILLING, ContactType.PRIMARY
MICROSECOND = timedelta(microseconds=1)
TEN_MINUTES, HOUR, DAY = timedelta(minutes=10), timedelta(hours=1), timedelta(days=1)


def decided(
    wanted: str,
    seen: str,
    known: KnownContact = UNKNOWN,
    after: timedelta = DAY,
    contact_type: ContactType = BILLING,
    *,
    is_insisted: bool = False,
) -> Decision:
    """Decide in the run PLANNED_AT, that long after NOW, the time of our last write."""
    return decide(
        contact_type,
        wanted,
        seen,
        known,
        planned_at=PLANNED_AT,
        now=NOW + after,
        is_insisted=is_insisted,
    )


def over(replaced: str, digest: str = NEW, **changes: Any) -> Write:
    """Build a write of ours, in an earlier run."""
    return make_write(**{"planned_at": EARLIER_PLAN, **changes}, digest=digest, replaced=replaced)


def wrote(replaced: str, digest: str = NEW, **known: Any) -> KnownContact:
    """Build what is known after a write that was recorded."""
    return KnownContact(written=over(replaced, digest), **known)


def intended(replaced: str, digest: str = NEW, **known: Any) -> KnownContact:
    """Build what is known after an attempt of this run that recorded no result."""
    return KnownContact(intended=over(replaced, digest, planned_at=PLANNED_AT), **known)


# Equal or not


@pytest.mark.parametrize("value", [NEW, ABSENT])
@pytest.mark.parametrize("known", [UNKNOWN, wrote(OLD)])
def test_what_is_equal_is_unchanged(value: str, known: KnownContact) -> None:
    assert Decision(Status.UNCHANGED) == decided(value, value, known)


@pytest.mark.parametrize("seen", [OLD, ABSENT])
@pytest.mark.parametrize("known", [UNKNOWN, wrote(THIRD, digest=OLD)])
def test_what_differs_or_is_not_set_is_updated(seen: str, known: KnownContact) -> None:
    assert Decision(Status.UPDATED, writes=True) == decided(NEW, seen, known)


# Reads that may be older than our last write


@pytest.mark.parametrize("known", [wrote(OLD), intended(OLD)])
@pytest.mark.parametrize(
    ("wanted", "late", "early"),
    [
        (OLD, Status.UPDATED, Status.UNCHANGED),
        # What we wrote over somebody's contact may hide behind it, and is deleted.
        (ABSENT, Status.DELETED, Status.SKIPPED),
    ],
)
def test_a_read_of_what_we_replaced_is_not_believed_for_ten_minutes(
    wanted: str, late: Status, early: Status, known: KnownContact
) -> None:
    hidden = decided(wanted, OLD, known, TEN_MINUTES - MICROSECOND)
    assert (late, True) == (hidden.status, hidden.writes)
    believed = decided(wanted, OLD, known, TEN_MINUTES)
    assert (early, False) == (believed.status, believed.writes)


def test_the_clocks_of_two_processes_may_differ() -> None:
    assert decided(OLD, OLD, wrote(OLD), -HOUR).writes


def test_an_unset_contact_that_we_replaced_is_not_believed_either() -> None:
    assert Decision(Status.DELETED, writes=True) == decided(
        ABSENT, ABSENT, wrote(ABSENT), timedelta()
    )


def test_a_read_may_be_older_than_a_recorded_write_that_a_later_intention_follows() -> None:
    """Each read may come from another copy of the data."""
    known = KnownContact(written=over(OLD), intended=over(NEW, digest=OLD))
    assert decided(OLD, OLD, known, timedelta()).writes


def test_a_write_that_replaced_the_same_value_hides_nothing() -> None:
    assert Decision(Status.UNCHANGED) == decided(NEW, NEW, wrote(NEW), timedelta())


# Deletions


@pytest.mark.parametrize("known", [wrote(OLD), intended(OLD), intended(OLD, written=over(NEW))])
def test_what_we_wrote_is_deleted_with_the_source(known: KnownContact) -> None:
    assert Decision(Status.DELETED, writes=True) == decided(ABSENT, NEW, known)


@pytest.mark.rule(4)
@pytest.mark.parametrize(
    "known",
    [
        UNKNOWN,
        wrote(OLD, digest=THIRD),
        # Put back long after we deleted it: somebody else did.
        wrote(NEW, digest=ABSENT),
    ],
)
def test_what_we_did_not_write_is_never_deleted(known: KnownContact) -> None:
    assert Decision(Status.SKIPPED) == decided(ABSENT, NEW, known)


# Attempts that died or failed


@pytest.mark.parametrize(("wanted", "status"), [(NEW, Status.UPDATED), (ABSENT, Status.DELETED)])
@pytest.mark.parametrize("earlier", [None, Status.FAILED, Status.SKIPPED])
def test_a_write_whose_attempt_recorded_no_result_is_a_change_of_its_run(
    wanted: str, status: Status, earlier: Status | None
) -> None:
    known = intended(OLD, digest=wanted, status=earlier, status_of=PLANNED_AT)
    assert Decision(status, wrote=known.intended) == decided(wanted, wanted, known, timedelta())


def test_a_later_run_finds_it_unchanged_but_learns_that_it_is_ours() -> None:
    known = KnownContact(intended=over(OLD))
    assert Decision(Status.UNCHANGED, wrote=known.intended) == decided(NEW, NEW, known)


def test_an_intention_that_somebody_else_overtook_is_no_write() -> None:
    assert Decision(Status.UNCHANGED) == decided(THIRD, THIRD, intended(OLD))


@pytest.mark.parametrize("status", [Status.UPDATED, Status.DELETED, Status.UNCHANGED])
def test_what_an_earlier_attempt_recorded_stays(status: Status) -> None:
    known = wrote(OLD, status=status, status_of=PLANNED_AT)
    assert Decision(status) == decided(NEW, NEW, known, timedelta())


@pytest.mark.parametrize(("wanted", "status"), [(NEW, "updated"), (ABSENT, "deleted")])
def test_a_recorded_write_stays_a_change_of_its_run_after_an_attempt_that_could_not_read(
    wanted: str, status: str
) -> None:
    failed = {"status": Status.FAILED, "status_of": PLANNED_AT}
    known = KnownContact(written=over(OLD, wanted, planned_at=PLANNED_AT), **failed)
    assert Decision(Status(status)) == decided(wanted, wanted, known, timedelta())
    earlier = KnownContact(written=over(OLD, wanted), **failed)
    assert Decision(Status.UNCHANGED) == decided(wanted, wanted, earlier, timedelta())


def test_a_contact_stays_contested_whatever_happened_to_the_attempt_that_wrote_it() -> None:
    ours = over(OLD, planned_at=PLANNED_AT)
    third = {"contested": 3, "contested_of": PLANNED_AT}
    failed = KnownContact(written=ours, status=Status.FAILED, status_of=PLANNED_AT, **third)
    assert Decision(Status.CONTESTED, contested=3) == decided(NEW, NEW, failed, timedelta())
    died = KnownContact(written=over(OLD), intended=ours, contested=2, contested_of=EARLIER_PLAN)
    assert Decision(Status.CONTESTED, contested=3, wrote=ours) == decided(NEW, NEW, died)


def test_a_write_between_two_recorded_attempts_is_not_forgotten() -> None:
    """The first recorded its result, the second wrote again and died."""
    known = intended(OLD, written=over(OLD), status=Status.UPDATED, status_of=PLANNED_AT)
    assert Decision(Status.UPDATED, wrote=known.intended) == decided(NEW, NEW, known, timedelta())


@pytest.mark.parametrize("status", list(Status))
def test_what_another_run_recorded_does_not_count(status: Status) -> None:
    known = KnownContact(status=status, status_of=EARLIER_PLAN)
    assert Decision(Status.UNCHANGED) == decided(NEW, NEW, known)


# Contested: runs in a row that find something else than we wrote


@pytest.mark.parametrize("seen", [OLD, THIRD, ABSENT])
@pytest.mark.parametrize(("before", "status"), [(0, "updated"), (1, "updated"), (2, "contested")])
def test_the_third_run_in_a_row_that_finds_another_value_is_contested(
    before: int, status: str, seen: str
) -> None:
    known = wrote(OLD, contested=before, contested_of=EARLIER_PLAN)
    assert Decision(Status(status), writes=True, contested=before + 1) == decided(NEW, seen, known)


def test_a_run_counts_if_its_read_is_an_hour_after_our_write() -> None:
    known = wrote(THIRD, contested=1, contested_of=EARLIER_PLAN)
    assert 1 == decided(NEW, OLD, known, HOUR - MICROSECOND).contested
    assert 2 == decided(NEW, OLD, known, HOUR).contested


@pytest.mark.rule(3)
@pytest.mark.parametrize("count", [1, 2])
def test_a_repeated_attempt_does_not_count_again(count: int) -> None:
    known = wrote(OLD, contested=count, contested_of=PLANNED_AT)
    assert Decision(Status.UPDATED, writes=True, contested=count) == decided(NEW, OLD, known)


@pytest.mark.rule(3)
@pytest.mark.parametrize(
    "known",
    [
        KnownContact(contested=2, contested_of=EARLIER_PLAN),
        wrote(OLD, digest=THIRD, contested=2, contested_of=EARLIER_PLAN),
    ],
)
@pytest.mark.parametrize("after", [timedelta(), DAY])
def test_the_count_starts_anew_where_another_value_is_wanted(
    after: timedelta, known: KnownContact
) -> None:
    assert Decision(Status.UPDATED, writes=True) == decided(NEW, OLD, known, after)


def test_the_count_starts_anew_where_the_contact_is_found_equal() -> None:
    known = wrote(OLD, contested=5, contested_of=EARLIER_PLAN)
    assert Decision(Status.UNCHANGED) == decided(NEW, NEW, known)


def test_a_stale_read_keeps_the_count() -> None:
    known = wrote(OLD, contested=2, contested_of=EARLIER_PLAN)
    assert Decision(Status.UPDATED, writes=True, contested=2) == decided(
        NEW, OLD, known, timedelta()
    )


def test_a_contact_that_is_contested_stays_so_for_a_repeated_attempt() -> None:
    """Whether the attempt reads its own write, or still the value before."""
    known = wrote(OLD, status=Status.CONTESTED, status_of=PLANNED_AT, contested=3)
    for seen, writes in ((OLD, True), (NEW, False)):
        decision = decided(NEW, seen, known, timedelta())
        assert (Status.CONTESTED, writes, 3) == (
            decision.status,
            decision.writes,
            decision.contested,
        )


def test_a_run_that_died_before_it_recorded_its_count_counts_when_repeated() -> None:
    known = KnownContact(
        written=over(OLD, at=NOW - DAY),
        intended=over(OLD, planned_at=PLANNED_AT),
        contested=1,
        contested_of=EARLIER_PLAN,
    )
    assert Decision(Status.UPDATED, writes=True, contested=2) == decided(
        NEW, OLD, known, timedelta()
    )


@pytest.mark.rule(3)
@pytest.mark.parametrize("after", [timedelta(), DAY])
@pytest.mark.parametrize(
    ("contact_type", "is_insisted", "writes"),
    [(BILLING, False, True), (PRIMARY, False, False), (PRIMARY, True, True)],
)
def test_a_contested_primary_contact_is_written_only_for_a_person_who_names_the_account(
    contact_type: ContactType,
    after: timedelta,
    *,
    is_insisted: bool,
    writes: bool,
) -> None:
    """Each write may send a text message."""
    known = wrote(OLD, contested=3, contested_of=EARLIER_PLAN)
    decision = decided(NEW, OLD, known, after, contact_type, is_insisted=is_insisted)
    assert (Status.CONTESTED, writes) == (decision.status, decision.writes)


def test_a_contested_contact_is_still_deleted_with_the_source() -> None:
    known = wrote(OLD, contested=3, contested_of=EARLIER_PLAN)
    assert Decision(Status.DELETED, writes=True) == decided(ABSENT, NEW, known)


# In sync since when


SINCE = NOW - DAY
IN_SYNC = KnownContact(in_sync=InSync(SINCE, NEW))
EQUAL = Decision(Status.UNCHANGED)


@pytest.mark.parametrize(
    ("decision", "known", "since"),
    [
        (EQUAL, IN_SYNC, SINCE),
        (EQUAL, UNKNOWN, NOW),
        # The desired contact has changed, and the account's own with it.
        (EQUAL, KnownContact(in_sync=InSync(SINCE, OLD)), NOW),
        # A repeated attempt of the run that wrote it.
        (Decision(Status.UPDATED), IN_SYNC, SINCE),
        (Decision(Status.UPDATED, writes=True), IN_SYNC, NOW),
        (Decision(Status.UNCHANGED, wrote=over(OLD)), IN_SYNC, NOW),
    ],
)
def test_a_write_or_another_contact_starts_the_time_in_sync_anew(
    decision: Decision, known: KnownContact, since: datetime
) -> None:
    assert InSync(since, NEW) == in_sync_after(decision, NEW, known, NOW)


@pytest.mark.parametrize("status", [Status.SKIPPED, Status.CONTESTED])
def test_a_contact_that_stays_different_is_not_in_sync(status: Status) -> None:
    assert in_sync_after(Decision(status), NEW, IN_SYNC, NOW) is None


# Drift


@pytest.mark.parametrize(
    ("wanted", "seen", "known", "drifted"),
    [
        (NEW, OLD, IN_SYNC, True),
        (NEW, NEW, IN_SYNC, False),
        # The source has changed.
        (THIRD, OLD, IN_SYNC, False),
        # Never compared, or known to be different.
        (NEW, OLD, UNKNOWN, False),
        # An earlier attempt of this run found it, and may have repaired it.
        (NEW, NEW, KnownContact(drifted=True, status_of=PLANNED_AT), True),
        (NEW, NEW, KnownContact(drifted=True, status_of=EARLIER_PLAN), False),
        # The read may be older than our write.
        (NEW, OLD, wrote(OLD, in_sync=IN_SYNC.in_sync), False),
        (NEW, THIRD, wrote(OLD, in_sync=IN_SYNC.in_sync), True),
    ],
)
def test_drift_is_a_difference_where_nothing_that_decides_has_changed(
    wanted: str, seen: str, known: KnownContact, *, drifted: bool
) -> None:
    assert drifted == has_drifted(wanted, seen, known, planned_at=PLANNED_AT, now=NOW)


# After an undo


@pytest.mark.parametrize("kind", ["undone", "undoing"])
@pytest.mark.parametrize(("after", "writes"), [(timedelta(), True), (TEN_MINUTES, False)])
def test_what_seems_equal_may_be_older_than_what_an_undo_put_back(
    after: timedelta, kind: str, *, writes: bool
) -> None:
    known = KnownContact(**{kind: over(NEW, digest=OLD)})
    assert writes == decided(NEW, NEW, known, after).writes


@pytest.mark.parametrize("seen", [OLD, ABSENT])
def test_what_an_undo_put_back_is_not_ours_to_delete(seen: str) -> None:
    known = KnownContact(undone=over(ABSENT, digest=OLD))
    assert Decision(Status.SKIPPED) == decided(ABSENT, seen, known, timedelta())
