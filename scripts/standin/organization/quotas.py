"""Request quotas of the two services, as token buckets per operation."""

import threading
from collections.abc import Callable, Mapping

Clock = Callable[[], float]
Quota = tuple[float, float]

# Rate per second and burst, in the aws partition.
# Account Management documents its quotas "per account". Users report that this means the calling
# account, so all targets share each bucket here.
# Organizations has a limit per calling account and one per organization. The caller is always the
# management account, for which the lower one, per calling account, applies.
DEFAULT_QUOTAS: dict[str, Quota] = {
    "GetAlternateContact": (10, 15),
    "GetContactInformation": (10, 15),
    "PutAlternateContact": (5, 8),
    "PutContactInformation": (5, 8),
    "DeleteAlternateContact": (1, 6),
    "ListAccounts": (8, 12),
    "DescribeAccount": (20, 30),
    "DescribeOrganization": (1, 2),
    "ListAccountsForParent": (5, 8),
    "ListOrganizationalUnitsForParent": (5, 8),
    "ListRoots": (1, 2),
    "ListAWSServiceAccessForOrganization": (1, 3),
    # Assumed from similar operations, as no documented numbers were found.
    "DescribeOrganizationalUnit": (5, 8),
    "DescribePolicy": (5, 8),
    "ListPolicies": (5, 8),
    "ListTargetsForPolicy": (5, 8),
    "EnableAWSServiceAccess": (1, 2),
}

# Accumulated refills, such as ten times 0.1, must still allow one call.
_ROUNDING = 1e-9


class TokenBucket:
    """Holds up to `burst` tokens and gains `rate` per second."""

    def __init__(self, rate: float, burst: float, clock: Clock) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._filled_at = clock()

    def take(self) -> bool:
        """Take one token if there is one, and return whether there was."""
        now = self._clock()
        gained = (now - self._filled_at) * self._rate
        self._tokens = min(self._burst, self._tokens + gained)
        self._filled_at = now
        if self._tokens + _ROUNDING < 1:
            return False
        self._tokens -= 1
        return True


class Quotas:
    """One bucket per operation, over all callers and targets.

    `speed` multiplies the rates. A burst is a number of calls, not a rate: it stays the same, so
    that a run at any speed meets the same throttling as at speed 1.
    """

    def __init__(self, changes: Mapping[str, Quota], speed: float, clock: Clock) -> None:
        self._lock = threading.Lock()
        self._buckets = {
            operation: TokenBucket(rate * speed, burst, clock)
            for operation, (rate, burst) in {**DEFAULT_QUOTAS, **changes}.items()
        }

    def allow(self, operation: str) -> bool:
        """Return whether one more call of the operation is within its quota."""
        with self._lock:
            return self._buckets[operation].take()
