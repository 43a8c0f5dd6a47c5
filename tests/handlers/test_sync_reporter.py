"""sync-reporter: a round's accounts in, counts out; a run's end in, its message out."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from builders import (
    MEMBER,
    NOW,
    OTHER,
    SECRET_VALUES,
    STARTED_AT,
    SYNC_ID,
    make_source,
    make_task,
)
from contact_sync import keys
from contact_sync.account_states import AccountStatesTable
from contact_sync.account_sync import Outcome
from contact_sync.contacts import ContactType
from contact_sync.errors import ServiceUnavailableError
from contact_sync.reconcile import Status
from contact_sync.runs_bucket import RunsBucket
from contact_sync.runs_table import RunsTable
from moto_stack import BUCKET, STATE_TABLE, Cloud, Invoke

BILLING = ContactType.BILLING
NOTIFICATION = {
    "notify_on_failure": True,
    "notify_on_success": True,
    "notify_on_partial_failure": True,
    "failure_threshold": 2,
}
PREFIX = f"runs/{SYNC_ID}/1"
Record = Callable[..., None]


@pytest.fixture
def reporter(cloud: Cloud) -> Invoke:
    return cloud.load("sync_reporter")


@pytest.fixture
def runs(cloud: Cloud) -> RunsTable:
    return RunsTable(cloud.dynamodb, STATE_TABLE)


@pytest.fixture
def accounts(cloud: Cloud, runs: RunsTable) -> Record:
    """Record what the children left, and the round that they belong to."""
    bucket = RunsBucket(boto3.client("s3"), BUCKET)
    states = AccountStatesTable(cloud.dynamodb, STATE_TABLE)

    def record(*, number: int = 1, dry_run: bool = False, **statuses: Status) -> None:
        ids = [name.removeprefix("_") for name in statuses]
        for account_id, status in zip(ids, statuses.values(), strict=True):
            error = "ThrottledError" if status is Status.FAILED else None
            task = make_task(account_id=account_id, round=number, dry_run=dry_run)
            states.record(task, {BILLING: Outcome(status, "d", error)}, make_source(), NOW)
        bucket.store_manifest(f"{PREFIX}/manifest.json", ids)
        bucket.store_source(f"{PREFIX}/source.json", make_source())
        run = {**keys.run_index(SYNC_ID), "request": {}, "round": number, "dry_run": dry_run}
        runs.update(STARTED_AT, SYNC_ID, run)

    return record


def round_ended(**changes: Any) -> dict[str, Any]:
    return {
        "action": "record_round",
        "sync_id": SYNC_ID,
        "started_at": STARTED_AT,
        "round": 1,
        "dry_run": False,
        "contact_types": ["billing"],
        "skipped_types": {},
        "key_replaced": False,
        "digest_key_id": "key-1",
        "source_key": f"{PREFIX}/source.json",
        "scope_key": f"{PREFIX}/scope.json",
        "manifest_key": f"{PREFIX}/manifest.json",
        "left_alone": {},
        "planned_at": STARTED_AT,
        "estimated_seconds": 60,
        "digits": [],
        "error": None,
        **changes,
    }


def run_ended(**changes: Any) -> dict[str, Any]:
    return {
        "action": "summarize_run",
        "sync_id": SYNC_ID,
        "started_at": STARTED_AT,
        "error": None,
        "cause": "",
        "notification": NOTIFICATION,
        **changes,
    }


def dies_at_the_runs_item(
    monkeypatch: pytest.MonkeyPatch, reporter: Invoke, event: dict[str, Any]
) -> None:
    """Invoke the function, which ends when it has written everything but the run's item."""

    def refuse(*_: Any) -> None:
        raise ServiceUnavailableError("record run")

    with monkeypatch.context() as patch:
        patch.setattr(RunsTable, "update", refuse)
        with pytest.raises(ServiceUnavailableError):
            reporter(event)


def test_a_round_is_counted_and_recorded(
    reporter: Invoke, accounts: Record, runs: RunsTable, cloud: Cloud
) -> None:
    accounts(_100000000001=Status.UPDATED, _100000000002=Status.FAILED)
    assert {"accounts": {"updated": 1, "failed": 1}} == reporter(round_ended())
    assert [OTHER] == runs.failed_accounts(SYNC_ID)
    assert {} == runs.synced()
    left = cloud.s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [f"{PREFIX}/manifest.json"] == [one["Key"] for one in left]


def test_a_clean_round_over_all_accounts_is_what_was_last_synced(
    reporter: Invoke, accounts: Record, runs: RunsTable
) -> None:
    accounts(_100000000001=Status.UPDATED)
    reporter(round_ended())
    assert (SYNC_ID, "key-1") == (
        runs.synced()["billing"]["sync_id"],
        runs.synced()["billing"]["key_id"],
    )


def test_a_dry_run_is_counted_and_is_not_what_was_synced(
    reporter: Invoke, accounts: Record, runs: RunsTable
) -> None:
    accounts(dry_run=True, _100000000001=Status.UPDATED)
    assert {"accounts": {"updated": 1}} == reporter(round_ended(dry_run=True))
    assert {} == runs.synced()


def test_a_failed_round_is_recorded_with_its_error(
    reporter: Invoke, accounts: Record, runs: RunsTable
) -> None:
    accounts()
    nothing = dict.fromkeys(("source_key", "scope_key", "manifest_key", "digest_key_id"))
    event = round_ended(**nothing, contact_types=[], error="InvalidConfigError")
    assert {"accounts": {}} == reporter(event)
    assert "InvalidConfigError" == runs.read(STARTED_AT, SYNC_ID)["round_1"]["error"]


def test_a_run_ends_with_its_message(reporter: Invoke, accounts: Record, runs: RunsTable) -> None:
    accounts(_100000000001=Status.UPDATED, _100000000002=Status.FAILED)
    reporter(round_ended())
    summary = reporter(run_ended())
    message = summary.pop("message")
    assert summary == {
        "status": "partial",
        "error": None,
        "cause": f"Failed accounts: 1; failure_threshold is 2. Failed: {OTHER} (ThrottledError)",
        "notify": True,
        "subject": "[test] contact sync partial: 1 updated, 1 failed",
    }
    assert f"  {OTHER}  billing: ThrottledError\n" in message
    assert message.endswith(
        "Execution: https://console.example.com/executions/contact-sync:run-1\n"
        "Dashboard: https://console.example.com/dashboard\n"
    )
    assert "partial" == runs.read(STARTED_AT, SYNC_ID)["status"]


def test_a_named_error_fails_the_run(reporter: Invoke) -> None:
    cause = json.dumps({"errorType": "InvalidConfigError", "errorMessage": "contact_types: x"})
    event = run_ended(error="InvalidConfigError", cause=cause, notification=None)
    summary = reporter(event)
    assert ("failure", "InvalidConfigError", "contact_types: x", True) == tuple(
        summary[name] for name in ("status", "error", "cause", "notify")
    )


def test_answers_survive_json_and_hold_no_value(reporter: Invoke, accounts: Record) -> None:
    accounts(_100000000001=Status.UPDATED)
    printed = json.dumps([reporter(round_ended()), reporter(run_ended())])
    assert [] == [value for value in SECRET_VALUES if value in printed]
    assert MEMBER not in json.loads(printed)[0]


# Rounds that are recorded again


def contents(cloud: Cloud) -> list[dict[str, Any]]:
    """Return every item of the state table."""
    items = cloud.dynamodb.scan(TableName=STATE_TABLE)["Items"]
    return sorted(items, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    "statuses",
    [
        {"_100000000001": Status.UPDATED, "_100000000002": Status.UNCHANGED},
        {"_100000000001": Status.UPDATED, "_100000000002": Status.FAILED},
    ],
    ids=["clean", "with a failure"],
)
def test_a_round_whose_answer_was_lost_tells_and_leaves_the_same(
    *,
    statuses: dict[str, Status],
    dry_run: bool,
    reporter: Invoke,
    accounts: Record,
    cloud: Cloud,
) -> None:
    accounts(dry_run=dry_run, **statuses)
    first = reporter(round_ended(dry_run=dry_run))
    left = contents(cloud)
    assert first == reporter(round_ended(dry_run=dry_run))
    assert left == contents(cloud)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_reporter_that_died_before_the_runs_item_counts_the_same_again(
    *,
    dry_run: bool,
    reporter: Invoke,
    accounts: Record,
    runs: RunsTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    statuses = [Status.UPDATED, Status.UNCHANGED, Status.FAILED, Status.SKIPPED]
    accounts(dry_run=dry_run, **{f"_{100_000_000_001 + n}": one for n, one in enumerate(statuses)})
    dies_at_the_runs_item(monkeypatch, reporter, round_ended(dry_run=dry_run))
    assert "round_1" not in runs.read(STARTED_AT, SYNC_ID)
    counts = {"updated": 1, "unchanged": 1, "failed": 1, "skipped": 1}
    assert {"accounts": counts} == reporter(round_ended(dry_run=dry_run))
    recorded = runs.read(STARTED_AT, SYNC_ID)
    assert ["ThrottledError"] == [one["errors"]["billing"] for one in recorded["failures"]]
    assert 1 == recorded["failed"]
    assert ["100000000003"] == runs.failed_accounts(SYNC_ID)


def test_a_later_round_corrects_the_same_accounts_again(
    reporter: Invoke,
    accounts: Record,
    runs: RunsTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = [str(100_000_000_001 + n) for n in range(3)]
    accounts(**{f"_{one}": Status.FAILED for one in ids})
    reporter(round_ended())
    accounts(number=2, **{f"_{ids[0]}": Status.UNCHANGED, f"_{ids[1]}": Status.FAILED})
    later = round_ended(round=2)
    dies_at_the_runs_item(monkeypatch, reporter, later)
    assert {"accounts": {"unchanged": 1, "failed": 1}} == reporter(later)
    assert 2 == runs.read(STARTED_AT, SYNC_ID)["failed"]
    assert ids[1:] == runs.failed_accounts(SYNC_ID)
