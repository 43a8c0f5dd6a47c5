"""An undo: what is put back where, what is named instead, and whose undo it is."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from account_lister.selection import Selection
from account_lister.sets import RunSets
from account_lister.undo import replacing_runs, select_undone
from contact_sync.accounts import ListedAccount
from contact_sync.comparison import UNKNOWN, Decision, KnownContact, Status
from contact_sync.contact_sets import OWN, Overrides
from contact_sync.contacts import ABSENT, Contact, ContactType
from contact_sync.errors import InvalidRequestError
from contact_sync.undo import CHANGED_SINCE, NOT_DELETABLE, Former, Replaced, former
from contact_sync_handler.undo import check_undo, runs_to_undo
from support.builders import (
    EARLIER,
    EARLIER_PLAN,
    KEY,
    LATER_PLAN,
    MANAGEMENT,
    MEMBER,
    NOW,
    OTHER,
    PLANNED_AT,
    STRANGER,
    THIRD,
    UNIT,
    in_units,
    make_account,
    make_contact,
    make_execution,
    make_scope,
    make_write,
)
from support.fakes import FakeExecutions, FakeRuns

BILLING, SECURITY, PRIMARY = ContactType.BILLING, ContactType.SECURITY, ContactType.PRIMARY
# What was there first, what one run wrote, and what a later one wrote.
FIRST, SECOND, THIRD_ONE = (make_contact(Name=f"Tester {n}") for n in ("A", "B", "C"))
UNDO_PLAN = LATER_PLAN


def digest(contact: Contact | None) -> str:
    return contact.digest(KEY) if contact else ABSENT


def replaced(before: Contact | None, after: Contact | None) -> Replaced:
    return Replaced(before, digest(after))


def undo(
    links: list[Replaced],
    seen: Contact | None,
    known: KnownContact = UNKNOWN,
    name: ContactType = BILLING,
    now: datetime = NOW,
) -> Former:
    return former(name, links, digest(seen), known, KEY, planned_at=UNDO_PLAN, now=now)


# One contact


def test_what_the_run_wrote_is_replaced_by_what_was_there() -> None:
    expected = Former(Decision(Status.UPDATED, writes=True), FIRST)
    assert expected == undo([replaced(FIRST, SECOND)], SECOND)


def test_what_was_not_set_is_deleted_and_what_was_deleted_is_set() -> None:
    assert Former(Decision(Status.DELETED, writes=True)) == undo([replaced(None, FIRST)], FIRST)
    assert FIRST == undo([replaced(FIRST, None)], None).contact


def test_a_primary_contact_is_not_deleted() -> None:
    made = make_contact("primary")
    found = undo([replaced(None, made)], made, name=PRIMARY)
    assert Former(Decision(Status.SKIPPED, reason=NOT_DELETABLE)) == found


@pytest.mark.parametrize("seen", [THIRD_ONE, None])
def test_what_was_changed_since_is_left_alone(seen: Contact | None) -> None:
    expected = Former(Decision(Status.SKIPPED, reason=CHANGED_SINCE))
    assert expected == undo([replaced(FIRST, SECOND)], seen)


def test_what_is_as_before_is_unchanged() -> None:
    assert Former(Decision(Status.UNCHANGED)) == undo([replaced(FIRST, SECOND)], FIRST)


def test_of_a_continued_run_the_later_is_undone_first() -> None:
    links = [replaced(SECOND, THIRD_ONE), replaced(FIRST, SECOND)]
    assert FIRST == undo(links, THIRD_ONE).contact
    assert FIRST == undo(links, SECOND).contact
    # Between the two it was changed by somebody else, whose value it gets back.
    assert SECOND == undo([replaced(SECOND, THIRD_ONE), replaced(FIRST, FIRST)], THIRD_ONE).contact


# Reads that may be older than our last write


@pytest.mark.parametrize("kind", ["written", "intended"])
def test_a_read_that_may_be_older_than_the_runs_write_is_not_believed(kind: str) -> None:
    known = KnownContact(**{kind: make_write(digest=digest(SECOND), replaced=digest(FIRST))})
    links = [replaced(FIRST, SECOND)]
    assert undo(links, FIRST, known).decision.writes
    later = NOW + timedelta(minutes=10)
    assert Status.UNCHANGED is undo(links, FIRST, known, now=later).decision.status


def test_a_read_that_may_be_older_than_what_was_put_back_is_not_believed() -> None:
    known = KnownContact(undone=make_write(digest=digest(FIRST), replaced=digest(SECOND)))
    assert Status.UNCHANGED is undo([replaced(FIRST, SECOND)], SECOND, known).decision.status


# A repeated attempt


def test_what_this_run_has_put_back_stays_reported_so() -> None:
    known = KnownContact(status=Status.UPDATED, status_of=UNDO_PLAN)
    assert Status.UPDATED is undo([replaced(FIRST, SECOND)], FIRST, known).decision.status


@pytest.mark.parametrize(("before", "status"), [(FIRST, Status.UPDATED), (None, Status.DELETED)])
def test_what_an_attempt_put_back_that_died_is_reported_as_what_it_was(
    before: Contact | None, status: Status
) -> None:
    wrote = make_write(digest=digest(before), replaced=digest(SECOND), planned_at=UNDO_PLAN)
    found = undo([replaced(before, SECOND)], before, KnownContact(undoing=wrote))
    assert Former(Decision(status, wrote=wrote)) == found


def test_what_was_put_back_stays_reported_so_after_an_attempt_that_could_not_read() -> None:
    wrote = make_write(digest=digest(FIRST), replaced=digest(SECOND), planned_at=UNDO_PLAN)
    known = KnownContact(undone=wrote, status=Status.FAILED, status_of=UNDO_PLAN)
    found = undo([replaced(FIRST, SECOND)], FIRST, known)
    assert Former(Decision(Status.UPDATED, wrote=wrote)) == found


def test_what_an_attempt_that_died_may_not_have_put_back_is_put_back() -> None:
    wrote = make_write(digest=digest(FIRST), replaced=digest(SECOND), planned_at=PLANNED_AT)
    found = undo([replaced(FIRST, SECOND)], SECOND, KnownContact(undoing=wrote))
    assert Former(Decision(Status.UPDATED, writes=True), FIRST) == found


def test_what_an_earlier_undo_put_back_is_unchanged() -> None:
    wrote = make_write(digest=digest(FIRST), replaced=digest(SECOND), planned_at=PLANNED_AT)
    found = undo([replaced(FIRST, SECOND)], FIRST, KnownContact(undone=wrote))
    assert Former(Decision(Status.UNCHANGED)) == found


# Which accounts


ORGANIZATION = [
    make_account(MANAGEMENT),
    make_account(MEMBER, path=f"{UNIT}/"),
    make_account(OTHER),
    make_account(THIRD, state="SUSPENDED"),
]


def select(*account_ids: str, **scope: Any) -> Selection:
    """Select for the undo of a run that wrote the billing contact of these accounts."""
    of_scope = make_scope(undoes=("run-1",), **{"synced_types": (BILLING,), **scope})
    run_sets = RunSets(of_scope, [BILLING], lambda _account, _units: {})
    replacing = replacing_runs([("run-1", [(one, BILLING) for one in account_ids])], [BILLING])
    return select_undone(ORGANIZATION, of_scope, in_units, replacing, run_sets)


def test_the_accounts_that_the_run_wrote_are_undone() -> None:
    selection = select(MEMBER)
    assert [ListedAccount(MEMBER, 0)] == selection.accounts
    assert {} == selection.named_skips


def test_an_excluded_account_is_undone_and_stays_so() -> None:
    expected = [ListedAccount(MEMBER, 0, (BILLING,)), ListedAccount(OTHER, 0)]
    assert expected == select(MEMBER, OTHER, excluded_accounts=[MEMBER]).accounts
    assert expected == select(MEMBER, OTHER, excluded_organizational_units=[UNIT]).accounts


def test_what_is_not_synced_or_the_accounts_own_stays() -> None:
    stays = [ListedAccount(MEMBER, 0, (BILLING,))]
    assert stays == select(MEMBER, synced_types=(SECURITY,)).accounts
    overrides = Overrides(accounts={MEMBER: {BILLING: OWN}})
    assert stays == select(MEMBER, overrides=overrides).accounts


@pytest.mark.rule(2)
def test_the_management_account_and_inactive_ones_are_named_instead() -> None:
    selection = select(MANAGEMENT, THIRD, STRANGER)
    assert [] == selection.accounts
    missing = "not in the organization"
    expected = {THIRD: "SUSPENDED", STRANGER: missing, MANAGEMENT: missing}
    assert expected == selection.named_skips


def test_it_may_be_narrowed() -> None:
    assert [ListedAccount(MEMBER, 0)] == select(MEMBER, OTHER, account_ids=[MEMBER]).accounts
    assert [ListedAccount(MEMBER, 0)] == select(MEMBER, OTHER, organizational_units=[UNIT]).accounts
    named = select(MEMBER, account_ids=[OTHER]).named_skips
    assert {OTHER: "not written by that run"} == named


def test_an_unknown_state_is_counted() -> None:
    accounts = [make_account(one, state="FROZEN") for one in (MEMBER, OTHER)]
    scope = make_scope(undoes=("run-1",))
    run_sets = RunSets(scope, [BILLING], lambda _account, _units: {})
    replacing = {one.id: {BILLING: ["run-1"]} for one in accounts}
    selection = select_undone(accounts, scope, in_units, replacing, run_sets)
    assert {"FROZEN": 2} == selection.unknown_states


def test_a_run_of_which_nothing_is_kept_is_named() -> None:
    (warning,) = select().warnings
    assert "no replaced contacts are kept for run-1" in warning


def test_accounts_share_sets_and_only_types_asked_for_count() -> None:
    found = replacing_runs(
        [("late", [(MEMBER, BILLING)]), ("early", [(MEMBER, BILLING), (OTHER, PRIMARY)])],
        [BILLING, SECURITY],
    )
    assert {MEMBER: {BILLING: ["late", "early"]}} == found


# Which runs


class Runs(FakeRuns):
    """Runs by name, with what their items say."""

    def __init__(self, **items: Any) -> None:
        super().__init__()
        for name, item in items.items():
            self.update(EARLIER, name, item)


def test_a_run_alone_is_undone_alone() -> None:
    assert ["one"] == runs_to_undo(Runs(one={"planned_at": PLANNED_AT}), "one")  # type: ignore[arg-type]


@pytest.mark.parametrize("named", ["one", "two"])
def test_a_run_and_the_one_that_continued_it_are_undone_together(named: str) -> None:
    runs = Runs(
        one={"planned_at": EARLIER_PLAN, "continued_by": "two"},
        two={"planned_at": PLANNED_AT, "request": {"continues": ["one"]}},
    )
    assert ["two", "one"] == runs_to_undo(runs, named)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("item", "status", "fault"),
    [
        ({}, "UNKNOWN", "run one not found"),
        ({"dry_run": True}, "SUCCEEDED", "was a dry run"),
        ({"done_by": "two"}, "SUCCEEDED", "undo two"),
        ({"planned_at": PLANNED_AT}, "RUNNING", "still running"),
        ({}, "SUCCEEDED", "its request is not done yet"),
    ],
)
def test_what_cannot_be_undone_is_refused(item: Any, status: str, fault: str) -> None:
    runs = Runs(one=item) if item else Runs()
    executions = FakeExecutions(make_execution(status, "one")) if status != "UNKNOWN" else None
    with pytest.raises(InvalidRequestError, match=fault):
        check_undo("one", runs, executions or FakeExecutions(), ["one"], keeps=True)  # type: ignore[arg-type]


def test_where_nothing_is_kept_nothing_is_undone() -> None:
    with pytest.raises(InvalidRequestError, match="KeepReplacedDays is 0"):
        check_undo("one", Runs(one={}), FakeExecutions(), [], keeps=False)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "item",
    [
        {"planned_at": PLANNED_AT, "ended_at": EARLIER},
        {"planned_at": PLANNED_AT},
        {"planned_at": PLANNED_AT, "done_by": "its recovery"},
    ],
)
def test_a_run_that_has_ended_or_died_can_be_undone(item: Any) -> None:
    executions = FakeExecutions(make_execution("FAILED", "one"))
    check_undo("one", Runs(one=item), executions, ["one"], keeps=True)  # type: ignore[arg-type]
