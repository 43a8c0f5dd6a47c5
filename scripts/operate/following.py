"""Follows an execution until it ends, through the queue and lost connections."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError
from contact_sync.aws import keys
from contact_sync.aws.items import from_item, to_item
from contact_sync.aws.runs_table import INDEX
from contact_sync.estimate import duration, expected, seconds_left

from operate import aws
from operate.aws import Aws, console_link
from operate.console import OperateError, Progress, note, out
from operate.stacks import Stack

POLL_SECONDS = 2
# With many accounts, a run takes hours: a short network failure must not end the command.
MOST_FAILED_POLLS = 10
# DescribeExecution does not know a new execution at once.
MOST_POLLS_UNKNOWN = 3
# The index that shows which run did a queued request is eventually consistent.
MOST_POLLS_WITHOUT_REQUEST = 5
# Between two runs, nobody holds the lock; for a minute or two if one of them died.
MOST_POLLS_WITHOUT_HOLDER = 150
RUN_FAILED, CONNECTION_LOST = 3, 4


class ConnectionLostError(OperateError):
    """The execution continues, but cannot be followed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, CONNECTION_LOST)


@dataclass(frozen=True)
class Ended:
    """How an execution ended; `told` is its summary or its error's cause, `request` its input."""

    name: str
    arn: str
    status: str
    error: str | None
    told: str
    request: dict[str, Any]

    @property
    def is_dry_run(self) -> bool:
        """Return whether it was a dry run."""
        return self.request.get("dry_run") is True

    @property
    def succeeded(self) -> bool:
        """Return whether it ended SUCCEEDED."""
        return self.status == "SUCCEEDED"


class Follower:
    """Follows executions of one stack; calls `show` with each run that it follows instead."""

    def __init__(
        self, aws: Aws, stack: Stack, show: Callable[[str], None] = lambda _: None
    ) -> None:
        self._states = aws.client("stepfunctions")
        self._dynamodb = aws.client("dynamodb")
        self._profile = aws.profile
        self._table = stack.output("StateTableName")
        self._machine = stack.output("StateMachineArn")
        self._progress = Progress()
        self._show = show

    def arn_of(self, name: str) -> str:
        """Return the ARN of the execution with that name."""
        return f"{self._machine.replace(':stateMachine:', ':execution:')}:{name}"

    def follow(self, name: str) -> Ended:
        """Show the progress until the execution, or the run that does its request, ends."""
        try:
            while True:
                ended = self._until_end(name)
                holder = _holder_in(ended)
                if not holder:
                    return ended
                note(f"Queued behind {holder}. Waiting for the run that does this request.")
                name = self._until_done(name)
                self._show(name)
        finally:
            self._progress.clear()

    def _until_end(self, name: str) -> Ended:
        arn = self.arn_of(name)
        while True:
            told = self.ask(name, lambda: self._states.describe_execution(executionArn=arn))
            if told["status"] not in ("RUNNING", "PENDING_REDRIVE"):
                self._progress.clear()
                return _ended(name, told)
            self._progress.show(self._progress_of(arn))
            time.sleep(POLL_SECONDS)

    def _until_done(self, name: str) -> str:
        """Wait until a run has done the queued request; return its name."""
        gone = idle = 0
        while gone <= MOST_POLLS_WITHOUT_REQUEST and idle <= MOST_POLLS_WITHOUT_HOLDER:
            is_queued = bool(self.ask(name, lambda: self._item(keys.queued(name))))
            # A run records `done_by` before it removes the request from the queue.
            run = self.ask(name, lambda: self.run_item(name)).get("done_by")
            if run:
                self._progress.clear()
                return str(run)
            gone = 0 if is_queued else gone + 1
            holder = self.ask(name, lambda: self._item(keys.LOCK)).get("holder")
            idle = 0 if holder else idle + 1
            if holder and (told := self._progress_of(self.arn_of(holder))):
                self._progress.show(f"{holder}: {told}")
            time.sleep(POLL_SECONDS)
        self._progress.clear()
        if gone > MOST_POLLS_WITHOUT_REQUEST:
            raise OperateError(
                "the run that took this request was stopped, which dropped the request: start it "
                "again",
                RUN_FAILED,
            )
        raise ConnectionLostError(
            "no run is in progress; the next execution will do this request, whatever starts it"
        )

    def run_item(self, name: str) -> dict[str, Any]:
        """Return the item of a run from the index; empty if there is none yet."""
        answer = self._dynamodb.query(
            TableName=self._table,
            IndexName=INDEX,
            KeyConditionExpression="gsi1pk = :run AND gsi1sk = :kind",
            ExpressionAttributeValues=to_item({":run": f"RUN#{name}", ":kind": "RUN"}),
        )
        return from_item(answer["Items"][0]) if answer["Items"] else {}

    def _item(self, key: dict[str, str]) -> dict[str, Any]:
        answer = self._dynamodb.get_item(
            TableName=self._table, Key=to_item(key), ConsistentRead=True
        )
        return from_item(answer.get("Item", {}))

    def ask(self, name: str, call: Callable[[], Any]) -> Any:
        """Return AWS's answer; repeat the call if the network or AWS fails."""
        for failed in range(MOST_FAILED_POLLS + 1):
            try:
                return call()
            except (ClientError, BotoCoreError) as error:
                if _is_missing(error):
                    if failed >= MOST_POLLS_UNKNOWN:
                        raise OperateError(f"there is no execution {name} of this stack") from None
                elif failed == MOST_FAILED_POLLS or not aws.is_unreachable(error):
                    self._progress.clear()
                    reason = aws.explain(error, self._profile)
                    raise ConnectionLostError(
                        f"lost the connection to {name}, which continues: {reason}"
                    ) from None
            time.sleep(POLL_SECONDS)
        raise AssertionError("the last attempt returns or raises")

    def _progress_of(self, arn: str) -> str:
        """Return the progress of an execution in accounts; empty if it cannot be read."""
        try:
            runs = self._states.list_map_runs(executionArn=arn)["mapRuns"]
            if not runs:
                return "preparing"
            told = self._states.describe_map_run(mapRunArn=runs[0]["mapRunArn"])
            time_left = self._time_left(arn, told)
        except (ClientError, BotoCoreError):
            return ""
        total, running = told["itemCounts"]["total"], told["itemCounts"]["running"]
        done = total - told["itemCounts"]["pending"] - running
        return f"{done} of {total} accounts done, {running} in progress{time_left}"

    def _time_left(self, arn: str, map_run: dict[str, Any]) -> str:
        """Return the estimated time left; at first, the time of the run under the quotas."""
        item = self.run_item(arn.rpartition(":")[2])
        if "milliseconds_per_account" not in item:
            return ""  # a run of an older release
        seconds = {name: one / 1000 for name, one in item["milliseconds_per_account"].items()}
        counts = map_run["itemCounts"]
        total, done = counts["total"], counts["total"] - counts["pending"] - counts["running"]
        elapsed = (datetime.now(UTC) - map_run["startDate"]).total_seconds()
        left = seconds_left(total, done, elapsed, seconds["least"])
        if left is not None:
            return f", about {duration(left)} left"
        least, most = (ceil(total * seconds[name]) for name in ("expected", "most"))
        return f", takes {expected(least, most)} under the API's quotas"


def start(stack: Stack, request: dict[str, Any]) -> str:
    """Start an execution; return its ARN."""
    # With a name, a call that is repeated because its answer was lost starts no second execution.
    given = {"name": str(uuid4()), "input": json.dumps(request)}
    try:
        answer = stack.aws.client("stepfunctions").start_execution(
            stateMachineArn=stack.output("StateMachineArn"), **given
        )
    except (KeyboardInterrupt, BotoCoreError):
        note(f"It may have started, as {given['name']}: look with --attach before you repeat it")
        raise
    return str(answer["executionArn"])


def show_execution(arn: str) -> None:
    """Print an execution's name and console URL."""
    out(f"{arn.rpartition(':')[2]}\n{console_link(arn)}")


def _ended(name: str, told: dict[str, Any]) -> Ended:
    output = _json(told.get("output"))
    summary = output.get("summary") or told.get("cause") or told.get("output") or ""
    return Ended(
        name=name,
        arn=told["executionArn"],
        status=told["status"],
        error=told.get("error"),
        told=str(summary),
        request=_json(told.get("input")),
    )


def _is_missing(error: Exception) -> bool:
    return isinstance(error, ClientError) and aws.code_of(error) == "ExecutionDoesNotExist"


def _holder_in(ended: Ended) -> str | None:
    """Return the execution behind which this one queued, if it did."""
    holder = _json(ended.told).get("queued_behind") if ended.succeeded else None
    return str(holder) if holder else None


def _json(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
