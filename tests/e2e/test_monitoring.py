"""Alarms, metrics and log queries of the deployed stack, checked with real runs.

The tests share one stand-in and depend on their order, because metrics accumulate.
"""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from standin.organization import drifted_world
from support.machine import Machine
from support.machine import machine as started
from support.stack import Stack, expand, source_template

PROD = "aws-contact-sync-prod"
ACCOUNTS = 6
TOO_MANY = "TooManyRequestsException"
# Fields that CloudWatch discovers in every function's log.
DISCOVERED = {
    "@timestamp",
    "@type",
    "@log",
    "@duration",
    "@initDuration",
    "@maxMemoryUsed",
}


@pytest.fixture(scope="module", name="watched")
def _watched() -> Iterator[Machine]:
    with started(triggers="ENABLED", environment="prod") as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(watched: Machine) -> None:
    watched.reset(drifted_world(ACCOUNTS))


def sums(machine: Machine, namespace: str, *metrics: str, **dimensions: str) -> list[float]:
    """Return the sum of each metric since the stand-in started."""
    client = machine.standin.client("cloudwatch")
    now = time.time()
    answers = [
        client.get_metric_statistics(
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=now - 3600,
            EndTime=now + 60,
            Period=7200,
            Statistics=["Sum"],
        )
        for metric in metrics
    ]
    return [sum(point["Sum"] for point in answer["Datapoints"]) for answer in answers]


def own(machine: Machine, *metrics: str) -> list[float]:
    return sums(machine, "AwsContactSync", *metrics, service=PROD)


def raised(machine: Machine) -> set[str]:
    """Evaluate all alarms; return those that are raised."""
    states = machine.standin.evaluate_alarms()
    names = {name for name, state in states.items() if state == "ALARM"}
    return {name.removeprefix(f"{PROD}-") for name in names}


def members(machine: Machine) -> list[str]:
    return [account["id"] for account in machine.organization.world()["accounts"]]


def test_a_run_that_succeeds_after_refused_attempts_raises_no_alarm(watched: Machine) -> None:
    """Lambda counts the attempts as errors, the alarms do not; a metric counts refused calls."""
    assert {"no-full-run"} == raised(watched), "nothing has run since the deployment"
    refused = {"operation": "PutAlternateContact", "error": TOO_MANY, "times": 4}
    for account_id in members(watched)[:2]:
        watched.organization.add_fault({**refused, "account_id": account_id})
    secret = {"service": "secretsmanager", "operation": "GetSecretValue"}
    watched.standin.set_faults([{**secret, "error": "ThrottlingException", "times": 3}])

    execution = watched.run()

    assert "SUCCEEDED" == execution.status()
    for name in ("alternate-contact-processor", "contact-sync-handler"):
        (errors,) = sums(watched, "AWS/Lambda", "Errors", FunctionName=f"{PROD}-{name}")
        assert 0 < errors
    assert set() == raised(watched)
    calls = [call["outcome"] for call in watched.organization.calls() if call["account_id"]]
    assert [calls.count(TOO_MANY)] == own(watched, "RefusedCalls")
    assert calls.count(TOO_MANY) >= 8
    accounts = watched.run_item(execution)["accounts"]
    updated, *others = own(watched, "AccountsUpdated", "AccountsFailed", "Recoveries", "FullRuns")
    assert accounts["updated"] == updated
    assert [0, 0, 1] == others
    assert [0] == own(watched, "HandlerErrors")


def test_what_goes_wrong_raises_its_alarm_and_is_told(watched: Machine) -> None:
    slow = {"operation": "GetAlternateContact", "error": "slow", "delay": 8, "times": 1}
    watched.organization.add_fault({**slow, "account_id": members(watched)[0]})
    aborted = watched.stack.start()
    while "SyncAccounts" not in aborted.states():
        assert "RUNNING" == aborted.status()
    watched.run({"reason": "queued behind it"})
    aborted.stop()
    watched.await_recoveries()
    assert {"recoveries"} == raised(watched)

    watched.configure(contact_types=["technical"])
    watched.run()
    assert {"recoveries", "contact-sync-errors", "failed-runs"} == raised(watched)

    watched.reset({**drifted_world(ACCOUNTS), "denied_accounts": members(watched)[:2]})
    watched.run()
    names = {"recoveries", "contact-sync-errors", "failed-runs", "account-processor-errors"}
    assert names == raised(watched)
    alarms = [json.loads(message.body) for message in watched.messages() if is_alarm(message)]
    assert [f"{PROD}-account-processor-errors"] == [alarm["AlarmName"] for alarm in alarms]
    assert "after all their attempts" in alarms[0]["AlarmDescription"]


def is_alarm(message: Any) -> bool:
    return bool(message.body.startswith("{"))


def test_queries_ask_for_what_the_functions_log(watched: Machine) -> None:
    """Every field of every query is in some line of the log groups that it reads."""
    stack = Stack(expand(source_template()), "prod")

    for query in stack.of_type("AWS::Logs::QueryDefinition").values():
        lines = [line for name in query["LogGroupNames"] for line in logged(watched, name)]
        known = DISCOVERED | {field for line in lines for field in flat(line)}
        assert [] == [name for name in fields(query["QueryString"]) if name not in known]


def logged(machine: Machine, group: str = "") -> list[dict[str, Any]]:
    """Return the JSON lines of one log group, or of all functions' log groups."""
    client = machine.standin.client("logs")
    prefix = group or f"/aws/lambda/{PROD}-"
    groups = client.describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
    pages = client.get_paginator("filter_log_events")
    return [
        json.loads(event["message"])
        for found in groups
        for page in pages.paginate(logGroupName=found["logGroupName"])
        for event in page["events"]
        if event["message"].startswith("{")
    ]


def flat(value: Any, name: str = "") -> Iterator[str]:
    """Yield a line's fields as Logs Insights names them: a.b of an object, a.0 of a list."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from flat(item, f"{name}.{key}" if name else str(key))
    else:
        yield name


WORDS = {"fields", "filter", "stats", "sort", "limit", "by", "as", "and", "or", "asc", "desc"}


def fields(query: str) -> list[str]:
    """Return the fields that a query reads, without strings, numbers, functions and aliases."""
    text = re.sub(r'"[^"]*"', "", query)
    given = set(re.findall(r"\bas (\w+)", text))
    names = re.findall(r"(?<![\w.@])[@A-Za-z_][\w.]*\b(?!\()", text)
    return [name for name in names if name not in WORDS | given]


def test_fields_of_a_query() -> None:
    query = 'fields @timestamp, a.0 | filter b = "c d" | stats max(e / 10) as f by g | sort f desc'
    assert ["@timestamp", "a.0", "b", "e", "g"] == fields(query)
