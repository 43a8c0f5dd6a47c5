"""Pace each process so that all of them together use an operation's quota, and waste none of it.

Function processes cannot share a rate limiter. Each has the share quota / concurrency of every
operation, kept across invocations, and follows the answers: a served call raises its rate a
little, a refused one lowers it. That settles where about one call in twenty is refused, whatever
share of the accounts has drifted.
"""

import time
from collections.abc import Callable, Mapping

from contact_sync.quotas import Quota


class Pacer:
    """A token bucket for one operation, whose rate rises when served and falls when refused.

    The constants are measured: a run starts fast enough to use up the quota's burst, and no
    process falls so low that the last account of a run waits for it.
    """

    FIRST, LOWEST, HIGHEST = 1.5, 0.5, 2.0  # rates, in shares of the quota
    RAISE, LOWER = 0.02, 0.7
    CAPACITY = 2.0

    def __init__(
        self,
        quota: Quota,
        concurrency: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._share = quota.rate / concurrency
        self._rate = self._share * self.FIRST
        self._tokens = min(self.CAPACITY, quota.burst / concurrency)
        self._clock = clock
        self._sleep = sleep
        self._at = clock()

    def wait(self) -> None:
        """Take a token, sleeping until there is one."""
        now = self._clock()
        self._tokens = min(self.CAPACITY, self._tokens + (now - self._at) * self._rate) - 1
        self._at = now
        if self._tokens < 0:
            self._sleep(-self._tokens / self._rate)

    def served(self) -> None:
        """Raise the rate a little: the quota may have room."""
        self._rate = min(self._share * self.HIGHEST, self._rate + self._share * self.RAISE)

    def refused(self) -> None:
        """Lower the rate, and save no token for a burst."""
        self._tokens = min(self._tokens, 0.0)
        self._rate = max(self._share * self.LOWEST, self._rate * self.LOWER)


def pacers(quotas: Mapping[str, Quota], concurrency: int) -> dict[str, Pacer]:
    """Return a pacer for each operation, by the API's name."""
    return {operation: Pacer(quota, concurrency) for operation, quota in quotas.items()}
