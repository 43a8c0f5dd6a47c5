"""The bench for every case, reset for each test."""

from collections.abc import Iterator

import pytest
from faults.system import in_process
from faults.version1.bench import Bench
from support.stack import Stack, expand, source_template


@pytest.fixture(scope="session", name="stack")
def _stack() -> Stack:
    return Stack(expand(source_template()))


@pytest.fixture(scope="module", name="whole_bench")
def _whole_bench(stack: Stack) -> Iterator[Bench]:
    with in_process(lambda cloud, clock: Bench(cloud, clock, stack)) as bench:
        yield bench


@pytest.fixture(name="bench")
def _bench(whole_bench: Bench) -> Bench:
    """Three drifted members, every contact type, and a message about each run."""
    whole_bench.begin(notification_settings={"notify_on_success": True})
    return whole_bench
