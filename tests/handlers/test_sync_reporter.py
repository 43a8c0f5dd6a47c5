"""sync-reporter: takes the end of a run, and returns its message and how to continue."""

import importlib
from typing import Any

import boto3
import pytest
from contact_sync.account_sync import ContactResult
from contact_sync.accounts import ListedAccount
from contact_sync.aws.account_states import AccountStatesTable
from contact_sync.aws.items import from_item
from contact_sync.aws.lock_table import LockTable
from contact_sync.aws.runs_bucket import SETS, RunsBucket, beside
from contact_sync.aws.runs_table import RunsTable
from contact_sync.comparison import Status
from contact_sync.contact_sets import same_for_all
from contact_sync.contacts import ContactType
from support.builders import (
    EARLIER,
    KEY,
    MEMBER,
    NOW,
    OTHER,
    PLANNED_AT,
    STARTED_AT,
    SYNC_ID,
    THIRD,
    make_contact,
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


class Bed:
    """A run that holds the lock and has planned, with the records of its children."""

    def __init__(self, cloud: Cloud) -> None:
        self.dynamodb = cloud.dynamodb
        self.states = AccountStatesTable(cloud.dynamodb, STATE_TABLE)
        self.lock = LockTable(cloud.dynamodb, STATE_TABLE)
        self.runs = RunsTable(cloud.dynamodb, STATE_TABLE)
        self.lock.take(SYNC_ID, NOW)
        self.lock.record_plan(SYNC_ID, PLANNED_AT, {})
        self.runs.update(
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

    def children(self, *, dry_run: bool = False) -> None:
        """Record what three children left, and the objects of their run."""
        statuses = {MEMBER: Status.UPDATED, OTHER: Status.FAILED, THIRD: Status.UNCHANGED}
        for account_id, status in statuses.items():
            error = "ThrottledError" if status is Status.FAILED else None
            task = make_task(account_id=account_id, dry_run=dry_run)
            result = ContactResult(status, error)
            self.states.record(task, {ContactType.BILLING: result}, STARTED_AT, NOW)
        bucket = RunsBucket(boto3.client("s3"), BUCKET)
        bucket.store_manifest(PLAN["manifest_key"], [ListedAccount(one) for one in statuses])
        bucket.store_sets(SETS_KEY, [same_for_all([ContactType.BILLING])])
        bucket.store_source(PLAN["source_key"], make_source())

    def contents(self) -> list[dict[str, Any]]:
        """Return every item of the state table."""
        items = [from_item(one) for one in self.dynamodb.scan(TableName=STATE_TABLE)["Items"]]
        return sorted(items, key=lambda item: (item["pk"], item["sk"]))


@pytest.fixture
def bed(cloud: Cloud) -> Bed:
    return Bed(cloud)


def ended(**changes: Any) -> dict[str, Any]:
    return make_run_ended(**{"plan": PLAN, **changes})


def test_a_run_is_counted_recorded_and_handed_on(reporter: Invoke, bed: Bed, cloud: Cloud) -> None:
    bed.children()
    answer = reporter(ended())
    message = answer.pop("message")
    assert answer == {
        "status": "partial",
        "error": None,
        "cause": "billing failed in 1 of 3 accounts (ThrottledError). "
        f"Failed accounts: 1, first {OTHER} (ThrottledError).",
        "notify": True,
        "subject": "[test] contact sync partial: 1 updated, 1 unchanged, 1 failed",
        "may_continue": True,
        "check_source_in": None,
    }
    assert f"  {OTHER}  billing: ThrottledError\n" in message
    assert message.endswith(
        "Execution: https://console.example.com/executions/contact-sync:run-1\n"
        "Dashboard: https://console.example.com/dashboard\n"
    )
    assert "partial" == bed.runs.read(STARTED_AT, SYNC_ID)["status"]
    assert [OTHER] == bed.runs.failed_accounts(SYNC_ID)
    assert SYNC_ID == bed.runs.read(EARLIER, "asked")["done_by"]
    assert ["since"] == [one.name for one in bed.lock.queued()]
    assert {"billing": DIGEST, "configuration": "present"} == bed.lock.read().held
    left = cloud.s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [PLAN["manifest_key"], SETS_KEY] == [one["Key"] for one in left]


@pytest.mark.parametrize("how", [{}, DRY_RUN, {**PLAN_ERROR, "error": {"name": "X", "cause": "y"}}])
def test_a_record_repeated_after_a_lost_response_gives_the_same_result_and_state(
    how: dict[str, Any], reporter: Invoke, bed: Bed
) -> None:
    bed.children(dry_run=how is DRY_RUN)
    first = reporter(ended(**how))
    left = bed.contents()
    assert first == reporter(ended(**how))
    assert left == bed.contents()
