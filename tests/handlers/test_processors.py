"""Both account processors: a child's input in, its account's digit out."""

import json
import traceback
from contextlib import nullcontext
from typing import Any

import boto3
import emf
import pytest
from builders import (
    ALTERNATE_FIELDS,
    MANAGEMENT,
    MEMBER,
    PRIMARY_FIELDS,
    SECRET_VALUES,
    SYNC_ID,
    make_child_input,
    make_contact,
    make_source,
    make_world,
)
from contact_sync import keys
from contact_sync.contacts import ContactType
from contact_sync.errors import (
    AccessDeniedError,
    ContactRefusedError,
    ServiceUnavailableError,
    ThrottledError,
)
from contact_sync.observability import logger
from contact_sync.runs_bucket import RunsBucket
from contact_sync.table import from_item, to_item
from moto_stack import BUCKET, STATE_TABLE, Cloud, Invoke

ALTERNATES = ["BILLING", "OPERATIONS", "SECURITY"]
SOURCE_KEY = make_child_input()["source_key"]
PROCESSORS = ("alternate_contact_processor", "primary_contact_processor")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUOTA_SHARE", "1000")


@pytest.fixture
def member(cloud: Cloud) -> Cloud:
    cloud.organization.reset(make_world(MEMBER))
    store_source()
    return cloud


def store_source(**contacts: Any) -> None:
    RunsBucket(boto3.client("s3"), BUCKET).store_source(SOURCE_KEY, make_source(**contacts))


def processor(cloud: Cloud, function: str) -> Invoke:
    return cloud.load(function)


def item(cloud: Cloud) -> dict[str, Any]:
    key = to_item(keys.account_state(MEMBER))
    return from_item(cloud.dynamodb.get_item(TableName=STATE_TABLE, Key=key).get("Item", {}))


def writes(cloud: Cloud) -> list[str]:
    return [
        f"{call['operation']} {call['account_id']} {call['contact_type']}"
        for call in cloud.organization.calls()
        if not call["operation"].startswith("Get")
    ]


def test_the_alternate_contacts_are_synced(member: Cloud) -> None:
    assert {"digit": 1} == processor(member, PROCESSORS[0])(make_child_input())
    assert dict.fromkeys(ALTERNATES, ALTERNATE_FIELDS) == member.organization.contacts(MEMBER)
    assert ["updated"] * 3 == [item(member)[name.lower()]["status"] for name in ALTERNATES]


def test_the_primary_contact_is_synced(member: Cloud) -> None:
    assert {"digit": 1} == processor(member, PROCESSORS[1])(make_child_input())
    assert {"PRIMARY": PRIMARY_FIELDS} == member.organization.contacts(MEMBER)
    assert "updated" == item(member)["primary"]["status"]


@pytest.mark.parametrize("function", PROCESSORS)
def test_a_second_run_writes_nothing(function: str, member: Cloud) -> None:
    invoke = processor(member, function)
    invoke(make_child_input())
    member.organization.clear_calls()
    assert {"digit": 0} == invoke(make_child_input(sync_id="run-2"))
    assert [] == writes(member)
    assert "run-2" == item(member)["sync_id"]


@pytest.mark.parametrize("function", PROCESSORS)
def test_a_dry_run_writes_to_no_account_and_leaves_its_state_alone(
    function: str, member: Cloud
) -> None:
    assert {"digit": 1} == processor(member, function)(make_child_input(dry_run=True))
    assert [] == writes(member)
    assert {} == item(member)


def test_only_the_contact_types_asked_for_are_touched(member: Cloud) -> None:
    event = make_child_input(contact_types=["security", "primary"])
    processor(member, PROCESSORS[0])(event)
    assert [f"PutAlternateContact {MEMBER} SECURITY"] == writes(member)


def test_what_we_wrote_is_deleted_when_the_source_is(member: Cloud) -> None:
    invoke = processor(member, PROCESSORS[0])
    invoke(make_child_input(contact_types=["billing"]))
    later = "runs/run-2/1/source.json"
    bucket = RunsBucket(boto3.client("s3"), BUCKET)
    bucket.store_source(later, make_source(billing=None))
    event = make_child_input(contact_types=["billing"], sync_id="run-2", source_key=later)
    assert {"digit": 1} == invoke(event)
    assert {} == member.organization.contacts(MEMBER)
    assert "absent" == item(member)["billing_written"]


def test_what_somebody_else_wrote_is_kept_when_the_source_is_deleted(member: Cloud) -> None:
    member.organization.set_contact(MEMBER, "BILLING", ALTERNATE_FIELDS)
    store_source(billing=None)
    event = make_child_input(contact_types=["billing"])
    assert {"digit": 3} == processor(member, PROCESSORS[0])(event)
    assert [] == writes(member)


def test_a_process_loads_a_rounds_source_once(member: Cloud) -> None:
    invoke = processor(member, PROCESSORS[0])
    invoke(make_child_input())
    member.s3.delete_object(Bucket=BUCKET, Key=SOURCE_KEY)
    assert {"digit": 0} == invoke(make_child_input())


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("TooManyRequestsException", ThrottledError),
        ("InternalServerException", ServiceUnavailableError),
        ("ValidationException", ContactRefusedError),
        ("AccessDeniedException", AccessDeniedError),
    ],
)
def test_a_failure_is_recorded_and_raised_after_the_others_had_their_turn(
    fault: str, error: type[Exception], member: Cloud
) -> None:
    member.organization.add_fault(
        {"operation": "PutAlternateContact", "contact_type": "BILLING", "error": fault}
    )
    with pytest.raises(error):
        processor(member, PROCESSORS[0])(make_child_input())
    record = item(member)["billing"]
    assert ("failed", error.__name__) == (record["status"], record["error"])
    assert ["OPERATIONS", "SECURITY"] == list(member.organization.contacts(MEMBER))


def test_a_repeated_attempt_does_only_what_is_not_yet_right(member: Cloud) -> None:
    fault = {
        "operation": "PutAlternateContact",
        "contact_type": "BILLING",
        "error": "TooManyRequestsException",
        "times": 3,
    }
    member.organization.add_fault(fault)
    invoke = processor(member, PROCESSORS[0])
    with pytest.raises(ThrottledError):
        invoke(make_child_input())
    member.organization.clear_calls()
    assert {"digit": 1} == invoke(make_child_input(attempt=2))
    assert [f"PutAlternateContact {MEMBER} BILLING"] == writes(member)
    assert ["updated"] * 3 == [item(member)[name.lower()]["status"] for name in ALTERNATES]


@pytest.mark.parametrize(("times", "refused"), [(0, []), (1, [1]), (2, [2]), (3, [3])])
def test_every_refused_call_is_counted_once(
    times: int, refused: list[int], member: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that the client repeats by itself, and those that it gives up on."""
    fault = {
        "operation": "PutAlternateContact",
        "contact_type": "BILLING",
        "error": "TooManyRequestsException",
        "times": times,
    }
    if times:
        member.organization.add_fault(fault)
    invoke = processor(member, PROCESSORS[0])
    capsys.readouterr()
    with pytest.raises(ThrottledError) if times == 3 else nullcontext():
        invoke(make_child_input())
    invoke(make_child_input(attempt=2))
    (blob,) = emf.blobs(capsys.readouterr().out) or [{"RefusedCalls": []}]
    assert refused == blob["RefusedCalls"]
    assert MEMBER not in json.dumps(blob)


@pytest.mark.parametrize("function", PROCESSORS)
@pytest.mark.parametrize("dry_run", [False, True])
def test_an_attempt_whose_answer_was_lost_stays_a_change(
    function: str, *, dry_run: bool, member: Cloud
) -> None:
    invoke = processor(member, function)
    assert {"digit": 1} == invoke(make_child_input(dry_run=dry_run))
    member.organization.clear_calls()
    assert {"digit": 1} == invoke(make_child_input(dry_run=dry_run, attempt=2))
    assert [] == writes(member)


def test_an_attempt_in_the_next_round_is_no_repetition(member: Cloud) -> None:
    invoke = processor(member, PROCESSORS[1])
    invoke(make_child_input())
    assert {"digit": 0} == invoke(make_child_input(round=2, attempt=2))
    assert "unchanged" == item(member)["primary"]["status"]


def test_the_two_processors_repeat_side_by_side(member: Cloud) -> None:
    invoke = {name: processor(member, name) for name in PROCESSORS}
    for attempt in (1, 2):
        for name in PROCESSORS:
            assert {"digit": 1} == invoke[name](make_child_input(attempt=attempt))
    assert ["updated"] * 4 == [item(member)[name]["status"] for name in ContactType]


def test_a_late_attempt_of_an_older_round_does_not_hide_the_newer_record(member: Cloud) -> None:
    newer = "runs/run-2/1/source.json"
    planned_at = "2026-01-05T11:00:00+00:00"
    RunsBucket(boto3.client("s3"), BUCKET).store_source(newer, make_source(planned_at))
    invoke = processor(member, PROCESSORS[1])
    assert {"digit": 1} == invoke(make_child_input(sync_id="run-2", source_key=newer))
    recorded = item(member)
    assert {"digit": 0} == invoke(make_child_input())
    assert recorded == item(member)


def test_what_was_written_is_recorded_where_the_state_cannot_be_read(member: Cloud) -> None:
    denied = {
        "operation": "GetAlternateContact",
        "contact_type": "SECURITY",
        "error": "AccessDeniedException",
    }
    member.organization.add_fault(denied)
    throttled = {"operation": "DescribeAccount", "error": "TooManyRequestsException"}
    member.organization.add_fault(throttled)
    with pytest.raises(ThrottledError, match="describe account"):
        processor(member, PROCESSORS[0])(make_child_input())
    assert ["updated", "updated", "failed"] == [
        item(member)[name.lower()]["status"] for name in ALTERNATES
    ]
    assert "billing_written" in item(member)


@pytest.mark.parametrize("function", PROCESSORS)
def test_a_synced_account_is_logged_by_its_ids(
    function: str, member: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    processor(member, function)(make_child_input())
    (record,) = [one for one in caplog.records if one.message == "Account synced"]
    line = json.loads(logger.registered_formatter.format(record))
    expected = {"sync_id": SYNC_ID, "account_id": MEMBER, "digit": 1}
    assert expected == {name: line[name] for name in expected}


def test_an_account_that_closed_since_it_was_listed_is_skipped(member: Cloud) -> None:
    member.organization.set_account(MEMBER, state="CLOSED")
    assert {"digit": 3} == processor(member, PROCESSORS[1])(make_child_input())
    assert ("skipped", "CLOSED") == (
        item(member)["primary"]["status"],
        item(member)["primary"]["error"],
    )


def test_neither_errors_nor_output_nor_items_hold_a_contact_value(
    member: Cloud, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = make_contact("billing", EmailAddress="trials-example.com")
    store_source(billing=broken)
    with pytest.raises(ContactRefusedError) as caught:
        processor(member, PROCESSORS[0])(make_child_input())
    printed = "".join(traceback.format_exception(caught.value))
    out, err = capfd.readouterr()
    stored = str(member.dynamodb.scan(TableName=STATE_TABLE)["Items"])
    values = {*SECRET_VALUES, *broken.to_api().values()}
    assert [] == [value for value in values if value in printed + out + err + stored]
    assert "ValidationException for EmailAddress" in printed


@pytest.mark.parametrize("function", PROCESSORS)
def test_the_management_account_is_never_called(function: str, member: Cloud) -> None:
    processor(member, function)(make_child_input())
    called = {call["account_id"] for call in member.organization.calls()}
    assert {MEMBER} == called
    assert MANAGEMENT not in called
