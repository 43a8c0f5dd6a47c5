"""CONTRIBUTING names tests that exist."""

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
RULES = (REPOSITORY / ".github/CONTRIBUTING.md").read_text().partition("## The rules,")[2]
NAMED = re.findall(r"`([\w/]+\.py)::([\w:]+)`", RULES)


def test_every_rule_has_its_tests() -> None:
    rules = re.findall(r"^\| (\d+) ", RULES, re.MULTILINE)
    assert [str(number) for number in range(1, 20)] == rules
    rows = re.findall(r"^\| .*py", RULES, re.MULTILINE)
    assert len(rows) <= len(NAMED)


@pytest.mark.parametrize("path", sorted({path for path, _ in NAMED}))
def test_named_tests_exist(path: str) -> None:
    tree = ast.parse((REPOSITORY / "tests" / path).read_text())
    found = {
        f"{outer.name}::{inner.name}" if outer is not inner else inner.name
        for outer in tree.body
        if isinstance(outer, ast.FunctionDef | ast.ClassDef)
        for inner in ast.walk(outer)
        if isinstance(inner, ast.FunctionDef | ast.ClassDef)
    }
    assert set() == {name for other, name in NAMED if other == path} - found
