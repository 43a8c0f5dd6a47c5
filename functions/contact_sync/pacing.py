"""Pace the calls of all processes together: each call takes a time slot of its operation.

The slots of an operation are 1 / rate apart; unused slots may be used at once, up to the quota's
burst (the generic cell rate algorithm). Because all processes take slots from one place, they fill
the quota, whatever share of the accounts differs, and never exceed it.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Protocol

from contact_sync.errors import SyncError
from contact_sync.observability import logger
from contact_sync.quotas import MAX_WAIT_SECONDS, Quota

# Calls of different processes arrive in another order than they were sent.
SPARED_BURST = 2
# A refused call means that others use the quota too: leave them this many slots, but no more than
# a second's. At a low rate, accounts would wait for the slots after them until they time out.
LEFT_AFTER_REFUSAL = 5

MICROSECONDS = 1_000_000

# How long a process owes the shared slots what it took elsewhere. While they fail for all, they
# pass unused; if all processes paid for a long failure, their accounts would time out.
OWED = 2 * MAX_WAIT_SECONDS * MICROSECONDS


def now() -> int:
    """Return the time in microseconds since 1970, which all processes share."""
    return time.time_ns() // 1000


def interval(quota: Quota) -> int:
    """Return the time between two slots, in microseconds."""
    return max(1, round(MICROSECONDS / quota.rate))


def earliest(quota: Quota, at: int) -> int:
    """Return the oldest unused slot that may still be used, in microseconds since 1970."""
    return at - max(quota.burst - 1 - SPARED_BURST, 0) * interval(quota)


class Slots(Protocol):
    """The slots of every operation."""

    @property
    def quotas(self) -> Mapping[str, Quota]:
        """Return each operation's quota, which its slots divide."""

    def take(self, operation: str, count: int) -> range:
        """Take the next slots; return their times, in microseconds since 1970.

        Raises SyncError if none is available.
        """


class OwnSlots:
    """The slots of one process's even share of each quota, taken without coordination."""

    def __init__(self, quotas: Mapping[str, Quota], processes: int = 1) -> None:
        self.quotas = {
            name: Quota(quota.rate / processes, quota.burst // processes)
            for name, quota in quotas.items()
        }
        self._next = dict.fromkeys(quotas, 0)

    def take(self, operation: str, count: int) -> range:
        """Take the next slots; return their times, in microseconds since 1970."""
        quota = self.quotas[operation]
        first = max(self._next[operation], earliest(quota, now()))
        self._next[operation] = following = first + count * interval(quota)
        return range(first, following, interval(quota))


class Pacer:
    """Makes each call wait for its slot, from `spare` where `slots` fails."""

    def __init__(self, slots: Slots, spare: Slots) -> None:
        self._slots = slots
        self._spare = spare
        self._reserved: dict[str, Iterator[int]] = {}
        self._owed: dict[str, list[int]] = {}

    def reserve(self, calls: Mapping[str, int]) -> None:
        """Take the slots of several calls of each operation, for the waits that follow.

        If processes took single slots in turn, all their accounts would take long, and the last
        would end late. Slots left from an earlier reservation are never used: their time may be
        long past.
        """
        for operation, count in calls.items():
            self._reserved[operation] = iter(self._take(operation, count))

    def wait(self, operation: str) -> None:
        """Sleep until the operation's next slot begins: a reserved one, or else a new one."""
        slot = next(self._reserved.get(operation, iter(())), None)
        if slot is None:
            (slot,) = self._take(operation, 1)
        if (wait := slot - now()) > 0:
            time.sleep(wait / MICROSECONDS)

    def refused(self, operation: str) -> None:
        """Leave slots to the quota's other users."""
        if count := min(LEFT_AFTER_REFUSAL, int(self._slots.quotas[operation].rate)):
            self._take(operation, count)

    def _take(self, operation: str, count: int) -> range:
        """Take slots, after those owed for `spare`: both together stay within the quota."""
        owed = [slot for slot in self._owed.get(operation, []) if slot > now() - OWED]
        try:
            slots = self._slots.take(operation, len(owed) + count)
        except SyncError as error:
            logger.warning(
                "The shared time slots failed; this process uses only its own part of the quota.",
                error=type(error).__name__,
            )
            slots = self._spare.take(operation, count)
            self._owed[operation] = [*owed, *slots]
            return slots
        self._owed[operation] = []
        return slots[len(owed) :]
