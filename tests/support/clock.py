"""A stopped clock for modules that ask `datetime.now`."""

from datetime import UTC, datetime, tzinfo
from types import ModuleType

import pytest
from support.builders import NOW


def stop_clock(patch: pytest.MonkeyPatch, *modules: ModuleType, at: datetime = NOW) -> None:
    """Let `datetime.now` of the modules return always the same moment."""

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            assert tz is UTC  # a time of day without its zone is nobody's
            return at

    for module in modules:
        patch.setattr(module, "datetime", Stopped)
