"""The least time that a run can take under the request quotas."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmark.options import Scenario

Quota = tuple[float, float]


@dataclass(frozen=True)
class Unused:
    """Seconds by which a run was longer than its floor: calls that the quota would have allowed.

    At the start nobody calls yet, in the middle there are too few calls, at the end the last
    accounts are finished. `more` calls than needed make a run longer, too.
    """

    start: float
    middle: float
    end: float
    more: float


def needed_calls(scenario: Scenario) -> dict[str, int]:
    """Return the calls that a run cannot do without: a read a contact, a write for each drifted."""
    drifted = round(scenario.accounts * scenario.drift)
    calls: dict[str, int] = {}
    for name in scenario.types:
        subject = "ContactInformation" if name == "primary" else "AlternateContact"
        writes = drifted if name in scenario.changed else 0
        for operation, count in ((f"Get{subject}", scenario.accounts), (f"Put{subject}", writes)):
            calls[operation] = calls.get(operation, 0) + count
    return {operation: count for operation, count in calls.items() if count}


def floor_seconds(calls: Mapping[str, int], quotas: Mapping[str, Quota]) -> float:
    """Return the longest of (calls - burst) / rate over the operations, at AWS's own speed."""
    times = [
        (calls[name] - burst) / rate for name, (rate, burst) in quotas.items() if name in calls
    ]
    return max([0.0, *times])


def ordered_seconds(writes: Sequence[int], reads: int, read: Quota, write: Quota) -> float:
    """Return the least time where accounts come in this order, and only a read tells who differs.

    `writes` has the number that each account needs, in order, and `reads` that of each before its
    writes. From the moment at which an account is read, its writes and those of all accounts after
    it are still to come: where those that differ come late, writes are missing first.
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
    """Return the operation that decides the floor, None where the bursts suffice."""
    times = {name: floor_seconds({name: count}, quotas) for name, count in calls.items()}
    slowest = max(times, key=lambda name: times[name], default=None)
    return slowest if slowest and times[slowest] > 0 else None


def unused_seconds(served: Iterable[float], quota: Quota, needed: int, end: float) -> Unused:
    """Return where a run lost time, by the moments at which calls of one operation were served.

    Moments are seconds after the beginning, at AWS's own speed. What is lost is what a full
    bucket could not take: all of it and the floor add up to the `end`.
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
