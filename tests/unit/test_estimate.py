"""How long a run takes, in words, and how long it still takes."""

import pytest
from contact_sync.estimate import duration, expected, seconds_left


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (36_060, "10 h 1 min"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: int, text: str) -> None:
    assert text == duration(seconds)


@pytest.mark.parametrize(
    ("least", "most", "text"),
    [(60, 60, "1 min 0 s"), (60, 0, "1 min 0 s"), (5, 60, "5 s to 1 min 0 s")],
)
def test_a_range_that_is_none_is_one_time(least: int, most: int, text: str) -> None:
    assert text == expected(least, most)


@pytest.mark.parametrize(
    ("total", "done", "elapsed", "left"),
    [
        (0, 0, 9.0, None),
        (1000, 99, 60.0, None),
        (1000, 100, 60.0, 540),
        (1000, 100, 20.0, 270),  # the burst is used up: no account takes less than 0.3 s
        (1000, 995, 600.0, 3),
        (1000, 1000, 600.0, 0),
    ],
)
def test_the_accounts_that_are_left_take_as_long_as_those_before(
    total: int, done: int, elapsed: float, left: int | None
) -> None:
    assert left == seconds_left(total, done, elapsed, least=0.3)
