"""JSONata fields that MiniStack evaluates differently from AWS."""

from typing import Any

from ministack.services import stepfunctions as sfn

from standin.ministack.executions import Json, encode
from standin.ministack.registry import hook


@hook
def assignments() -> None:
    """Evaluate every expression of an `Assign` with the variables as they were before the `Assign`.

    MiniStack assigns one at a time, so a later expression sees the new value of an earlier one.
    Keeps the assigned values for the history's StateExited event.
    """

    def apply_assign(
        state: Json, data: Any, context: Json, result: Any = None, error_output: Any = None
    ) -> None:
        if sfn._state_query_language(state, context) != "JSONata":
            return
        values = {
            name: sfn._apply_jsonata_template(value, data, context, result, error_output)
            for name, value in state.get("Assign", {}).items()
        }
        context["variables"].update(values)
        assigned = context.setdefault("AssignedVariables", {})
        assigned.update(
            {name: encode(value, f"variable '{name}'") for name, value in values.items()}
        )

    sfn._apply_state_assign = apply_assign


@hook
def choices() -> None:
    """Apply the `Output` of a Choice's Default, and reject a Condition that is not a boolean."""

    def execute_choice(state: Json, data: Any, context: Json) -> tuple[Any, str]:
        if sfn._state_query_language(state, context) != "JSONata":
            return original(state, data, context)
        chosen, following = _choose(state, data, context)
        output = sfn._apply_jsonata_output(chosen, data, context, default=data)
        sfn._apply_state_assign(chosen, data, context)
        return output, following

    original = sfn._execute_choice
    sfn._execute_choice = execute_choice


def _choose(state: Json, data: Any, context: Json) -> tuple[Json, str]:
    """Return the rule or state whose Output and Assign apply, and the next state."""
    for rule in state["Choices"]:
        if sfn._jsonata_state_field(rule, "Condition", "boolean", data, context):
            return rule, rule["Next"]
    if "Default" in state:
        return state, state["Default"]
    raise sfn._ExecutionError("States.NoChoiceMatched", "No choice rule matched.")
