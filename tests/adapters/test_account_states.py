"""The account items: what we wrote, what each attempt recorded, and reading them by the hundred."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from builders import (
    KEY,
    MEMBER,
    NOW,
    OTHER,
    PLANNED_AT,
    SECRET_VALUES,
    STARTED_AT,
    SYNC_ID,
    make_contact,
    make_source,
)
from builders import make_last_write as wrote
from builders import make_task as task
from contact_sync import account_states, keys
from contact_sync.account_states import AccountStatesTable
from contact_sync.account_sync import AccountTask, Outcome
from contact_sync.contacts import ContactType
from contact_sync.errors import ThrottledError
from contact_sync.reconcile import LastWrite, Status
from contact_sync.table import from_item, to_item
from fakes import FakeTime
from moto_stack import STATE_TABLE

BILLING, SECURITY = ContactType.BILLING, ContactType.SECURITY
LATER = NOW + timedelta(hours=1)
EARLIER_PLAN = (datetime.fromisoformat(PLANNED_AT) - timedelta(minutes=1)).isoformat()


@pytest.fixture
def states(state_table: Any) -> AccountStatesTable:
    return AccountStatesTable(state_table, STATE_TABLE)


def record(
    states: AccountStatesTable,
    outcomes: Mapping[ContactType, Outcome],
    of: AccountTask | None = None,
    at: Any = NOW,
    planned_at: str = PLANNED_AT,
) -> None:
    states.record(of or task(), outcomes, make_source(planned_at), at)


def item_of(states: AccountStatesTable, *, dry_run: bool = False) -> dict[str, Any]:
    ((_, item),) = states.read([MEMBER], SYNC_ID, STARTED_AT, dry_run=dry_run)
    return item


def test_an_unknown_account_has_no_writes_and_no_changes(states: AccountStatesTable) -> None:
    assert {} == states.last_writes(MEMBER)
    assert {} == states.changes(task(), STARTED_AT)
    assert {} == item_of(states)


def test_a_write_is_remembered(states: AccountStatesTable) -> None:
    record(states, {BILLING: Outcome(Status.UPDATED, "d", write=wrote())})
    assert {BILLING: wrote()} == states.last_writes(MEMBER)


def test_a_recorded_attempt_is_one_item(states: AccountStatesTable) -> None:
    record(
        states,
        {
            BILLING: Outcome(Status.FAILED, error="ThrottledError"),
            SECURITY: Outcome(Status.UNCHANGED, "d"),
        },
    )
    common = {"sync_id": SYNC_ID, "round": 1, "at": NOW.isoformat()}
    assert item_of(states) == {
        **keys.account_state(MEMBER),
        "sync_id": SYNC_ID,
        "planned_at": PLANNED_AT,
        "at": NOW.isoformat(),
        "billing": {**common, "status": "failed", "error": "ThrottledError"},
        "security": {**common, "status": "unchanged", "digest": "d"},
    }


def test_the_two_processors_do_not_overwrite_each_other(states: AccountStatesTable) -> None:
    record(states, {BILLING: Outcome(Status.UPDATED, "d", write=wrote())})
    record(states, {ContactType.PRIMARY: Outcome(Status.UNCHANGED, "d")})
    assert "updated" == item_of(states)["billing"]["status"]
    assert {BILLING: wrote()} == states.last_writes(MEMBER)


def test_an_unchanged_read_shows_that_the_write_was_accepted(states: AccountStatesTable) -> None:
    record(states, {BILLING: Outcome(Status.UPDATED, "d", write=wrote())})
    record(states, {BILLING: Outcome(Status.UNCHANGED, "d")}, at=LATER)
    assert {BILLING: wrote(replaced=None)} == states.last_writes(MEMBER)


@pytest.mark.parametrize("status", [Status.FAILED, Status.NOT_ACCEPTED, Status.SKIPPED])
def test_what_was_not_written_leaves_the_last_write(
    status: Status, states: AccountStatesTable
) -> None:
    record(states, {BILLING: Outcome(Status.UPDATED, "d", write=wrote())})
    record(states, {BILLING: Outcome(status, error="X")}, at=LATER)
    assert {BILLING: wrote()} == states.last_writes(MEMBER)


def test_a_deletion_is_remembered_as_a_write(states: AccountStatesTable) -> None:
    record(states, {BILLING: Outcome(Status.UPDATED, "d", write=wrote())})
    deletion = LastWrite("absent", "d", LATER)
    record(states, {BILLING: Outcome(Status.DELETED, "absent", write=deletion)}, at=LATER)
    assert {BILLING: deletion} == states.last_writes(MEMBER)


def test_a_dry_run_has_an_item_of_its_own_that_expires(states: AccountStatesTable) -> None:
    dry = task(dry_run=True)
    record(states, {BILLING: Outcome(Status.UNCHANGED, "d")}, dry)
    assert {} == item_of(states)
    item = item_of(states, dry_run=True)
    assert f"RUN#{STARTED_AT}#{SYNC_ID}" == item["sk"]
    assert keys.expires_at(STARTED_AT) == item["expires_at"]
    assert {} == states.changes(dry, STARTED_AT)


def test_a_dry_run_does_not_touch_what_was_written(states: AccountStatesTable) -> None:
    record(states, {BILLING: Outcome(Status.UPDATED, "d", write=wrote())})
    record(states, {BILLING: Outcome(Status.DELETED, "absent")}, task(dry_run=True))
    assert {BILLING: wrote()} == states.last_writes(MEMBER)


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (task(attempt=2), {BILLING: Status.UPDATED}),
        (task(sync_id="another"), {}),
        (task(round=2), {}),
        (task(contact_types=(SECURITY,)), {}),
    ],
)
def test_only_changes_of_the_same_round_count(
    of: AccountTask, expected: dict[ContactType, Status], states: AccountStatesTable
) -> None:
    record(states, {BILLING: Outcome(Status.UPDATED, "d", write=wrote())})
    assert expected == states.changes(of, STARTED_AT)


@pytest.mark.parametrize("status", [Status.UNCHANGED, Status.SKIPPED, Status.FAILED])
def test_what_changed_nothing_is_no_change(states: AccountStatesTable, status: Status) -> None:
    record(states, {BILLING: Outcome(status)})
    assert {} == states.changes(task(), STARTED_AT)


def test_a_change_survives_a_failed_attempt(states: AccountStatesTable) -> None:
    record(states, {BILLING: Outcome(Status.FAILED, error="Error", change=Status.UPDATED)})
    assert {BILLING: Status.UPDATED} == states.changes(task(), STARTED_AT)


@pytest.mark.parametrize(
    ("late_by", "recorded"), [(-1, "updated"), (0, "unchanged"), (1, "unchanged")]
)
def test_a_late_attempt_does_not_hide_what_a_newer_round_recorded(
    late_by: int, recorded: str, states: AccountStatesTable
) -> None:
    record(states, {BILLING: Outcome(Status.UPDATED, "d", write=wrote())}, task(sync_id="newer"))
    planned_at = (datetime.fromisoformat(PLANNED_AT) + timedelta(seconds=late_by)).isoformat()
    record(states, {BILLING: Outcome(Status.UNCHANGED, "d")}, planned_at=planned_at)
    assert recorded == item_of(states)["billing"]["status"]


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_late_attempt_changes_nothing_at_all(
    *, dry_run: bool, states: AccountStatesTable
) -> None:
    newer = task(round=2, dry_run=dry_run)
    record(states, {BILLING: Outcome(Status.UPDATED, "d", write=wrote())}, newer)
    before = item_of(states, dry_run=dry_run)
    assert 2 == before["billing"]["round"]
    late = {
        BILLING: Outcome(Status.DELETED, "absent"),
        SECURITY: Outcome(Status.UPDATED, "late", write=wrote(digest="late")),
    }
    record(states, late, task(dry_run=dry_run), LATER, EARLIER_PLAN)
    assert before == item_of(states, dry_run=dry_run)


def test_a_late_attempt_of_the_other_processor_is_late_too(states: AccountStatesTable) -> None:
    record(states, {BILLING: Outcome(Status.UPDATED, "d", write=wrote())}, task(sync_id="newer"))
    record(states, {ContactType.PRIMARY: Outcome(Status.UNCHANGED)}, planned_at=EARLIER_PLAN)
    assert "primary" not in item_of(states)


def test_a_newer_round_replaces_what_an_older_one_recorded(states: AccountStatesTable) -> None:
    record(states, {BILLING: Outcome(Status.FAILED, error="X")}, planned_at=EARLIER_PLAN)
    record(states, {BILLING: Outcome(Status.UNCHANGED, "d")}, task(sync_id="newer"))
    assert ("newer", PLANNED_AT) == (item_of(states)["sync_id"], item_of(states)["planned_at"])


def test_a_refused_record_is_not_taken_for_a_late_one() -> None:
    client: Any = boto3.client("dynamodb")
    with Stubber(client) as stub:
        stub.add_client_error("update_item", "ProvisionedThroughputExceededException")
        with pytest.raises(ThrottledError, match="record an account's state"):
            record(AccountStatesTable(client, STATE_TABLE), {BILLING: Outcome(Status.UNCHANGED)})


def test_no_item_holds_a_contact_value(states: AccountStatesTable) -> None:
    digest = make_contact().digest(KEY)
    record(states, {BILLING: Outcome(Status.UPDATED, digest, write=wrote())})
    printed = repr(item_of(states))
    assert [] == [value for value in SECRET_VALUES if value in printed]


def test_accounts_are_read_by_the_hundred_in_order(
    states: AccountStatesTable, state_table: Any
) -> None:
    ids = [str(100_000_000_000 + n) for n in range(205)]
    for account_id in ids[::2]:
        item = {**keys.account_state(account_id), "sync_id": account_id}
        state_table.put_item(TableName=STATE_TABLE, Item=to_item(item))
    found = list(states.read(ids, SYNC_ID, STARTED_AT, dry_run=False))
    assert ids == [account_id for account_id, _ in found]
    assert ids[::2] == [item["sync_id"] for _, item in found if item]


def test_items_of_a_run_are_written_by_25(states: AccountStatesTable, state_table: Any) -> None:
    ids = [str(100_000_000_000 + n) for n in range(60)]
    states.write_runs({**keys.account_run(one, STARTED_AT, SYNC_ID), "n": 1} for one in ids)
    assert 60 == state_table.scan(TableName=STATE_TABLE, Select="COUNT")["Count"]


def test_nothing_to_write_calls_nothing() -> None:
    AccountStatesTable(None, STATE_TABLE).write_runs([])  # type: ignore[arg-type]


# Batches that DynamoDB leaves unprocessed


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


def test_keys_left_unprocessed_are_read_again_after_a_while(time: FakeTime) -> None:
    client: Any = boto3.client("dynamodb")
    with Stubber(client) as stub:
        stub.add_response(
            "batch_get_item",
            {
                "Responses": {STATE_TABLE: [to_item(ITEMS[0])]},
                "UnprocessedKeys": get_request(KEYS[1]),
            },
            {"RequestItems": get_request(*KEYS)},
        )
        stub.add_response(
            "batch_get_item",
            {"Responses": {STATE_TABLE: [to_item(ITEMS[1])]}, "UnprocessedKeys": {}},
            {"RequestItems": get_request(KEYS[1])},
        )
        table = AccountStatesTable(client, STATE_TABLE)
        found = dict(table.read([MEMBER, OTHER], SYNC_ID, STARTED_AT, dry_run=False))
    assert {MEMBER: ITEMS[0], OTHER: ITEMS[1]} == found
    assert [0.1] == time.slept


def test_items_left_unprocessed_are_written_again_after_a_while(time: FakeTime) -> None:
    client: Any = boto3.client("dynamodb")
    with Stubber(client) as stub:
        left = {"UnprocessedItems": put_request(ITEMS[1])}
        stub.add_response("batch_write_item", left, {"RequestItems": put_request(*ITEMS)})
        stub.add_response("batch_write_item", {}, {"RequestItems": put_request(ITEMS[1])})
        AccountStatesTable(client, STATE_TABLE).write_runs(ITEMS)
        stub.assert_no_pending_responses()
    assert [0.1] == time.slept


def test_keys_that_stay_unprocessed_are_throttling(time: FakeTime) -> None:
    client: Any = boto3.client("dynamodb")
    with Stubber(client) as stub:
        for _ in range(8):
            left = {"Responses": {}, "UnprocessedKeys": get_request(*KEYS)}
            stub.add_response("batch_get_item", left)
        table = AccountStatesTable(client, STATE_TABLE)
        with pytest.raises(ThrottledError, match="keys were left unprocessed"):
            list(table.read([MEMBER, OTHER], SYNC_ID, STARTED_AT, dry_run=False))
    assert [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0] == time.slept


def test_items_that_stay_unprocessed_are_throttling(time: FakeTime) -> None:
    client: Any = boto3.client("dynamodb")
    with Stubber(client) as stub:
        for _ in range(8):
            stub.add_response("batch_write_item", {"UnprocessedItems": put_request(*ITEMS)})
        with pytest.raises(ThrottledError, match="items were left unprocessed"):
            AccountStatesTable(client, STATE_TABLE).write_runs(ITEMS)
    assert 7 == len(time.slept)


def test_a_written_item_comes_back_the_same(states: AccountStatesTable, state_table: Any) -> None:
    item = {**keys.account_run(MEMBER, STARTED_AT, SYNC_ID), "errors": {"billing": "X"}}
    states.write_runs([item])
    key = to_item(keys.account_run(MEMBER, STARTED_AT, SYNC_ID))
    assert item == from_item(state_table.get_item(TableName=STATE_TABLE, Key=key)["Item"])
