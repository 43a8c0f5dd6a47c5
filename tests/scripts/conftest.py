"""No script calls another machine."""

from collections.abc import Iterator

import pytest
from support.outside import outside


@pytest.fixture(autouse=True)
def _loopback() -> Iterator[None]:
    yield
    outside().assert_unused()
