"""Whatever AWS answers in pages, the commands read to its end."""

import re
from pathlib import Path
from typing import Any

from boto3.session import Session
from support.cli import REPOSITORY

# Calls for the first page alone, by module and operation, each with the reason.
FIRST_PAGE = {
    ("change_sets", "describe_change_set"): "only its status; the changes are paged after",
    ("checks_of_contacts", "query"): "the latest runs, with a limit",
    ("checks_of_events", "list_targets_by_rule"): "a rule has at most five targets",
    ("dead_letters", "list_targets_by_rule"): "a rule has at most five targets",
    ("deep_checks", "list_executions"): "the latest ones, with a limit",
    ("deep_checks", "list_targets_by_rule"): "a rule has at most five targets",
    ("following", "list_map_runs"): "an execution has one",
    ("following", "query"): "a run has one item",
    ("reading", "list_map_runs"): "an execution has one",
    ("stacks", "describe_stacks"): "one stack, by its name",
}


def direct_calls(module: Path) -> set[tuple[str, str]]:
    """Return what a module calls of operations that answer in pages, without a paginator."""
    text = module.read_text()
    called = set(re.findall(r"\.(\w+)\(", text))
    found = set()
    for service in re.findall(r'client\("(\w+)"', text):
        client: Any = Session().client(service, "us-east-1")
        names = called & client.meta.method_to_api_mapping.keys()
        found |= {(module.stem, name) for name in names if client.can_paginate(name)}
    return found


def test_every_page_is_read() -> None:
    """A new call takes a paginator, or a reason in FIRST_PAGE."""
    modules = (REPOSITORY / "scripts/operate").rglob("*.py")

    assert FIRST_PAGE.keys() == {one for module in modules for one in direct_calls(module)}
