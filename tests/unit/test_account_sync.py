"""One account: read, compare, write only the differences under the fence, record, then raise."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contact_sync.account_sync import LOST_DIGIT, AccountSync, AccountTask, digit
from contact_sync.accounts import Account
from contact_sync.comparison import InSync, KnownContact, Status
from contact_sync.contact_sets import OWN, SOURCE, same_for_all
from contact_sync.contacts import ABSENT, ALTERNATE_TYPES, Contact, ContactType
from contact_sync.errors import (
    AccessDeniedError,
    ApiRefusedError,
    ContactRefusedError,
    ContestedError,
    InvalidContactError,
    RepeatAccountError,
    ServiceUnavailableError,
    SyncError,
    ThrottledError,
)
from contact_sync.undo import Replaced
from support.builders import (
    ALTERNATE_FIELDS,
    EARLIER_PLAN,
    KEY,
    MEMBER,
    PLANNED_AT,
    SECRET_VALUES,
    STARTED_AT,
    SYNC_ID,
    make_account,
    make_child_input,
    make_contact,
    make_source,
    make_task,
    make_write,
)
from support.fakes import FakeContacts, FakeReplaced, FakeStates

BILLING, OPERATIONS, SECURITY = ALTERNATE_TYPES
PRIMARY = ContactType.PRIMARY
OLD = make_contact(Name="Formerly Tester")


def ago(**time: float) -> datetime:
    return datetime.now(UTC) - timedelta(**time)


class Given:
    """One account with its contacts and its state, and the sync of it."""

    def __init__(self, account: Account | SyncError | None = None, **source: Any) -> None:
        self.contacts = FakeContacts()
        self.states = FakeStates()
        self.looked_up: list[str] = []
        self._account = account or make_account()
        self.reserved: list[dict[str, int]] = []
        self.replaced = FakeReplaced()
        self.sync = AccountSync(
            make_source(**source),
            self.contacts,
            self.states,
            self._look_up,
            lambda calls: self.reserved.append(dict(calls)),
            self.replaced,
        )

    def _look_up(self, account_id: str) -> Account:
        self.looked_up.append(account_id)
        if isinstance(self._account, SyncError):
            raise self._account
        return self._account

    def has(self, *names: ContactType, **contacts: Contact) -> "Given":
        """Let the account have these contacts; by name alone, those of the source."""
        for name in names:
            self.contacts.contacts[MEMBER, name] = make_contact(name)
        for name_, contact in contacts.items():
            self.contacts.contacts[MEMBER, name_] = contact
        return self

    def fails(self, operation: str, name: ContactType, error: BaseException) -> "Given":
        self.contacts.failures[operation, MEMBER, name] = error
        return self

    def knows(self, name: ContactType, **known: Any) -> "Given":
        self.states.known[name] = KnownContact(**known)
        return self

    def is_contested(self, name: ContactType = BILLING) -> "Given":
        """Let the contact be set back, for the third time, long after we wrote it."""
        old = OLD if name is BILLING else make_contact(name, City="Formerly")
        written = make_write(
            digest=make_contact(name).digest(KEY), replaced=old.digest(KEY), at=ago(days=1)
        )
        self.contacts.contacts[MEMBER, name] = old
        return self.knows(name, written=written, contested=2, contested_of=EARLIER_PLAN)

    def run(self, *types: ContactType, **task: Any) -> int:
        return self.sync.run(make_task(contact_types=types or (BILLING,), **task))

    @property
    def statuses(self) -> dict[ContactType, Status]:
        (recorded,) = self.states.recorded
        return {name: result.status for name, result in recorded.items()}

    @property
    def errors(self) -> dict[ContactType, str | None]:
        (recorded,) = self.states.recorded
        return {name: result.error for name, result in recorded.items() if result.error}


# What is written


@pytest.mark.rule(3)
def test_what_is_equal_is_not_written() -> None:
    given = Given().has(*ALTERNATE_TYPES)
    assert 0 == given.run(*ALTERNATE_TYPES)
    assert ([], []) == (given.contacts.writes, given.states.intended)
    assert dict.fromkeys(ALTERNATE_TYPES, Status.UNCHANGED) == given.statuses
    assert [MEMBER] == given.states.reads


@pytest.mark.rule(3)
def test_only_what_differs_is_written() -> None:
    given = Given().has(BILLING, PRIMARY)
    assert 1 == given.run(BILLING, SECURITY, PRIMARY)
    assert [("put", MEMBER, SECURITY)] == given.contacts.writes
    assert make_contact("security") == given.contacts.contacts[MEMBER, SECURITY]
    assert Status.UPDATED is given.statuses[SECURITY]


def test_the_slots_of_an_accounts_reads_and_then_of_its_writes_are_reserved_together() -> None:
    given = Given(billing=None).has(SECURITY).knows(BILLING, written=make_write()).has(BILLING)
    given.run(*ALTERNATE_TYPES, PRIMARY)
    assert [
        {"GetAlternateContact": 3, "GetContactInformation": 1},
        {"DeleteAlternateContact": 1, "PutAlternateContact": 1, "PutContactInformation": 1},
    ] == given.reserved


def test_what_seems_equal_is_written_where_the_read_may_be_older_than_our_last_write() -> None:
    given = Given().has(BILLING)
    last = make_write(
        digest=OLD.digest(KEY), replaced=make_contact().digest(KEY), at=ago(minutes=9)
    )
    assert 1 == given.knows(BILLING, written=last).run()
    assert [("put", MEMBER, BILLING)] == given.contacts.writes


def test_what_we_wrote_is_deleted_where_the_source_has_none() -> None:
    given = Given(billing=None).has(BILLING).knows(BILLING, written=make_write())
    assert 1 == given.run()
    assert [("delete", MEMBER, BILLING)] == given.contacts.writes
    result = given.states.recorded[0][BILLING]
    assert Status.DELETED is result.status
    assert result.write is not None
    assert (ABSENT, make_contact().digest(KEY)) == (result.write.digest, result.write.replaced)


def test_what_we_did_not_write_is_kept_where_the_source_has_none() -> None:
    given = Given(billing=None).has(BILLING)
    assert 3 == given.run()
    assert [] == given.contacts.writes
    assert ({BILLING: Status.SKIPPED}, {}) == (given.statuses, given.errors)


def test_a_write_is_recorded_with_what_it_replaced_and_when() -> None:
    given = Given().has(billing=OLD)
    before = datetime.now(UTC)
    given.run(BILLING, SECURITY)
    ((task, started_at, at),) = given.states.recorded_for
    assert (make_task(contact_types=(BILLING, SECURITY)), STARTED_AT) == (task, started_at)
    assert before <= at <= datetime.now(UTC)
    recorded = given.states.recorded[0]
    over_old = make_write(replaced=OLD.digest(KEY), at=at)
    over_nothing = make_write(digest=make_contact("security").digest(KEY), at=at)
    assert (over_old, over_nothing) == (recorded[BILLING].write, recorded[SECURITY].write)


# The fence


@pytest.mark.rule(7)
@pytest.mark.parametrize(
    ("holder", "planned_at"),
    [
        ("run-2", PLANNED_AT),
        (SYNC_ID, "2026-01-05T10:00:06.000000+00:00"),
        (SYNC_ID, None),
        (None, PLANNED_AT),
        (None, None),
    ],
)
def test_nothing_is_written_or_recorded_without_the_lock_and_the_runs_own_plan(
    holder: str | None, planned_at: str | None
) -> None:
    given = Given()
    given.states.holder, given.states.planned_at = holder, planned_at
    assert LOST_DIGIT == given.run(*ALTERNATE_TYPES)
    assert ([], [], []) == (
        given.contacts.writes,
        given.states.intended,
        given.states.recorded,
    )


@pytest.mark.rule(7)
def test_the_lock_is_read_after_the_contacts_which_may_take_long() -> None:
    given = Given()
    read = given.contacts.get

    def lose_the_lock(account_id: str | None, name: ContactType) -> Contact | None:
        given.states.holder = "run-2"
        return read(account_id, name)

    given.contacts.get = lose_the_lock  # type: ignore[method-assign]
    assert LOST_DIGIT == given.run()
    assert [] == given.contacts.writes


@pytest.mark.parametrize("has", [(), (BILLING,)])
def test_nothing_is_written_where_a_newer_run_has_recorded_the_account(
    has: tuple[ContactType, ...],
) -> None:
    given = Given().has(*has)
    given.states.is_late = True
    assert LOST_DIGIT == given.run()
    assert [] == given.contacts.writes


def test_an_error_of_a_run_without_its_lock_is_not_raised() -> None:
    given = Given().fails("get", BILLING, ThrottledError("x"))
    given.states.holder = "run-2"
    assert LOST_DIGIT == given.run()


# Intentions


@pytest.mark.rule(15)
def test_every_write_is_intended_before_the_first() -> None:
    given = Given().has(billing=OLD).fails("put", BILLING, SystemExit("the function died"))
    with pytest.raises(SystemExit):
        given.run(BILLING, SECURITY)
    (intended,) = given.states.intended
    at = intended[BILLING].at
    assert intended == {
        BILLING: make_write(replaced=OLD.digest(KEY), at=at),
        SECURITY: make_write(digest=make_contact("security").digest(KEY), at=at),
    }
    assert [] == given.states.recorded


@pytest.mark.rule(15)
@pytest.mark.parametrize(("contact", "status"), [(make_contact(), "updated"), (None, "deleted")])
def test_an_attempt_that_died_after_its_write_has_changed_the_contact(
    contact: Contact | None, status: str
) -> None:
    given = Given(billing=contact)
    if contact:
        given.has(billing=contact)
    digest = contact.digest(KEY) if contact else ABSENT
    intended = make_write(digest=digest, replaced=OLD.digest(KEY), at=ago(minutes=1))
    assert 1 == given.knows(BILLING, intended=intended).run()
    assert [] == given.contacts.writes
    result = given.states.recorded[0][BILLING]
    assert (status, intended) == (result.status, result.write)


# Dry runs


def test_a_dry_run_needs_no_lock_reports_changes_and_makes_none() -> None:
    given = Given(operations=None).has(SECURITY, OPERATIONS)
    given.states.holder = "run-2"
    ours = make_write(digest=make_contact("operations").digest(KEY))
    given.knows(OPERATIONS, written=ours)
    assert 1 == given.run(*ALTERNATE_TYPES, dry_run=True)
    assert ([], []) == (given.contacts.writes, given.states.intended)
    assert given.statuses == {
        BILLING: Status.UPDATED,
        OPERATIONS: Status.DELETED,
        SECURITY: Status.UNCHANGED,
    }
    assert [None] * 3 == [result.write for result in given.states.recorded[0].values()]


# Failures


@pytest.mark.rule(6)
def test_one_contacts_failure_does_not_stop_the_others() -> None:
    given = Given().fails("put", BILLING, ContactRefusedError("refused"))
    with pytest.raises(ContactRefusedError):
        given.run(*ALTERNATE_TYPES)
    assert [("put", MEMBER, one) for one in (OPERATIONS, SECURITY)] == given.contacts.writes
    assert given.statuses == {
        BILLING: Status.FAILED,
        OPERATIONS: Status.UPDATED,
        SECURITY: Status.UPDATED,
    }
    assert {BILLING: "ContactRefusedError"} == given.errors


@pytest.mark.parametrize(
    ("operation", "error", "is_refused"),
    [
        ("put", AccessDeniedError("denied"), True),
        ("put", ContactRefusedError("refused"), True),
        ("put", ThrottledError("x"), False),
        ("put", ServiceUnavailableError("no answer"), False),
        ("get", AccessDeniedError("denied"), False),
    ],
)
def test_only_a_write_that_was_refused_is_known_not_to_be_carried_out(
    operation: str, error: SyncError, *, is_refused: bool
) -> None:
    given = Given().fails(operation, BILLING, error)
    with pytest.raises(SyncError):
        given.run(BILLING)
    (recorded,) = given.states.recorded
    assert is_refused is recorded[BILLING].is_refused


@pytest.mark.parametrize("operation", ["get", "put"])
@pytest.mark.parametrize("transient", [ThrottledError("x"), ServiceUnavailableError("x")])
def test_an_attempt_with_a_failure_that_may_pass_is_repeated(
    operation: str, transient: SyncError
) -> None:
    given = Given().fails(operation, BILLING, ContactRefusedError("refused"))
    given.fails(operation, SECURITY, transient)
    with pytest.raises(RepeatAccountError, match=f"account {MEMBER}: {type(transient).__name__}$"):
        given.run(BILLING, SECURITY)
    assert type(transient).__name__ == given.errors[SECURITY]


def test_of_several_lasting_failures_the_first_is_raised() -> None:
    given = Given().fails("get", BILLING, ApiRefusedError("first"))
    given.fails("get", SECURITY, ContactRefusedError("second"))
    with pytest.raises(ApiRefusedError, match="first"):
        given.run(BILLING, SECURITY)


def test_an_error_that_is_not_named_is_not_swallowed() -> None:
    with pytest.raises(KeyError):
        Given().fails("get", BILLING, KeyError("bug")).run()


# Contested contacts


def test_a_contested_contact_is_written_and_reported() -> None:
    given = Given().is_contested()
    causes = f"account {MEMBER}: the billing contact .* 3 runs.*Find what changes the contact back"
    with pytest.raises(ContestedError, match=causes):
        given.run(BILLING, SECURITY)
    assert [("put", MEMBER, BILLING), ("put", MEMBER, SECURITY)] == given.contacts.writes
    result = given.states.recorded[0][BILLING]
    assert (Status.CONTESTED, "ContestedError", 3) == (
        result.status,
        result.error,
        result.contested,
    )
    assert result.write is not None


@pytest.mark.parametrize(("insisted", "writes"), [([MEMBER], 1), (["100000000002"], 0)])
def test_a_contested_primary_contact_is_written_where_a_person_named_the_account(
    insisted: list[str], writes: int
) -> None:
    given = Given(insisted=insisted).is_contested(PRIMARY)
    with pytest.raises(ContestedError):
        given.run(PRIMARY)
    assert writes == len(given.contacts.writes)


def test_a_dry_run_reports_a_contested_contact() -> None:
    given = Given().is_contested()
    with pytest.raises(ContestedError):
        given.run(dry_run=True)
    assert [] == given.contacts.writes


def test_a_contested_contact_that_cannot_be_written_has_failed_for_that_reason() -> None:
    given = Given().is_contested().fails("put", BILLING, ContactRefusedError("refused"))
    with pytest.raises(ContactRefusedError):
        given.run()
    assert {BILLING: "ContactRefusedError"} == given.errors


def test_a_contested_contact_is_still_reported_by_a_repeated_attempt_that_finds_it_equal() -> None:
    given = Given().has(BILLING)
    given.knows(
        BILLING,
        written=make_write(at=ago(minutes=1)),
        status=Status.CONTESTED,
        status_of=PLANNED_AT,
        contested=3,
    )
    with pytest.raises(ContestedError):
        given.run()
    assert [] == given.contacts.writes
    assert 3 == given.states.recorded[0][BILLING].contested


def test_a_contested_contact_does_not_keep_a_throttled_one_from_its_next_attempt() -> None:
    given = Given().is_contested().fails("get", SECURITY, ThrottledError("x"))
    with pytest.raises(RepeatAccountError, match=r"ThrottledError$"):
        given.run(BILLING, SECURITY)


# Accounts that closed, left, or joined a moment ago


@pytest.mark.parametrize(
    ("state", "joined_minutes_ago", "reason"),
    [
        ("CLOSED", 90, "CLOSED"),
        ("SUSPENDED", 90, "SUSPENDED"),
        ("not in the organization", 90, "not in the organization"),
        ("ACTIVE", 29, "just joined"),
    ],
)
@pytest.mark.parametrize("operation", ["get", "put"])
def test_what_such_an_account_denies_is_skipped(
    operation: str, state: str, joined_minutes_ago: int, reason: str
) -> None:
    given = Given(make_account(state=state, joined_at=ago(minutes=joined_minutes_ago)))
    for name in ALTERNATE_TYPES:
        given.fails(operation, name, AccessDeniedError("denied"))
    assert 3 == given.run(*ALTERNATE_TYPES)
    assert dict.fromkeys(ALTERNATE_TYPES, Status.SKIPPED) == given.statuses
    assert dict.fromkeys(ALTERNATE_TYPES, reason) == given.errors


@pytest.mark.parametrize("account", [make_account(), make_account(joined_at=ago(minutes=30))])
def test_what_any_other_account_denies_has_failed(account: Account) -> None:
    given = Given(account).fails("put", BILLING, AccessDeniedError("denied"))
    with pytest.raises(AccessDeniedError):
        given.run(BILLING, SECURITY)
    assert {BILLING: Status.FAILED, SECURITY: Status.UPDATED} == given.statuses
    assert [MEMBER] == given.looked_up


def test_what_was_written_before_the_account_closed_stays_written() -> None:
    given = Given(make_account(state="CLOSED"))
    given.fails("get", SECURITY, AccessDeniedError("denied"))
    assert 1 == given.run(BILLING, SECURITY)
    assert {BILLING: Status.UPDATED, SECURITY: Status.SKIPPED} == given.statuses


def test_every_failure_of_an_account_that_closed_is_skipped() -> None:
    given = Given(make_account(state="CLOSED")).is_contested()
    given.fails("get", OPERATIONS, ThrottledError("x"))
    given.fails("get", SECURITY, AccessDeniedError("denied"))
    assert 3 == given.run(*ALTERNATE_TYPES)
    assert dict.fromkeys(ALTERNATE_TYPES, Status.SKIPPED) == given.statuses


def test_only_the_denials_of_an_account_that_has_just_joined_are_skipped() -> None:
    given = Given(make_account(joined_at=ago(minutes=5))).is_contested()
    given.fails("put", OPERATIONS, ThrottledError("x"))
    given.fails("get", SECURITY, AccessDeniedError("denied"))
    with pytest.raises(RepeatAccountError, match=r"ThrottledError$"):
        given.run(*ALTERNATE_TYPES)
    assert {
        BILLING: "ContestedError",
        OPERATIONS: "ThrottledError",
        SECURITY: "just joined",
    } == given.errors


@pytest.mark.parametrize("operation", ["get", "put"])
def test_a_new_account_that_the_run_must_reach_is_tried_again_and_has_failed_until_then(
    operation: str,
) -> None:
    given = Given(make_account(joined_at=ago(minutes=5)), insisted=[MEMBER])
    given.fails(operation, BILLING, AccessDeniedError("denied"))
    with pytest.raises(RepeatAccountError, match=f"account {MEMBER}: NotReadyError$"):
        given.run(BILLING, SECURITY)
    assert {BILLING: Status.FAILED, SECURITY: Status.UPDATED} == given.statuses
    assert {BILLING: "NotReadyError"} == given.errors


def test_half_an_hour_after_it_joined_an_account_has_not_just_joined() -> None:
    joined_at = datetime.now(UTC)
    account = make_account(joined_at=joined_at)
    assert account.has_just_joined(joined_at + timedelta(minutes=30, microseconds=-1))
    assert not account.has_just_joined(joined_at + timedelta(minutes=30))


@pytest.mark.rule(4)
def test_a_denial_hides_no_invalid_contact() -> None:
    account = make_account(joined_at=ago(minutes=5))
    given = Given(account, named={"broken": {**ALTERNATE_FIELDS, "PhoneNumber": "ask 555"}})
    given.fails("put", SECURITY, AccessDeniedError("denied"))
    with pytest.raises(InvalidContactError):
        given.run(contact_set={BILLING: "broken", SECURITY: SOURCE})
    assert {BILLING: "InvalidContactError", SECURITY: "just joined"} == given.errors


@pytest.mark.parametrize(("state", "minutes"), [("ACTIVE", 5), ("CLOSED", 60)])
@pytest.mark.parametrize(("operation", "is_refused"), [("put", True), ("get", False)])
def test_of_a_skipped_denial_it_stays_known_whether_a_write_was_refused(
    operation: str, state: str, minutes: int, *, is_refused: bool
) -> None:
    given = Given(make_account(state=state, joined_at=ago(minutes=minutes)))
    given.fails(operation, BILLING, AccessDeniedError("denied"))
    given.run()
    assert is_refused is given.states.recorded[0][BILLING].is_refused


@pytest.mark.parametrize(
    ("refusal", "raised"),
    [
        (ThrottledError("describe account"), RepeatAccountError),
        (ServiceUnavailableError("describe account"), RepeatAccountError),
        (ApiRefusedError("describe account"), AccessDeniedError),
        (AccessDeniedError("describe account"), AccessDeniedError),
    ],
)
def test_what_was_written_is_recorded_even_if_the_account_cannot_be_looked_up(
    refusal: SyncError, raised: type[SyncError]
) -> None:
    given = Given(refusal).fails("get", SECURITY, AccessDeniedError("denied"))
    with pytest.raises(raised):
        given.run(BILLING, SECURITY)
    assert [("put", MEMBER, BILLING)] == given.contacts.writes
    assert {BILLING: Status.UPDATED, SECURITY: Status.FAILED} == given.statuses
    assert {SECURITY: "AccessDeniedError"} == given.errors


def test_an_account_is_looked_up_only_if_it_denied_something() -> None:
    given = Given().fails("get", BILLING, ThrottledError("x"))
    given.fails("get", SECURITY, ServiceUnavailableError("y"))
    with pytest.raises(RepeatAccountError, match=r"ServiceUnavailableError, ThrottledError$"):
        given.run(BILLING, SECURITY)
    assert [] == given.looked_up


# Contacts that differ by account

NAMED = {"payments-oncall": {**ALTERNATE_FIELDS, "EmailAddress": "payments@example.com"}}
PAYMENTS = make_contact(EmailAddress="payments@example.com")


def test_an_account_gets_the_named_contact_of_its_set() -> None:
    given = Given(named=NAMED).has(BILLING, SECURITY)
    named = dict.fromkeys([BILLING, OPERATIONS], "payments-oncall")
    assert 1 == given.run(contact_set={**named, SECURITY: SOURCE})
    assert PAYMENTS == given.contacts.contacts[MEMBER, BILLING]
    assert OPERATIONS is given.contacts.contacts[MEMBER, OPERATIONS].type
    assert [Status.UPDATED, Status.UPDATED, Status.UNCHANGED] == list(given.statuses.values())


@pytest.mark.rule(4)
@pytest.mark.rule(6)
def test_a_named_contact_that_the_api_would_refuse_fails_the_accounts_that_use_it() -> None:
    named = {"broken": {**ALTERNATE_FIELDS, "PhoneNumber": "ask 555"}}
    given = Given(named=named)
    with pytest.raises(InvalidContactError) as caught:
        given.run(contact_set={BILLING: "broken", SECURITY: SOURCE})
    assert f"account {MEMBER}: billing contact broken: billing.PhoneNumber has a format" in str(
        caught.value
    )
    assert "ask 555" not in str(caught.value)
    assert [("put", MEMBER, SECURITY)] == given.contacts.writes
    assert {BILLING: "InvalidContactError"} == given.errors


@pytest.mark.rule(3)
def test_kept_fields_of_the_primary_contact_are_those_of_the_account() -> None:
    theirs = make_contact("primary", PhoneNumber="+15550199", City="Elsewhere")
    given = Given(primary_keeps=["PhoneNumber"]).has(primary=theirs)
    assert 1 == given.run(PRIMARY)
    kept = make_contact("primary", PhoneNumber="+15550199")
    assert kept == given.contacts.contacts[MEMBER, PRIMARY]
    again = Given(primary_keeps=["PhoneNumber"]).has(primary=kept)
    assert 0 == again.run(PRIMARY)


def test_alternate_contacts_keep_nothing() -> None:
    given = Given(primary_keeps=["PhoneNumber"]).has(billing=make_contact(PhoneNumber="+15550199"))
    given.run(BILLING)
    assert make_contact() == given.contacts.contacts[MEMBER, BILLING]


@pytest.mark.rule(4)
def test_a_composed_contact_that_the_api_would_refuse_fails_that_account_by_name() -> None:
    theirs = make_contact("primary", CountryCode="SE", StateOrRegion=None)
    given = Given(primary_keeps=["StateOrRegion"]).has(primary=theirs)
    with pytest.raises(InvalidContactError, match=f"account {MEMBER}: primary contact source: "):
        given.run(PRIMARY)
    assert [] == given.contacts.writes


def test_a_composed_contact_that_the_account_has_is_equal_whatever_the_api_says() -> None:
    """The console accepts what the API refuses, and the account keeps it."""
    theirs = make_contact("primary", PhoneNumber="0400 000 000")
    given = Given(primary_keeps=["PhoneNumber"]).has(primary=theirs)
    assert 0 == given.run(PRIMARY)
    assert ({PRIMARY: Status.UNCHANGED}, []) == (given.statuses, given.contacts.writes)


def test_an_account_without_a_primary_contact_gets_the_whole_of_the_source() -> None:
    given = Given(primary_keeps=["PhoneNumber"])
    given.run(PRIMARY)
    assert make_contact("primary") == given.contacts.contacts[MEMBER, PRIMARY]


# Values in and out


def test_a_task_is_the_childs_input_and_the_types_asked_for() -> None:
    event = make_child_input(dry_run=True)
    contact_set = {**same_for_all([PRIMARY, SECURITY, BILLING]), OPERATIONS: OWN}
    task = AccountTask.from_event(event, ALTERNATE_TYPES, contact_set, is_undo=False)
    assert make_task(contact_types=(BILLING, SECURITY), dry_run=True) == task
    undo = AccountTask.from_event(event, ALTERNATE_TYPES, contact_set, is_undo=True)
    assert replace(task, is_undo=True) == undo


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
def test_an_accounts_digit_follows_from_its_contacts(statuses: list[str], expected: int) -> None:
    assert expected == digit([Status(status) for status in statuses])


def test_a_source_never_prints_its_values_or_its_key() -> None:
    printed = repr(make_source())
    assert [] == [value for value in (*SECRET_VALUES, str(KEY)) if value in printed]


# In sync, and drifted


def test_what_is_equal_or_written_is_in_sync_from_now_on() -> None:
    given = Given().has(BILLING)
    given.run(BILLING, SECURITY)
    (recorded,) = given.states.recorded
    digests = {name: recorded[name].in_sync.digest for name in (BILLING, SECURITY)}  # type: ignore[union-attr]
    assert digests == {name: make_contact(name).digest(KEY) for name in (BILLING, SECURITY)}
    assert not any(result.differs or result.drifted for result in recorded.values())


@pytest.mark.parametrize(("operation", "differs"), [("get", False), ("put", True)])
def test_a_failed_write_leaves_a_difference_and_a_failed_read_does_not_know(
    operation: str, *, differs: bool
) -> None:
    in_sync = InSync(ago(days=1), make_contact().digest(KEY))
    given = Given().has(billing=OLD).knows(BILLING, in_sync=in_sync)
    with pytest.raises(ApiRefusedError):
        given.fails(operation, BILLING, ApiRefusedError("no")).run()
    (recorded,) = given.states.recorded
    result = recorded[BILLING]
    assert (None, differs, differs) == (result.in_sync, result.differs, result.drifted)


@pytest.mark.parametrize(("city", "drifted"), [("Elsewhere", True), (None, False)])
def test_a_kept_field_neither_hides_drift_nor_ends_the_time_in_sync(
    city: str | None, *, drifted: bool
) -> None:
    first = Given(primary_keeps=["PhoneNumber"]).has(PRIMARY)
    first.run(PRIMARY)
    in_sync = first.states.recorded[0][PRIMARY].in_sync
    theirs = make_contact("primary", PhoneNumber="+15550199", **({"City": city} if city else {}))
    given = Given(primary_keeps=["PhoneNumber"]).has(primary=theirs).knows(PRIMARY, in_sync=in_sync)
    given.run(PRIMARY)
    result = given.states.recorded[0][PRIMARY]
    assert (drifted, not drifted) == (result.drifted, result.in_sync == in_sync)


def test_a_contact_that_was_equal_to_the_same_source_has_drifted() -> None:
    in_sync = InSync(ago(days=1), make_contact().digest(KEY))
    given = Given().has(billing=OLD).knows(BILLING, in_sync=in_sync)
    given.run()
    assert given.states.recorded[0][BILLING].drifted


@pytest.mark.parametrize(("plan", "drifted"), [(PLANNED_AT, True), (EARLIER_PLAN, False)])
def test_what_an_earlier_attempt_found_drifted_stays_so_where_it_cannot_be_read(
    plan: str, *, drifted: bool
) -> None:
    given = Given().fails("get", BILLING, ThrottledError())
    given.knows(BILLING, status=Status.UPDATED, status_of=plan, drifted=True)
    with pytest.raises(RepeatAccountError):
        given.run()
    assert drifted is given.states.recorded[0][BILLING].drifted


# What is replaced


def test_what_is_replaced_is_stored_after_the_intention_and_before_the_write() -> None:
    given = Given(operations=None).has(billing=OLD, operations=make_contact("operations"))
    given.knows(
        OPERATIONS,
        written=make_write(digest=make_contact("operations").digest(KEY), at=ago(days=1)),
    )
    given.replaced.before = lambda: (
        given.states.intended and len(given.contacts.writes) == len(given.replaced.stored)
    )
    given.run(*ALTERNATE_TYPES)
    assert given.replaced.stored == {
        (SYNC_ID, MEMBER, BILLING): Replaced(OLD, make_contact().digest(KEY)),
        (SYNC_ID, MEMBER, OPERATIONS): Replaced(make_contact("operations"), ABSENT),
        (SYNC_ID, MEMBER, SECURITY): Replaced(None, make_contact("security").digest(KEY)),
    }


@pytest.mark.parametrize("task", [{"dry_run": True}, {}])
def test_what_is_not_written_is_not_stored(task: dict[str, Any]) -> None:
    given = Given().has(BILLING) if not task else Given().has(billing=OLD)
    given.run(**task)
    assert {} == given.replaced.stored


def test_nothing_is_written_where_it_cannot_be_stored() -> None:
    given = Given().has(billing=OLD)
    given.replaced.failure = AccessDeniedError("store it: AccessDenied")
    with pytest.raises(RepeatAccountError, match="ReplacedNotStoredError"):
        given.run(BILLING, SECURITY)
    assert [] == given.contacts.writes
    (recorded,) = given.states.recorded
    assert {"ReplacedNotStoredError"} == {one.error for one in recorded.values()}
    # Nothing was carried out, so that no intention stays.
    assert all(one.is_refused for one in recorded.values())
    assert [] == given.looked_up


# An undo


def undone(given: Given, *names: ContactType, **task: Any) -> int:
    contact_set = dict.fromkeys(names or (BILLING,), "run-9")
    return given.sync.run(make_task(contact_set=contact_set, is_undo=True, **task))


def test_an_undo_puts_back_what_the_run_replaced_and_stores_what_it_replaces_itself() -> None:
    given = Given().has(BILLING, SECURITY)
    for name, before in ((BILLING, OLD), (SECURITY, None)):
        wrote = Replaced(before, make_contact(name).digest(KEY))
        given.replaced.stored["run-9", MEMBER, name] = wrote
    assert 1 == undone(given, BILLING, SECURITY)
    assert {(MEMBER, BILLING): OLD} == given.contacts.contacts
    assert {BILLING: Status.UPDATED, SECURITY: Status.DELETED} == given.statuses
    stored = given.replaced.stored[SYNC_ID, MEMBER, BILLING]
    assert Replaced(make_contact(), OLD.digest(KEY)) == stored


def test_an_undo_says_why_it_leaves_a_contact_alone() -> None:
    given = Given().has(billing=make_contact(Name="Somebody Tester"))
    given.replaced.stored["run-9", MEMBER, BILLING] = Replaced(OLD, make_contact().digest(KEY))
    assert 3 == undone(given)
    assert {BILLING: "changed since that run"} == given.errors
    assert [] == given.contacts.writes


def test_an_undo_whose_contact_cannot_be_loaded_fails_by_name() -> None:
    given = Given().has(BILLING)
    given.replaced.failure = ApiRefusedError("load it: NoSuchKey")
    with pytest.raises(ApiRefusedError):
        undone(given, BILLING, SECURITY)
    assert dict.fromkeys([BILLING, SECURITY], Status.FAILED) == given.statuses


def test_an_undo_deletes_no_primary_contact() -> None:
    given = Given().has(PRIMARY)
    wrote = Replaced(None, make_contact(PRIMARY).digest(KEY))
    given.replaced.stored["run-9", MEMBER, PRIMARY] = wrote
    assert 3 == undone(given, PRIMARY)
    assert [] == given.contacts.writes


def test_what_an_attempt_put_back_before_it_died_counts_as_put_back() -> None:
    write = make_write(digest=OLD.digest(KEY), replaced=make_contact().digest(KEY), at=ago())
    given = Given().has(billing=OLD).knows(BILLING, undoing=write)
    given.replaced.stored["run-9", MEMBER, BILLING] = Replaced(OLD, make_contact().digest(KEY))
    assert 1 == undone(given)
    assert write == given.states.recorded[0][BILLING].write


def test_a_dry_run_of_an_undo_writes_and_stores_nothing() -> None:
    given = Given().has(BILLING)
    given.replaced.stored["run-9", MEMBER, BILLING] = Replaced(OLD, make_contact().digest(KEY))
    assert 1 == undone(given, dry_run=True)
    assert ([], 1) == (given.contacts.writes, len(given.replaced.stored))
