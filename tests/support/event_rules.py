"""EventBridge's documented matching and input transformation, as far as the rules use them."""

import json
import re
from typing import Any

ABSENT = object()


def matches(pattern: dict[str, Any], event: Any) -> bool:
    """Tell whether an event matches one alternative of every field in the pattern."""
    for field, expected in pattern.items():
        if field == "$or":
            if not any(matches(branch, event) for branch in expected):
                return False
            continue
        value = event.get(field, ABSENT) if isinstance(event, dict) else ABSENT
        if isinstance(expected, dict):
            if not matches(expected, value):
                return False
        elif not any(_alternative_matches(alternative, value) for alternative in expected):
            return False
    return True


def _alternative_matches(alternative: Any, value: Any) -> bool:
    if not isinstance(alternative, dict):
        return type(value) is type(alternative) and bool(value == alternative)
    [(operator, operand)] = alternative.items()
    if operator == "exists":
        is_leaf = value is not ABSENT and not isinstance(value, dict)
        return bool(is_leaf == operand)
    if not isinstance(value, str):  # no operator below matches an absent field
        return False
    if operator == "prefix":
        return value.startswith(operand)
    if operator == "wildcard":
        return _wildcard_matches(operand, value)
    if operator == "anything-but":
        excluded = operand if isinstance(operand, list) else [operand]
        return not any(_alternative_matches(each, value) for each in excluded)
    raise NotImplementedError(alternative)


def _wildcard_matches(pattern: str, value: str) -> bool:
    if "\\" in pattern:
        raise NotImplementedError(pattern)
    parts = [re.escape(part) for part in pattern.split("*")]
    return re.fullmatch(".*".join(parts), value, re.DOTALL) is not None


def requires(pattern: dict[str, Any], path: str) -> bool:
    """Tell whether every event that matches the pattern has the path."""
    return _requires(pattern, path.removeprefix("$.").split("."))


def _requires(pattern: Any, fields: list[str]) -> bool:
    if not fields:
        return isinstance(pattern, list) and {"exists": False} not in pattern
    if not isinstance(pattern, dict):
        return False
    if "$or" in pattern and all(_requires(branch, fields) for branch in pattern["$or"]):
        return True
    return fields[0] in pattern and _requires(pattern[fields[0]], fields[1:])


def transform(transformer: dict[str, Any], event: dict[str, Any]) -> Any:
    """Return the input of a target; a template that is one string takes values unquoted."""
    template: str = transformer["InputTemplate"]
    is_string = template.startswith('"')

    def value_of(match: re.Match[str]) -> str:
        value: Any = event
        for field in transformer["InputPathsMap"][match[1]].removeprefix("$.").split("."):
            value = value[field]
        return str(value) if is_string else json.dumps(value)

    return json.loads(re.sub(r"<([^<>]+)>", value_of, template))
