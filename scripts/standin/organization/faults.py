"""Planned faults: which calls fail, how, and how often."""

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from standin.organization.errors import ApiError, DroppedConnectionError, WorldError
from standin.organization.quotas import DEFAULT_QUOTAS


@dataclass(slots=True)
class Fault:
    """One plan. `times` counts down and is None forever; `delay` is in real seconds.

    Unlike a world's latency a delay is not divided by the speed: it is there to outlast a timeout
    of the caller, and those do not shrink.
    """

    operation: str
    error: str
    times: int | None = None
    account_id: str | None = None
    contact_type: str | None = None
    delay: float = 0.0

    def matches(self, operation: str, account_id: str | None, contact_type: str | None) -> bool:
        """Whether the plan is about this call."""
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
    """The plans in force; the first that matches a call is used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: list[Fault] = []

    def add(self, document: Mapping[str, Any]) -> None:
        """Plan one more fault. Raises WorldError."""
        try:
            fault = Fault(**document)
        except TypeError as error:
            raise WorldError(f"fault: {error}") from error
        if fault.operation not in ("*", *DEFAULT_QUOTAS):
            raise WorldError(f"no operation {fault.operation!r}")
        with self._lock:
            self._plans.append(fault)

    def clear(self) -> None:
        """Plan nothing."""
        with self._lock:
            self._plans.clear()

    def to_json(self) -> list[dict[str, Any]]:
        """Return the plans with the times they have left."""
        with self._lock:
            return [asdict(fault) for fault in self._plans]

    def take(
        self, operation: str, account_id: str | None, contact_type: str | None
    ) -> Fault | None:
        """Return the fault that this call meets, if any, with one of its times used up."""
        with self._lock:
            for fault in self._plans:
                if fault.times != 0 and fault.matches(operation, account_id, contact_type):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None
