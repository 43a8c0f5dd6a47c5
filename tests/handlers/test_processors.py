"""Both account processors: each takes a child's input, and returns its account's digit."""

import json
import traceback
from dataclasses import replace
from typing import Any

import boto3
import pytest
from contact_sync.aws import keys
from contact_sync.aws.items import from_item, to_item
from contact_sync.aws.runs_bucket import SETS, RunsBucket, beside
from contact_sync.contact_sets import same_for_all
from contact_sync.contacts import ContactType
from contact_sync.errors import (
    ContactRefusedError,
)
from contact_sync.observability import logger
from contact_sync.pacing import Pacer
from support.builders import (
    ALTERNATE_FIELDS,
    LATER_PLAN,
    MEMBER,
    PLANNED_AT,
    PRIMARY_FIELDS,
    SECRET_VALUES,
    SOURCE_KEY,
    SYNC_ID,
    make_child_input,
    make_contact,
    make_source,
    make_world,
)
from support.moto_stack import BUCKET, STATE_TABLE, Cloud

ALTERNATES = ["BILLING", "OPERATIONS", "SECURITY"]
PROCESSORS = ("alternate_contact_processor", "primary_contact_processor")
LATER = {
    "sync_id": "run-2",
    "planned_at": LATER_PLAN,
    "source_key": f"runs/run-2/{LATER_PLAN}/source.json",
}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUOTA_SHARE", "1000")


@pytest.fixture
def member(cloud: Cloud) -> Cloud:
    """Set a member without contacts, a source, and a run that holds the lock with its plan."""
    cloud.organization.reset(make_world(MEMBER))
    store_source()
    lock(cloud)
    return cloud


def store_source(key: str = SOURCE_KEY, **changes: Any) -> None:
    bucket, source = RunsBucket(boto3.client("s3"), BUCKET), make_source(**changes)
    bucket.store_source(key, source)
    bucket.delete(beside(key, SETS))
    bucket.store_sets(beside(key, SETS), [same_for_all(source.contact_types)])


def lock(cloud: Cloud, holder: str = SYNC_ID, planned_at: str = PLANNED_AT) -> None:
    item = to_item({**keys.LOCK, "holder": holder, "planned_at": planned_at})
    cloud.dynamodb.put_item(TableName=STATE_TABLE, Item=item)


def statuses(cloud: Cloud, *names: str) -> list[str]:
    key = to_item(keys.account_state(MEMBER))
    item = from_item(cloud.dynamodb.get_item(TableName=STATE_TABLE, Key=key)["Item"])
    return [item[name.lower()]["status"] for name in names]


def test_the_alternate_contacts_are_synced(member: Cloud) -> None:
    assert {"digit": 1} == member.load(PROCESSORS[0])(make_child_input())
    assert dict.fromkeys(ALTERNATES, ALTERNATE_FIELDS) == member.organization.contacts(MEMBER)
    assert ["updated"] * 3 == statuses(member, *ALTERNATES)


def test_the_primary_contact_is_synced(member: Cloud) -> None:
    assert {"digit": 1} == member.load(PROCESSORS[1])(make_child_input())
    assert {"PRIMARY": PRIMARY_FIELDS} == member.organization.contacts(MEMBER)
    assert ["updated"] == statuses(member, "primary")


@pytest.mark.parametrize(("days", "kept"), [("30", 3), ("0", 0)])
def test_replaced_contacts_are_stored_unless_storing_is_disabled(
    days: str, kept: int, member: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEEP_REPLACED_DAYS", days)
    assert {"digit": 1} == member.load(PROCESSORS[0])(make_child_input())
    found = member.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"replaced/{SYNC_ID}/{MEMBER}/")
    assert kept == found["KeyCount"]


def test_every_call_of_the_account_api_is_paced(
    member: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = 0

    def wait(_pacer: Pacer, _operation: str) -> None:
        nonlocal waits
        waits += 1

    monkeypatch.setattr(Pacer, "wait", wait)
    member.load(PROCESSORS[0])(make_child_input())
    assert 6 == waits == len(member.organization.calls())


@pytest.mark.parametrize("function", PROCESSORS)
def test_a_synced_account_is_logged_with_its_ids(
    function: str, member: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    member.load(function)(make_child_input())
    (record,) = [one for one in caplog.records if one.message == "Account synced"]
    line = json.loads(logger.registered_formatter.format(record))
    expected = {"sync_id": SYNC_ID, "account_id": MEMBER, "digit": 1}
    assert expected == {name: line[name] for name in expected}


@pytest.mark.rule(12)
def test_neither_errors_nor_output_nor_items_contain_a_contact_value(
    member: Cloud, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = make_contact("billing", EmailAddress="trials-example.com")
    store_source(billing=broken)
    with pytest.raises(ContactRefusedError) as caught:
        member.load(PROCESSORS[0])(make_child_input())
    printed = "".join(traceback.format_exception(caught.value))
    out, err = capfd.readouterr()
    stored = str(member.dynamodb.scan(TableName=STATE_TABLE)["Items"])
    values = {*SECRET_VALUES, *broken.to_api().values()}
    assert [] == [value for value in values if value in printed + out + err + stored]
    assert "ValidationException for EmailAddress" in printed


def test_a_run_and_its_undo_leave_the_member_as_it_was(member: Cloud) -> None:
    former = {**ALTERNATE_FIELDS, "Name": "Formerly Tester"}
    member.organization.set_contact(MEMBER, "BILLING", former)
    invoke = member.load(PROCESSORS[0])
    assert {"digit": 1} == invoke(make_child_input())
    bucket, key = RunsBucket(member.s3, BUCKET), LATER["source_key"]
    bucket.store_source(key, replace(make_source(), is_undo=True))
    alternates = [ContactType(name.lower()) for name in ALTERNATES]
    bucket.store_sets(beside(key, SETS), [dict.fromkeys(alternates, SYNC_ID)])
    lock(member, "run-2", LATER_PLAN)
    assert {"digit": 1} == invoke(make_child_input(**LATER))
    assert {"BILLING": former} == member.organization.contacts(MEMBER)
    assert ["updated", "deleted", "deleted"] == statuses(member, *ALTERNATES)
