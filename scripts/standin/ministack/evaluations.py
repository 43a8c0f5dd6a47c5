"""Keeps bindings of evaluated JSONata expressions, to repeat them in another implementation."""

import json
import threading
from typing import Any

from ministack.services import stepfunctions as sfn

from standin.ministack.executions import Json
from standin.ministack.registry import hook
from standin.ministack.routes import route

# Evaluations kept per expression, each with a different result.
KEPT = 12
# The documented parts of the context object.
_CONTEXT = ("Execution", "State", "StateMachine", "Map")

_kept: dict[str, dict[str, Json]] = {}  # expression -> result -> evaluation
_keeping = threading.Lock()


@hook
def recorded_evaluations() -> None:
    """Keep some evaluations of each expression; MiniStack discards them."""

    def evaluate(
        expression: str, data: Any, context: Any = None, result: Any = None, error: Any = None
    ) -> Any:
        told = {"input": data, "result": result, "errorOutput": error}
        try:
            value = original(expression, data, context, result, error)
        except sfn._ExecutionError as failure:
            _keep(expression, told, context or {}, {"error": failure.error})
            raise
        _keep(expression, told, context or {}, {"value": value})
        return value

    original = sfn._evaluate_jsonata
    sfn._evaluate_jsonata = evaluate


@route("GET", "/_standin/evaluations")
def _evaluations(_: None) -> list[Json]:
    with _keeping:
        return [one for of_expression in _kept.values() for one in of_expression.values()]


def _keep(expression: str, states: Json, context: Json, outcome: Json) -> None:
    kept = _kept.setdefault(expression, {})
    if len(kept) >= KEPT:
        return
    key = json.dumps(outcome, default=str)
    if key in kept:
        return
    shown = {name: context[name] for name in _CONTEXT if name in context}
    bindings = {**context.get("variables", {}), "states": {**states, "context": shown}}
    evaluation = {"expression": expression, "bindings": bindings, **outcome}
    with _keeping:
        kept[key] = json.loads(json.dumps(evaluation, default=str))
