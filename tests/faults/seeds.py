"""How many cases, and from which seed: a written one, or for a long run a drawn one."""

import os
import secrets
from collections.abc import Callable
from typing import Any

import hypothesis
from faults.cases import Case, described, draw_case, smallest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

# FAULTS_CASES makes a run long, FAULTS_SEED repeats one, FAULTS_CASE repeats one case of it.
CASES = os.environ.get("FAULTS_CASES")
SEED = int(os.environ.get("FAULTS_SEED", secrets.randbelow(2**32) if CASES else 20_261_124))
CASE = os.environ.get("FAULTS_CASE")


class InvariantError(AssertionError):
    """A case broke an invariant; tells how to see it again, and what is left of it."""


def faulty(cases: int) -> Callable[[Any], Any]:
    """Decorate a test that takes the number of a case."""
    numbers = st.just(int(CASE)) if CASE else st.integers(0, 2**32 - 1)
    how = settings(
        max_examples=int(CASES or cases),
        deadline=None,  # a busy machine is no failure
        database=None,
        phases=[Phase.generate],  # a smaller number is no smaller case
        suppress_health_check=[HealthCheck.too_slow],  # each case is some runs of the machine
    )
    return lambda test: hypothesis.seed(SEED)(how(given(number=numbers)(test)))


def check(number: int, run: Callable[[Case], None]) -> None:
    """Run a case; where it fails, say how to repeat it, and what of it is enough to fail."""
    case = draw_case(number)
    try:
        run(case)
    except AssertionError as error:
        case = smallest(case, lambda less: _fails(less, run))
        raise InvariantError(
            f"{error}\nRepeat it: FAULTS_CASE={number} python -m pytest tests/faults\n"
            f"{described(case)}"
        ) from error


def _fails(case: Case, run: Callable[[Case], None]) -> bool:
    try:
        run(case)
    except AssertionError:
        return True
    return False
