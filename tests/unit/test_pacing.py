"""Every call takes a time slot, so that no quota is exceeded and none is left unused."""

import pytest
from contact_sync import pacing
from contact_sync.errors import ThrottledError
from contact_sync.pacing import OwnSlots, Pacer
from contact_sync.quotas import Quota
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import FakeTime

QUOTAS = {"Get": Quota(rate=10, burst=15), "Put": Quota(rate=5, burst=8)}
AT_ONCE = 15 - pacing.SPARED_BURST


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    time = FakeTime()
    monkeypatch.setattr(pacing, "time", time)
    return time


def pacer(processes: int = 1) -> Pacer:
    slots = OwnSlots(QUOTAS, processes)
    return Pacer(slots, spare=slots)


class FailingSlots(OwnSlots):
    """Slots that fail until told otherwise."""

    fails = True

    def take(self, operation: str, count: int) -> range:
        if self.fails:
            raise ThrottledError(f"take a slot of {operation}")
        return super().take(operation, count)


def wait(paced: Pacer, times: int, operation: str = "Get") -> None:
    for _ in range(times):
        paced.wait(operation)


def test_calls_use_the_burst_then_wait_for_their_slots(time: FakeTime) -> None:
    paced = pacer()
    wait(paced, AT_ONCE)
    assert [] == time.slept
    wait(paced, 100)
    assert pytest.approx(100 / 10, abs=0.01) == sum(time.slept)


def test_a_quota_beyond_what_the_clock_tells_apart_is_hardly_paced(time: FakeTime) -> None:
    slots = OwnSlots({"Get": Quota(rate=10_000_000, burst=15)})
    wait(Pacer(slots, spare=slots), 100)
    assert sum(time.slept) < 0.001


def test_an_idle_time_saves_no_more_than_the_burst(time: FakeTime) -> None:
    paced = pacer()
    wait(paced, 50)
    time.now += 3600
    time.slept.clear()
    wait(paced, AT_ONCE)
    assert [] == time.slept
    wait(paced, 1)
    assert [pytest.approx(0.1, abs=0.01)] == time.slept


def test_each_operation_has_its_own_slots(time: FakeTime) -> None:
    paced = pacer()
    wait(paced, AT_ONCE, "Get")
    wait(paced, 1, "Put")
    assert [] == time.slept


def test_a_share_of_the_quota_is_shared_with_the_other_processes(time: FakeTime) -> None:
    paced = pacer(processes=10)
    wait(paced, 11)
    assert pytest.approx(10 * 10 / 10) == sum(time.slept)


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 4)), min_size=1, max_size=80))
def test_no_window_has_more_calls_than_the_quota_allows(pauses: list[tuple[float, int]]) -> None:
    time = FakeTime()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pacing, "time", time)
        paced, calls = pacer(), []
        for pause, reserved in pauses:
            time.now += pause
            if reserved:
                paced.reserve({"Put": reserved})
            for _ in range(reserved or 1):
                paced.wait("Put")
                calls.append(time.now)
    for first, start in enumerate(calls):
        for last, end in enumerate(calls[first:], first):
            assert last - first + 1 <= 8 + 5 * (end - start) + 1e-6


def test_reserved_slots_follow_each_other_whatever_other_processes_do(time: FakeTime) -> None:
    slots = OwnSlots(QUOTAS)
    mine, other = Pacer(slots, spare=slots), Pacer(slots, spare=slots)
    wait(other, AT_ONCE)
    mine.reserve({"Get": 3, "Put": 1})
    other.reserve({"Get": 30})
    wait(mine, 3)
    wait(mine, 1, "Put")
    assert pytest.approx(3 / 10, abs=0.01) == sum(time.slept)
    wait(mine, 1)
    assert pytest.approx((3 + 30 + 1) / 10, abs=0.01) == sum(time.slept)


def test_a_reservation_that_was_not_used_is_not_used_later(time: FakeTime) -> None:
    paced = pacer()
    paced.reserve({"Get": AT_ONCE + 5})
    wait(paced, 1)
    paced.reserve({"Get": 1})
    wait(paced, 1)
    assert [pytest.approx((5 + 1) / 10, abs=0.01)] == time.slept


def test_a_refused_call_leaves_slots_to_whoever_else_calls(time: FakeTime) -> None:
    paced = pacer()
    wait(paced, AT_ONCE)
    paced.refused("Get")
    wait(paced, 1)
    assert [pytest.approx((pacing.LEFT_AFTER_REFUSAL + 1) / 10, abs=0.01)] == time.slept


@pytest.mark.parametrize(("rate", "left"), [(10, 5), (5, 5), (2, 2), (1, 1), (0.5, 0)])
def test_a_refused_call_leaves_no_more_than_a_seconds_slots(
    rate: float, left: int, time: FakeTime
) -> None:
    slots = OwnSlots({"Delete": Quota(rate, burst=1)})
    paced = Pacer(slots, spare=slots)
    wait(paced, 1, "Delete")
    paced.refused("Delete")
    wait(paced, 1, "Delete")
    assert [pytest.approx((left + 1) / rate, abs=0.01)] == time.slept


def test_without_the_shared_slots_the_processs_own_share_is_used(
    time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    paced = Pacer(FailingSlots(QUOTAS), spare=OwnSlots(QUOTAS, processes=4))
    wait(paced, 11, "Put")
    paced.refused("Put")
    wait(paced, 1, "Put")
    expected = (10 + pacing.LEFT_AFTER_REFUSAL + 1) * 4 / 5
    assert pytest.approx(expected) == sum(time.slept)
    assert {
        (
            "The shared time slots failed; this process uses only its own part of the quota.",
            "ThrottledError",
        )
    } == {(record.message, record.__dict__["error"]) for record in caplog.records}


@pytest.mark.rule(19)
def test_what_a_process_takes_while_the_shared_slots_fail_it_gives_up_afterwards(
    time: FakeTime,
) -> None:
    shared = FailingSlots(QUOTAS)
    paced = Pacer(shared, spare=OwnSlots(QUOTAS, processes=4))
    for _ in range(3):
        paced.reserve({"Put": 1})
    shared.fails = False
    before = shared.take("Put", 1)
    paced.reserve({"Put": 2})
    paced.reserve({"Put": 1})
    after = shared.take("Put", 1)
    assert after[0] == before[0] + (1 + 3 + 2 + 1) * pacing.interval(QUOTAS["Put"])
    wait(paced, 1, "Put")
    time.slept.clear()
    wait(paced, 1, "Put")
    assert [pytest.approx(2 / 5, abs=0.01)] == time.slept


def test_after_a_long_failure_all_processes_together_give_up_two_minutes(time: FakeTime) -> None:
    shared = FailingSlots(QUOTAS)
    paced = Pacer(shared, spare=OwnSlots(QUOTAS, processes=4))
    wait(paced, 1000, "Put")
    shared.fails = False
    time.slept.clear()
    wait(paced, 1 + 8 - pacing.SPARED_BURST, "Put")
    assert pytest.approx(120 / 4, abs=1) == sum(time.slept)
