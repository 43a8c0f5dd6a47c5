"""Reads the mock configuration for tests."""

import json
from typing import Any

from support.stack import ROOT

Json = dict[str, Any]

MOCK_CONFIG = ROOT / "tests" / "container" / "mock_config.json"
MACHINE = "contact-sync"

_CONFIG: Json = json.loads(MOCK_CONFIG.read_text())
CASES: dict[str, dict[str, str]] = _CONFIG["StateMachines"][MACHINE]["TestCases"]
RESPONSES: dict[str, Json] = _CONFIG["MockedResponses"]

# Objects of the functions' results whose keys are data.
_MAPPINGS = ("skipped", "named_skips", "unknown_states")


def shapes() -> set[tuple[str, str]]:
    """Return (state, shape) of every result that is mocked."""
    return {
        (state, shape(attempt["Return"]))
        for case in CASES.values()
        for state, name in case.items()
        for attempt in RESPONSES[name].values()
        if "Return" in attempt
    }


def shape(result: Json) -> str:
    """Return the keys of a result with the types of their values."""
    return json.dumps(_shape(result), sort_keys=True)


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: "mapping" if _is_mapping(k, v) else _shape(v) for k, v in value.items()}
    return type(value).__name__


def _is_mapping(key: str, value: Any) -> bool:
    return key in _MAPPINGS and isinstance(value, dict)
