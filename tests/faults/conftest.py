"""The system for every case in process; prints the seed before the first case."""

from collections.abc import Iterator

import pytest
from faults import seeds
from faults.system import System, in_process


def pytest_report_header() -> str:
    return f"fault cases: FAULTS_SEED={seeds.SEED}"


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with in_process(System) as system:
        yield system
