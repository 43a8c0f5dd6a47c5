"""Reads everything that a stand-in stores, so that tests can search for forbidden values."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from standin.deployment import ARTIFACTS_BUCKET
from standin.running import RunningStandin

SOURCE_OBJECT = "source.json"
REPLACED = "replaced/"
BEGINNING = 6
# Shorter values, such as a country code, occur by chance.
SEARCHABLE = 8

Text = tuple[str, str]


def contact_values(world: Mapping[str, Any]) -> set[str]:
    """Return every contact value of a world that is long enough to search for."""
    return {
        value
        for contacts in world["contacts"].values()
        for contact in contacts.values()
        for value in contact.values()
        if len(value) >= SEARCHABLE
    }


def search(standin: RunningStandin, values: Iterable[str]) -> list[str]:
    """Return where any of the values is stored, as `value: place`.

    Skips only the places where contact values may be: the deployed artifacts, the live source
    objects, replaced contacts, and the address book.
    """
    return find(values, ((where, _unescape(text)) for where, text in _stored_texts(standin)))


def find(values: Iterable[str], texts: Iterable[Text]) -> list[str]:
    """Return where any of the values occurs, as `value: place`.

    There are thousands of values and megabytes of text, so this searches a text only for values
    whose beginnings occur in it.
    """
    beginnings: dict[str, list[str]] = {}
    for value in values:
        beginnings.setdefault(value[:BEGINNING], []).append(value)
    if short := [beginning for beginning in beginnings if len(beginning) < BEGINNING]:
        raise ValueError(f"{len(short)} values are shorter than {BEGINNING} characters")
    return [
        f"{value}: {where}"
        for where, text in texts
        for beginning in beginnings.keys() & _pieces(text)
        for value in beginnings[beginning]
        if value in text
    ]


def _pieces(text: str) -> set[str]:
    return {text[start : start + BEGINNING] for start in range(len(text) - BEGINNING + 1)}


def _stored_texts(standin: RunningStandin) -> Iterator[Text]:
    client = standin.client
    yield from _executions(client("stepfunctions"))
    yield from _logs(client("logs"))
    yield from _items(client("dynamodb"))
    yield from _objects(client("s3"))
    yield from _metrics(client("cloudwatch"))
    for account in standin.request("GET", "/_ministack/sqs/messages")["messages"].values():
        yield "queued messages", _text(account)


def _executions(client: Any) -> Iterator[Text]:
    for machine in _pages(client, "list_state_machines", "stateMachines"):
        arn = machine["stateMachineArn"]
        for execution in _pages(client, "list_executions", "executions", stateMachineArn=arn):
            yield from _execution(client, execution["executionArn"])


def _execution(client: Any, arn: str) -> Iterator[Text]:
    yield arn, _text(client.describe_execution(executionArn=arn))
    for event in _pages(client, "get_execution_history", "events", executionArn=arn):
        yield f"{arn} event {event['id']} {event['type']}", _text(event)
    if "/" in arn.rpartition(":")[0]:
        return  # a child has no children here
    for run in client.list_map_runs(executionArn=arn)["mapRuns"]:
        for child in _pages(client, "list_executions", "executions", mapRunArn=run["mapRunArn"]):
            yield from _execution(client, child["executionArn"])


def _logs(client: Any) -> Iterator[Text]:
    for group in _pages(client, "describe_log_groups", "logGroups"):
        name = group["logGroupName"]
        for event in _pages(client, "filter_log_events", "events", logGroupName=name):
            yield f"log {name}", event["message"]


def _items(client: Any) -> Iterator[Text]:
    for table in _pages(client, "list_tables", "TableNames"):
        for item in _pages(client, "scan", "Items", TableName=table):
            if _is_book(item):
                continue
            yield f"table {table}", _text(item)


def _is_book(item: Mapping[str, Any]) -> bool:
    """Tell whether the item is the address book or a replaced version of it."""
    key = item.get("config_key", {}).get("S", "")
    return bool(key == "contacts" or key.startswith("replaced#contacts#"))


def _objects(client: Any) -> Iterator[Text]:
    for bucket in client.list_buckets()["Buckets"]:
        name = bucket["Name"]
        if name == ARTIFACTS_BUCKET:
            continue
        for item in _pages(client, "list_objects_v2", "Contents", Bucket=name):
            key = item["Key"]
            yield f"object name in {name}", key
            if not (key.endswith(SOURCE_OBJECT) or key.startswith(REPLACED)):
                body = client.get_object(Bucket=name, Key=key)["Body"].read()
                yield f"object {name}/{key}", body.decode(errors="replace")


def _metrics(client: Any) -> Iterator[Text]:
    for metric in _pages(client, "list_metrics", "Metrics"):
        yield "metric", _text(metric)


def _pages(client: Any, operation: str, member: str, **options: Any) -> Iterator[Any]:
    for page in client.get_paginator(operation).paginate(**options):
        yield from page.get(member, [])


def _unescape(text: str) -> str:
    """Undo JSON's escapes, to find values in nested JSON, too."""
    decoded = re.sub(r"\\+u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    return re.sub(r"\\+([\"/])", r"\1", decoded)


def _text(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
