"""Both account processors: a child's input in, its account's digit out."""

import json
import traceback
from contextlib import nullcontext
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
    AccessDeniedError,
    ApiRefusedError,
    ContactRefusedError,
    RepeatAccountError,
)
from contact_sync.observability import logger
from contact_sync.pacing import Pacer
from support import emf
from support.builders import (
    ALTERNATE_FIELDS,
    EARLIER_PLAN,
    LATER_PLAN,
    MANAGEMENT,
    MEMBER,
    OTHER,
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
    cloud.organization.reset(make_world(MEMBER, OTHER))
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


def item(cloud: Cloud, account_id: str = MEMBER) -> dict[str, Any]:
    key = to_item(keys.account_state(account_id))
    return from_item(cloud.dynamodb.get_item(TableName=STATE_TABLE, Key=key).get("Item", {}))


def statuses(cloud: Cloud, *names: str) -> list[str]:
    return [item(cloud)[name.lower()]["status"] for name in names]


def writes(cloud: Cloud) -> list[str]:
    return [
        f"{call['operation']} {call['account_id']} {call['contact_type']}"
        for call in cloud.organization.calls()
        if not call["operation"].startswith(("Get", "Describe"))
    ]


def refuse(cloud: Cloud, error: str, times: int | None = None, **fault: str) -> None:
    about = {"operation": "PutAlternateContact", "contact_type": "BILLING", **fault}
    cloud.organization.add_fault({**about, "error": error, "times": times})


# What each of them does


def test_the_alternate_contacts_are_synced(member: Cloud) -> None:
    assert {"digit": 1} == member.load(PROCESSORS[0])(make_child_input())
    assert dict.fromkeys(ALTERNATES, ALTERNATE_FIELDS) == member.organization.contacts(MEMBER)
    assert ["updated"] * 3 == statuses(member, *ALTERNATES)


def test_the_primary_contact_is_synced(member: Cloud) -> None:
    assert {"digit": 1} == member.load(PROCESSORS[1])(make_child_input())
    assert {"PRIMARY": PRIMARY_FIELDS} == member.organization.contacts(MEMBER)
    assert ["updated"] == statuses(member, "primary")


@pytest.mark.parametrize(("days", "kept"), [("30", 3), ("0", 0)])
def test_what_is_replaced_is_stored_unless_that_is_switched_off(
    days: str, kept: int, member: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEEP_REPLACED_DAYS", days)
    assert {"digit": 1} == member.load(PROCESSORS[0])(make_child_input())
    found = member.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"replaced/{SYNC_ID}/{MEMBER}/")
    assert kept == found["KeyCount"]


@pytest.mark.parametrize("function", PROCESSORS)
def test_a_second_run_writes_nothing(function: str, member: Cloud) -> None:
    invoke = member.load(function)
    invoke(make_child_input())
    member.organization.clear_calls()
    store_source(LATER["source_key"])
    lock(member, "run-2", LATER_PLAN)
    assert {"digit": 0} == invoke(make_child_input(**LATER))
    assert [] == writes(member)
    assert "run-2" == item(member)["sync_id"]


@pytest.mark.parametrize("function", PROCESSORS)
def test_a_processor_that_is_asked_for_nothing_answers_at_once(
    function: str, member: Cloud
) -> None:
    others = tuple(ContactType)[:1] if function == PROCESSORS[0] else tuple(ContactType)[1:]
    store_source(contact_types=others)
    assert {"digit": 0} == member.load(function)(make_child_input())
    assert ([], {}) == (member.organization.calls(), item(member))


def test_only_the_contact_types_of_the_run_are_touched(member: Cloud) -> None:
    store_source(contact_types=(ContactType.PRIMARY, ContactType.SECURITY))
    member.load(PROCESSORS[0])(make_child_input())
    assert [f"PutAlternateContact {MEMBER} SECURITY"] == writes(member)


def test_the_two_processors_share_one_item_and_repeat_side_by_side(member: Cloud) -> None:
    invoke = {name: member.load(name) for name in PROCESSORS}
    for attempt in (1, 2):
        for name in PROCESSORS:
            assert {"digit": 1} == invoke[name](make_child_input(attempt=attempt))
    assert ["updated"] * 4 == statuses(member, *ContactType)
    assert 4 == len(writes(member))


def test_an_account_that_closed_since_it_was_listed_is_skipped(member: Cloud) -> None:
    member.organization.set_account(MEMBER, state="CLOSED")
    assert {"digit": 3} == member.load(PROCESSORS[1])(make_child_input())
    record = item(member)["primary"]
    assert ("skipped", "CLOSED") == (record["status"], record["error"])


@pytest.mark.parametrize("function", PROCESSORS)
def test_the_management_account_is_never_called(function: str, member: Cloud) -> None:
    member.load(function)(make_child_input())
    called = {call["account_id"] for call in member.organization.calls()}
    assert {MEMBER} == called != {MANAGEMENT}


def test_a_process_loads_a_runs_source_once(member: Cloud) -> None:
    invoke = member.load(PROCESSORS[0])
    invoke(make_child_input())
    member.s3.delete_object(Bucket=BUCKET, Key=SOURCE_KEY)
    assert {"digit": 1} == invoke(make_child_input(account_id=OTHER))


def test_a_process_takes_the_source_of_the_run_that_it_works_for(member: Cloud) -> None:
    invoke = member.load(PROCESSORS[0])
    invoke(make_child_input())
    store_source(LATER["source_key"], billing=make_contact(Name="Newcomer"))
    lock(member, "run-2", LATER_PLAN)
    assert {"digit": 1} == invoke(make_child_input(**LATER))
    assert "Newcomer" == member.organization.contacts(MEMBER)["BILLING"]["Name"]


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


# The fence


@pytest.mark.parametrize("function", PROCESSORS)
@pytest.mark.parametrize(
    "now",
    [("run-2", PLANNED_AT), (SYNC_ID, LATER_PLAN), (SYNC_ID, EARLIER_PLAN), ("run-2", LATER_PLAN)],
)
def test_without_the_lock_and_its_own_plan_a_run_writes_and_records_nothing(
    now: tuple[str, str], function: str, member: Cloud
) -> None:
    lock(member, *now)
    assert {"digit": 4} == member.load(function)(make_child_input())
    assert ([], {}) == (writes(member), item(member))


def test_nobody_holds_a_lock_that_was_freed(member: Cloud) -> None:
    member.dynamodb.delete_item(TableName=STATE_TABLE, Key=to_item(keys.LOCK))
    assert {"digit": 4} == member.load(PROCESSORS[0])(make_child_input())
    assert [] == writes(member)


def test_after_a_lost_lock_a_process_makes_no_more_calls_for_that_run(member: Cloud) -> None:
    invoke = member.load(PROCESSORS[0])
    lock(member, "run-2", LATER_PLAN)
    invoke(make_child_input())
    member.organization.clear_calls()
    assert {"digit": 4} == invoke(make_child_input(account_id=OTHER))
    assert [] == member.organization.calls()


def test_after_a_lost_lock_a_process_works_for_the_run_that_has_it(member: Cloud) -> None:
    invoke = member.load(PROCESSORS[0])
    lock(member, "run-2", LATER_PLAN)
    invoke(make_child_input())
    store_source(LATER["source_key"])
    assert {"digit": 1} == invoke(make_child_input(**LATER))


@pytest.mark.parametrize("function", PROCESSORS)
def test_a_dry_run_needs_no_lock_writes_to_no_account_and_leaves_its_state_alone(
    function: str, member: Cloud
) -> None:
    lock(member, "another", LATER_PLAN)
    assert {"digit": 1} == member.load(function)(make_child_input(dry_run=True))
    assert ([], {}) == (writes(member), item(member))


# Failures


@pytest.mark.parametrize(
    ("fault", "error", "recorded"),
    [
        ("TooManyRequestsException", RepeatAccountError, "ThrottledError"),
        ("InternalServerException", RepeatAccountError, "ServiceUnavailableError"),
        ("ValidationException", ContactRefusedError, "ContactRefusedError"),
        ("AccessDeniedException", AccessDeniedError, "AccessDeniedError"),
    ],
)
def test_a_failure_is_recorded_and_raised_after_the_others_had_their_turn(
    fault: str, error: type[Exception], recorded: str, member: Cloud
) -> None:
    refuse(member, fault)
    with pytest.raises(error):
        member.load(PROCESSORS[0])(make_child_input())
    record = item(member)["billing"]
    assert ("failed", recorded) == (record["status"], record["error"])
    assert ["OPERATIONS", "SECURITY"] == list(member.organization.contacts(MEMBER))


def test_a_repeated_attempt_does_only_what_is_not_yet_right(member: Cloud) -> None:
    refuse(member, "TooManyRequestsException", times=3)
    invoke = member.load(PROCESSORS[0])
    with pytest.raises(RepeatAccountError):
        invoke(make_child_input())
    member.organization.clear_calls()
    assert {"digit": 1} == invoke(make_child_input(attempt=2))
    assert [f"PutAlternateContact {MEMBER} BILLING"] == writes(member)
    assert ["updated"] * 3 == statuses(member, *ALTERNATES)


@pytest.mark.parametrize("function", PROCESSORS)
@pytest.mark.parametrize("dry_run", [False, True])
def test_an_attempt_whose_answer_was_lost_stays_a_change(
    function: str, *, dry_run: bool, member: Cloud
) -> None:
    invoke = member.load(function)
    assert {"digit": 1} == invoke(make_child_input(dry_run=dry_run))
    member.organization.clear_calls()
    assert {"digit": 1} == invoke(make_child_input(dry_run=dry_run, attempt=2))
    assert [] == writes(member)


def test_what_was_written_is_recorded_where_the_account_cannot_be_looked_up(
    member: Cloud,
) -> None:
    refuse(
        member, "AccessDeniedException", operation="GetAlternateContact", contact_type="SECURITY"
    )
    throttled = {"operation": "DescribeAccount", "error": "TooManyRequestsException"}
    member.organization.add_fault(throttled)
    with pytest.raises(RepeatAccountError):
        member.load(PROCESSORS[0])(make_child_input())
    assert ["updated", "updated", "failed"] == statuses(member, *ALTERNATES)
    assert "billing_written" in item(member)


def test_a_source_that_is_gone_is_an_error(member: Cloud) -> None:
    member.s3.delete_object(Bucket=BUCKET, Key=SOURCE_KEY)
    with pytest.raises(ApiRefusedError, match=r"source\.json: NoSuchKey"):
        member.load(PROCESSORS[0])(make_child_input())
    assert [] == member.organization.calls()


# Metrics, log lines and errors


@pytest.mark.parametrize(("times", "refused"), [(0, []), (1, [1]), (2, [2]), (3, [3])])
def test_every_refused_call_is_counted_once(
    times: int, refused: list[int], member: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that the client repeats by itself, and those that it gives up on."""
    if times:
        refuse(member, "TooManyRequestsException", times)
    invoke = member.load(PROCESSORS[0])
    capsys.readouterr()
    with pytest.raises(RepeatAccountError) if times == 3 else nullcontext():
        invoke(make_child_input())
    invoke(make_child_input(attempt=2))
    (blob,) = emf.blobs(capsys.readouterr().out) or [{"RefusedCalls": []}]
    assert refused == blob["RefusedCalls"]
    assert MEMBER not in json.dumps(blob)


@pytest.mark.parametrize("function", PROCESSORS)
def test_a_synced_account_is_logged_by_its_ids(
    function: str, member: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    member.load(function)(make_child_input())
    (record,) = [one for one in caplog.records if one.message == "Account synced"]
    line = json.loads(logger.registered_formatter.format(record))
    expected = {"sync_id": SYNC_ID, "account_id": MEMBER, "digit": 1}
    assert expected == {name: line[name] for name in expected}


@pytest.mark.rule(12)
def test_neither_errors_nor_output_nor_items_hold_a_contact_value(
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


# An undo


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
