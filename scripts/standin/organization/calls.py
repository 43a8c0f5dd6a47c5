"""The log of every call: its target and outcome, never a contact value."""

import threading
import time
from collections import Counter, deque
from typing import Any, NamedTuple

# A limit, so that a long-running stand-in does not grow forever; the counts stay complete.
_KEPT = 1_000_000


class Call(NamedTuple):
    """One answered (or dropped) call."""

    time: float
    operation: str
    account_id: str | None
    contact_type: str | None
    outcome: str


class CallLog:
    """Keeps calls in the order in which they were answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget all calls and counts."""
        with self._lock:
            self._calls: deque[Call] = deque(maxlen=_KEPT)
            self._counts: Counter[tuple[str, str]] = Counter()
            self._inactive_writes: Counter[str] = Counter()

    def record(
        self, operation: str, account_id: str | None, contact_type: str | None, outcome: str
    ) -> None:
        """Add one call."""
        with self._lock:
            self._calls.append(Call(time.time(), operation, account_id, contact_type, outcome))
            self._counts[operation, outcome] += 1

    def record_inactive_write(self, account_id: str) -> None:
        """Record an attempt to write to an account that is not ACTIVE."""
        with self._lock:
            self._inactive_writes[account_id] += 1

    def to_json(self) -> list[dict[str, Any]]:
        """All kept calls."""
        with self._lock:
            calls = list(self._calls)
        return [call._asdict() for call in calls]

    def stats(self) -> dict[str, Any]:
        """Return counts per operation and outcome, and the refused writes to inactive accounts."""
        with self._lock:
            counts = dict(self._counts)
            inactive_writes = dict(self._inactive_writes)
        outcomes: dict[str, dict[str, int]] = {}
        for (operation, outcome), count in sorted(counts.items()):
            outcomes.setdefault(operation, {})[outcome] = count
        return {
            "calls": sum(counts.values()),
            "outcomes": outcomes,
            "inactive_writes": inactive_writes,
        }
