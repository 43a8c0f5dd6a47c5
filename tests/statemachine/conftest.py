"""One stand-in for the whole folder, with rules disabled, so that only tests start executions."""

from collections.abc import Iterator

import pytest
from support.machine import Machine
from support.machine import machine as started


@pytest.fixture(scope="package")
def machine() -> Iterator[Machine]:
    with started(triggers="DISABLED", speed=1000) as running:
        yield running
