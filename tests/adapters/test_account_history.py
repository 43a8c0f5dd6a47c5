"""One account through attempts and runs: each uses what earlier ones recorded."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contact_sync import account_sync
from contact_sync.account_sync import LOST_DIGIT, AccountSync, AccountTask
from contact_sync.aws.account_states import AccountStatesTable
from contact_sync.aws.lock_table import LockTable
from contact_sync.contact_sets import same_for_all
from contact_sync.contacts import Contact, ContactType
from contact_sync.errors import (
    ContestedError,
)
from support.builders import MEMBER, STARTED_AT, make_account, make_contact, make_source
from support.fakes import FakeContacts, FakeReplaced
from support.moto_stack import STATE_TABLE

BILLING = ContactType.BILLING
THEIRS = make_contact(PhoneNumber="+1 555-0199")


class History:
    """A member account, its state, the lock, and a clock that only the test moves."""

    def __init__(self, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.contacts = FakeContacts()
        self.states = AccountStatesTable(client, STATE_TABLE)
        self.now = datetime(2026, 1, 5, 10, tzinfo=UTC)
        self._lock = LockTable(client, STATE_TABLE)
        self._runs = 0
        self._monkeypatch = monkeypatch

    def sets_back(self) -> None:
        """Let somebody in the account set the contact."""
        self.contacts.contacts[MEMBER, BILLING] = THEIRS

    def plan(self, *names: ContactType) -> AccountTask:
        """Let the next run take the lock from the current holder, and plan."""
        self._runs += 1
        sync_id, planned_at = f"run-{self._runs}", self.now.isoformat(timespec="microseconds")
        self._lock.release(self._lock.read().holder or "")
        self._lock.take(sync_id, self.now)
        assert self._lock.record_plan(sync_id, planned_at, {})
        contact_set = same_for_all(names or (BILLING,))
        return AccountTask(MEMBER, sync_id, planned_at, contact_set, dry_run=False)

    def attempt(self, task: AccountTask, **contacts: Contact | None) -> str:
        """Make one attempt; return its digit, or the name of its error."""
        clock = type("Clock", (), {"now": staticmethod(lambda _zone: self.now)})
        self._monkeypatch.setattr(account_sync, "datetime", clock)
        sync = AccountSync(
            make_source(**contacts),
            self.contacts,
            self.states,
            make_account,
            lambda _: None,
            FakeReplaced(),
        )
        try:
            return str(sync.run(task))
        except (ContestedError, SystemExit) as error:
            return type(error).__name__

    def run(self, *names: ContactType) -> str:
        """Make a run with one attempt."""
        return self.attempt(self.plan(*names))

    def status(self, task: AccountTask) -> str:
        """Return what the run has recorded, as its reporter reads it."""
        ((_, item),) = self.states.items([MEMBER], task.sync_id, STARTED_AT, dry_run=False)
        is_recorded = item["billing"]["planned_at"] == task.planned_at
        return str(item["billing"]["status"]) if is_recorded else "not recorded"


@pytest.fixture
def history(state_table: Any, monkeypatch: pytest.MonkeyPatch) -> History:
    return History(state_table, monkeypatch)


def test_a_second_run_changes_nothing(history: History) -> None:
    assert "1" == history.run(*ContactType)
    history.now += timedelta(hours=1)
    assert "0" == history.run(*ContactType)
    assert 4 == len(history.contacts.writes)


def test_a_contact_that_is_set_back_is_contested_in_the_third_run_in_a_row(
    history: History,
) -> None:
    digits = []
    for _ in range(6):
        history.sets_back()
        digits.append(history.run())
        history.now += timedelta(days=1)
    # The first run overwrites a contact that no run wrote.
    assert ["1", "1", "1", "ContestedError", "ContestedError", "ContestedError"] == digits
    assert 6 == len(history.contacts.writes)


def test_attempts_and_runs_within_an_hour_of_a_write_count_once(history: History) -> None:
    history.run()
    for _ in range(2):
        history.now += timedelta(days=1)
        for _ in range(3):
            task = history.plan()
            for _ in range(3):
                history.sets_back()
                assert "1" == history.attempt(task)
                history.now += timedelta(minutes=5)
    history.now += timedelta(days=1)
    history.sets_back()
    assert "ContestedError" == history.run()


class DyingContacts(FakeContacts):
    """Contacts whose writer dies after it has deleted one."""

    def delete(self, account_id: str, contact_type: ContactType) -> None:
        """Delete the contact, and die."""
        super().delete(account_id, contact_type)
        raise SystemExit


def test_an_attempt_that_died_after_its_write_is_counted_by_the_next(history: History) -> None:
    history.run()
    history.now += timedelta(days=1)
    task = history.plan()
    steady, history.contacts = history.contacts, DyingContacts(history.contacts.contacts)
    assert "SystemExit" == history.attempt(task, billing=None)
    assert "not recorded" == history.status(task)
    steady.contacts, history.contacts = history.contacts.contacts, steady
    steady.writes.clear()
    assert "1" == history.attempt(task, billing=None)
    assert ("deleted", []) == (history.status(task), steady.writes)


def test_a_late_function_of_an_older_run_writes_and_records_nothing(history: History) -> None:
    old = history.plan()
    history.now += timedelta(minutes=5)
    new = history.plan()
    assert "1" == history.attempt(new, billing=make_contact(Name="Newer Tester"))
    history.now += timedelta(days=1)
    assert str(LOST_DIGIT) == history.attempt(old)
    assert 1 == len(history.contacts.writes)
    assert "updated" == history.status(new)
