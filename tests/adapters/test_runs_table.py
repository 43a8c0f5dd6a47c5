"""The runs' items, and what was last synced."""

from typing import Any

import pytest
from builders import KEY, STARTED_AT, SYNC_ID, make_contact
from contact_sync import keys
from contact_sync.contacts import ContactType
from contact_sync.runs_table import RunsTable
from contact_sync.table import to_item
from moto_stack import STATE_TABLE

DIGEST = make_contact().digest(KEY)


@pytest.fixture
def runs(state_table: Any) -> RunsTable:
    return RunsTable(state_table, STATE_TABLE)


def put_account(client: Any, account_id: str, status: str, sync_id: str = SYNC_ID) -> None:
    item = {
        **keys.account_run(account_id, STARTED_AT, sync_id),
        **keys.run_index(sync_id, f"{status}#{account_id}"),
        "padding": "x" * 20_000,
    }
    client.put_item(TableName=STATE_TABLE, Item=to_item(item))


def test_a_run_that_is_not_there_is_empty(runs: RunsTable) -> None:
    assert {} == runs.read(STARTED_AT, SYNC_ID)
    assert runs.find(SYNC_ID) is None


def test_a_run_is_updated_piece_by_piece(runs: RunsTable) -> None:
    runs.update(STARTED_AT, SYNC_ID, {"round": 1, "failed": 2})
    runs.update(STARTED_AT, SYNC_ID, {"failed": 0, "error": None})
    expected = {**keys.run(STARTED_AT, SYNC_ID), "round": 1, "failed": 0, "error": None}
    assert expected == runs.read(STARTED_AT, SYNC_ID)


def test_a_run_is_found_by_its_name_alone(runs: RunsTable, state_table: Any) -> None:
    put_account(state_table, "1", "failed")
    runs.update(STARTED_AT, SYNC_ID, {**keys.run_index(SYNC_ID), "round": 1})
    found = runs.find(SYNC_ID)
    assert found is not None
    assert 1 == found["round"]


def test_failed_accounts_are_those_of_the_run_alone_over_all_pages(
    runs: RunsTable, state_table: Any
) -> None:
    ids = [str(100_000_000_000 + n) for n in range(80)]
    for account_id in ids:
        put_account(state_table, account_id, "failed")
    put_account(state_table, "updated", "updated")
    put_account(state_table, "another run's", "failed", "another")
    runs.update(STARTED_AT, SYNC_ID, keys.run_index(SYNC_ID))
    assert ids == runs.failed_accounts(SYNC_ID)


def test_nothing_was_synced_at_first(runs: RunsTable) -> None:
    assert {} == runs.synced()


def test_what_was_synced_is_kept_by_type(runs: RunsTable) -> None:
    runs.record_synced({ContactType.BILLING: DIGEST}, "key-1", "run-1", STARTED_AT)
    runs.record_synced({ContactType.SECURITY: "absent"}, "key-1", "run-2", STARTED_AT)
    assert runs.synced() == {
        "billing": {"digest": DIGEST, "key_id": "key-1", "sync_id": "run-1", "at": STARTED_AT},
        "security": {"digest": "absent", "key_id": "key-1", "sync_id": "run-2", "at": STARTED_AT},
    }


def test_what_was_synced_again_is_replaced(runs: RunsTable) -> None:
    for sync_id in ("run-1", "run-2"):
        runs.record_synced({ContactType.BILLING: DIGEST}, "key-1", sync_id, STARTED_AT)
    assert "run-2" == runs.synced()["billing"]["sync_id"]
