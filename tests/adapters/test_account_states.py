"""The account items: what later runs must know, the fence's read, and batches."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from contact_sync.account_sync import AccountState, AccountTask, ContactResult
from contact_sync.aws import account_states, keys
from contact_sync.aws.account_states import AccountStatesTable
from contact_sync.aws.items import from_item, to_item
from contact_sync.comparison import UNKNOWN, InSync, KnownContact, Status
from contact_sync.contacts import ABSENT, ContactType
from contact_sync.errors import ThrottledError
from support.builders import (
    EARLIER_PLAN,
    LATER_PLAN,
    MEMBER,
    NOW,
    OTHER,
    PLANNED_AT,
    STARTED_AT,
    SYNC_ID,
    make_task,
    make_write,
)
from support.fakes import FakeTime
from support.moto_stack import STATE_TABLE

BILLING, SECURITY, PRIMARY = ContactType.BILLING, ContactType.SECURITY, ContactType.PRIMARY
LATER = NOW + timedelta(hours=1)
WRITE = make_write()
UPDATED = ContactResult(Status.UPDATED, write=WRITE)
UNCHANGED = ContactResult(Status.UNCHANGED)


@pytest.fixture
def states(state_table: Any) -> AccountStatesTable:
    return AccountStatesTable(state_table, STATE_TABLE)


@pytest.fixture
def put(state_table: Any) -> Callable[..., None]:
    """Put an account's state directly."""

    def make(**values: Any) -> None:
        item = {**keys.account_state(MEMBER), **values}
        state_table.put_item(TableName=STATE_TABLE, Item=to_item(item))

    return make


def record(
    states: AccountStatesTable,
    results: Mapping[ContactType, ContactResult],
    task: AccountTask | None = None,
    at: datetime = NOW,
) -> bool:
    return states.record(task or make_task(), results, STARTED_AT, at)


def item_of(states: AccountStatesTable, *, dry_run: bool = False) -> dict[str, Any]:
    ((_, item),) = states.items([MEMBER], SYNC_ID, STARTED_AT, dry_run=dry_run)
    return item


def known(states: AccountStatesTable, name: ContactType = BILLING) -> KnownContact:
    return states.read(MEMBER).contacts[name]


# The fence and the known state, in one read


def test_an_account_without_an_item_is_unknown_and_the_lock_is_free(
    states: AccountStatesTable,
) -> None:
    assert AccountState(dict.fromkeys(ContactType, UNKNOWN), None, None) == states.read(MEMBER)


def test_lock_and_state_are_read_in_one_request_until_nothing_is_left_unprocessed(
    time: FakeTime,
) -> None:
    lock = {**keys.LOCK, "holder": "run-2", "planned_at": LATER_PLAN}
    state = {**keys.account_state(MEMBER), "billing": {"status": "updated", "planned_at": "then"}}
    both = get_request(to_item(keys.LOCK), KEYS[0])
    rest = get_request(KEYS[0])
    client: Any = boto3.client("dynamodb")
    with Stubber(client) as stub:
        first = {"Responses": {STATE_TABLE: [to_item(lock)]}, "UnprocessedKeys": rest}
        stub.add_response("batch_get_item", first, {"RequestItems": both})
        second = {"Responses": {STATE_TABLE: [to_item(state)]}}
        stub.add_response("batch_get_item", second, {"RequestItems": rest})
        read = AccountStatesTable(client, STATE_TABLE).read(MEMBER)
        stub.assert_no_pending_responses()
    assert ("run-2", LATER_PLAN) == (read.holder, read.planned_at)
    assert KnownContact(status=Status.UPDATED, status_of="then") == read.contacts[BILLING]
    assert [0.1] == time.slept


# What later attempts and runs know


def test_an_intention_is_known_until_its_result_is_recorded(states: AccountStatesTable) -> None:
    assert states.intend(make_task(), {BILLING: WRITE})
    assert KnownContact(intended=WRITE) == known(states)
    assert UNKNOWN == known(states, SECURITY)
    record(states, {BILLING: UPDATED})
    assert known(states) == KnownContact(
        written=WRITE, status=Status.UPDATED, status_of=PLANNED_AT, contested_of=PLANNED_AT
    )


@pytest.mark.parametrize(
    ("result", "is_kept"),
    [
        (ContactResult(Status.FAILED, "X"), True),
        (ContactResult(Status.FAILED, "X", is_refused=True), False),
        (ContactResult(Status.SKIPPED, "CLOSED"), True),
        (ContactResult(Status.SKIPPED, "just joined"), True),
        (ContactResult(Status.SKIPPED, "just joined", is_refused=True), False),
        (ContactResult(Status.SKIPPED), False),
        (ContactResult(Status.SKIPPED, "changed since that run"), False),
        (ContactResult(Status.UNCHANGED), False),
        (ContactResult(Status.CONTESTED, "X"), False),
    ],
)
def test_an_intention_is_kept_while_it_may_have_taken_effect(
    result: ContactResult, states: AccountStatesTable, *, is_kept: bool
) -> None:
    states.intend(make_task(), {BILLING: WRITE, SECURITY: WRITE})
    record(states, {BILLING: result})
    assert (WRITE if is_kept else None) == known(states).intended
    assert WRITE == known(states, SECURITY).intended


@pytest.mark.parametrize("status", list(Status))
def test_the_last_write_is_known_until_the_next_write(
    status: Status, states: AccountStatesTable
) -> None:
    record(states, {BILLING: UPDATED})
    record(states, {BILLING: ContactResult(status)}, at=LATER)
    assert WRITE == known(states).written
    deletion = make_write(digest=ABSENT, replaced=WRITE.digest, at=LATER)
    record(states, {BILLING: ContactResult(Status.DELETED, write=deletion)}, at=LATER)
    assert deletion == known(states).written


@pytest.mark.parametrize(
    ("status", "contested", "expected"),
    [
        (Status.CONTESTED, 4, (4, LATER_PLAN)),
        (Status.UPDATED, 1, (1, LATER_PLAN)),
        (Status.UNCHANGED, 0, (0, LATER_PLAN)),
        (Status.DELETED, 0, (0, LATER_PLAN)),
        # A run that compared nothing leaves the count unchanged.
        (Status.FAILED, 0, (3, PLANNED_AT)),
        (Status.SKIPPED, 0, (3, PLANNED_AT)),
    ],
)
def test_the_contested_count_is_that_of_the_last_run_that_compared(
    status: Status, contested: int, expected: tuple[int, str], states: AccountStatesTable
) -> None:
    record(states, {BILLING: ContactResult(Status.CONTESTED, contested=3)})
    later = make_task(planned_at=LATER_PLAN)
    record(states, {BILLING: ContactResult(status, contested=contested)}, later)
    assert expected == (known(states).contested, known(states).contested_of)


def in_sync(since: datetime) -> ContactResult:
    return ContactResult(Status.UNCHANGED, in_sync=InSync(since, WRITE.digest))


def test_an_item_records_when_a_contact_was_last_equal_and_since_when(
    states: AccountStatesTable,
) -> None:
    record(states, {BILLING: in_sync(NOW)})
    record(states, {BILLING: in_sync(NOW)}, at=LATER)
    item = item_of(states)
    times = (NOW.isoformat(), LATER.isoformat())
    assert times == (item["billing_in_sync_since"], item["billing_in_sync_at"])
    assert InSync(NOW, WRITE.digest) == known(states).in_sync


@pytest.mark.parametrize("differs", [True, False])
def test_a_failure_keeps_both_times_but_a_difference_ends_the_time_in_sync(
    states: AccountStatesTable, *, differs: bool
) -> None:
    record(states, {BILLING: in_sync(NOW)})
    record(states, {BILLING: ContactResult(Status.FAILED, "X", differs=differs)}, at=LATER)
    item = item_of(states)
    assert item["billing_in_sync_since"] == item["billing_in_sync_at"] == NOW.isoformat()
    assert (known(states).in_sync is None) == differs


def test_an_unreadable_time_is_unknown(
    states: AccountStatesTable, put: Callable[..., None]
) -> None:
    put(billing_in_sync_since="yesterday", billing_in_sync_with=WRITE.digest)
    assert UNKNOWN == known(states)


def test_drift_is_known_until_the_next_result(
    states: AccountStatesTable,
) -> None:
    record(states, {BILLING: ContactResult(Status.FAILED, "X", drifted=True)})
    assert known(states).drifted
    record(states, {BILLING: UNCHANGED})
    assert not known(states).drifted


def test_the_two_processors_do_not_overwrite_each_other(states: AccountStatesTable) -> None:
    record(states, {BILLING: UPDATED})
    record(states, {PRIMARY: UNCHANGED})
    assert (Status.UPDATED, WRITE) == (known(states).status, known(states).written)
    assert Status.UNCHANGED is known(states, PRIMARY).status


def test_a_result_names_its_run_its_plan_and_its_error(states: AccountStatesTable) -> None:
    record(states, {BILLING: ContactResult(Status.FAILED, "ThrottledError"), SECURITY: UNCHANGED})
    common = {"sync_id": SYNC_ID, "planned_at": PLANNED_AT, "at": NOW.isoformat()}
    item = item_of(states)
    assert common == {name: item[name] for name in common}
    assert {**common, "status": "failed", "error": "ThrottledError"} == item["billing"]
    assert {**common, "status": "unchanged"} == item["security"]


# Accounts that left


@pytest.mark.parametrize(
    "result",
    [
        UPDATED,
        UNCHANGED,
        ContactResult(Status.SKIPPED),
        ContactResult(Status.SKIPPED, "just joined"),
        ContactResult(Status.SKIPPED, "changed since that run"),
        ContactResult(Status.CONTESTED, "ContestedError"),
        ContactResult(Status.FAILED, "ThrottledError"),
    ],
)
def test_an_account_that_is_back_loses_its_expiry_time(
    result: ContactResult, states: AccountStatesTable, put: Callable[..., None]
) -> None:
    put(left_at=NOW.isoformat(), expires_at=17)
    record(states, {BILLING: result})
    assert not {"left_at", "expires_at"} & item_of(states).keys()


@pytest.mark.parametrize("reason", ["not in the organization", "CLOSED"])
def test_an_account_that_left_during_a_run_stays_marked(
    reason: str, states: AccountStatesTable, put: Callable[..., None]
) -> None:
    """Otherwise, its item would never expire."""
    put(left_at=NOW.isoformat(), expires_at=17)
    record(states, {BILLING: UPDATED, SECURITY: ContactResult(Status.SKIPPED, reason)})
    assert (NOW.isoformat(), 17) == (item_of(states)["left_at"], item_of(states)["expires_at"])


# Newer runs


@pytest.mark.rule(15)
@pytest.mark.parametrize(
    ("stored", "is_recorded"),
    [(None, True), (EARLIER_PLAN, True), (PLANNED_AT, True), (LATER_PLAN, False)],
)
def test_a_late_attempt_changes_nothing_after_a_newer_run(
    stored: str | None, states: AccountStatesTable, put: Callable[..., None], *, is_recorded: bool
) -> None:
    put(sync_id="newer", **({"planned_at": stored} if stored else {}))
    before = item_of(states)
    results = {BILLING: ContactResult(Status.SKIPPED), SECURITY: UPDATED}
    assert is_recorded == states.intend(make_task(), {BILLING: WRITE})
    assert is_recorded == record(states, results)
    assert is_recorded == (item_of(states) != before)


def test_a_refused_record_is_not_taken_for_a_late_one() -> None:
    client: Any = boto3.client("dynamodb")
    with Stubber(client) as stub:
        stub.add_client_error("update_item", "ProvisionedThroughputExceededException")
        with pytest.raises(ThrottledError, match="record an account's state"):
            record(AccountStatesTable(client, STATE_TABLE), {BILLING: UNCHANGED})


# Dry runs


def test_a_dry_run_has_its_own_item_that_expires_and_does_not_touch_what_is_known(
    states: AccountStatesTable,
) -> None:
    record(states, {BILLING: UPDATED})
    before = item_of(states)
    dry = make_task(dry_run=True, planned_at=LATER_PLAN)
    assert record(states, {BILLING: ContactResult(Status.CONTESTED, "X", contested=9)}, dry)
    assert before == item_of(states)
    item = item_of(states, dry_run=True)
    assert f"RUN#{STARTED_AT}#{SYNC_ID}" == item["sk"]
    assert keys.expires_at(STARTED_AT) == item["expires_at"]
    assert ("contested", LATER_PLAN) == (item["billing"]["status"], item["billing"]["planned_at"])


# Items of other releases

WRITTEN = {
    "digest": WRITE.digest,
    "replaced": WRITE.replaced,
    "at": NOW.isoformat(),
    "planned_at": PLANNED_AT,
}


@pytest.mark.parametrize(
    "foreign",
    [
        {"billing": "updated"},
        {"billing": {"status": "improved"}},
        {"billing": {"status": ["updated"]}},
        {"billing_contested": 3},
        {"billing_contested": {"count": None}},
        {"billing_written": {**WRITTEN, "at": "then"}},
        {"billing_written": {**WRITTEN, "at": None}},
        {"billing_written": {**WRITTEN, "digest": 17}},
        {"billing_written": {"digest": WRITE.digest}},
        {"billing_written": [WRITE.digest]},
        # Of version 1.
        {"billing": {"status": "not_accepted", "digest": "a" * 64}, "billing_written": "a" * 64},
        # Normalized by other rules, so that they compare with nothing.
        {"billing_written": {**WRITTEN, "digest": "0:" + "a" * 64}},
        {"billing_written": {**WRITTEN, "replaced": "2:" + "a" * 64}},
        {"billing_intent": {**WRITTEN, "digest": "a" * 64}},
    ],
)
def test_values_in_another_releases_format_are_unknown(
    foreign: dict[str, Any], states: AccountStatesTable, put: Callable[..., None]
) -> None:
    put(planned_at=PLANNED_AT, **foreign)
    assert UNKNOWN == known(states)


def test_keys_added_by_another_release_are_ignored(
    states: AccountStatesTable, put: Callable[..., None]
) -> None:
    put(
        unheard_of={"a": [1]},
        billing={"status": "unchanged", "planned_at": PLANNED_AT, "unheard_of": 1},
        billing_written={**WRITTEN, "unheard_of": 1},
        billing_contested={"count": 2, "planned_at": EARLIER_PLAN, "unheard_of": 1},
    )
    assert known(states) == KnownContact(
        written=WRITE,
        status=Status.UNCHANGED,
        status_of=PLANNED_AT,
        contested=2,
        contested_of=EARLIER_PLAN,
    )


# Batches


def test_accounts_are_read_in_batches_in_order(
    states: AccountStatesTable, state_table: Any
) -> None:
    ids = [str(100_000_000_000 + n) for n in range(205)]
    for account_id in ids[::2]:
        item = {**keys.account_state(account_id), "sync_id": account_id}
        state_table.put_item(TableName=STATE_TABLE, Item=to_item(item))
    found = list(states.items(ids, SYNC_ID, STARTED_AT, dry_run=False))
    assert ids == [account_id for account_id, _ in found]
    assert ids[::2] == [item["sync_id"] for _, item in found if item]


def test_items_of_a_run_are_written_in_batches_of_25(state_table: Any) -> None:
    ids = [str(100_000_000_000 + n) for n in range(60)]
    sizes = []

    def note(params: dict[str, Any], **_: Any) -> None:
        sizes.append(len(params["RequestItems"][STATE_TABLE]))

    client: Any = boto3.client("dynamodb")
    client.meta.events.register("provide-client-params.dynamodb.BatchWriteItem", note)
    states = AccountStatesTable(client, STATE_TABLE)
    states.write_runs(
        {**keys.account_run(one, STARTED_AT, SYNC_ID), "errors": {"billing": one}} for one in ids
    )
    stored = [from_item(item) for item in state_table.scan(TableName=STATE_TABLE)["Items"]]
    assert ids == sorted(item["errors"]["billing"] for item in stored)
    assert [25, 25, 10] == sizes


def test_nothing_to_write_makes_no_call() -> None:
    AccountStatesTable(None, STATE_TABLE).write_runs([])  # type: ignore[arg-type]


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    fake = FakeTime()
    monkeypatch.setattr(account_states, "time", fake)
    return fake


KEYS = [to_item(keys.account_state(one)) for one in (MEMBER, OTHER)]
ITEMS = [{**keys.account_state(one), "n": 1} for one in (MEMBER, OTHER)]


def get_request(*wanted: dict[str, Any]) -> dict[str, Any]:
    return {STATE_TABLE: {"Keys": list(wanted), "ConsistentRead": True}}


def put_request(*items: dict[str, Any]) -> dict[str, Any]:
    return {STATE_TABLE: [{"PutRequest": {"Item": to_item(item)}} for item in items]}


def test_unprocessed_items_are_written_again_after_a_delay(time: FakeTime) -> None:
    client: Any = boto3.client("dynamodb")
    with Stubber(client) as stub:
        left = {"UnprocessedItems": put_request(ITEMS[1])}
        stub.add_response("batch_write_item", left, {"RequestItems": put_request(*ITEMS)})
        stub.add_response("batch_write_item", {}, {"RequestItems": put_request(ITEMS[1])})
        AccountStatesTable(client, STATE_TABLE).write_runs(ITEMS)
        stub.assert_no_pending_responses()
    assert [0.1] == time.slept


def test_keys_that_stay_unprocessed_are_a_throttling_error(time: FakeTime) -> None:
    client: Any = boto3.client("dynamodb")
    with Stubber(client) as stub:
        for _ in range(8):
            left = {"Responses": {}, "UnprocessedKeys": get_request(*KEYS)}
            stub.add_response("batch_get_item", left)
        with pytest.raises(ThrottledError, match="keys were left unprocessed"):
            item_of(AccountStatesTable(client, STATE_TABLE))
    assert [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0] == time.slept


def test_items_that_stay_unprocessed_are_a_throttling_error(time: FakeTime) -> None:
    client: Any = boto3.client("dynamodb")
    with Stubber(client) as stub:
        for _ in range(8):
            stub.add_response("batch_write_item", {"UnprocessedItems": put_request(*ITEMS)})
        with pytest.raises(ThrottledError, match="items were left unprocessed"):
            AccountStatesTable(client, STATE_TABLE).write_runs(ITEMS)
    assert 7 == len(time.slept)


# An undo


UNDO = make_task(is_undo=True, planned_at=LATER_PLAN)


def test_an_undo_clears_the_last_write_the_contested_count_and_the_time_in_sync(
    states: AccountStatesTable,
) -> None:
    record(states, {BILLING: ContactResult(Status.UPDATED, write=WRITE, contested=2)})
    record(states, {BILLING: in_sync(NOW)})
    put_back = make_write(digest="1:former", replaced=WRITE.digest, at=LATER)
    assert states.intend(UNDO, {BILLING: put_back})
    assert (put_back, None, None) == (
        known(states).undoing,
        known(states).intended,
        known(states).in_sync,
    )
    assert WRITE == known(states).written
    record(states, {BILLING: ContactResult(Status.UPDATED, write=put_back)}, UNDO, LATER)
    assert KnownContact(undone=put_back, status=Status.UPDATED, status_of=LATER_PLAN) == known(
        states
    )
    assert NOW.isoformat() == item_of(states)["billing_in_sync_at"]


@pytest.mark.parametrize(("is_refused", "is_kept"), [(True, False), (False, True)])
def test_a_refused_undo_has_restored_nothing(
    states: AccountStatesTable, *, is_refused: bool, is_kept: bool
) -> None:
    states.intend(UNDO, {BILLING: WRITE})
    failed = ContactResult(Status.FAILED, "X", is_refused=is_refused)
    record(states, {BILLING: failed}, UNDO)
    assert is_kept == (known(states).undoing is not None)


def test_the_next_write_clears_the_record_of_the_undo(states: AccountStatesTable) -> None:
    record(states, {BILLING: ContactResult(Status.UPDATED, write=WRITE)}, UNDO)
    states.intend(UNDO, {BILLING: WRITE})
    record(states, {BILLING: UPDATED}, make_task(planned_at=LATER_PLAN))
    after = known(states)
    assert (None, None, WRITE) == (after.undone, after.undoing, after.written)
