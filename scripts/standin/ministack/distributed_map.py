"""Runs a JSONata Distributed Map as Step Functions does: every child is an execution."""

import contextvars
import json
import threading
from collections.abc import Iterator
from typing import Any

from ministack.core.responses import new_uuid, now_iso
from ministack.services import stepfunctions as sfn

from standin.ministack import executions, latency
from standin.ministack.executions import Json, encode, record
from standin.ministack.registry import hook

# AWS starts up to 10,000 children at once; a laptop cannot.
UNLIMITED_CONCURRENCY = 64

_OUTCOMES = {
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "TIMED_OUT": "timedOut",
    "ABORTED": "aborted",
}
_COUNTS = ("pending", "running", *_OUTCOMES.values(), "total", "resultsWritten")


@hook
def distributed_map() -> None:
    """Replace the Distributed Map of JSONata machines.

    MiniStack reads its fields as JSONPath, gives children the parent's context and variables
    but no history, returns null for a failed child, and lets children continue after a stop.
    """

    def run(  # noqa: PLR0913, PLR0917 - MiniStack's signature
        state: Json, data: Any, effective: Any, processor: Json, execution: Json, context: Json
    ) -> tuple[Any, str | None]:
        if sfn._state_query_language(state, context) != "JSONata":
            return original(state, data, effective, processor, execution, context)
        return _run_map(state, data, processor, execution, context)

    original = sfn._run_distributed_map
    sfn._run_distributed_map = run


def _run_map(
    state: Json, data: Any, processor: Json, execution: Json, context: Json
) -> tuple[Any, str | None]:
    items = _read_items(state, data, context)
    record(execution, "MapStateStarted", {"length": len(items)})
    run = MapRun(state, items, data=data, processor=processor, execution=execution, context=context)
    record(execution, "MapRunStarted", {"mapRunArn": run.arn})
    executions.on_stop(execution, run.abort)
    try:
        result = run.results()
        encode(result, "Map's result")
    except sfn._ExecutionError as error:
        run.close("FAILED")
        record(execution, "MapRunFailed", {"error": error.error, "cause": error.cause})
        record(execution, "MapStateFailed")
        raise
    run.close("SUCCEEDED")
    record(execution, "MapRunSucceeded")
    record(execution, "MapStateSucceeded")
    output = sfn._apply_jsonata_output(state, data, context, result=result, default=result)
    sfn._apply_state_assign(state, data, context, result=result)
    return output, sfn._next_or_end(state)


def _read_items(state: Json, data: Any, context: Json) -> list[Any]:
    if reader := state.get("ItemReader"):
        arguments = sfn._apply_jsonata_template(reader["Arguments"], data, context)
        items = sfn._read_map_items({**reader, "Arguments": arguments}, data, context)
    elif "Items" in state:
        items = sfn._jsonata_state_field(state, "Items", "array", data, context)
    else:
        items = data
    if not isinstance(items, list):
        raise sfn._ExecutionError("States.ItemReaderFailed", "The items are not an array.")
    return items


class MapRun:
    """One Map Run: its record, as DescribeMapRun shows it, and its children."""

    def __init__(  # noqa: PLR0913 - what MiniStack passes to a Map
        self,
        state: Json,
        items: list[Any],
        *,
        data: Any,
        processor: Json,
        execution: Json,
        context: Json,
    ) -> None:
        self._state = state
        self._data = data
        self._processor = processor
        self._context = context
        self._items = items
        self._children: list[Json | None] = [None] * len(items)
        self._lock = threading.Lock()
        self._settled: set[str] = set()
        self._stopped = False
        self._error: Exception | None = None
        # arn:aws:states:REGION:ACCOUNT:stateMachine:NAME
        prefix, _, self._machine_name = execution["stateMachineArn"].rpartition(":stateMachine:")
        self._name = f"{self._machine_name}/{state.get('Label') or new_uuid()}"
        self._prefix = prefix
        self._tolerated = {
            "percentage": self._number("ToleratedFailurePercentage"),
            "count": self._number("ToleratedFailureCount"),
        }
        self._concurrency = int(self._number("MaxConcurrency") or 0)
        self.arn = f"{prefix}:mapRun:{self._name}:{new_uuid()}"
        self.record = self._new_record(execution["executionArn"])
        sfn._map_runs[self.arn] = self.record

    def results(self) -> list[Any]:
        """Run every child; return their outputs in the order of the items."""
        queue = iter(range(len(self._items)))
        workers = min(self._concurrency or UNLIMITED_CONCURRENCY, len(self._items))
        threads = [
            threading.Thread(
                target=contextvars.copy_context().run, args=(self._work, queue), daemon=True
            )
            for _ in range(workers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._error is not None:
            raise self._error
        return [_result(child) for child in self._children if child is not None]

    def abort(self) -> None:
        """Stop running children, start no others, and close the run as ABORTED."""
        self._stop_children()
        with self._lock:
            for counts in self._counts():
                counts["aborted"] += counts["pending"]
                counts["pending"] = 0
        self.close("ABORTED")

    def close(self, status: str) -> None:
        """End the run with this status, unless it has ended."""
        if self.record["status"] == "RUNNING":
            self.record.update(status=status, stopDate=now_iso())

    def _number(self, field: str) -> float | None:
        if field not in self._state:
            return None
        value = sfn._jsonata_state_field(self._state, field, "number", self._data, self._context)
        return float(value)

    def _new_record(self, execution_arn: str) -> Json:
        counts = dict.fromkeys(_COUNTS, 0) | dict.fromkeys(("total", "pending"), len(self._items))
        more = {"failuresNotRedrivable": 0, "pendingRedrive": 0}
        return {
            "mapRunArn": self.arn,
            "executionArn": execution_arn,
            "status": "RUNNING",
            "startDate": now_iso(),
            "maxConcurrency": self._concurrency,
            "toleratedFailurePercentage": self._tolerated["percentage"] or 0.0,
            "toleratedFailureCount": int(self._tolerated["count"] or 0),
            "itemCounts": counts | more,
            "executionCounts": counts | more,
            "redriveCount": 0,
            "_stateMachineArn": f"{self._prefix}:stateMachine:{self._name}",
        }

    def _counts(self) -> tuple[Json, Json]:
        return self.record["itemCounts"], self.record["executionCounts"]

    def _work(self, queue: Iterator[int]) -> None:
        while (index := self._next(queue)) is not None:
            try:
                self._run_child(index)
            except Exception as error:  # noqa: BLE001 - any error of an ItemSelector fails the Map
                self._error = self._error or error
                self._stop_children()

    def _next(self, queue: Iterator[int]) -> int | None:
        with self._lock:
            return None if self._stopped else next(queue, None)

    def _run_child(self, index: int) -> None:
        latency.pause(latency.CHILD_START)
        child = self._new_child(self._input(index))
        with self._lock:
            if self._stopped:
                return
            self._children[index] = child
            sfn._executions[child["executionArn"]] = child
            for counts in self._counts():
                counts["pending"] -= 1
                counts["running"] += 1
        language = str(self._processor.get("QueryLanguage", self._context["QueryLanguage"]))
        executions.walk(child, self._processor, self._name, language)
        self._settle(child)
        self._check_tolerance()

    def _settle(self, child: Json) -> None:
        """Count how the child ended, once."""
        with self._lock:
            if child["name"] in self._settled:
                return
            self._settled.add(child["name"])
            for counts in self._counts():
                counts["running"] -= 1
                counts[_OUTCOMES[child["status"]]] += 1

    def _input(self, index: int) -> str:
        item = self._items[index]
        if "ItemSelector" in self._state:
            context = {**self._context, "Map": {"Item": {"Index": index, "Value": item}}}
            selector = self._state["ItemSelector"]
            item = sfn._apply_jsonata_template(selector, self._data, context)
        return encode(item, "child's input")

    def _new_child(self, child_input: str) -> Json:
        name = new_uuid()
        started = now_iso()
        return {
            "executionArn": f"{self._prefix}:execution:{self._name}:{name}",
            "stateMachineArn": self.record["_stateMachineArn"],
            "mapRunArn": self.arn,
            "name": name,
            "status": "RUNNING",
            "startDate": started,
            "stopDate": None,
            "input": child_input,
            "output": None,
            "events": [
                {
                    "id": 1,
                    "previousEventId": 0,
                    "type": "ExecutionStarted",
                    "timestamp": started,
                    "executionStartedEventDetails": {"input": child_input},
                }
            ],
        }

    def _check_tolerance(self) -> None:
        counts = self.record["itemCounts"]
        failed = counts["failed"] + counts["timedOut"]
        percentage, count = self._tolerated["percentage"], self._tolerated["count"]
        by_percentage = percentage is not None and failed * 100 > percentage * counts["total"]
        by_count = count is not None and failed > count
        untolerated = percentage is None and count is None and failed > 0
        if by_percentage or by_count or untolerated:
            self._error = self._error or sfn._ExecutionError(
                "States.ExceedToleratedFailureThreshold",
                "The specified tolerated failure threshold was exceeded",
            )
            self._stop_children()

    def _stop_children(self) -> None:
        with self._lock:
            self._stopped = True
            running = [child for child in self._children if child is not None]
        for child in running:
            executions.end(child, "ABORTED")
            self._settle(child)


def _result(child: Json) -> Any:
    """Return what a child adds to the Map's result: its output, or its record if it failed."""
    if child["status"] == "SUCCEEDED":
        return json.loads(child["output"])
    fields = {
        "ExecutionArn": "executionArn",
        "Input": "input",
        "Name": "name",
        "StartDate": "startDate",
        "StateMachineArn": "stateMachineArn",
        "Status": "status",
        "StopDate": "stopDate",
        "Error": "error",
        "Cause": "cause",
    }
    known = {name: child[key] for name, key in fields.items() if child.get(key) is not None}
    return known | {"InputDetails": {"Included": True}, "RedriveCount": 0}
