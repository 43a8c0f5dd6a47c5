"""The tables in scripts/README.md match the template."""

import re
from typing import Any

import pytest
from contact_sync.metrics import Metric
from support.documents import OPERATING, section_of
from support.stack import Stack

ENVIRONMENTS = ("dev", "staging", "prod")
# The row of each key of the mapping Environments.
ROWS = {
    "MaxConcurrency": "Accounts at a time",
    "FunctionMemory": "Function memory (MB)",
    "LogRetentionDays": "Log retention (days)",
    "LogLevel": "Log level",
    "Tracing": "X-Ray tracing",
    "PointInTimeRecovery": "Point-in-time recovery",
    "NotifyOnSuccess": "Success notifications by default",
    "TerminationProtection": "Termination protection",
    "HandlerErrorsToAlarm": "Handler errors that raise an alarm",
    "FailedAccountsToAlarm": "Failed accounts that raise an alarm",
    "KeyDeletionDays": "Waiting period before a deleted key is gone (days)",
}


def table(section: str, number: int = 0) -> list[list[str]]:
    """Return the cells of a table in a section, without its header."""
    body = section_of(OPERATING, section)
    found = re.findall(r"(?:^\|.*\n)+", body, flags=re.MULTILINE)[number]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found.splitlines()]
    return rows[2:]


def plain(value: Any) -> str:
    return {"true": "yes", "false": "no"}.get(str(value), str(value))


def test_every_difference_between_environments_has_its_row(template: dict[str, Any]) -> None:
    """Each key of the mapping has a row, and each row a key."""
    mapping = template["Mappings"]["Environments"]
    expected = {
        ROWS[key]: [plain(mapping[environment][key]) for environment in ENVIRONMENTS]
        for key in mapping["dev"]
    }

    assert set(ENVIRONMENTS) == set(mapping)
    assert expected == {row[0]: row[1:] for row in table("Environment-Specific Deployment")}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_difference_is_in_the_mapping(expanded: dict[str, Any], environment: str) -> None:
    """No condition of the template depends on the environment's name."""
    text = str(expanded["Conditions"])

    assert environment not in re.findall(r"'(\w+)'", text)


def test_every_parameter_has_its_row(template: dict[str, Any]) -> None:
    """With its default; rows of two parameters have both."""
    documented = {}
    for names, _, defaults in table("SAM Template Parameters"):
        documented |= dict(zip(re.findall(r"`(\w+)`", names), defaults.split(", "), strict=True))
    expected = {name: _default(parameter) for name, parameter in template["Parameters"].items()}

    assert expected == {name: value.strip("`") for name, value in documented.items()}


def _default(parameter: dict[str, Any]) -> str:
    if "Default" not in parameter:
        return "required"
    return "empty" if parameter["Default"] == "" else str(parameter["Default"])


def test_every_alarm_has_its_row(stack: Stack) -> None:
    names = {
        alarm["AlarmName"].removeprefix("aws-contact-sync-dev-")
        for alarm in stack.of_type("AWS::CloudWatch::Alarm").values()
    }

    assert names == {row[0].strip("`") for row in table("Monitoring", 0)}


def test_every_metric_has_its_row() -> None:
    names = {name for row in table("Monitoring", 1) for name in re.findall(r"`(\w+)`", row[0])}

    assert set(Metric) == names


def test_every_query_has_its_row(stack: Stack) -> None:
    names = {
        query["Name"].removeprefix("aws-contact-sync-dev/")
        for query in stack.of_type("AWS::Logs::QueryDefinition").values()
    }

    assert names == {row[0].strip("`") for row in table("Monitoring", 2)}
