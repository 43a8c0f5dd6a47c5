"""Runs the real definition in process, one state at a time, so that a test decides what comes when.

It knows what the definition uses of the Amazon States Language, and no more.
"""

import json
from collections.abc import Callable, Generator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonata import Jsonata

Json = dict[str, Any]
Steps = Generator[str, None, Any]

DEFINITION = Path(__file__).parents[2] / "statemachine" / "contact_sync.asl.json"
# Payloads of Step Functions and Lambda.
MOST_BYTES = 256 * 1024


class StateError(Exception):
    """A state failed under this error name; uncaught, the execution does."""

    def __init__(self, error: str, cause: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.cause = cause


class Interpreter:
    """Interprets one execution; `call` does its tasks, `pause` its waits, `tell` keeps a record."""

    def __init__(
        self,
        call: Callable[[str, Any], Any],
        pause: Callable[[float], None],
        tell: Callable[[str, Any], None],
    ) -> None:
        self._call = call
        self._pause = pause
        self._tell = tell

    def run(self, machine: Json, data: Any, context: Json) -> Steps:
        """Yield the name of each state before it is entered; return the output, or raise."""
        variables: Json = {}
        name = machine["StartAt"]
        while True:
            yield name
            state = machine["States"][name]
            scope = _Scope(data, context, variables)
            data, following = yield from self._enter(name, state, scope)
            self._tell(name, [data, variables])
            if following is None:
                return data
            name = following

    def _enter(self, name: str, state: Json, scope: "_Scope") -> Generator[str, None, Any]:
        match state["Type"]:
            case "Choice":
                rules = state["Choices"]
                chosen = next((one for one in rules if scope.evaluate(one["Condition"])), state)
                return scope.leave(chosen), chosen.get("Next", chosen.get("Default"))
            case "Wait":
                self._pause(scope.evaluate(state["Seconds"]))
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
    ) -> Generator[str, None, Any]:
        """Do a Task or Map with its Retry and Catch."""
        left = [retrier.get("MaxAttempts", 3) for retrier in state.get("Retry", [])]
        for retries in range(sum(left) + 1):
            scope.enter(name, retries)
            try:
                scope.states["result"] = yield from work(state, scope)
            except StateError as failure:
                self._tell(name, [failure.error, failure.cause])
                if _takes_retry(state, failure, left):
                    continue
                scope.states["errorOutput"] = {"Error": failure.error, "Cause": failure.cause}
                for catcher in state.get("Catch", []):
                    if _matches(catcher, failure):
                        return scope.leave(catcher, scope.states["errorOutput"]), catcher["Next"]
                raise
            return scope.leave(state, scope.states["result"]), state.get("Next")
        raise AssertionError("a retrier allowed more attempts than it has")

    def _task(self, state: Json, scope: "_Scope") -> Steps:
        yield from ()
        return self._call(state["Resource"], _limited(scope.evaluate(state["Arguments"])))

    def _map(self, state: Json, scope: "_Scope") -> Steps:
        reader = state["ItemReader"]
        items = self._call(reader["Resource"], scope.evaluate(reader["Arguments"]))
        results = []
        for item in items:
            scope.states["context"]["Map"] = {"Item": {"Value": item}}
            child_input = scope.evaluate(state["ItemSelector"])
            try:
                child = self.run(state["ItemProcessor"], child_input, scope.states["context"])
                results.append((yield from child))
            except StateError:
                results.append(None)
        return _limited(results)


class _Scope:
    """What the expressions of one state see."""

    def __init__(self, data: Any, context: Json, variables: Json) -> None:
        self.states: Json = {"input": data, "context": context}
        self._variables = variables

    def enter(self, name: str, retries: int) -> None:
        state = {"Name": name, "EnteredTime": "2026-01-05T10:00:00.000Z", "RetryCount": retries}
        self.states["context"] = {**self.states["context"], "State": state}

    def leave(self, part: Json, default: Any = None) -> Any:
        """Apply Assign and Output, which both see the variables as they were."""
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
        return _plain(expression.evaluate(None, frame))


def load_definition(substitutions: Mapping[str, str]) -> Json:
    """Read the definition as CloudFormation would put its names into it."""
    text = DEFINITION.read_text()
    for name, value in substitutions.items():
        text = text.replace(f"${{{name}}}", value)
    definition: Json = json.loads(text)
    return definition


@cache
def _compiled(expression: str) -> Jsonata:
    return Jsonata(expression)


def _plain(value: Any) -> Any:
    """Return JSON's own types; the library's arrays are lists with more to them."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value


def _limited(value: Any) -> Any:
    if len(json.dumps(value)) > MOST_BYTES:
        raise StateError("States.DataLimitExceeded")
    return value


def _takes_retry(state: Json, failure: StateError, left: list[int]) -> bool:
    for number, retrier in enumerate(state.get("Retry", [])):
        if _matches(retrier, failure):
            left[number] -= 1
            return left[number] >= 0
    return False


def _matches(part: Json, failure: StateError) -> bool:
    names = part["ErrorEquals"]
    task_failed = "States.TaskFailed" in names and failure.error != "States.Timeout"
    return failure.error in names or "States.ALL" in names or task_failed
