"""Follows an execution to its end: live counts, and what became of each account."""

import json
import time
from collections import Counter
from dataclasses import dataclass, field

from standin import Execution, Outcome

from lib.demo_view import Snapshot, progress_view

POLL_SECONDS = 0.25

# What a child tells of its account.
DIGITS = ("unchanged", "updated", "failed", "skipped")


@dataclass
class Followed:
    """How an execution ended, and the digit of each account that its children told."""

    outcome: Outcome
    digits: dict[str, int] = field(default_factory=dict)

    def result_of(self, account_id: str) -> str:
        """Return what became of the account."""
        digit = self.digits.get(account_id)
        return "not in this run" if digit is None else DIGITS[digit]


def follow(execution: Execution) -> Followed:
    """Show the execution's progress until it ends."""
    watch = _Watch(execution)
    with progress_view() as view:
        while execution.status() == "RUNNING":
            started = time.monotonic()
            view.show(watch.snapshot())
            # Looking takes longer the more accounts there are; it must not slow the run down.
            time.sleep(max(POLL_SECONDS, 4 * (time.monotonic() - started)))
        view.show(watch.snapshot())
    return Followed(execution.wait(), watch.digits)


class _Watch:
    """Looks at the children of an execution, at each that has ended once."""

    def __init__(self, execution: Execution) -> None:
        self.digits: dict[str, int] = {}
        self._execution = execution
        self._results: dict[str, dict[str, str]] = {}

    def snapshot(self) -> Snapshot:
        """Return where the execution is now."""
        state = self._execution.states()[-1:] or ["starting"]
        runs = self._execution.map_runs()
        if not runs:
            return Snapshot(state[0])
        latest = max(runs, key=lambda run: run["startDate"])
        results = self._results.setdefault(latest["mapRunArn"], {})
        self._look(latest["mapRunArn"], results)
        counts = Counter(results.values())
        return Snapshot(
            state[0],
            latest["itemCounts"]["total"],
            tuple((name, counts[name]) for name in ("updated", "unchanged", "failed", "skipped")),
        )

    def _look(self, map_run: str, results: dict[str, str]) -> None:
        pages = self._execution.standin.client("stepfunctions").get_paginator("list_executions")
        for page in pages.paginate(mapRunArn=map_run):
            for child in page["executions"]:
                arn, status = child["executionArn"], child["status"]
                if arn not in results and status != "RUNNING":
                    results[arn] = self._result(arn)

    def _result(self, child: str) -> str:
        told = Execution(self._execution.standin, child).describe()
        digit = int(told["output"]) if told["status"] == "SUCCEEDED" else DIGITS.index("failed")
        self.digits[json.loads(told["input"])["account_id"]] = digit
        return DIGITS[digit]
