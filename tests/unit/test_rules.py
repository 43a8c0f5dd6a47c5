"""Each rule of the design has a test that turns red without it."""

import ast
from pathlib import Path

from support.rules import RULES

TESTS = Path(__file__).parents[1]


def marks() -> list[int]:
    """Return the number of each `pytest.mark.rule(number)` in the tests."""
    return [
        ast.literal_eval(node.args[0])
        for file in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.rule"
    ]


def test_every_rule_is_marked() -> None:
    assert list(range(1, 20)) == list(RULES)
    assert set(RULES) == set(marks())
