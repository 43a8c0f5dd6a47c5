"""How many cases, and from which seed: a written one, or for a long run a drawn one."""

import os
import secrets
from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, settings

# FAULTS_CASES makes a run long, FAULTS_SEED repeats one, FAULTS_REPLAY its failing case alone.
_WANTED = os.environ.get("FAULTS_CASES")
SEED = int(os.environ.get("FAULTS_SEED", secrets.randbelow(2**32) if _WANTED else 20_261_124))


def faulty(cases: int) -> Callable[[Any], Any]:
    """Decorate a test that takes a case."""
    how = settings(
        max_examples=int(_WANTED or cases),
        deadline=None,  # a busy machine is no failure
        database=None,
        print_blob=True,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=[
            HealthCheck.too_slow,  # a case draws a whole organization
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
        ],
    )

    def decorate(test: Any) -> Any:
        if blob := os.environ.get("FAULTS_REPLAY"):
            test = hypothesis.reproduce_failure(hypothesis.__version__, blob.encode())(test)
        return hypothesis.seed(SEED)(how(test))

    return decorate
