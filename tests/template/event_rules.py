"""EventBridge's matching and input transformation as documented, as far as the rules use them."""

import json
import re
from typing import Any

ABSENT = object()


def matches(pattern: dict[str, Any], event: Any) -> bool:
    """Tell whether an event matches: every field of the pattern, by one of its alternatives."""
    for field, expected in pattern.items():
        value = event.get(field, ABSENT) if isinstance(event, dict) else ABSENT
        if isinstance(expected, dict):
            if not matches(expected, value):
                return False
        elif not any(_alternative_matches(alternative, value) for alternative in expected):
            return False
    return True


def _alternative_matches(alternative: Any, value: Any) -> bool:
    if not isinstance(alternative, dict):
        return bool(value == alternative)
    if set(alternative) != {"exists"}:
        raise NotImplementedError(alternative)
    is_leaf = value is not ABSENT and not isinstance(value, dict)
    return bool(is_leaf == alternative["exists"])


def requires(pattern: dict[str, Any], path: str) -> bool:
    """Tell whether every event that matches the pattern has the path."""
    node: Any = pattern
    for field in path.removeprefix("$.").split("."):
        if not isinstance(node, dict) or field not in node:
            return False
        node = node[field]
    return isinstance(node, list) and {"exists": False} not in node


def transform(transformer: dict[str, Any], event: dict[str, Any]) -> Any:
    """Return the input that a target gets; in a template that is one string, values go unquoted."""
    template: str = transformer["InputTemplate"]
    is_string = template.startswith('"')

    def value_of(match: re.Match[str]) -> str:
        value: Any = event
        for field in transformer["InputPathsMap"][match[1]].removeprefix("$.").split("."):
            value = value[field]
        return str(value) if is_string else json.dumps(value)

    return json.loads(re.sub(r"<([^<>]+)>", value_of, template))
