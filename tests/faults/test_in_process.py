"""Whatever goes wrong, in whatever order: what must hold, holds."""

from faults.in_process import InProcessTrial
from faults.seeds import check, faulty
from faults.system import System


@faulty(cases=250)
def test_the_invariants_hold_in_process(system: System, number: int) -> None:
    check(number, lambda case: InProcessTrial(system, case).run())
