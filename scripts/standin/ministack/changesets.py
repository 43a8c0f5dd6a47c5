"""Change sets that see what CloudFormation sees."""

from typing import Any

from ministack.services.cloudformation import changesets, engine

from standin.ministack.executions import Json
from standin.ministack.registry import hook


@hook
def conditional_changes() -> None:
    """Count a resource whose condition comes true as added, and the other way round as removed.

    MiniStack compares such resources without their conditions, finds no change, and refuses.
    """
    resolve = changesets._resolve_props_for_diff

    def only_wanted(template: Json, parameters: Json, *names: Any) -> Json:
        resolved: Json = resolve(template, parameters, *names)
        if not resolved:
            return resolved
        conditions = engine._evaluate_conditions(template, parameters)
        wanted = {
            name: resource
            for name, resource in resolved["Resources"].items()
            if conditions.get(resource.get("Condition"), True)
        }
        return {**resolved, "Resources": wanted}

    changesets._resolve_props_for_diff = only_wanted
