"""Selects cases: kept ones, then new ones until time is up, or as environment variables say."""

import itertools
import os
import random
import secrets
import time
from collections.abc import Callable, Iterator

from faults.cases import Case, described, draw_case, smallest

# FAULTS_CASES=n runs n cases, FAULTS_SEED repeats a run, FAULTS_CASE repeats one case of it.
CASES = os.environ.get("FAULTS_CASES")
SEED = int(os.environ.get("FAULTS_SEED") or secrets.randbelow(2**32))
os.environ["FAULTS_SEED"] = str(SEED)  # pytest's workers use the printed seed
CASE = os.environ.get("FAULTS_CASE")
# Time limit for reducing a failing case: through the machine, one attempt can take minutes.
SHRINK_SECONDS = 60.0
# Cases that once failed, to cover every family in each run.
KEPT: tuple[int, ...] = (
    602443980,
    629612211,
    2213942492,
    3709978217,
    4181851401,
    4265195359,
    893466451,
    2188019636,
    1847256113,
    477133617,
)


class BrokenPromiseError(AssertionError):
    """A case broke a promise; says how to repeat the case, and what remains of it."""


def numbers(seconds: float) -> Iterator[int]:
    """Yield the numbers of the cases to run."""
    if CASE:
        yield int(CASE)
        return
    rng = random.Random(SEED)  # noqa: S311 - repeatable, not for security
    if CASES:
        yield from (rng.randrange(2**32) for _ in range(int(CASES)))
        return
    end = time.monotonic() + seconds
    yield from KEPT
    while time.monotonic() < end:
        yield rng.randrange(2**32)


def check(number: int, run: Callable[[Case], None]) -> None:
    """Run a case; if it fails, report how to repeat it and a minimal failing case."""
    case = draw_case(number)
    try:
        run(case)
    except Exception as error:
        end = time.monotonic() + SHRINK_SECONDS
        case = smallest(case, lambda less: time.monotonic() < end and _fails(less, run))
        raise BrokenPromiseError(
            f"{type(error).__name__}: {error}\n"
            f"Repeat it: FAULTS_CASE={number} python -m pytest tests/faults\n"
            f"If it passes alone, where all processes are new: {_run_up_to(number)}\n"
            f"{described(case)}"
        ) from error


def _run_up_to(number: int) -> str:
    rng = random.Random(SEED)  # noqa: S311 - as in numbers
    drawn = (count for count in itertools.count(1) if rng.randrange(2**32) == number)
    count = 1 if CASE or number in KEPT else next(drawn)
    return f"FAULTS_SEED={SEED} FAULTS_CASES={count}"


def _fails(case: Case, run: Callable[[Case], None]) -> bool:
    try:
        run(case)
    except Exception:  # noqa: BLE001 - any exception is a failure
        return True
    return False
