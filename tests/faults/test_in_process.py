"""Whatever goes wrong, in whatever order: what must hold, holds."""

from faults.cases import Case, cases
from faults.in_process import Trial
from faults.seeds import faulty
from faults.system import System
from hypothesis import given


@faulty(cases=250)
@given(case=cases())
def test_the_invariants_hold_in_process(system: System, case: Case) -> None:
    Trial(system, case).run()
