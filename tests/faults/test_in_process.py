"""The system keeps its promise, whatever fails, in any order."""

import pytest
from faults import seeds
from faults.in_process import InProcessTrial
from faults.system import System


@pytest.mark.rule(12)
@pytest.mark.no_cover  # tracing doubles the time, and other tests cover the same lines
def test_the_promise_is_kept_in_process(system: System) -> None:
    for number in seeds.numbers(seconds=120):
        seeds.check(number, lambda case: InProcessTrial(system, case).run())
