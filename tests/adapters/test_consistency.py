"""What decides about writes is never read from a table's stale copy."""

from collections.abc import Callable
from typing import Any

import pytest
from builders import MEMBER, STARTED_AT, SYNC_ID, make_config, make_task
from contact_sync import keys
from contact_sync.account_states import AccountStatesTable
from contact_sync.config_store import load_config
from contact_sync.lock import LockTable
from contact_sync.runs_table import RunsTable
from contact_sync.table import to_item
from moto_stack import CONFIG_TABLE, STATE_TABLE

READS: dict[str, Callable[[Any], object]] = {
    "config": lambda client: load_config(client, CONFIG_TABLE),
    "lock": lambda client: LockTable(client, STATE_TABLE).read(),
    "run": lambda client: RunsTable(client, STATE_TABLE).read(STARTED_AT, SYNC_ID),
    "run by name": lambda client: RunsTable(client, STATE_TABLE).find(SYNC_ID),
    "synced": lambda client: RunsTable(client, STATE_TABLE).synced(),
    "last writes": lambda client: AccountStatesTable(client, STATE_TABLE).last_writes(MEMBER),
    "changes": lambda client: AccountStatesTable(client, STATE_TABLE).changes(
        make_task(), STARTED_AT
    ),
    "accounts": lambda client: list(
        AccountStatesTable(client, STATE_TABLE).read([MEMBER], SYNC_ID, STARTED_AT, dry_run=False)
    ),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_items_are_read_strongly_consistent(
    read: Callable[[Any], object], config_table: Any, state_table: Any
) -> None:
    config_table.put_item(TableName=CONFIG_TABLE, Item=to_item(make_config()))
    run = {**keys.run(STARTED_AT, SYNC_ID), **keys.run_index(SYNC_ID)}
    state_table.put_item(TableName=STATE_TABLE, Item=to_item(run))
    asked: list[dict[str, Any]] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        asked.append(params.get("RequestItems", {}).get(STATE_TABLE, params))

    for operation in ("GetItem", "BatchGetItem"):
        state_table.meta.events.register(f"provide-client-params.dynamodb.{operation}", note)
    read(state_table)
    assert [True] == [params.get("ConsistentRead") for params in asked]
