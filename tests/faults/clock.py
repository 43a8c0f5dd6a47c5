"""The virtual time of a case, also for the product's modules."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from types import ModuleType, SimpleNamespace
from typing import Any

START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)


class Clock:
    """Seconds since the start of the case; monotonic time continues from case to case."""

    def __init__(self) -> None:
        self.now = 0.0
        self._earlier = 0.0
        virtual_datetime = _datetime_of(self)
        virtual_time = SimpleNamespace(
            **{
                **vars(time),
                "time": self.time,
                "time_ns": lambda: round(self.time() * 1e9),
                "monotonic": self.monotonic,
                "sleep": self.sleep,
            }
        )
        # A module may have imported the module or its members.
        self._replaced = {
            id(datetime): virtual_datetime,
            id(time): virtual_time,
            id(time.time): self.time,
            id(time.monotonic): self.monotonic,
            id(time.sleep): self.sleep,
        }

    def reset(self) -> None:
        self._earlier += self.now
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += max(0.0, seconds)

    def at(self, seconds: float | None = None) -> datetime:
        """Return the time of day, now or at `seconds` since the start of the case."""
        return START + timedelta(seconds=self.now if seconds is None else seconds)

    def time(self) -> float:
        return self.at().timestamp()

    def monotonic(self) -> float:
        return self._earlier + self.now

    def rule(self, modules: Mapping[str, ModuleType]) -> None:
        """Replace the clock of these modules with this one."""
        for module in modules.values():
            for name, value in list(vars(module).items()):
                if id(value) in self._replaced:
                    setattr(module, name, self._replaced[id(value)])


def text(at: datetime) -> str:
    """Return the time in the format of Step Functions' context object."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _datetime_of(clock: Clock) -> type[datetime]:
    class Kind(type(datetime)):  # type: ignore[misc]
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, datetime)

    class VirtualDatetime(datetime, metaclass=Kind):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return clock.at().astimezone(tz)

    return VirtualDatetime
