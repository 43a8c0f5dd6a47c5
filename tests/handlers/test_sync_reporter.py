"""sync-reporter: how a run ended in; its message, and how the execution goes on, out."""

import importlib
import json
from typing import Any

import boto3
import pytest
from contact_sync.account_sync import ContactResult
from contact_sync.accounts import ListedAccount
from contact_sync.aws import keys
from contact_sync.aws.account_states import AccountStatesTable
from contact_sync.aws.items import from_item, to_item
from contact_sync.aws.lock_table import LockTable
from contact_sync.aws.runs_bucket import SETS, RunsBucket, beside
from contact_sync.aws.runs_table import RunsTable
from contact_sync.comparison import Status
from contact_sync.contact_sets import same_for_all
from contact_sync.contacts import ContactType
from contact_sync.errors import ServiceUnavailableError
from support.builders import (
    EARLIER,
    KEY,
    LATER_PLAN,
    MEMBER,
    NOW,
    OTHER,
    PLANNED_AT,
    SECRET_VALUES,
    STARTED_AT,
    SYNC_ID,
    THIRD,
    make_contact,
    make_listed,
    make_plan,
    make_queued,
    make_run_ended,
    make_source,
    make_task,
)
from support.clock import stop_clock
from support.moto_stack import BUCKET, STATE_TABLE, Cloud, Invoke

PLAN = make_plan(notification={**make_plan()["notification"], "failure_threshold": 2})
SETS_KEY = beside(PLAN["manifest_key"], SETS)
PLAN_ERROR = {"plan": None, "listed": None, "digits": []}
DRY_RUN = {"input": {"dry_run": True}, "may_hold_lock": False}
DIGEST = make_contact().digest(KEY)


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_clock(monkeypatch, importlib.import_module("sync_reporter.reporter"))


@pytest.fixture
def reporter(cloud: Cloud) -> Invoke:
    return cloud.load("sync_reporter")


@pytest.fixture
def runs(cloud: Cloud) -> RunsTable:
    return RunsTable(cloud.dynamodb, STATE_TABLE)


class Bed:
    """A run that holds the lock and has planned, with what its children leave."""

    def __init__(self, cloud: Cloud) -> None:
        self.dynamodb = cloud.dynamodb
        self.states = AccountStatesTable(cloud.dynamodb, STATE_TABLE)
        self.lock = LockTable(cloud.dynamodb, STATE_TABLE)
        self.put(keys.LOCK, holder=SYNC_ID, planned_at=PLANNED_AT)
        RunsTable(cloud.dynamodb, STATE_TABLE).update(
            STARTED_AT,
            SYNC_ID,
            {
                "planned_at": PLANNED_AT,
                "request": {},
                "taken": [SYNC_ID, "asked"],
                "taken_started_at": [STARTED_AT, EARLIER],
                "contact_types": ["billing"],
                "source": {"billing": DIGEST},
                "configuration": "present",
            },
        )
        for name in (SYNC_ID, "asked", "since"):
            self.lock.queue(make_queued(name))

    def put(self, key: dict[str, str], **values: Any) -> None:
        self.dynamodb.put_item(TableName=STATE_TABLE, Item=to_item({**key, **values}))

    def children(self, *, dry_run: bool = False, **statuses: Status) -> None:
        """Record what the children left, by `_<account id>`, and the objects of their run."""
        for name, status in statuses.items():
            error = "ThrottledError" if status is Status.FAILED else None
            task = make_task(account_id=name.removeprefix("_"), dry_run=dry_run)
            result = ContactResult(status, error)
            self.states.record(task, {ContactType.BILLING: result}, STARTED_AT, NOW)
        bucket = RunsBucket(boto3.client("s3"), BUCKET)
        store_manifest(*(name[1:] for name in statuses))
        bucket.store_source(PLAN["source_key"], make_source())

    def contents(self) -> list[dict[str, Any]]:
        """Return every item of the state table."""
        items = [from_item(one) for one in self.dynamodb.scan(TableName=STATE_TABLE)["Items"]]
        return sorted(items, key=lambda item: (item["pk"], item["sk"]))


def store_manifest(*account_ids: str) -> None:
    """Store these accounts as those of the run, and the one set that all of them have."""
    bucket = RunsBucket(boto3.client("s3"), BUCKET)
    bucket.store_manifest(PLAN["manifest_key"], [ListedAccount(one) for one in account_ids])
    bucket.store_sets(SETS_KEY, [same_for_all([ContactType.BILLING])])


@pytest.fixture
def bed(cloud: Cloud) -> Bed:
    return Bed(cloud)


def ended(**changes: Any) -> dict[str, Any]:
    return make_run_ended(**{"plan": PLAN, **changes})


def test_a_run_is_counted_recorded_and_handed_on(
    reporter: Invoke, bed: Bed, runs: RunsTable, cloud: Cloud
) -> None:
    bed.children(_100000000001=Status.UPDATED, _100000000002=Status.FAILED)
    answer = reporter(ended())
    message = answer.pop("message")
    assert answer == {
        "status": "partial",
        "error": None,
        "cause": "billing failed in 1 of 2 accounts (ThrottledError). "
        f"Failed accounts: 1, first {OTHER} (ThrottledError).",
        "notify": True,
        "subject": "[test] contact sync partial: 1 updated, 1 failed",
        "may_continue": True,
        "check_source_in": None,
    }
    assert f"  {OTHER}  billing: ThrottledError\n" in message
    assert message.endswith(
        "Execution: https://console.example.com/executions/contact-sync:run-1\n"
        "Dashboard: https://console.example.com/dashboard\n"
    )
    assert "partial" == runs.read(STARTED_AT, SYNC_ID)["status"]
    assert [OTHER] == runs.failed_accounts(SYNC_ID)
    assert SYNC_ID == runs.read(EARLIER, "asked")["done_by"]
    assert ["since"] == [one.name for one in bed.lock.queued()]
    assert {"billing": DIGEST, "configuration": "present"} == bed.lock.read().held
    left = cloud.s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [PLAN["manifest_key"], SETS_KEY] == [one["Key"] for one in left]


def test_a_dry_run_is_counted_by_its_own_items_and_touches_no_lock(
    reporter: Invoke, bed: Bed, runs: RunsTable
) -> None:
    bed.children(_100000000001=Status.FAILED)
    bed.children(dry_run=True, _100000000001=Status.UPDATED)
    lock, queue = bed.lock.read(), bed.lock.queued()
    answer = reporter(ended(**DRY_RUN))
    assert "DRY RUN [test] contact sync success: 1 would change" == answer["subject"]
    assert (lock, queue) == (bed.lock.read(), bed.lock.queued())
    assert ("success", True) == tuple(
        runs.read(STARTED_AT, SYNC_ID)[name] for name in ("status", "dry_run")
    )


def test_a_run_that_could_not_plan_ends_with_its_error_and_what_it_took_is_gone(
    reporter: Invoke, bed: Bed
) -> None:
    bed.put(keys.LOCK, holder=SYNC_ID, pending={"account_ids": [THIRD]})
    cause = json.dumps({"errorType": "InvalidConfigError", "errorMessage": "contact_types: x"})
    error = {"name": "InvalidConfigError", "cause": cause}
    answer = reporter(ended(**PLAN_ERROR, error=error))
    assert ("failure", "InvalidConfigError", "contact_types: x", True) == tuple(
        answer[name] for name in ("status", "error", "cause", "notify")
    )
    assert ["since"] == [one.name for one in bed.lock.queued()]
    assert bed.lock.read().pending is None


def test_a_run_that_lost_the_lock_leaves_everything_to_the_run_that_has_it(
    reporter: Invoke, bed: Bed, runs: RunsTable
) -> None:
    bed.children(_100000000001=Status.UPDATED)
    bed.put(keys.LOCK, holder="run-2", planned_at=LATER_PLAN, pending={})
    before = (bed.lock.read(), bed.lock.queued())
    answer = reporter(ended())
    assert ("LockLostError", False) == (answer["error"], answer["may_continue"])
    assert before == (bed.lock.read(), bed.lock.queued())
    assert "run-2" == runs.read(STARTED_AT, SYNC_ID)["superseded_by"]


def test_what_version_1_queued_is_left_to_the_holder_of_the_lock(
    reporter: Invoke, bed: Bed
) -> None:
    bed.put(keys.LOCK, holder="run-2", pending={})
    reporter(ended(**PLAN_ERROR, error={"name": "Lambda.Unknown"}))
    assert {} == bed.lock.read().pending
    assert not bed.lock.forget_pending(SYNC_ID)


def test_accounts_without_a_record_have_failed(reporter: Invoke, bed: Bed, runs: RunsTable) -> None:
    bed.children(_100000000001=Status.UNCHANGED)
    manifest = [MEMBER, OTHER, THIRD]
    store_manifest(*manifest)
    assert "PartialSyncError" == reporter(ended(listed=make_listed(3)))["error"]
    assert [OTHER, THIRD] == runs.failed_accounts(SYNC_ID)


def test_the_answer_survives_json_and_neither_it_nor_the_table_holds_a_value(
    reporter: Invoke, bed: Bed
) -> None:
    bed.children(_100000000001=Status.UPDATED)
    printed = json.dumps(reporter(ended())) + str(bed.contents())
    assert [] == [value for value in SECRET_VALUES if value in printed]


# Records that are repeated


@pytest.mark.parametrize("how", [{}, DRY_RUN, {**PLAN_ERROR, "error": {"name": "X", "cause": "y"}}])
def test_repeating_a_record_whose_answer_was_lost_gives_the_same_answer_and_state(
    how: dict[str, Any], reporter: Invoke, bed: Bed
) -> None:
    bed.children(
        dry_run=how is DRY_RUN,
        _100000000001=Status.UPDATED,
        _100000000002=Status.FAILED,
        _100000000003=Status.UNCHANGED,
    )
    first = reporter(ended(**how))
    left = bed.contents()
    assert first == reporter(ended(**how))
    assert left == bed.contents()


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_reporter_that_died_before_the_runs_item_counts_the_same_again(
    *,
    dry_run: bool,
    reporter: Invoke,
    bed: Bed,
    runs: RunsTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    statuses = [Status.UPDATED, Status.UNCHANGED, Status.FAILED, Status.SKIPPED]
    named = {f"_{100_000_000_001 + n}": one for n, one in enumerate(statuses)}
    bed.children(dry_run=dry_run, **named)
    event = ended(**(DRY_RUN if dry_run else {}))

    def refuse(*_: Any) -> None:
        raise ServiceUnavailableError("record run")

    with monkeypatch.context() as patch:
        patch.setattr(RunsTable, "update", refuse)
        with pytest.raises(ServiceUnavailableError):
            reporter(event)
    assert "ended_at" not in runs.read(STARTED_AT, SYNC_ID)
    reporter(event)
    counts = {"updated": 1, "unchanged": 1, "failed": 1, "skipped": 1}
    assert counts == runs.read(STARTED_AT, SYNC_ID)["accounts"]
    assert [THIRD] == runs.failed_accounts(SYNC_ID)
