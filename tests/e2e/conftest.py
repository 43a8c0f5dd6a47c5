"""One stand-in for the whole folder, as in production: with its rules on."""

from collections.abc import Iterator

import pytest
from standin.machine import Machine
from standin.machine import machine as started


@pytest.fixture(scope="package")
def machine() -> Iterator[Machine]:
    with started(triggers="ENABLED", environment="prod") as running:
        yield running
