"""An environment deployed in AWS, named by LIVE_ENVIRONMENT; without it, all tests are skipped."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from live.environment import Environment
from support.smoke_table import table

NAMES = ("dev", "staging", "prod")
OUTCOMES = ("passed", "failed", "skipped", "error")


@pytest.fixture(scope="session", name="live")
def _live() -> Environment:
    name = os.environ.get("LIVE_ENVIRONMENT", "")
    if not name:
        pytest.skip(
            "no AWS account: sign in to the management account, and set LIVE_ENVIRONMENT to "
            "dev, staging or prod"
        )
    assert name in NAMES
    return Environment(name)


@pytest.fixture(name="triggers")
def _triggers(live: Environment) -> Environment:
    if live.parameters["Triggers"] != "ENABLED":
        pytest.skip(f"Triggers of {live.stack} is {live.parameters['Triggers']}")
    return live


@pytest.fixture(name="saw")
def _saw(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Add a text to the table; never a contact value."""
    return lambda text: record_property("saw", text)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table if the tests have an environment."""
    if os.environ.get("LIVE_ENVIRONMENT"):
        reports = [
            report
            for outcome in OUTCOMES
            for report in terminalreporter.stats.get(outcome, [])
            if "live/test_" in report.nodeid
        ]
        terminalreporter.section("results for an issue")
        for line in table(reports):
            terminalreporter.write_line(line)
