"""contact-sync-handler: one action in, what its state needs out."""

import json
import traceback
from collections.abc import Callable
from typing import Any

import boto3
import emf
import pytest
from builders import (
    ALTERNATE_FIELDS,
    MANAGEMENT,
    MEMBER,
    OTHER,
    PRIMARY_FIELDS,
    SECRET_VALUES,
    STARTED_AT,
    SYNC_ID,
    make_config,
    make_contact,
    make_trigger,
    make_world,
)
from contact_sync import keys
from contact_sync.errors import (
    EmptySourceError,
    InvalidConfigError,
    InvalidRequestError,
    InvalidSourceError,
    LockLostError,
)
from contact_sync.runs_bucket import RunsBucket
from contact_sync.table import from_item, to_item
from moto_stack import BUCKET, CONFIG_TABLE, STATE_TABLE, Cloud

Do = Callable[..., dict[str, Any]]


@pytest.fixture
def do(cloud: Cloud) -> Do:
    """Invoke the function as the state machine does."""
    invoke = cloud.load("contact_sync_handler")

    def act(action: str, execution_input: Any = None, **more: Any) -> dict[str, Any]:
        event = {
            "action": action,
            "sync_id": SYNC_ID,
            "started_at": STARTED_AT,
            "input": {} if execution_input is None else execution_input,
            **more,
        }
        return invoke(event)

    return act


def put_lock(cloud: Cloud, **values: Any) -> None:
    cloud.dynamodb.put_item(TableName=STATE_TABLE, Item=to_item({**keys.LOCK, **values}))


def read(cloud: Cloud, key: dict[str, str]) -> dict[str, Any]:
    answer = cloud.dynamodb.get_item(TableName=STATE_TABLE, Key=to_item(key))
    return from_item(answer.get("Item", {}))


def put_config(cloud: Cloud, **changes: Any) -> None:
    cloud.dynamodb.put_item(TableName=CONFIG_TABLE, Item=to_item(make_config(**changes)))


@pytest.fixture
def source(cloud: Cloud) -> Cloud:
    """Set the contacts of the management account, and a configuration."""
    contacts = dict.fromkeys(("BILLING", "OPERATIONS", "SECURITY"), ALTERNATE_FIELDS)
    world = make_world(contacts={MANAGEMENT: {**contacts, "PRIMARY": PRIMARY_FIELDS}})
    cloud.organization.reset(world)
    put_config(cloud)
    return cloud


# Checking


@pytest.mark.parametrize(
    ("execution_input", "told"),
    [
        ({}, {}),
        ({"dry_run": True}, {"dry_run": True}),
        ({"trigger": make_trigger("schedule", account_id=MEMBER)}, {}),
        (
            {"trigger": make_trigger("recovery", execution_arn="arn:dead", account_id=MEMBER)},
            {"recovers": "arn:dead"},
        ),
        ({"trigger": make_trigger("account_joined", account_id=MEMBER)}, {"joined": MEMBER}),
        ({"trigger": make_trigger("account_left", account_id=MEMBER)}, {"left": MEMBER}),
    ],
)
def test_a_request_is_told_what_kind_it_is(
    execution_input: dict[str, Any], told: dict[str, Any], do: Do
) -> None:
    nothing = {"dry_run": False, "recovers": None, "joined": None, "left": None}
    assert {**nothing, **told} == do("check_request", execution_input)


@pytest.mark.parametrize("wrong", [{"accounts": []}, {"account_ids": [MANAGEMENT]}, [], "all"])
def test_a_wrong_request_is_refused_before_anything_is_read(wrong: Any, do: Do) -> None:
    with pytest.raises(InvalidRequestError):
        do("check_request", wrong)


# Queueing and recovering


def test_a_request_queues_behind_a_running_execution(cloud: Cloud, do: Do) -> None:
    cloud.start_execution("first")
    put_lock(cloud, holder="first")
    expected = {"decision": "queued", "holder": "first"}
    assert expected == do("queue_behind", {"account_ids": [MEMBER]})
    assert {"account_ids": [MEMBER]} == read(cloud, keys.LOCK)["pending"]


def test_a_free_lock_is_to_be_taken(do: Do) -> None:
    assert {"decision": "take_lock", "holder": None} == do("queue_behind")


def test_a_dead_holder_is_to_be_recovered(cloud: Cloud, do: Do) -> None:
    put_lock(cloud, holder="forgotten")
    assert {"decision": "recover", "holder": "forgotten"} == do("queue_behind")


@pytest.mark.parametrize("dead", ["first", "arn:aws:states:x:1:execution:machine:first"])
def test_an_aborted_execution_is_published_for_and_leaves_nothing(
    dead: str, cloud: Cloud, do: Do, capsys: pytest.CaptureFixture[str]
) -> None:
    arn = cloud.start_execution("first", json.dumps({"account_ids": [MEMBER]}))
    cloud.stepfunctions.stop_execution(executionArn=arn)
    put_lock(cloud, holder="first")
    answer = do("recover_run", dead=dead)
    assert (True, None) == (answer["took_over"], answer["left"])
    assert ("first", "ABORTED") == (
        answer["unpublished"]["sync_id"],
        answer["unpublished"]["error"],
    )
    assert SYNC_ID == read(cloud, keys.LOCK)["holder"]
    assert [{"Recoveries": 1}] == emf.values(capsys.readouterr().out)


def record_dead_run(cloud: Cloud, **values: Any) -> None:
    item = {
        **keys.run(STARTED_AT, "forgotten"),
        **keys.run_index("forgotten"),
        "started_at": STARTED_AT,
        "published_at": STARTED_AT,
        **values,
    }
    cloud.dynamodb.put_item(TableName=STATE_TABLE, Item=to_item(item))
    put_lock(cloud, holder="forgotten")


@pytest.mark.parametrize("left", [{}, {"account_ids": [MEMBER]}])
def test_what_a_dead_run_had_left_is_handed_over_and_done(
    left: dict[str, Any], cloud: Cloud, do: Do
) -> None:
    record_dead_run(cloud, request=left)
    answer = do("recover_run", dead="forgotten")
    assert {"took_over": True, "left": left, "unpublished": None} == answer
    recovery = {"trigger": make_trigger("recovery", execution_arn="arn:forgotten")}
    started = do("start_round", recovery, round=1, left=answer["left"])
    assert ("some accounts" if left else "every account") == started["asked_for"]
    assert left == read(cloud, keys.run(STARTED_AT, SYNC_ID))["request"]


def test_a_living_execution_is_left_alone(
    cloud: Cloud, do: Do, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.start_execution("first")
    put_lock(cloud, holder="first")
    expected = {"took_over": False, "left": None, "unpublished": None}
    assert expected == do("recover_run", dead="first")
    assert [] == emf.values(capsys.readouterr().out)


# Starting rounds


@pytest.mark.parametrize(
    ("execution_input", "expected"),
    [
        ({}, ("every account", False, False)),
        ({"account_ids": [MEMBER]}, ("some accounts", False, False)),
        ({"trigger": make_trigger("contact_changed")}, ("every account", True, True)),
        ({"dry_run": True}, ("every account", False, False)),
    ],
)
def test_a_round_tells_what_it_is_asked_for(
    execution_input: dict[str, Any], expected: tuple[Any, ...], cloud: Cloud, do: Do
) -> None:
    put_lock(cloud, holder=SYNC_ID)
    answer = do("start_round", execution_input, round=1, left=None)
    assert dict(zip(("asked_for", "only_if_changed", "settle"), expected, strict=True)) == answer
    assert 1 == read(cloud, keys.run(STARTED_AT, SYNC_ID))["round"]


def test_a_later_round_with_nothing_queued_says_so(cloud: Cloud, do: Do) -> None:
    put_lock(cloud, holder=SYNC_ID)
    assert {"asked_for": "nothing"} == do("start_round", round=2, left=None)


@pytest.mark.parametrize("pending", [{}, {"account_ids": [OTHER]}])
def test_a_later_round_takes_what_is_queued(pending: dict[str, Any], cloud: Cloud, do: Do) -> None:
    put_lock(cloud, holder=SYNC_ID, pending=pending)
    answer = do("start_round", {"account_ids": [MEMBER]}, round=2, left=None)
    assert ("some accounts" if pending else "every account") == answer["asked_for"]
    assert "pending" not in read(cloud, keys.LOCK)
    assert pending == read(cloud, keys.run(STARTED_AT, SYNC_ID))["request"]


def test_a_round_without_the_lock_does_not_start(cloud: Cloud, do: Do) -> None:
    put_lock(cloud, holder="another")
    with pytest.raises(LockLostError):
        do("start_round", round=1, left=None)


def test_a_dry_run_needs_no_lock_and_takes_nothing_queued(cloud: Cloud, do: Do) -> None:
    put_lock(cloud, holder="another", pending={"account_ids": [OTHER]})
    do("start_round", {"dry_run": True}, round=1, left=None)
    assert {"account_ids": [OTHER]} == read(cloud, keys.LOCK)["pending"]


def test_a_retry_of_an_unknown_run_is_refused(cloud: Cloud, do: Do) -> None:
    put_lock(cloud, holder=SYNC_ID)
    with pytest.raises(InvalidRequestError, match="there is no run run-0"):
        do("start_round", {"retry_of": "run-0"}, round=1, left=None)


# Planning


def plan(cloud: Cloud, do: Do, **execution_input: Any) -> dict[str, Any]:
    put_lock(cloud, holder=SYNC_ID)
    do("start_round", execution_input, round=1, left=None)
    return do("plan_round", execution_input, round=1)


def test_a_plan_is_what_the_rounds_states_need(source: Cloud, do: Do) -> None:
    planned = plan(source, do)
    assert planned.pop("digest_key_id")
    assert planned.pop("planned_at")
    assert planned == {
        "contact_types": ["primary", "billing", "operations", "security"],
        "skipped_types": {},
        "only_if_changed": False,
        "key_replaced": False,
        "seconds_an_account": pytest.approx(0.6),
        "scope_key": "runs/run-1/1/scope.json",
        "source_key": "runs/run-1/1/source.json",
        "manifest_key": "runs/run-1/1/manifest.json",
        "retry": {"max_attempts": 3, "base_delay": 2, "max_delay": 60},
        "notification": {
            "notify_on_failure": True,
            "notify_on_success": False,
            "notify_on_partial_failure": True,
            "failure_threshold": 1,
        },
        "max_concurrency": 1,
    }
    stored = RunsBucket(boto3.client("s3"), BUCKET).load_source("runs/run-1/1/source.json")
    assert make_contact("primary") == stored.contacts[make_contact("primary").type]


def test_a_plan_survives_json_and_holds_no_value(source: Cloud, do: Do) -> None:
    printed = json.dumps(plan(source, do))
    assert [] == [value for value in SECRET_VALUES if value in printed]


@pytest.mark.parametrize(
    ("changes", "contacts", "error"),
    [
        ({"excluded_accounts": "x"}, {}, InvalidConfigError),
        ({"contact_types": ["billing"]}, {"BILLING": None}, EmptySourceError),
        ({}, {"BILLING": {**ALTERNATE_FIELDS, "PhoneNumber": "call me"}}, InvalidSourceError),
    ],
)
def test_a_wrong_configuration_or_source_stops_the_round_without_a_value(
    *,
    changes: dict[str, Any],
    contacts: dict[str, Any],
    error: type[Exception],
    source: Cloud,
    do: Do,
    capfd: pytest.CaptureFixture[str],
) -> None:
    put_config(source, **changes)
    for name, value in contacts.items():
        source.organization.set_contact(MANAGEMENT, name, value)
    with pytest.raises(error) as caught:
        plan(source, do)
    out, err = capfd.readouterr()
    printed = "".join(traceback.format_exception(caught.value)) + out + err
    assert [] == [value for value in (*SECRET_VALUES, "call me") if value in printed]
    assert "Contents" not in source.s3.list_objects_v2(Bucket=BUCKET)


def test_each_plan_reads_configuration_and_source_anew(source: Cloud, do: Do) -> None:
    plan(source, do)
    put_config(source, contact_types=["billing", "security"])
    source.organization.set_contact(MANAGEMENT, "SECURITY", None)
    planned = do("plan_round", round=1)
    assert ["billing"] == planned["contact_types"]
    assert {"security": "not set in the management account"} == planned["skipped_types"]


def test_the_source_is_read_without_an_account_id(source: Cloud, do: Do) -> None:
    plan(source, do)
    assert {"ok"} == {call["outcome"] for call in source.organization.calls()}
    assert all(call["operation"].startswith("Get") for call in source.organization.calls())


def test_an_unknown_action_is_a_bug(do: Do) -> None:
    with pytest.raises(KeyError):
        do("guess")
