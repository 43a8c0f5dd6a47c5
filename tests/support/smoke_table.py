"""The results as a table without account IDs and contact values, for anybody."""

import re
from collections.abc import Iterable, Iterator

import pytest

HIDDEN = {
    r"\b\d{12}\b": "<account>",
    r"\bo-[a-z0-9]{10,32}\b": "<organization>",
    r"\b(?:ou|r)-[a-z0-9]{4,32}(?:-[a-z0-9]{8,32})?\b": "<unit>",
    r"[^\s@|]+@[^\s@|]+": "<address>",
    r"\+[\d ().-]{6,}\d": "<number>",
}


def table(reports: Iterable[pytest.TestReport]) -> list[str]:
    """Return the lines of a table: tests, results, and what each saw or why it was skipped."""
    rows = [
        f"| {_name(report)} | {report.outcome} | {_seen(report)} |"
        for report in reports
        if report.when == "call" or not report.passed
    ]
    return ["| Check | Result | Seen |", "|---|---|---|", *rows]


def anonymous(text: str) -> str:
    """Return a text for a cell, without IDs, addresses and numbers."""
    for pattern, name in HIDDEN.items():
        text = re.sub(pattern, name, text)
    return " ".join(text.replace("|", "/").split())


def _name(report: pytest.TestReport) -> str:
    return report.nodeid.rpartition("::test_")[2].replace("_", " ")


def _seen(report: pytest.TestReport) -> str:
    """Return what the test saw, but not a failed assertion, which contains values."""
    return anonymous("; ".join(_parts(report)))


def _parts(report: pytest.TestReport) -> Iterator[str]:
    yield from (str(value) for name, value in report.user_properties if name == "saw")
    if report.skipped and isinstance(report.longrepr, tuple):
        yield str(report.longrepr[2]).removeprefix("Skipped: ")
