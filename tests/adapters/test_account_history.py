"""One account through attempts and runs: what one records, the next one knows."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contact_sync import account_sync
from contact_sync.account_sync import LOST_DIGIT, AccountSync, AccountTask
from contact_sync.aws.account_states import AccountStatesTable
from contact_sync.aws.lock_table import LockTable
from contact_sync.comparison import Status
from contact_sync.contact_sets import same_for_all
from contact_sync.contacts import Contact, ContactType
from contact_sync.errors import (
    AccessDeniedError,
    ContestedError,
    RepeatAccountError,
    ServiceUnavailableError,
)
from support.builders import MEMBER, STARTED_AT, make_account, make_contact, make_source
from support.fakes import FakeContacts, FakeReplaced
from support.moto_stack import STATE_TABLE

BILLING, SECURITY, PRIMARY = ContactType.BILLING, ContactType.SECURITY, ContactType.PRIMARY
THEIRS = {name: make_contact(name, PhoneNumber="+1 555-0199") for name in ContactType}


class History:
    """A member account, its state and the lock, and a clock that stands still between runs."""

    def __init__(self, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.account = make_account()
        self.contacts = FakeContacts()
        self.states = AccountStatesTable(client, STATE_TABLE)
        self.now = datetime(2026, 1, 5, 10, tzinfo=UTC)
        self._lock = LockTable(client, STATE_TABLE)
        self._runs = 0
        self._monkeypatch = monkeypatch

    def sets_back(self, *names: ContactType) -> None:
        """Let somebody in the account set the contacts."""
        for name in names:
            self.contacts.contacts[MEMBER, name] = THEIRS[name]

    def plan(self, *names: ContactType) -> AccountTask:
        """Let the next run take the lock and plan, in place of whichever run held it."""
        self._runs += 1
        sync_id, planned_at = f"run-{self._runs}", self.now.isoformat(timespec="microseconds")
        self._lock.release(self._lock.read().holder or "")
        self._lock.take(sync_id, self.now)
        assert self._lock.record_plan(sync_id, planned_at, {})
        contact_set = same_for_all(names or (BILLING,))
        return AccountTask(MEMBER, sync_id, planned_at, contact_set, dry_run=False)

    def attempt(
        self,
        task: AccountTask,
        insisted: Iterable[str] = (),
        **contacts: Contact | None,
    ) -> str:
        """Make one attempt; return its digit, or the name of its error."""
        clock = type("Clock", (), {"now": staticmethod(lambda _zone: self.now)})
        self._monkeypatch.setattr(account_sync, "datetime", clock)
        source = make_source(insisted=insisted, **contacts)
        sync = AccountSync(
            source,
            self.contacts,
            self.states,
            lambda _: self.account,
            lambda _: None,
            FakeReplaced(),
        )
        try:
            return str(sync.run(task))
        except (ContestedError, RepeatAccountError, SystemExit) as error:
            return type(error).__name__

    def run(self, *names: ContactType, **source: Any) -> str:
        """Make a run with one attempt."""
        return self.attempt(self.plan(*names), **source)

    def statuses(self, task: AccountTask) -> list[str]:
        """Return what the run has recorded, as its reporter reads it."""
        ((_, item),) = self.states.items([MEMBER], task.sync_id, STARTED_AT, dry_run=False)
        records = [item.get(name, {}) for name in task.contact_set]
        return [
            one["status"] if one.get("planned_at") == task.planned_at else "not recorded"
            for one in records
        ]


@pytest.fixture
def history(state_table: Any, monkeypatch: pytest.MonkeyPatch) -> History:
    return History(state_table, monkeypatch)


def test_a_second_run_changes_nothing(history: History) -> None:
    assert "1" == history.run(*ContactType)
    history.now += timedelta(hours=1)
    assert "0" == history.run(*ContactType)
    assert 4 == len(history.contacts.writes)


# Contested


def test_a_contact_that_is_set_back_is_contested_in_the_third_run_in_a_row(
    history: History,
) -> None:
    digits = []
    for _ in range(6):
        history.sets_back(BILLING)
        digits.append(history.run())
        history.now += timedelta(days=1)
    # The first run writes over what it never wrote itself.
    assert ["1", "1", "1", "ContestedError", "ContestedError", "ContestedError"] == digits
    assert 6 == len(history.contacts.writes)


def test_attempts_and_runs_within_an_hour_of_our_write_count_once(history: History) -> None:
    history.run()
    for _ in range(2):
        history.now += timedelta(days=1)
        for _ in range(3):
            task = history.plan()
            for _ in range(3):
                history.sets_back(BILLING)
                assert "1" == history.attempt(task)
                history.now += timedelta(minutes=5)
    history.now += timedelta(days=1)
    history.sets_back(BILLING)
    assert "ContestedError" == history.run()


def test_a_row_that_a_good_run_ended_starts_anew(history: History) -> None:
    history.run()
    for _ in range(2):
        for is_set_back in (True, True, False):
            history.now += timedelta(days=1)
            if is_set_back:
                history.sets_back(BILLING)
            assert ("1" if is_set_back else "0") == history.run()


def test_another_value_starts_anew(history: History) -> None:
    for _ in range(4):
        history.sets_back(BILLING)
        last = history.run()
        history.now += timedelta(days=1)
    assert "ContestedError" == last
    history.sets_back(BILLING)
    assert "1" == history.run(billing=make_contact(Name="Another Tester"))


def test_a_contested_contact_stays_reported_while_another_one_is_repeated(
    history: History,
) -> None:
    history.run(BILLING, SECURITY)
    for _ in range(3):
        history.now += timedelta(days=1)
        history.sets_back(BILLING)
        task = history.plan(BILLING, SECURITY)
        history.contacts.failures["get", MEMBER, SECURITY] = ServiceUnavailableError("x")
        assert "RepeatAccountError" == history.attempt(task)
        history.contacts.failures.clear()
        # The next attempt's read is older than the write of the first.
        history.contacts.stale[MEMBER, BILLING] = THEIRS[BILLING]
        last = history.attempt(task)
        history.contacts.stale.clear()
        last = history.attempt(task)
    assert "ContestedError" == last
    assert ["contested", "unchanged"] == history.statuses(task)


def test_a_contested_primary_contact_is_written_again_when_a_person_or_the_value_asks_for_it(
    history: History,
) -> None:
    def run(**source: Any) -> tuple[str, int]:
        history.contacts.writes.clear()
        history.sets_back(PRIMARY)
        digit = history.run(PRIMARY, **source)
        history.now += timedelta(days=1)
        return digit, len(history.contacts.writes)

    assert [("1", 1)] * 3 == [run() for _ in range(3)]
    assert [("ContestedError", 0)] * 2 == [run() for _ in range(2)]
    assert ("ContestedError", 1) == run(insisted=[MEMBER])
    assert ("ContestedError", 0) == run()
    assert ("1", 1) == run(primary=make_contact("primary", City="Trialville"))


# Attempts that die


class DyingContacts(FakeContacts):
    """Contacts whose writer dies after each write."""

    def put(self, account_id: str, contact: Contact) -> None:
        """Replace the contact, and die."""
        super().put(account_id, contact)
        raise SystemExit

    def delete(self, account_id: str, contact_type: ContactType) -> None:
        """Delete the contact, and die."""
        super().delete(account_id, contact_type)
        raise SystemExit


@pytest.mark.parametrize(
    ("before", "source", "status"),
    [
        (None, make_contact(), Status.UPDATED),
        (THEIRS[BILLING], make_contact(), Status.UPDATED),
        (make_contact(), None, Status.DELETED),
    ],
)
def test_an_attempt_that_died_after_its_write_is_counted_by_the_next(
    before: Contact | None, source: Contact | None, status: Status, history: History
) -> None:
    if source is None:
        history.run()
        history.now += timedelta(days=1)
    elif before:
        history.sets_back(BILLING)
    task = history.plan()
    steady, history.contacts = history.contacts, DyingContacts(history.contacts.contacts)
    assert "SystemExit" == history.attempt(task, billing=source)
    assert ["not recorded"] == history.statuses(task)
    steady.contacts, history.contacts = history.contacts.contacts, steady
    steady.writes.clear()
    assert "1" == history.attempt(task, billing=source)
    assert ([status], []) == (history.statuses(task), steady.writes)


@pytest.mark.rule(15)
def test_what_a_dead_attempt_wrote_is_still_deleted_when_the_source_is(history: History) -> None:
    steady, history.contacts = history.contacts, DyingContacts()
    assert "SystemExit" == history.run()
    steady.contacts, history.contacts = history.contacts.contacts, steady
    history.now += timedelta(days=1)
    assert "1" == history.run(billing=None)
    assert {} == steady.contacts


class UnansweringContacts(FakeContacts):
    """Contacts that carry out each write, and do not answer it."""

    def put(self, account_id: str, contact: Contact) -> None:
        """Replace the contact, and fail."""
        super().put(account_id, contact)
        raise ServiceUnavailableError("timed out")


@pytest.mark.parametrize("state", ["ACTIVE", "CLOSED"])
def test_a_write_without_an_answer_stays_known_beside_a_denial(
    state: str, history: History
) -> None:
    """An account that has just joined is tried again; one that closed may be opened again."""
    history.account = make_account(state=state, joined_at=history.now - timedelta(minutes=5))
    steady, history.contacts = history.contacts, UnansweringContacts()
    history.contacts.failures["get", MEMBER, SECURITY] = AccessDeniedError("denied")
    task = history.plan(BILLING, SECURITY)
    assert ("RepeatAccountError" if state == "ACTIVE" else "3") == history.attempt(task)
    steady.contacts, history.contacts = history.contacts.contacts, steady
    assert "1" == history.attempt(task)
    assert ["updated", "updated"] == history.statuses(task)
    history.now += timedelta(days=1)
    assert "1" == history.run(billing=None)
    assert (MEMBER, BILLING) not in steady.contacts


def test_a_write_without_an_answer_is_made_again_until_it_can_be_seen(history: History) -> None:
    history.sets_back(BILLING)
    history.contacts.failures["put", MEMBER, BILLING] = ServiceUnavailableError("timed out")
    task = history.plan()
    assert "RepeatAccountError" == history.attempt(task)
    assert ["failed"] == history.statuses(task)
    history.contacts.failures.clear()
    assert "1" == history.attempt(task)
    assert [("put", MEMBER, BILLING)] == history.contacts.writes


# Stale reads


@pytest.mark.rule(9)
def test_a_source_that_goes_back_reaches_an_account_whose_read_is_stale(history: History) -> None:
    """Read right after a write, the account seems to have what the source wants again."""
    history.sets_back(BILLING)
    history.run()
    history.contacts.stale[MEMBER, BILLING] = THEIRS[BILLING]
    history.now += timedelta(minutes=1)
    assert "1" == history.run(billing=THEIRS[BILLING])
    assert THEIRS[BILLING] == history.contacts.contacts[MEMBER, BILLING]


# The fence


def test_a_late_function_of_an_older_run_writes_and_records_nothing(history: History) -> None:
    old = history.plan()
    history.now += timedelta(minutes=5)
    new = history.plan()
    assert "1" == history.attempt(new, billing=make_contact(Name="Newer Tester"))
    history.now += timedelta(days=1)
    assert str(LOST_DIGIT) == history.attempt(old)
    assert 1 == len(history.contacts.writes)
    assert ["updated"] == history.statuses(new)


def test_a_run_that_planned_again_fences_its_own_first_plan(history: History) -> None:
    task = history.plan()
    lock, later = history._lock, history.now + timedelta(minutes=1)
    assert lock.record_plan(task.sync_id, later.isoformat(timespec="microseconds"), {})
    assert str(LOST_DIGIT) == history.attempt(task)
    assert [] == history.contacts.writes
