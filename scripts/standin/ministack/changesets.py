"""Makes change sets detect the changes that CloudFormation detects."""

from typing import Any

from ministack.services import eventbridge
from ministack.services.cloudformation import changesets, engine, handlers

from standin.ministack.executions import Json
from standin.ministack.registry import hook


@hook
def conditional_changes() -> None:
    """Count a resource as added when its condition becomes true, as removed when it becomes false.

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


@hook
def reverted_drift() -> None:
    """Detect rules that lost their targets, for change sets that revert drift.

    MiniStack ignores the mode, compares templates, and finds no change.
    """
    create, compare = changesets._create_change_set, changesets._diff_resources

    def compare_with_account(old: Json, new: Json, resources: Json, *others: Any) -> list[Json]:
        changes: list[Json] = compare(old, new, resources, *others)
        for name, one in resources.items():
            if one["ResourceType"] == "AWS::Events::Rule" and _has_no_target(one):
                # Otherwise the update finds no difference.
                one["Properties"] = {**one["Properties"], "Targets": []}
                changes.append({"ResourceChange": _lost_targets(name)})
        return changes

    def create_change_set(request: Json) -> Any:
        reverts = changesets._p(request, "DeploymentMode") == "REVERT_DRIFT"
        changesets._diff_resources = compare_with_account if reverts else compare
        return create(request)

    handlers._ACTION_HANDLERS["CreateChangeSet"] = create_change_set


def _lost_targets(name: str) -> Json:
    return {
        "Action": "Modify",
        "LogicalResourceId": name,
        "ResourceType": "AWS::Events::Rule",
        "Details": [{"Target": {"Attribute": "Properties", "Name": "Targets"}}],
    }


def _has_no_target(rule: Json) -> bool:
    return not eventbridge._targets.get(
        eventbridge._rule_key(rule["PhysicalResourceId"], "default")
    )
