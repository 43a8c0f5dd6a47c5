"""Each process takes its share of each quota, and follows the answers."""

import pytest
from contact_sync.pacing import Pacer, pacers
from contact_sync.quotas import QUOTAS, Quota
from fakes import FakeTime

QUOTA = Quota(rate=10, burst=15)


def pacer(time: FakeTime, quota: Quota = QUOTA, concurrency: int = 10) -> Pacer:
    return Pacer(quota, concurrency, clock=time.clock, sleep=time.sleep)


def seconds_for(calls: int, paced: Pacer, time: FakeTime) -> float:
    """Use up the saved tokens; return how long so many calls take then."""
    for _ in range(5):
        paced.wait()
    start = time.now
    for _ in range(calls):
        paced.wait()
    return time.now - start


def test_a_served_call_raises_the_rate_by_a_fiftieth_of_the_share() -> None:
    time = FakeTime()
    paced = pacer(time, concurrency=1)
    paced.served()
    rate = QUOTA.rate * (Pacer.FIRST + Pacer.RAISE)
    assert pytest.approx(100 / rate) == seconds_for(100, paced, time)


@pytest.mark.parametrize("concurrency", [1, 10, 40])
def test_a_process_starts_above_its_share(concurrency: int) -> None:
    time = FakeTime()
    paced = pacer(time, concurrency=concurrency)
    expected = 100 * concurrency / (QUOTA.rate * Pacer.FIRST)
    assert pytest.approx(expected) == seconds_for(100, paced, time)


def test_the_burst_is_shared_too() -> None:
    time = FakeTime()
    paced = pacer(time, Quota(rate=10, burst=2), concurrency=1)
    paced.wait()
    paced.wait()
    assert [] == time.slept
    paced.wait()
    assert [pytest.approx(1 / 15)] == time.slept


def test_processes_together_do_not_exceed_the_burst_at_once() -> None:
    time = FakeTime()
    paced = pacer(time, Quota(rate=10, burst=5), concurrency=10)
    paced.wait()
    assert [pytest.approx(0.5 / 1.5)] == time.slept


def test_a_process_that_paused_saves_only_a_little() -> None:
    time = FakeTime()
    paced = pacer(time)
    seconds_for(1, paced, time)
    time.now += 3600
    time.slept.clear()
    for _ in range(2):
        paced.wait()
    assert [] == time.slept
    paced.wait()
    assert 1 == len(time.slept)


def test_served_calls_raise_the_rate_up_to_a_limit() -> None:
    time = FakeTime()
    paced = pacer(time)
    for _ in range(1000):
        paced.served()
    assert pytest.approx(100 / Pacer.HIGHEST) == seconds_for(100, paced, time)


def test_refused_calls_lower_the_rate_down_to_a_limit() -> None:
    time = FakeTime()
    paced = pacer(time)
    paced.refused()
    lowered = Pacer.FIRST * Pacer.LOWER
    assert pytest.approx(100 / lowered) == seconds_for(100, paced, time)
    for _ in range(1000):
        paced.refused()
    assert pytest.approx(100 / Pacer.LOWEST) == seconds_for(100, paced, time)


def test_a_refused_call_leaves_nothing_saved() -> None:
    time = FakeTime()
    paced = pacer(time)
    paced.refused()
    paced.wait()
    assert 1 == len(time.slept)


def test_every_operation_has_its_own_pacer() -> None:
    made = pacers(QUOTAS["aws"], 10)
    assert set(QUOTAS["aws"]) == set(made)
    assert len(made) == len({id(one) for one in made.values()})
