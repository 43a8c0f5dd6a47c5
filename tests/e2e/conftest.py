"""One stand-in for the whole folder, with its rules enabled, as in production."""

from collections.abc import Iterator

import pytest
from support.machine import Machine
from support.machine import machine as started


@pytest.fixture(scope="package")
def machine() -> Iterator[Machine]:
    with started(triggers="ENABLED", environment="prod") as running:
        yield running
