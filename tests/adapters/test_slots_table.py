"""Time slots in the state table, shared by all processes."""

from typing import Any

import pytest
from botocore.stub import Stubber
from contact_sync import pacing
from contact_sync.aws import keys
from contact_sync.aws.items import to_item
from contact_sync.aws.slots_table import ATTEMPTS, MAX_AHEAD, SlotsTable
from contact_sync.errors import AccessDeniedError, ThrottledError
from contact_sync.quotas import Quota
from support.fakes import FakeTime
from support.moto_stack import STATE_TABLE

GET = "GetAlternateContact"
QUOTAS = {GET: Quota(rate=10, burst=15), "PutAlternateContact": Quota(rate=5, burst=8)}
SECOND = pacing.MICROSECONDS
UNUSED = 12 * SECOND // 10  # the burst that may be used at once


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    time = FakeTime()
    monkeypatch.setattr(pacing, "time", time)
    return time


@pytest.fixture
def processes(state_table: Any) -> list[SlotsTable]:
    return [SlotsTable(state_table, STATE_TABLE, QUOTAS) for _ in range(3)]


def test_processes_take_consecutive_slots(processes: list[SlotsTable]) -> None:
    taken = [slot for _ in range(10) for one in processes for slot in one.take(GET, 1)]
    first = pacing.now() - UNUSED
    assert [first + n * SECOND // 10 for n in range(30)] == taken


def test_each_operation_has_its_slots_and_several_can_be_taken_at_once(
    processes: list[SlotsTable],
) -> None:
    first = pacing.now() - UNUSED
    idle, following = processes[0].take(GET, 5), processes[1].take(GET, 5)
    assert [first + n * SECOND // 10 for n in range(10)] == [*idle, *following]
    assert [pacing.now() - 5 * SECOND // 5] == [*processes[0].take("PutAlternateContact", 1)]


def test_idle_time_saves_no_more_than_the_burst(
    processes: list[SlotsTable], time: FakeTime
) -> None:
    for pause in (60, 0.05, 3600, 0.05):
        for one in processes:
            one.take(GET, 1)
        time.now += pause
    assert pacing.now() - UNUSED <= processes[0].take(GET, 1)[0] <= pacing.now()


@pytest.mark.parametrize("ahead", [-1, 1])
def test_a_slot_of_a_wrong_clock_is_ignored(
    ahead: int, processes: list[SlotsTable], state_table: Any
) -> None:
    wrong = pacing.now() + ahead * 2 * MAX_AHEAD
    item = {**keys.slots(GET), "next": wrong}
    state_table.put_item(TableName=STATE_TABLE, Item=to_item(item))
    assert pacing.now() - UNUSED == processes[0].take(GET, 1)[0]


@pytest.mark.rule(19)
def test_no_slot_is_taken_twice_however_many_are_taken(
    processes: list[SlotsTable],
) -> None:
    taken = [slot for _ in range(2) for one in processes for slot in one.take(GET, 1000)]
    assert taken == [*range(taken[0], taken[0] + 600 * SECOND, SECOND // 10)]


def test_losing_every_attempt_to_other_processes_is_a_throttling_error(state_table: Any) -> None:
    slots = SlotsTable(state_table, STATE_TABLE, QUOTAS)
    with Stubber(state_table) as stubber:
        for _ in range(ATTEMPTS):
            stubber.add_client_error("update_item", "ConditionalCheckFailedException")
        with pytest.raises(ThrottledError, match=f"take a slot of {GET}: other processes"):
            slots.take(GET, 1)


def test_a_refusal_of_the_table_becomes_a_named_error(state_table: Any) -> None:
    slots = SlotsTable(state_table, STATE_TABLE, QUOTAS)
    with Stubber(state_table) as stubber:
        stubber.add_client_error("update_item", "AccessDeniedException", http_status_code=400)
        with pytest.raises(AccessDeniedError, match=f"take a slot of {GET}"):
            slots.take(GET, 1)
