"""Planned faults: which calls fail, how, and how often."""

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from standin.organization.errors import ApiError, DroppedConnectionError, WorldError
from standin.organization.quotas import DEFAULT_QUOTAS


@dataclass(slots=True)
class Fault:
    """One planned fault. `times` counts down, None means forever; `delay` is in real seconds.

    Unlike a world's latency, the delay is not divided by the speed: it must outlast timeouts of
    the caller, which are not scaled.
    """

    operation: str
    error: str
    times: int | None = None
    account_id: str | None = None
    contact_type: str | None = None
    delay: float = 0.0

    def matches(self, operation: str, account_id: str | None, contact_type: str | None) -> bool:
        """Whether the fault applies to this call."""
        return (
            self.operation in ("*", operation)
            and self.account_id in (None, account_id)
            and self.contact_type in (None, contact_type)
        )

    def raise_error(self) -> None:
        """Fail as planned; a `slow` fault is only slow."""
        if self.error == "drop_connection":
            raise DroppedConnectionError
        if self.error != "slow":
            raise ApiError(self.error, "Planned by a fault of the stand-in.")


class Faults:
    """The active faults; the first that matches a call applies."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: list[Fault] = []

    def add(self, document: Mapping[str, Any]) -> None:
        """Add a fault. Raises WorldError."""
        try:
            fault = Fault(**document)
        except TypeError as error:
            raise WorldError(f"fault: {error}") from error
        if fault.operation not in ("*", *DEFAULT_QUOTAS):
            raise WorldError(f"no operation {fault.operation!r}")
        with self._lock:
            self._plans.append(fault)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._plans.clear()

    def to_json(self) -> list[dict[str, Any]]:
        """Return the faults with their remaining times."""
        with self._lock:
            return [asdict(fault) for fault in self._plans]

    def take(
        self, operation: str, account_id: str | None, contact_type: str | None
    ) -> Fault | None:
        """Return the fault for this call, if any, and use up one of its times."""
        with self._lock:
            for fault in self._plans:
                if fault.times != 0 and fault.matches(operation, account_id, contact_type):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None
