"""Reads that decide about writes are strongly consistent."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from contact_sync.aws import keys
from contact_sync.aws.account_states import AccountStatesTable
from contact_sync.aws.config_table import load_config
from contact_sync.aws.items import to_item
from contact_sync.aws.lock_table import LockTable
from contact_sync.aws.runs_table import RunsTable
from support.builders import MEMBER, STARTED_AT, SYNC_ID, make_config
from support.moto_stack import CONFIG_TABLE, STATE_TABLE

READS: dict[str, Callable[[Any], object]] = {
    "config": lambda client: load_config(client, CONFIG_TABLE),
    "lock": lambda client: LockTable(client, STATE_TABLE).read(),
    "queue": lambda client: LockTable(client, STATE_TABLE).queued(),
    "run": lambda client: RunsTable(client, STATE_TABLE).read(STARTED_AT, SYNC_ID),
    "run by name": lambda client: RunsTable(client, STATE_TABLE).find(SYNC_ID),
    "lock and account": lambda client: AccountStatesTable(client, STATE_TABLE).read(MEMBER),
    "accounts": lambda client: list(
        AccountStatesTable(client, STATE_TABLE).items([MEMBER], SYNC_ID, STARTED_AT, dry_run=False)
    ),
}


@pytest.mark.rule(7)
@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_items_are_read_strongly_consistent(
    read: Callable[[Any], object], config_table: Any, state_table: Any
) -> None:
    config_table.put_item(TableName=CONFIG_TABLE, Item=to_item(make_config()))
    run = {**keys.run(STARTED_AT, SYNC_ID), **keys.run_index(SYNC_ID)}
    state_table.put_item(TableName=STATE_TABLE, Item=to_item(run))
    asked: list[dict[str, Any]] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        if "IndexName" not in params:  # an index has no consistent reads; its items are read again
            asked.append(params.get("RequestItems", {}).get(STATE_TABLE, params))

    client: Any = boto3.client("dynamodb")
    for operation in ("GetItem", "BatchGetItem", "Query", "Scan"):
        client.meta.events.register(f"provide-client-params.dynamodb.{operation}", note)
    read(client)
    assert [True] == [params.get("ConsistentRead") for params in asked]
