"""The lock and its queue: every change of the lock is conditional, and no request is lost."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from contact_sync.aws import keys
from contact_sync.aws.items import from_item, to_item
from contact_sync.aws.lock_table import Lock, LockTable, QueuedRequest
from contact_sync.errors import AccessDeniedError, ThrottledError
from contact_sync.request import RunRequest
from support.builders import EARLIER_PLAN, LATER_PLAN, MEMBER, NOW, OTHER, PLANNED_AT, STARTED_AT
from support.moto_stack import STATE_TABLE

LATER = NOW + timedelta(minutes=2)
HELD = {"billing": "1:digest", "configuration": "digest"}
REQUEST = RunRequest(account_ids=[MEMBER], reasons=["why"])
# A request queued by version 1; `settle`, `only_if_changed` and `must_exist` no longer exist.
PENDING = {"account_ids": [OTHER], "settle": True, "must_exist": False}


@pytest.fixture
def lock(state_table: Any) -> LockTable:
    return LockTable(state_table, STATE_TABLE)


@pytest.fixture
def put(state_table: Any) -> Callable[..., None]:
    """Put the lock item directly."""

    def make(**values: Any) -> None:
        state_table.put_item(TableName=STATE_TABLE, Item=to_item({**keys.LOCK, **values}))

    return make


@pytest.fixture
def item(state_table: Any) -> Callable[[], dict[str, Any]]:
    """Return the lock item without its key."""

    def read() -> dict[str, Any]:
        answer = state_table.get_item(TableName=STATE_TABLE, Key=to_item(keys.LOCK))
        found = from_item(answer.get("Item", {}))
        return {name: value for name, value in found.items() if name not in keys.LOCK}

    return read


# Reading


def test_a_table_without_the_item_is_a_free_lock(lock: LockTable) -> None:
    assert Lock() == lock.read()


def test_a_lock_is_read_as_it_was_written(lock: LockTable) -> None:
    assert lock.take("run-1", NOW)
    assert lock.record_plan("run-1", PLANNED_AT, HELD)
    assert Lock("run-1", NOW, PLANNED_AT, None, HELD) == lock.read()
    assert lock.release("run-1", LATER)
    assert Lock(None, None, PLANNED_AT, LATER, HELD) == lock.read()


@pytest.mark.parametrize(
    "foreign",
    [
        {"since": "then", "quiet_until": "2026-01-05", "unheard_of": {"a": 1}},
        {"since": None, "quiet_until": 17, "held": ["billing"]},
        {"since": "2026-01-05T10:00:00", "held": "billing"},
    ],
)
def test_values_in_another_releases_format_are_ignored(
    foreign: dict[str, Any], lock: LockTable, put: Callable[..., None]
) -> None:
    put(holder="run-1", planned_at=PLANNED_AT, **foreign)
    assert Lock("run-1", planned_at=PLANNED_AT) == lock.read()


# Changing


@pytest.mark.rule(7)
def test_a_lock_that_is_taken_cannot_be_taken_by_another_run(lock: LockTable) -> None:
    assert lock.take("run-1", NOW)
    assert not lock.take("run-2", LATER)
    assert ("run-1", NOW) == (lock.read().holder, lock.read().since)


@pytest.mark.rule(15)
def test_the_holder_can_take_the_lock_again_and_keeps_its_time(lock: LockTable) -> None:
    assert lock.take("run-1", NOW)
    assert lock.take("run-1", LATER)
    assert NOW == lock.read().since


def test_taking_the_lock_keeps_the_values_of_earlier_runs(
    lock: LockTable, put: Callable[..., None], item: Callable[[], dict[str, Any]]
) -> None:
    left = {
        "planned_at": EARLIER_PLAN,
        "quiet_until": LATER.isoformat(),
        "held": HELD,
        "pending": PENDING,
        "unheard_of": 1,
    }
    put(**left)
    assert lock.take("run-1", NOW)
    assert {**left, "holder": "run-1", "since": NOW.isoformat()} == item()
    assert lock.release("run-1")
    assert left == item()


def test_a_plan_whose_answer_was_lost_is_recorded_again(lock: LockTable) -> None:
    """The client repeats a call that timed out; the first may have been carried out."""
    lock.take("run-1", NOW)
    assert lock.record_plan("run-1", PLANNED_AT, HELD)
    assert lock.record_plan("run-1", PLANNED_AT, HELD)


def test_the_end_of_a_run_sets_held_and_removes_the_request_of_version_1(
    lock: LockTable, put: Callable[..., None]
) -> None:
    put(holder="run-1", planned_at=PLANNED_AT, held={}, pending=PENDING)
    for _ in range(2):
        assert lock.record_end("run-1", PLANNED_AT, HELD)
    assert Lock("run-1", planned_at=PLANNED_AT, held=HELD) == lock.read()


def test_the_request_of_version_1_can_be_removed(lock: LockTable, put: Callable[..., None]) -> None:
    put(holder="run-1", planned_at=PLANNED_AT, held=HELD, pending=PENDING)
    for _ in range(2):
        assert lock.forget_pending("run-1")
    assert Lock("run-1", planned_at=PLANNED_AT, held=HELD) == lock.read()


Change = Callable[[LockTable], bool]
TAKE: Change = lambda lock: lock.take("run-1", NOW)  # noqa: E731
RELEASE: Change = lambda lock: lock.release("run-1", LATER)  # noqa: E731
PLAN: Change = lambda lock: lock.record_plan("run-1", PLANNED_AT, HELD)  # noqa: E731
END: Change = lambda lock: lock.record_end("run-1", PLANNED_AT, HELD)  # noqa: E731
FORGET: Change = lambda lock: lock.forget_pending("run-1")  # noqa: E731


@pytest.mark.rule(7)
@pytest.mark.parametrize(
    ("change", "found"),
    [
        (TAKE, {"holder": "run-2"}),
        (RELEASE, {}),
        (RELEASE, {"holder": "run-2"}),
        (PLAN, {}),
        (PLAN, {"holder": "run-2"}),
        (PLAN, {"holder": "run-2", "planned_at": EARLIER_PLAN}),
        (PLAN, {"holder": "run-1", "planned_at": LATER_PLAN}),
        (END, {}),
        (END, {"holder": "run-1"}),
        (END, {"holder": "run-1", "planned_at": EARLIER_PLAN}),
        (END, {"holder": "run-1", "planned_at": LATER_PLAN}),
        (END, {"holder": "run-2", "planned_at": PLANNED_AT, "pending": PENDING}),
        (FORGET, {"pending": PENDING}),
        (FORGET, {"holder": "run-2", "pending": PENDING}),
    ],
)
def test_only_the_holder_with_its_current_plan_changes_the_lock(
    change: Change,
    found: dict[str, Any],
    lock: LockTable,
    put: Callable[..., None],
    item: Callable[[], dict[str, Any]],
) -> None:
    put(**found)
    assert not change(lock)
    assert found == item()


@pytest.mark.parametrize("change", [TAKE, RELEASE, PLAN, END, FORGET])
def test_another_refusal_is_not_taken_for_a_changed_lock(change: Change) -> None:
    client: Any = boto3.client("dynamodb")
    with Stubber(client) as stub:
        stub.add_client_error("update_item", "AccessDeniedException")
        with pytest.raises(AccessDeniedError, match="update the lock: AccessDeniedException"):
            change(LockTable(client, STATE_TABLE))


# The queue


def queued(name: str, at: datetime = NOW, request: RunRequest = REQUEST) -> QueuedRequest:
    return QueuedRequest(name, STARTED_AT, at, request)


def test_requests_are_read_unchanged_oldest_first(lock: LockTable) -> None:
    late, early, full = queued("a", LATER), queued("c"), queued("b", request=RunRequest())
    for one in (late, early, full):
        lock.queue(one)
    assert [full, early, late] == lock.queued()


def test_an_execution_has_one_request(lock: LockTable) -> None:
    lock.queue(queued("run-1"))
    lock.queue(queued("run-1", LATER))
    assert [queued("run-1", LATER)] == lock.queued()


def test_a_request_is_removed_by_the_name_of_its_execution(lock: LockTable) -> None:
    for name in ("run-1", "run-2", "run-10"):
        lock.queue(queued(name))
    lock.remove(["run-1", "run-2", "never-queued"])
    assert [queued("run-10")] == lock.queued()


def test_the_lock_is_not_in_its_queue(lock: LockTable) -> None:
    lock.take("run-1", NOW)
    assert [] == lock.queued()
    assert not lock.has_queued()


@pytest.mark.rule(7)
def test_requests_of_every_page_are_found(lock: LockTable) -> None:
    """A page holds 1 MB."""
    long = RunRequest(reasons=["x" * 1_000] * 20)
    many = [queued(f"run-{n:02}", request=long) for n in range(60)]
    for one in many:
        lock.queue(one)
    assert many == lock.queued()


def test_a_queued_undo_names_the_dead_run_that_it_continues(lock: LockTable) -> None:
    lock.queue(queued("undo-1", request=RunRequest(undo="run-0")))
    lock.continue_undo("undo-1", "dead")
    lock.continue_undo("done", "dead")
    [one] = lock.queued()
    assert RunRequest(undo="run-0", continues=["dead"]) == one.request


@pytest.mark.rule(7)
@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"started_at": None, "queued_at": None},
        {"request": None},
        {"request": "everything"},
        {"request": {"account_ids": ["x"]}},
        {"request": {"contact_types": ["fax"]}},
        {"request": {"unheard_of": True}, "priority": "high"},
    ],
)
def test_an_unreadable_request_means_a_full_run_and_can_be_removed(
    stored: dict[str, Any], lock: LockTable, state_table: Any
) -> None:
    item = to_item({**keys.queued("run-1"), **stored})
    state_table.put_item(TableName=STATE_TABLE, Item=item)
    long_ago = datetime(1970, 1, 1, tzinfo=UTC)
    assert [QueuedRequest("run-1", "", long_ago, RunRequest())] == lock.queued()
    assert lock.has_queued()
    lock.remove(["run-1"])
    assert [] == lock.queued()


@pytest.mark.rule(7)
def test_a_request_of_either_version_counts_as_queued(
    lock: LockTable, put: Callable[..., None]
) -> None:
    assert not lock.has_queued()
    lock.queue(queued("run-1"))
    assert lock.has_queued()
    lock.remove(["run-1"])
    put(pending={})
    assert lock.has_queued()


@pytest.mark.parametrize(
    ("operation", "use"),
    [
        ("get_item", lambda lock: lock.read()),
        ("query", lambda lock: lock.queued()),
        ("query", lambda lock: lock.has_queued()),
        ("put_item", lambda lock: lock.queue(queued("run-1"))),
        ("delete_item", lambda lock: lock.remove(["run-1"])),
        ("update_item", lambda lock: lock.continue_undo("run-1", "dead")),
    ],
)
def test_a_refused_call_is_an_error_and_never_an_empty_queue(
    operation: str, use: Callable[[LockTable], object]
) -> None:
    client: Any = boto3.client("dynamodb")
    with Stubber(client) as stub:
        stub.add_client_error(operation, "ThrottlingException")
        with pytest.raises(ThrottledError):
            use(LockTable(client, STATE_TABLE))
