"""Spread calls over time so that all processes together ask for no more than the API's quota."""

import random
import time
from collections.abc import Callable

# Calls a second, for the calling account (Account Management quotas page); deletes have a tenth
# of the reads' quota.
QUOTAS = {
    "get_alternate_contact": 10.0,
    "get_contact_information": 10.0,
    "put_alternate_contact": 5.0,
    "put_contact_information": 5.0,
    "delete_alternate_contact": 1.0,
}


class Pacer:
    """Gives this process its share of each operation's quota."""

    def __init__(
        self,
        concurrency: int,
        quota_share: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._share = quota_share / concurrency
        self._clock = clock
        self._sleep = sleep
        self._next: dict[str, float] = {}

    def wait(self, operation: str) -> None:
        """Sleep until this process may make its next call of the operation."""
        interval = 1 / (QUOTAS[operation] * self._share)
        now = self._clock()
        due = self._next.setdefault(operation, now + random.uniform(0, interval))  # noqa: S311 - spreads starts, hides nothing
        if due > now:
            self._sleep(due - now)
        self._next[operation] = max(now, due) + interval
