"""Follows an execution to its end: live counts, and the result of each account."""

import json
import time
from collections import Counter
from dataclasses import dataclass, field

from standin.standin import Execution, Outcome

from demo.view import Snapshot, progress_view

POLL_SECONDS = 0.25

# The meanings of the digit that a child returns.
DIGITS = ("unchanged", "updated", "failed", "skipped", "lost the lock")
SHOWN = ("updated", "unchanged", "failed", "skipped", "lost the lock")


@dataclass
class Followed:
    """How an execution ended, and the digit that each child returned for its account."""

    outcome: Outcome
    digits: dict[str, int] = field(default_factory=dict)

    def result_of(self, account_id: str) -> str:
        """Return the account's result."""
        digit = self.digits.get(account_id)
        return "not in this run" if digit is None else DIGITS[digit]


def follow(execution: Execution) -> Followed:
    """Show the execution's progress until it ends."""
    watch = _Watch(execution)
    with progress_view() as view:
        while execution.status() == "RUNNING":
            started = time.monotonic()
            view.show(watch.snapshot())
            # Polling takes longer with more accounts, and must not slow down the run.
            time.sleep(max(POLL_SECONDS, 4 * (time.monotonic() - started)))
        view.show(watch.snapshot())
    return Followed(execution.wait(), watch.digits)


class _Watch:
    """Reads the children of an execution, each ended child only once."""

    def __init__(self, execution: Execution) -> None:
        self.digits: dict[str, int] = {}
        self._execution = execution
        self._results: dict[str, str] = {}

    def snapshot(self) -> Snapshot:
        """Return the execution's current progress."""
        state = self._execution.states()[-1:] or ["starting"]
        runs = self._execution.map_runs()
        if not runs:
            return Snapshot(state[0])
        (run,) = runs
        self._look(run["mapRunArn"])
        counts = Counter(self._results.values())
        total = run["itemCounts"]["total"]
        return Snapshot(state[0], total, tuple((name, counts[name]) for name in SHOWN))

    def _look(self, map_run: str) -> None:
        pages = self._execution.standin.client("stepfunctions").get_paginator("list_executions")
        for page in pages.paginate(mapRunArn=map_run):
            for child in page["executions"]:
                arn, status = child["executionArn"], child["status"]
                if arn not in self._results and status != "RUNNING":
                    self._results[arn] = self._result(arn)

    def _result(self, child: str) -> str:
        ended = Execution(self._execution.standin, child).describe()
        digit = int(ended["output"]) if ended["status"] == "SUCCEEDED" else DIGITS.index("failed")
        self.digits[json.loads(ended["input"])["account_id"]] = digit
        return DIGITS[digit]
