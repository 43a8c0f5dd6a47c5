"""Whatever goes wrong, in whatever order: what must hold, holds."""

import pytest
from faults.in_process import InProcessTrial
from faults.seeds import check, faulty
from faults.system import System


@pytest.mark.no_cover  # tracing doubles its time, and it runs no line that other tests do not
@faulty(cases=250)
def test_the_invariants_hold_in_process(system: System, number: int) -> None:
    check(number, lambda case: InProcessTrial(system, case).run())
