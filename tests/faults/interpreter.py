"""Runs the real definition in process, one state at a time, so that tests control the order.

Supports only the parts of the Amazon States Language that the definition uses.
"""

import json
from collections.abc import Callable, Generator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonata import Jsonata

Json = dict[str, Any]
# Yields the name of each state that is entered, or the seconds to wait.
Steps = Generator[str | float, None, Any]

DEFINITION = Path(__file__).parents[2] / "statemachine" / "contact_sync.asl.json"
# The payload limit of Step Functions and Lambda.
MOST_BYTES = 256 * 1024
# Errors that `States.ALL` does not catch.
NEVER_CAUGHT = ("States.DataLimitExceeded", "States.Runtime")


class StateError(Exception):
    """A state failed with this error; uncaught, it fails the execution."""

    def __init__(self, error: str, cause: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.cause = cause


class Interpreter:
    """Interprets one execution: `call` performs its tasks, `tell` records its events.

    `entered_at` returns the time of day; `jitter` draws the share of a delay to wait.
    """

    def __init__(
        self,
        definition: Json,
        call: Callable[[str, Any], Steps],
        tell: Callable[[str, Any], None],
        entered_at: Callable[[], str],
        jitter: Callable[[], float],
    ) -> None:
        self._definition = definition
        self._call = call
        self._tell = tell
        self._entered_at = entered_at
        self._jitter = jitter
        # Where a redrive resumes: the last state entered, and the Map's items with their results.
        self._position: tuple[str, Any, Json] = (definition["StartAt"], None, {})
        self._map_run: tuple[list[Any], list[Any]] | None = None
        self.child: Steps | None = None

    def run(self, data: Any, context: Json) -> Steps:
        """Yield the name of each state before it is entered; return the output, or raise."""
        self._position = (self._definition["StartAt"], data, {})
        return self._run(self._definition, self._position, context)

    def redrive(self, context: Json) -> Steps:
        """Resume with the last state entered."""
        return self._run(self._definition, self._position, context)

    def _run(self, machine: Json, position: tuple[str, Any, Json], context: Json) -> Steps:
        name, data, variables = position
        while True:
            if machine is self._definition:
                self._position = (name, data, dict(variables))
            yield name
            state = machine["States"][name]
            scope = _Scope(data, context, variables)
            scope.enter(name, 0, self._entered_at())
            data, following = yield from self._enter(name, state, scope)
            self._tell(name, [data, variables])
            if following is None:
                return data
            if machine is self._definition:
                self._map_run = None
            name = following

    def _enter(self, name: str, state: Json, scope: "_Scope") -> Steps:
        match state["Type"]:
            case "Choice":
                rules = state["Choices"]
                chosen = next((one for one in rules if scope.evaluate(one["Condition"])), state)
                return scope.leave(chosen), chosen.get("Next", chosen.get("Default"))
            case "Wait":
                yield float(scope.evaluate(state["Seconds"]))
                return scope.leave(state), state["Next"]
            case "Succeed":
                return scope.leave(state), None
            case "Fail":
                raise StateError(scope.evaluate(state["Error"]), scope.evaluate(state["Cause"]))
            case kind:
                work = self._map if kind == "Map" else self._task
                return (yield from self._guarded(name, state, scope, work))

    def _guarded(
        self, name: str, state: Json, scope: "_Scope", work: Callable[..., Steps]
    ) -> Steps:
        """Run a Task or Map with its Retry and Catch."""
        retriers = state.get("Retry", [])
        retried = [0 for _ in retriers]
        while True:
            scope.enter(name, sum(retried), self._entered_at())
            try:
                scope.states["result"] = yield from work(state, scope)
                return scope.leave(state, scope.states["result"]), state.get("Next")
            except StateError as failure:
                self._tell(name, [failure.error, failure.cause])
                number = _retrier(retriers, retried, failure)
                if number is None:
                    return _caught(state, scope, failure)
                retried[number] += 1
                yield self._delay(retriers[number], retried[number])

    def _delay(self, retrier: Json, attempt: int) -> float:
        seconds = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2) ** (attempt - 1)
        longest = float(min(seconds, retrier.get("MaxDelaySeconds", seconds)))
        return longest * self._jitter() if retrier.get("JitterStrategy") == "FULL" else longest

    def _task(self, state: Json, scope: "_Scope") -> Steps:
        arguments = _limited(scope.evaluate(state["Arguments"]))
        return (yield from self._call(state["Resource"], arguments))

    def _map(self, state: Json, scope: "_Scope") -> Steps:
        """Run the children one at a time; a redrive skips those that have ended."""
        if self._map_run is None:
            reader = state["ItemReader"]
            items = yield from self._call(reader["Resource"], scope.evaluate(reader["Arguments"]))
            self._map_run = (items, [])
        items, results = self._map_run
        for item in items[len(results) :]:
            scope.states["context"]["Map"] = {"Item": {"Value": item}}
            child_input = scope.evaluate(state["ItemSelector"])
            machine = state["ItemProcessor"]
            start = (machine["StartAt"], child_input, {})
            self.child = self._run(machine, start, scope.states["context"])
            try:
                results.append((yield from self.child))
            except StateError:
                results.append(None)
            self.child = None
        return _limited(results)


class _Scope:
    """The bindings for the expressions of one state."""

    def __init__(self, data: Any, context: Json, variables: Json) -> None:
        self.states: Json = {"input": data, "context": context}
        self._variables = variables

    def enter(self, name: str, retries: int, at: str) -> None:
        state = {"Name": name, "EnteredTime": at, "RetryCount": retries}
        self.states["context"] = {**self.states["context"], "State": state}

    def leave(self, part: Json, default: Any = None) -> Any:
        """Apply Assign and Output, both with the variables' previous values."""
        default = self.states["input"] if default is None else default
        output = self.evaluate(part["Output"]) if "Output" in part else default
        self._variables.update(self.evaluate(part.get("Assign", {})))
        return _limited(output)

    def evaluate(self, template: Any) -> Any:
        if isinstance(template, dict):
            return {name: self.evaluate(value) for name, value in template.items()}
        if isinstance(template, list):
            return [self.evaluate(value) for value in template]
        if not (isinstance(template, str) and template.startswith("{%")):
            return template
        expression = _compiled(template.removeprefix("{%").removesuffix("%}"))
        frame = expression.create_frame()
        frame.bind("states", self.states)
        for name, value in self._variables.items():
            frame.bind(name, value)
        try:
            return _plain(expression.evaluate(None, frame))
        except Exception as error:
            raise StateError("States.QueryEvaluationError", str(error)) from error


def load_definition(substitutions: Mapping[str, str]) -> Json:
    """Read the definition, with names substituted as by CloudFormation."""
    text = DEFINITION.read_text()
    for name, value in substitutions.items():
        text = text.replace(f"${{{name}}}", value)
    definition: Json = json.loads(text)
    return definition


@cache
def _compiled(expression: str) -> Jsonata:
    return Jsonata(expression)


def _plain(value: Any) -> Any:
    """Convert to plain JSON types; the library's arrays are a subclass of list."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value


def _limited(value: Any) -> Any:
    if len(json.dumps(value)) > MOST_BYTES:
        raise StateError("States.DataLimitExceeded")
    return value


def _retrier(retriers: list[Json], retried: list[int], failure: StateError) -> int | None:
    """Return the first retrier that matches the error, if it has an attempt left."""
    for number, retrier in enumerate(retriers):
        if _matches(retrier, failure):
            return number if retried[number] < retrier.get("MaxAttempts", 3) else None
    return None


def _caught(state: Json, scope: _Scope, failure: StateError) -> Any:
    scope.states["errorOutput"] = {"Error": failure.error, "Cause": failure.cause}
    for catcher in state.get("Catch", []):
        if _matches(catcher, failure):
            return scope.leave(catcher, scope.states["errorOutput"]), catcher["Next"]
    raise failure


def _matches(part: Json, failure: StateError) -> bool:
    names = part["ErrorEquals"]
    if failure.error in names:
        return True
    task_failed = "States.TaskFailed" in names and failure.error != "States.Timeout"
    return failure.error not in NEVER_CAUGHT and ("States.ALL" in names or task_failed)
