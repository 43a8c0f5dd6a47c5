"""The runs' items: updated incrementally, found by name, and ended once."""

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from contact_sync.aws import keys
from contact_sync.aws.items import to_item
from contact_sync.aws.runs_table import RunsTable
from contact_sync.errors import ThrottledError
from support.builders import EARLIER, STARTED_AT, SYNC_ID
from support.moto_stack import STATE_TABLE

COMMON = {
    **keys.run(STARTED_AT, SYNC_ID),
    **keys.run_index(SYNC_ID),
    "sync_id": SYNC_ID,
    "started_at": STARTED_AT,
    "expires_at": keys.expires_at(STARTED_AT),
}
ENDED = {"status": "aborted", "ended_at": "2026-01-05T10:09:00+00:00"}


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


def test_a_missing_run_is_empty(runs: RunsTable) -> None:
    assert {} == runs.read(STARTED_AT, SYNC_ID)
    assert runs.find(SYNC_ID) is None


def test_a_run_is_updated_incrementally(runs: RunsTable) -> None:
    runs.update(STARTED_AT, SYNC_ID, {"planned_at": "now", "failed": 2})
    runs.update(STARTED_AT, SYNC_ID, {"failed": 0, "error": None})
    expected = {**COMMON, "planned_at": "now", "failed": 0, "error": None}
    assert expected == runs.read(STARTED_AT, SYNC_ID)


def test_the_latest_run_of_a_name_is_found_by_that_alone(runs: RunsTable, state_table: Any) -> None:
    put_account(state_table, "1", "failed")
    runs.update(STARTED_AT, "run-10", {"failed": 1})
    runs.update(EARLIER, SYNC_ID, {"failed": 0})
    runs.update(STARTED_AT, SYNC_ID, {"failed": 2})
    found = runs.find(SYNC_ID)
    assert found is not None
    assert (SYNC_ID, 2) == (found["sync_id"], found["failed"])


def test_the_end_of_a_run_is_recorded_once(runs: RunsTable) -> None:
    runs.update(STARTED_AT, SYNC_ID, {"failed": 0})
    assert runs.record_end(STARTED_AT, SYNC_ID, ENDED)
    assert not runs.record_end(STARTED_AT, SYNC_ID, {**ENDED, "status": "failure"})
    assert {**COMMON, "failed": 0, **ENDED} == runs.read(STARTED_AT, SYNC_ID)


def test_the_end_of_a_run_without_an_item_is_recorded(runs: RunsTable) -> None:
    assert runs.record_end(STARTED_AT, SYNC_ID, ENDED)
    assert {**COMMON, **ENDED} == runs.find(SYNC_ID)


def test_failed_accounts_of_only_this_run_are_read_from_all_pages(
    runs: RunsTable, state_table: Any
) -> None:
    ids = [str(100_000_000_000 + n) for n in range(80)]
    for account_id in ids:
        put_account(state_table, account_id, "failed")
    put_account(state_table, "updated", "updated")
    put_account(state_table, "another run's", "failed", "another")
    runs.update(STARTED_AT, SYNC_ID, {})
    assert ids == runs.failed_accounts(SYNC_ID)


@pytest.mark.parametrize(
    ("operation", "use"),
    [
        ("get_item", lambda runs: runs.read(STARTED_AT, SYNC_ID)),
        ("query", lambda runs: runs.find(SYNC_ID)),
        ("query", lambda runs: runs.failed_accounts(SYNC_ID)),
        ("update_item", lambda runs: runs.update(STARTED_AT, SYNC_ID, {"failed": 1})),
        ("update_item", lambda runs: runs.record_end(STARTED_AT, SYNC_ID, ENDED)),
    ],
)
def test_a_refused_call_is_an_error_and_never_an_empty_result(operation: str, use: Any) -> None:
    client: Any = boto3.client("dynamodb")
    with Stubber(client) as stub:
        stub.add_client_error(operation, "ThrottlingException")
        with pytest.raises(ThrottledError):
            use(RunsTable(client, STATE_TABLE))
