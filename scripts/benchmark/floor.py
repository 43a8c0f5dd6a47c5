"""Computes the minimum time of a run under the request quotas."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmark.options import Scenario

Quota = tuple[float, float]


@dataclass(frozen=True)
class Unused:
    """Seconds that a run lost over its floor: calls that the quota allowed but nobody made.

    At the start, calls have not begun; in the middle, there are too few; at the end, the last
    accounts finish. `more` is the time of calls beyond those needed.
    """

    start: float
    middle: float
    end: float
    more: float


def needed_calls(scenario: Scenario) -> dict[str, int]:
    """Return the calls that a run needs: a read per contact, a write per drifted contact."""
    drifted = round(scenario.accounts * scenario.drift)
    calls: dict[str, int] = {}
    for name in scenario.types:
        subject = "ContactInformation" if name == "primary" else "AlternateContact"
        writes = drifted if name in scenario.changed else 0
        for operation, count in ((f"Get{subject}", scenario.accounts), (f"Put{subject}", writes)):
            calls[operation] = calls.get(operation, 0) + count
    return {operation: count for operation, count in calls.items() if count}


def floor_seconds(calls: Mapping[str, int], quotas: Mapping[str, Quota]) -> float:
    """Return the maximum of (calls - burst) / rate over the operations, at AWS's own speed."""
    times = [
        (calls[name] - burst) / rate for name, (rate, burst) in quotas.items() if name in calls
    ]
    return max([0.0, *times])


def ordered_seconds(writes: Sequence[int], reads: int, read: Quota, write: Quota) -> float:
    """Return the minimum time if accounts come in this order and only a read detects drift.

    `writes` holds the number of writes per account, in order; each account takes `reads` reads
    before its writes. Once an account has been read, its writes and those of all later accounts
    remain: if drifted accounts come late, the write quota goes unused at first.
    """
    (read_rate, read_burst), (write_rate, write_burst) = read, write
    least = max(0.0, len(writes) * reads - read_burst) / read_rate
    left = sum(writes)
    for number, count in enumerate(writes, start=1):
        known = max(0.0, number * reads - read_burst) / read_rate
        if count:
            least = max(least, known + max(0.0, left - write_burst) / write_rate)
        left -= count
    return least


def slowest_operation(calls: Mapping[str, int], quotas: Mapping[str, Quota]) -> str | None:
    """Return the operation that determines the floor, None if the bursts suffice."""
    times = {name: floor_seconds({name: count}, quotas) for name, count in calls.items()}
    slowest = max(times, key=lambda name: times[name], default=None)
    return slowest if slowest and times[slowest] > 0 else None


def unused_seconds(served: Iterable[float], quota: Quota, needed: int, end: float) -> Unused:
    """Return where a run lost time, from the times at which calls of one operation were served.

    Times are seconds since the start, at AWS's own speed. Lost time is the refill that a full
    bucket could not take; its total and the floor add up to the `end`.
    """
    rate, burst = quota
    tokens, before = burst, 0.0
    lost: list[float] = []
    for moment in sorted(served):
        filled = tokens + (moment - before) * rate
        lost.append(max(0.0, filled - burst) / rate)
        tokens, before = min(burst, filled) - 1, moment
    start = lost[0] if lost else 0.0
    left = (tokens + (end - before) * rate) / rate
    return Unused(start, sum(lost) - start, left, (len(lost) - needed) / rate)
