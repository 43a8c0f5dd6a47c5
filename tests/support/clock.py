"""A stopped clock for modules that call `datetime.now`."""

from datetime import UTC, datetime, tzinfo
from types import ModuleType

import pytest
from support.builders import NOW


def stop_clock(patch: pytest.MonkeyPatch, *modules: ModuleType, at: datetime = NOW) -> None:
    """Make `datetime.now` in the modules always return the same time."""

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            assert tz is UTC  # a time without its zone is ambiguous
            return at

    for module in modules:
        patch.setattr(module, "datetime", Stopped)
