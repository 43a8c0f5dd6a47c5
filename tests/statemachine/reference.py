"""JSONata's reference implementation, independent of the one that runs the machine.

In what the definition uses, no run has shown a difference. In what it does not use: MiniStack's
`$replace` and `$toMillis` are wrapped to fail where the reference does, and only Step Functions
has `$partition $range $hash $uuid $parse`.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

Json = dict[str, Any]

NODE = Path(__file__).parents[2] / ".build/node"


def evaluate(expression: str, **bindings: Any) -> Any:
    """Evaluate one expression; raise ValueError if Step Functions would fail the state."""
    ((result, _),) = _bounds([{"expression": expression, "bindings": bindings}])
    if "error" in result:
        raise ValueError(result["error"])
    return result["value"]


def differences(evaluations: list[Json]) -> list[Json]:
    """Return the evaluations whose result the reference implementation does not confirm."""
    return [
        {**evaluation, "reference": [low, high]}
        for evaluation, (low, high) in zip(evaluations, _bounds(evaluations), strict=True)
        if not _confirms(evaluation, low, high)
    ]


def run_node(script: str, *arguments: object, text: str = "") -> Any:
    """Run a script of this folder with the input; return the JSON that it prints."""
    completed = subprocess.run(
        [NODE / "bin/node", Path(__file__).with_name(script), *map(str, arguments)],
        env={"NODE_PATH": str(NODE / "node_modules")},
        input=text,
        capture_output=True,
        check=True,
        text=True,
    )
    return json.loads(completed.stdout)


def _bounds(evaluations: list[Json]) -> list[tuple[Json, Json]]:
    """Evaluate each with the smallest and the largest value of `$random()`."""
    return run_node("evaluate.js", text=json.dumps(evaluations))


def _confirms(evaluation: Json, low: Json, high: Json) -> bool:
    if "error" in evaluation:
        return "error" in low and "error" in high
    if "error" in low or "error" in high:
        return False
    if "$random()" in evaluation["expression"]:
        return bool(low["value"] <= evaluation["value"] <= high["value"])
    return bool(low["value"] == evaluation["value"])
