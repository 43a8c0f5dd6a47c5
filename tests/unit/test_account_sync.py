"""One account: compare, write only what differs, record everything, then tell."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from builders import (
    KEY,
    MEMBER,
    SECRET_VALUES,
    STARTED_AT,
    make_child_input,
    make_contact,
    make_last_write,
    make_source,
    make_task,
)
from contact_sync.account_sync import AccountSync, AccountTask, Outcome, digit
from contact_sync.contacts import ABSENT, ALTERNATE_TYPES, ContactType
from contact_sync.errors import (
    AccessDeniedError,
    ApiRefusedError,
    ContactRefusedError,
    NotAcceptedError,
    ServiceUnavailableError,
    SyncError,
    ThrottledError,
)
from contact_sync.reconcile import Status
from fakes import FakeContacts, FakeStates

BILLING, OPERATIONS, SECURITY = ALTERNATE_TYPES
PRIMARY = ContactType.PRIMARY
OLD = make_contact(Name="Formerly Tester")


class Given:
    """One account with its contacts, and the sync of it."""

    def __init__(self, state: str | SyncError = "ACTIVE", **source: Any) -> None:
        self.contacts = FakeContacts()
        self.states = FakeStates()
        self.asked_for_state: list[str] = []
        self._state = state
        self.sync = AccountSync(make_source(**source), self.contacts, self.states, self._state_of)

    def _state_of(self, account_id: str) -> str:
        self.asked_for_state.append(account_id)
        if isinstance(self._state, SyncError):
            raise self._state
        return self._state

    def has(self, *names: ContactType) -> "Given":
        for name in names:
            self.contacts.contacts[MEMBER, name] = make_contact(name)
        return self

    def fails(self, operation: str, name: ContactType, error: Exception) -> "Given":
        self.contacts.failures[operation, MEMBER, name] = error
        return self

    def wrote_in_vain(self) -> "Given":
        """Let the billing contact be what the API took and did not keep."""
        self.contacts.contacts[MEMBER, BILLING] = OLD
        long_ago = datetime.now(UTC) - timedelta(minutes=11)
        self.states.written[BILLING] = make_last_write(replaced=OLD.digest(KEY), at=long_ago)
        return self

    def run(self, *types: ContactType, **task: Any) -> int:
        return self.sync.run(make_task(contact_types=types or (BILLING,), **task))

    @property
    def statuses(self) -> dict[ContactType, Status]:
        (recorded,) = self.states.recorded
        return {name: outcome.status for name, outcome in recorded.items()}

    @property
    def errors(self) -> dict[ContactType, str | None]:
        (recorded,) = self.states.recorded
        return {name: outcome.error for name, outcome in recorded.items() if outcome.error}


def test_what_is_equal_is_not_written() -> None:
    given = Given().has(*ALTERNATE_TYPES)
    assert 0 == given.run(*ALTERNATE_TYPES)
    assert [] == given.contacts.writes
    assert dict.fromkeys(ALTERNATE_TYPES, Status.UNCHANGED) == given.statuses


def test_the_state_is_read_once() -> None:
    given = Given().has(BILLING)
    given.run(*ALTERNATE_TYPES)
    assert 1 == given.states.reads


def test_what_seems_equal_is_written_where_the_read_may_be_older_than_our_last_write() -> None:
    given = Given().has(BILLING)
    given.states.written[BILLING] = make_last_write(
        digest=OLD.digest(KEY), replaced=make_contact().digest(KEY), at=datetime.now(UTC)
    )
    assert 1 == given.run()
    assert [("put", MEMBER, BILLING)] == given.contacts.writes


def test_only_what_differs_is_written() -> None:
    given = Given().has(BILLING, PRIMARY)
    assert 1 == given.run(BILLING, SECURITY, PRIMARY)
    assert [("put", MEMBER, SECURITY)] == given.contacts.writes
    assert Status.UPDATED is given.statuses[SECURITY]


def test_an_unset_contact_is_set() -> None:
    given = Given()
    assert 1 == given.run()
    assert make_contact() == given.contacts.contacts[MEMBER, BILLING]


def test_a_write_is_recorded_with_what_it_replaced() -> None:
    given = Given()
    given.contacts.contacts[MEMBER, BILLING] = OLD
    given.run()
    outcome = given.states.recorded[0][BILLING]
    assert outcome.write is not None
    assert make_contact().digest(KEY) == outcome.digest == outcome.write.digest
    assert OLD.digest(KEY) == outcome.write.replaced


def test_a_write_over_nothing_is_recorded_as_such() -> None:
    given = Given()
    given.run()
    write = given.states.recorded[0][BILLING].write
    assert write is not None
    assert ABSENT == write.replaced


def test_a_dry_run_tells_but_does_not_write() -> None:
    given = Given().has(SECURITY)
    assert 1 == given.run(BILLING, SECURITY, dry_run=True)
    assert [] == given.contacts.writes
    assert {BILLING: Status.UPDATED, SECURITY: Status.UNCHANGED} == given.statuses
    assert given.states.recorded[0][BILLING].write is None


def test_a_dry_run_records_the_digest_that_it_would_have_written() -> None:
    given = Given()
    given.run(dry_run=True)
    assert make_contact().digest(KEY) == given.states.recorded[0][BILLING].digest


def test_an_attempt_is_recorded_as_itself_at_its_time() -> None:
    given = Given()
    before = datetime.now(UTC)
    given.run()
    ((task, source, at),) = given.states.recorded_for
    assert (make_task(), make_source()) == (task, source)
    assert before <= at <= datetime.now(UTC)
    write = given.states.recorded[0][BILLING].write
    assert write is not None
    assert at == write.at


def test_a_repeated_attempt_asks_for_its_own_accounts_past() -> None:
    given = Given()
    given.run(attempt=2)
    assert [(MEMBER,), (make_task(attempt=2), STARTED_AT)] == given.states.asked


def test_a_second_run_writes_nothing() -> None:
    given = Given()
    given.run(*ALTERNATE_TYPES)
    given.contacts.writes.clear()
    given.states.recorded.clear()
    assert 0 == given.run(*ALTERNATE_TYPES)
    assert [] == given.contacts.writes


def test_one_contacts_failure_does_not_keep_the_others_from_their_turn() -> None:
    given = Given().fails("put", BILLING, ContactRefusedError("refused"))
    with pytest.raises(ContactRefusedError):
        given.run(*ALTERNATE_TYPES)
    assert {
        BILLING: Status.FAILED,
        OPERATIONS: Status.UPDATED,
        SECURITY: Status.UPDATED,
    } == given.statuses
    assert {BILLING: "ContactRefusedError"} == given.errors


@pytest.mark.parametrize("transient", [ThrottledError("x"), ServiceUnavailableError("x")])
def test_a_transient_error_is_raised_before_others(transient: Exception) -> None:
    given = Given().fails("get", BILLING, ContactRefusedError("refused"))
    given.fails("get", SECURITY, transient)
    with pytest.raises(type(transient)):
        given.run(BILLING, SECURITY)


def test_an_error_that_is_not_named_is_not_swallowed() -> None:
    given = Given().fails("get", BILLING, KeyError("bug"))
    with pytest.raises(KeyError):
        given.run()


def test_what_was_written_before_and_is_still_another_is_not_accepted_nor_written() -> None:
    given = Given().wrote_in_vain()
    with pytest.raises(NotAcceptedError, match=f"account {MEMBER}: the billing contact"):
        given.run()
    assert [] == given.contacts.writes
    assert {BILLING: Status.NOT_ACCEPTED} == given.statuses
    assert {BILLING: "NotAcceptedError"} == given.errors


def test_what_was_written_a_moment_ago_is_written_again() -> None:
    given = Given()
    given.contacts.contacts[MEMBER, BILLING] = OLD
    just_now = datetime.now(UTC) - timedelta(minutes=9)
    given.states.written[BILLING] = make_last_write(replaced=OLD.digest(KEY), at=just_now)
    assert 1 == given.run()
    assert [("put", MEMBER, BILLING)] == given.contacts.writes


def test_what_we_wrote_is_deleted_where_the_source_has_none() -> None:
    given = Given(billing=None).has(BILLING)
    given.states.written[BILLING] = make_last_write()
    assert 1 == given.run()
    assert [("delete", MEMBER, BILLING)] == given.contacts.writes
    outcome = given.states.recorded[0][BILLING]
    assert (Status.DELETED, ABSENT) == (outcome.status, outcome.digest)
    assert outcome.write is not None
    assert (ABSENT, make_contact().digest(KEY)) == (outcome.write.digest, outcome.write.replaced)


def test_a_dry_run_deletes_nothing() -> None:
    given = Given(billing=None).has(BILLING)
    given.states.written[BILLING] = make_last_write()
    assert 1 == given.run(dry_run=True)
    assert [] == given.contacts.writes


def test_what_we_did_not_write_is_left_where_the_source_has_none() -> None:
    given = Given(billing=None).has(BILLING)
    assert 3 == given.run()
    assert [] == given.contacts.writes
    assert {BILLING: Status.SKIPPED} == given.statuses


@pytest.mark.parametrize("state", ["CLOSED", "SUSPENDED", "not in the organization"])
def test_what_is_denied_to_an_account_that_closed_or_left_is_skipped(state: str) -> None:
    given = Given(state)
    for name in ALTERNATE_TYPES:
        given.fails("get", name, AccessDeniedError("denied"))
    assert 3 == given.run(*ALTERNATE_TYPES)
    assert dict.fromkeys(ALTERNATE_TYPES, Status.SKIPPED) == given.statuses
    assert dict.fromkeys(ALTERNATE_TYPES, state) == given.errors


def test_what_is_denied_to_an_active_account_has_failed() -> None:
    given = Given().fails("put", BILLING, AccessDeniedError("denied"))
    with pytest.raises(AccessDeniedError):
        given.run(BILLING, SECURITY)
    assert {BILLING: Status.FAILED, SECURITY: Status.UPDATED} == given.statuses
    assert [MEMBER] == given.asked_for_state


def test_what_was_written_before_the_account_closed_stays_written() -> None:
    given = Given("CLOSED").fails("get", SECURITY, AccessDeniedError("denied"))
    assert 1 == given.run(BILLING, SECURITY)
    assert {BILLING: Status.UPDATED, SECURITY: Status.SKIPPED} == given.statuses


@pytest.mark.parametrize(
    ("refusal", "raised"),
    [
        (ThrottledError("describe account"), ThrottledError),
        (ServiceUnavailableError("describe account"), ServiceUnavailableError),
        (ApiRefusedError("describe account"), AccessDeniedError),
        (AccessDeniedError("describe account"), AccessDeniedError),
    ],
)
def test_what_was_written_is_recorded_even_where_the_state_cannot_be_read(
    refusal: SyncError, raised: type[SyncError]
) -> None:
    given = Given(refusal).fails("get", SECURITY, AccessDeniedError("denied"))
    with pytest.raises(raised):
        given.run(BILLING, SECURITY)
    assert [("put", MEMBER, BILLING)] == given.contacts.writes
    assert {BILLING: Status.UPDATED, SECURITY: Status.FAILED} == given.statuses
    assert {SECURITY: "AccessDeniedError"} == given.errors


@pytest.mark.parametrize("state", ["CLOSED", "not in the organization"])
def test_what_was_not_accepted_by_an_account_that_closed_or_left_is_skipped(state: str) -> None:
    given = Given(state).wrote_in_vain().fails("get", SECURITY, AccessDeniedError("denied"))
    assert 3 == given.run(BILLING, SECURITY)
    assert dict.fromkeys((BILLING, SECURITY), Status.SKIPPED) == given.statuses


def test_what_an_active_account_did_not_accept_stays_so_beside_a_denial() -> None:
    given = Given().wrote_in_vain().fails("get", SECURITY, AccessDeniedError("denied"))
    with pytest.raises(NotAcceptedError):
        given.run(BILLING, SECURITY)
    assert {BILLING: Status.NOT_ACCEPTED, SECURITY: Status.FAILED} == given.statuses


def test_the_state_is_asked_for_only_where_something_was_denied() -> None:
    given = Given().fails("get", BILLING, ThrottledError("x"))
    with pytest.raises(ThrottledError):
        given.run()
    assert [] == given.asked_for_state


@pytest.mark.parametrize("earlier", [Status.UPDATED, Status.DELETED])
def test_a_change_of_an_earlier_attempt_stays_a_change(earlier: Status) -> None:
    given = Given().has(BILLING)
    given.states.earlier[BILLING] = earlier
    assert 1 == given.run(attempt=2)
    assert {BILLING: earlier} == given.statuses


@pytest.mark.parametrize("attempt", [2, 3])
def test_an_earlier_change_counts_beside_what_is_unchanged_and_failed(attempt: int) -> None:
    given = Given().has(BILLING, OPERATIONS).fails("put", SECURITY, ThrottledError("x"))
    given.states.earlier = {BILLING: Status.UPDATED}
    with pytest.raises(ThrottledError):
        given.run(*ALTERNATE_TYPES, attempt=attempt)
    assert {
        BILLING: Status.UPDATED,
        OPERATIONS: Status.UNCHANGED,
        SECURITY: Status.FAILED,
    } == given.statuses


def test_a_repeated_attempts_own_outcome_wins_over_an_earlier_change() -> None:
    given = Given().fails("get", BILLING, ContactRefusedError("refused"))
    given.states.earlier[BILLING] = Status.UPDATED
    with pytest.raises(ContactRefusedError):
        given.run(attempt=2)
    assert {BILLING: Status.FAILED} == given.statuses


def test_a_change_that_is_kept_is_no_second_write() -> None:
    given = Given().has(BILLING)
    given.states.earlier[BILLING] = Status.UPDATED
    given.run(attempt=2)
    assert [] == given.contacts.writes
    digest = make_contact().digest(KEY)
    expected = Outcome(Status.UPDATED, digest, change=Status.UPDATED)
    assert expected == given.states.recorded[0][BILLING]


def test_the_first_attempt_asks_for_no_earlier_one() -> None:
    given = Given().has(BILLING)
    given.states.earlier[BILLING] = Status.UPDATED
    assert 0 == given.run(attempt=1)


def test_a_processor_takes_only_its_own_types() -> None:
    event = make_child_input(contact_types=["primary", "security", "billing"], attempt=2)
    assert make_task(contact_types=(BILLING, SECURITY), attempt=2) == AccountTask.from_event(
        event, ALTERNATE_TYPES
    )


def test_a_processor_without_types_of_its_own_does_nothing() -> None:
    given = Given()
    assert 0 == given.sync.run(make_task(contact_types=()))
    assert [] == given.contacts.writes


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], 0),
        (["unchanged"], 0),
        (["unchanged", "skipped"], 0),
        (["skipped", "skipped"], 3),
        (["skipped", "updated"], 1),
        (["unchanged", "deleted"], 1),
    ],
)
def test_a_digit_tells_of_an_account(statuses: list[str], expected: int) -> None:
    assert expected == digit([Status(status) for status in statuses])


def test_a_source_never_prints_its_values_or_its_key() -> None:
    printed = repr(make_source())
    assert [] == [value for value in (*SECRET_VALUES, str(KEY)) if value in printed]


def test_an_error_never_holds_a_value() -> None:
    given = Given().wrote_in_vain()
    with pytest.raises(NotAcceptedError) as caught:
        given.run()
    assert [] == [value for value in SECRET_VALUES if value in repr(caught.value)]


@pytest.mark.parametrize("change", [Status.UPDATED, Status.DELETED])
def test_a_change_is_kept_beside_a_later_failure(change: Status) -> None:
    given = Given().fails("get", BILLING, ThrottledError("again"))
    given.states.earlier[BILLING] = change
    with pytest.raises(ThrottledError):
        given.run(attempt=2)
    recorded = given.states.recorded[0][BILLING]
    assert (Status.FAILED, change) == (recorded.status, recorded.change)
