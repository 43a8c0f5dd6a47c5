"""Whatever AWS answers in pages, the commands read to its end."""

import re
from typing import Any

from boto3.session import Session
from support.cli import REPOSITORY

# A paginator is asked for by the operation's name as a text, and so is none of its methods.
MODULES = [
    path
    for folder in ("scripts/operate", "functions")
    for path in REPOSITORY.glob(f"{folder}/**/*.py")
]
# Calls for the first page alone, by module and operation, each with the reason.
FIRST_PAGE = {
    ("change_sets", "describe_change_set"): "only its status; the changes are paged after",
    ("checks_of_events", "list_targets_by_rule"): "a rule has at most five targets",
    ("dead_letters", "list_targets_by_rule"): "a rule has at most five targets",
    ("deep_checks", "list_executions"): "the latest ones, with a limit",
    ("deep_checks", "list_targets_by_rule"): "a rule has at most five targets",
    ("following", "list_map_runs"): "an execution has one",
    ("following", "query"): "a run has one item",
    ("reading", "list_map_runs"): "an execution has one",
    ("stacks", "describe_stacks"): "one stack, by its name",
}


def paged() -> set[str]:
    """Return the operations that answer in pages, of every service that is called at all."""
    services = {name for one in MODULES for name in re.findall(r'client\("(\w+)"', one.read_text())}
    clients: list[Any] = [Session().client(name, "us-east-1") for name in services]
    return {
        name
        for client in clients
        for name in client.meta.method_to_api_mapping
        if client.can_paginate(name)
    }


def test_every_page_is_read() -> None:
    """A new call, whatever its client is called, takes a paginator, or a reason in FIRST_PAGE."""
    operations = paged()
    found = {
        (module.stem, name)
        for module in MODULES
        for name in operations.intersection(re.findall(r"\.(\w+)", module.read_text()))
    }

    assert FIRST_PAGE.keys() == found
