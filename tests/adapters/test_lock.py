"""The lock item: every change is conditional on what was seen."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from builders import MEMBER, OTHER, STARTED_AT, hides_its_context
from contact_sync import keys
from contact_sync.errors import AccessDeniedError, ServiceUnavailableError, ThrottledError
from contact_sync.lock import Lock, LockTable
from contact_sync.request import RoundRequest
from contact_sync.runs_table import RunsTable
from contact_sync.table import to_item
from moto_stack import STATE_TABLE

from statemachine import asl

MINE = RoundRequest(account_ids=[MEMBER], reasons=["why"])
QUEUED = RoundRequest(account_ids=[OTHER], only_if_changed=True)
RUN_KEY = keys.run(STARTED_AT, "run-1")


@pytest.fixture
def lock(state_table: Any) -> LockTable:
    return LockTable(state_table, STATE_TABLE)


@pytest.fixture
def put(state_table: Any) -> Callable[..., None]:
    """Put the lock item as somebody else does, through another client's write."""

    def make(**values: Any) -> None:
        state_table.put_item(TableName=STATE_TABLE, Item=to_item({**keys.LOCK, **values}))

    return make


def test_a_table_without_the_item_is_a_free_lock(lock: LockTable) -> None:
    assert Lock(None, None, None) == lock.read()


def test_a_lock_is_read_with_what_is_queued(lock: LockTable, put: Callable[..., None]) -> None:
    put(holder="run-1", pending=QUEUED.stored())
    assert Lock("run-1", QUEUED, QUEUED.stored()) == lock.read()


def test_a_queued_full_resync_is_read_as_one(lock: LockTable, put: Callable[..., None]) -> None:
    put(holder="run-1", pending={})
    assert Lock("run-1", RoundRequest(), {}) == lock.read()


def test_a_request_queues_behind_the_holder_seen(lock: LockTable, put: Callable[..., None]) -> None:
    put(holder="run-1")
    assert lock.queue(lock.read(), MINE)
    assert Lock("run-1", MINE, MINE.stored()) == lock.read()


def test_a_request_merges_with_what_is_queued(lock: LockTable, put: Callable[..., None]) -> None:
    put(holder="run-1", pending=QUEUED.stored())
    assert lock.queue(lock.read(), MINE)
    assert QUEUED.merge(MINE) == lock.read().pending


@pytest.mark.parametrize("pending", [None, RoundRequest(), QUEUED])
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"holder": "another"},
        {"holder": "run-1", "pending": MINE.stored()},
        {"holder": "another", "pending": QUEUED.stored()},
    ],
)
@pytest.mark.parametrize(
    "change",
    [
        lambda lock, seen: lock.queue(seen, MINE),
        lambda lock, seen: lock.take_over(seen, "run-2", STARTED_AT),
        lambda lock, seen: lock.free(seen),
        lambda lock, seen: lock.start_round(seen, RUN_KEY, {"round": 1}),
    ],
    ids=["queue", "take_over", "free", "start_round"],
)
def test_nothing_changes_a_lock_that_is_not_as_seen(
    *,
    change: Callable[[LockTable, Lock], bool],
    changed: dict[str, Any],
    pending: RoundRequest | None,
    lock: LockTable,
    put: Callable[..., None],
    state_table: Any,
) -> None:
    put(holder="run-1", **({"pending": pending.stored()} if pending else {}))
    seen = lock.read()
    put(**changed)
    assert not change(lock, seen)
    assert Lock.from_item(changed) == lock.read()
    assert {} == RunsTable(state_table, STATE_TABLE).read(STARTED_AT, "run-1")


def test_a_dead_holders_lock_is_taken_over_with_what_is_queued(
    lock: LockTable, put: Callable[..., None]
) -> None:
    put(holder="dead", since="then", pending=QUEUED.stored())
    assert lock.take_over(lock.read(), "run-2", STARTED_AT)
    assert Lock("run-2", QUEUED, QUEUED.stored()) == lock.read()


def test_a_dead_holders_lock_is_freed_and_what_is_queued_stays(
    lock: LockTable, put: Callable[..., None]
) -> None:
    put(holder="dead", since="then", pending=QUEUED.stored())
    assert lock.free(lock.read())
    assert Lock(None, QUEUED, QUEUED.stored()) == lock.read()


@pytest.mark.parametrize("pending", [None, RoundRequest(), QUEUED])
def test_a_round_takes_what_is_queued_into_the_runs_item(
    pending: RoundRequest | None, lock: LockTable, put: Callable[..., None], state_table: Any
) -> None:
    put(holder="run-1", **({} if pending is None else {"pending": pending.stored()}))
    assert lock.start_round(lock.read(), RUN_KEY, {"round": 1, "request": MINE.stored()})
    assert Lock("run-1", None, None) == lock.read()
    run = RunsTable(state_table, STATE_TABLE).read(STARTED_AT, "run-1")
    assert {**RUN_KEY, "round": 1, "request": MINE.stored()} == run


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ProvisionedThroughputExceededException", ThrottledError),
        ("AccessDeniedException", AccessDeniedError),
    ],
)
def test_another_refusal_is_no_changed_lock(code: str, error: type[Exception]) -> None:
    client: Any = boto3.client("dynamodb")
    with Stubber(client) as stub:
        stub.add_client_error("update_item", code)
        with pytest.raises(error, match=f"change the lock: {code}"):
            LockTable(client, STATE_TABLE).free(Lock("dead", None, None))


def start_cancelled_by(*codes: str) -> bool:
    """Start a round whose transaction is cancelled, with one reason for each of its two items."""
    client: Any = boto3.client("dynamodb")
    with Stubber(client) as stub:
        stub.add_client_error(
            "transact_write_items",
            "TransactionCanceledException",
            modeled_fields={"CancellationReasons": [{"Code": code} for code in codes]},
        )
        lock = LockTable(client, STATE_TABLE)
        return lock.start_round(Lock("run-1", None, None), RUN_KEY, {"round": 1})


@pytest.mark.parametrize(
    "codes",
    [
        ("ConditionalCheckFailed", "None"),
        ("TransactionConflict", "None"),
        ("None", "TransactionConflict"),
        ("ConditionalCheckFailed", "TransactionConflict"),
    ],
)
def test_a_transaction_that_met_another_change_finds_the_lock_not_as_seen(
    codes: tuple[str, ...],
) -> None:
    assert not start_cancelled_by(*codes)


@pytest.mark.parametrize(
    ("codes", "named"),
    [
        (("None", "ThrottlingError"), "ThrottlingError"),
        (("ProvisionedThroughputExceeded", "None"), "ProvisionedThroughputExceeded"),
        (
            ("ConditionalCheckFailed", "ThrottlingError"),
            "ConditionalCheckFailed, ThrottlingError",
        ),
        (("None", "ItemCollectionSizeLimitExceeded"), "ItemCollectionSizeLimitExceeded"),
    ],
)
def test_a_transaction_cancelled_for_another_reason_is_a_passing_failure(
    codes: tuple[str, ...], named: str
) -> None:
    with pytest.raises(ServiceUnavailableError, match=f"^change the lock: {named}$") as caught:
        start_cancelled_by(*codes)
    assert hides_its_context(caught.value)


def test_a_throttled_transaction_is_told_as_such() -> None:
    client: Any = boto3.client("dynamodb")
    with Stubber(client) as stub:
        stub.add_client_error("transact_write_items", "ThrottlingException")
        lock = LockTable(client, STATE_TABLE)
        with pytest.raises(ThrottledError, match="change the lock"):
            lock.start_round(Lock("run-1", None, None), RUN_KEY, {"round": 1})


def test_a_lock_within_anothers_transaction_is_looked_at_again() -> None:
    client: Any = boto3.client("dynamodb")
    with Stubber(client) as stub:
        stub.add_client_error("update_item", "TransactionConflictException")
        assert not LockTable(client, STATE_TABLE).queue(Lock("run-1", None, None), RoundRequest())


# The machine's own steps, by the definition's expressions.


@pytest.mark.parametrize(
    ("step", "found", "left"),
    [
        ("TakeLock", {}, "run-1"),
        ("TakeLock", {"holder": "run-1"}, "run-1"),
        ("TakeLock", {"holder": "run-2"}, None),
        ("TakeLock", {"pending": QUEUED.stored()}, "run-1"),
        ("ReleaseLock", {"holder": "run-1"}, ""),
        ("ReleaseLock", {"holder": "run-1", "pending": QUEUED.stored()}, None),
        ("ReleaseLock", {"holder": "run-2"}, None),
        ("FreeLock", {"holder": "run-1"}, ""),
        ("FreeLock", {"holder": "run-1", "pending": QUEUED.stored()}, ""),
        ("FreeLock", {"holder": "run-2"}, None),
    ],
)
def test_the_machine_takes_and_frees_only_its_own_lock(
    step: str,
    found: dict[str, Any],
    left: str | None,
    *,
    lock: LockTable,
    put: Callable[..., None],
    state_table: Any,
) -> None:
    """What is queued stays whatever happens; None: the step is refused."""
    put(**found)
    arguments = asl.load()["States"][step]["Arguments"]
    values = {name: {"S": "run-1"} for name in arguments["ExpressionAttributeValues"]}
    update = {**arguments, "TableName": STATE_TABLE, "ExpressionAttributeValues": values}
    if left is None:
        with pytest.raises(state_table.exceptions.ConditionalCheckFailedException):
            state_table.update_item(**update)
    else:
        state_table.update_item(**update)
    holder = found.get("holder") if left is None else left or None
    assert (holder, found.get("pending")) == (lock.read().holder, lock.read().stored)
