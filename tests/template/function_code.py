"""The settings and packages that a function's code uses, according to the source."""

import ast
import sys
from pathlib import Path

from support.stack import ROOT

FUNCTIONS = ROOT / "functions"


def settings_read(handler: str) -> set[str]:
    """Return the environment variables that the function's code reads."""
    return {
        str(argument.value)
        for node in _nodes(handler)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "settings.read"
        for argument in node.args
        if isinstance(argument, ast.Constant)
    }


def packages() -> set[str]:
    """Return the third-party packages that the code imports at run time."""
    ours = {path.name for path in FUNCTIONS.iterdir()}
    found: set[str] = set()
    for file in FUNCTIONS.rglob("*.py"):
        tree = ast.parse(file.read_text())
        for_types = {
            node
            for block in ast.walk(tree)
            if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
            for node in ast.walk(block)
        }
        for node in set(ast.walk(tree)) - for_types:
            if isinstance(node, ast.ImportFrom):
                found.add(str(node.module).split(".")[0])
            elif isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
    return found - ours - sys.stdlib_module_names


def _nodes(handler: str) -> list[ast.AST]:
    """Return the syntax of the handler's file and of all files that it imports."""
    folder, module, _ = handler.split(".")
    found: dict[Path, ast.Module] = {}
    waiting = [FUNCTIONS / folder / f"{module}.py"]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found[file] = ast.parse(file.read_text())
            waiting += _imported(found[file])
    return [node for tree in found.values() for node in ast.walk(tree)]


def _imported(tree: ast.Module) -> list[Path]:
    modules = {
        module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for module in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    }
    files = [FUNCTIONS / f"{module.replace('.', '/')}.py" for module in modules]
    return [file for file in files if file.exists()]
