"""contact-sync-handler: takes an action, and returns what the calling state needs."""

import re
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import boto3
import pytest
from botocore.client import ClientMeta
from contact_sync.aws import keys
from contact_sync.aws.items import from_item, to_item
from contact_sync.aws.runs_bucket import RunsBucket
from contact_sync.contacts import ContactType
from contact_sync.errors import (
    InvalidRequestError,
    SourceNotSettledError,
)
from contact_sync.pacing import Pacer
from support import emf
from support.builders import (
    ALTERNATE_FIELDS,
    MANAGEMENT,
    MEMBER,
    OTHER,
    PRIMARY_FIELDS,
    STARTED_AT,
    STRANGER,
    SYNC_ID,
    UNIT,
    make_config,
    make_contact,
    make_trigger,
    make_world,
)
from support.moto_stack import BUCKET, CONFIG_TABLE, STATE_TABLE, Cloud

Do = Callable[..., dict[str, Any]]
MISSING_UNIT = "ou-exam-nowhere00"


@pytest.fixture
def do(cloud: Cloud) -> Do:
    """Invoke the function as the state machine does."""
    invoke = cloud.load("contact_sync_handler")

    def act(
        action: str, execution_input: Any = None, sync_id: str = SYNC_ID, **more: Any
    ) -> dict[str, Any]:
        event = {
            "action": action,
            "sync_id": sync_id,
            "started_at": STARTED_AT,
            "input": {} if execution_input is None else execution_input,
            **more,
        }
        return invoke(event)

    return act


def put(cloud: Cloud, key: dict[str, str], **values: Any) -> None:
    cloud.dynamodb.put_item(TableName=STATE_TABLE, Item=to_item({**key, **values}))


def read(cloud: Cloud, key: dict[str, str]) -> dict[str, Any]:
    answer = cloud.dynamodb.get_item(TableName=STATE_TABLE, Key=to_item(key))
    return from_item(answer.get("Item", {}))


def run_item(cloud: Cloud, sync_id: str = SYNC_ID) -> dict[str, Any]:
    return read(cloud, keys.run(STARTED_AT, sync_id))


def waiting(cloud: Cloud) -> list[str]:
    items = cloud.dynamodb.scan(TableName=STATE_TABLE)["Items"]
    names = [item["sk"]["S"] for item in items if item["pk"]["S"] == "LOCK"]
    return sorted(name.removeprefix("QUEUE#") for name in names if name != "LOCK")


def put_config(cloud: Cloud, **changes: Any) -> None:
    cloud.dynamodb.put_item(TableName=CONFIG_TABLE, Item=to_item(make_config(**changes)))


@pytest.fixture
def source(cloud: Cloud) -> Cloud:
    """Set the contacts of the management account, two members, and a configuration."""
    contacts = dict.fromkeys(("BILLING", "OPERATIONS", "SECURITY"), ALTERNATE_FIELDS)
    source = {MANAGEMENT: {**contacts, "PRIMARY": PRIMARY_FIELDS}}
    cloud.organization.reset(make_world(MEMBER, OTHER, contacts=source))
    put_config(cloud)
    return cloud


# Checking the request


@pytest.mark.parametrize(
    ("execution_input", "kind", "account_id"),
    [
        ({}, "run", None),
        ({"dry_run": True}, "dry_run", None),
        ({"trigger": make_trigger("schedule", account_id=MEMBER)}, "run", MEMBER),
        ({"trigger": make_trigger("account_joined", account_id=MEMBER)}, "joined", MEMBER),
        ({"trigger": make_trigger("account_left", account_id=MEMBER)}, "left", MEMBER),
        (
            {"trigger": make_trigger("account_left", account_id=MEMBER), "dry_run": True},
            "dry_run",
            MEMBER,
        ),
    ],
)
def test_each_kind_of_request_takes_its_own_path(
    execution_input: dict[str, Any], kind: str, account_id: str | None, do: Do
) -> None:
    answer = {"kind": kind, "account_id": account_id}
    assert answer == do("check_request", execution_input)


def test_a_wrong_request_is_refused_and_counted_before_anything_is_read(
    cloud: Cloud, do: Do, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InvalidRequestError):
        do("check_request", {"account_ids": [MANAGEMENT]})
    assert [] == cloud.organization.calls()
    assert [{"HandlerErrors": 1}] == emf.values(capsys.readouterr().out)


def test_unknown_names_in_a_manual_request_are_refused_and_listed(source: Cloud, do: Do) -> None:
    put_config(source, contact_types=["billing"])
    wrong = {
        "account_ids": [MEMBER, STRANGER],
        "organizational_units": [UNIT, MISSING_UNIT],
        "contact_types": ["billing", "security"],
    }
    with pytest.raises(InvalidRequestError) as caught:
        do("check_request", wrong)
    assert str(caught.value) == (
        "execution input: contact_types: not configured: security (configured: billing); "
        f"account_ids: not in the organization: {STRANGER}; "
        f"organizational_units: not in the organization: {MISSING_UNIT}"
    )


@pytest.mark.usefixtures("source")
def test_existing_names_in_a_manual_request_are_accepted(do: Do) -> None:
    named = {
        "account_ids": [MEMBER, OTHER],
        "organizational_units": [UNIT],
        "contact_types": ["security"],
    }
    assert {"kind": "run", "account_id": None} == do("check_request", named)


def test_what_a_trigger_names_is_not_looked_up(source: Cloud, do: Do) -> None:
    named = {"account_ids": [STRANGER], "organizational_units": [MISSING_UNIT]}
    do("check_request", {**named, "trigger": make_trigger("test")})
    assert [] == source.organization.calls()


def test_only_the_first_500_names_are_looked_up_with_pacing(
    cloud: Cloud, do: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = 0

    def wait(_pacer: Pacer, _operation: str) -> None:
        nonlocal waits
        waits += 1

    monkeypatch.setattr(Pacer, "wait", wait)
    ids = [str(100_000_000_000 + n) for n in range(500)]
    world = make_world(*ids)
    world["quotas"]["DescribeAccount"] = [1e6, 1e6]
    cloud.organization.reset(world)
    do("check_request", {"account_ids": [*ids, STRANGER]})
    assert 500 == waits == len(cloud.organization.calls())
    with pytest.raises(InvalidRequestError, match=f"not in the organization: {STRANGER}$"):
        do("check_request", {"account_ids": [*ids[1:], STRANGER]})


@pytest.mark.parametrize(("days", "is_refused"), [("30", False), ("0", True)])
def test_a_type_no_longer_configured_can_be_undone_while_its_contacts_are_kept(
    days: str, source: Cloud, do: Do, monkeypatch: pytest.MonkeyPatch, *, is_refused: bool
) -> None:
    monkeypatch.setenv("KEEP_REPLACED_DAYS", days)
    put_config(source, contact_types=["billing"])
    put(source, keys.run(STARTED_AT, "run-0"), **keys.run_index("run-0"), ended_at=STARTED_AT)
    undo = {"undo": "run-0", "contact_types": ["security"]}
    refusal = pytest.raises(InvalidRequestError, match="KeepReplacedDays is 0")
    with refusal if is_refused else nullcontext():
        do("check_request", undo)


def test_a_retry_of_an_unknown_run_is_refused(do: Do) -> None:
    with pytest.raises(InvalidRequestError, match="run run-0 not found"):
        do("check_request", {"retry_of": "run-0"})


# The lock


def test_a_free_lock_is_taken_with_the_request_queued(
    cloud: Cloud, do: Do, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = do("take_lock", {"account_ids": [MEMBER], "trigger": make_trigger("contact_changed")})
    assert ("taken", SYNC_ID) == (answer["decision"], answer["holder"])
    assert 29 <= answer["settle_seconds"] <= 30
    assert SYNC_ID == read(cloud, keys.LOCK)["holder"]
    assert [MEMBER] == read(cloud, keys.queued(SYNC_ID))["request"]["account_ids"]
    assert [] == emf.values(capsys.readouterr().out)


def test_a_request_queues_behind_a_running_execution(cloud: Cloud, do: Do) -> None:
    cloud.start_execution("first")
    put(cloud, keys.LOCK, holder="first")
    expected = {"decision": "queued", "holder": "first", "settle_seconds": 0}
    assert expected == do("take_lock")
    assert ("first", [SYNC_ID]) == (read(cloud, keys.LOCK)["holder"], waiting(cloud))


def recovery(cloud: Cloud, name: str, status: str) -> dict[str, Any]:
    arn = cloud.machine_arn.replace(":stateMachine:", ":execution:") + f":{name}"
    return {"trigger": make_trigger("recovery", event_name=status, execution_arn=arn)}


@pytest.mark.parametrize("waits", [[], ["waits"]])
def test_requests_queued_behind_an_aborted_execution_are_kept(
    waits: list[str], cloud: Cloud, do: Do, capsys: pytest.CaptureFixture[str]
) -> None:
    arn = cloud.start_execution("first")
    cloud.stepfunctions.stop_execution(executionArn=arn)
    put(cloud, keys.LOCK, holder="first", since=STARTED_AT)
    for name in ("first", *waits):
        put(cloud, keys.queued(name), queued_at=STARTED_AT, started_at=STARTED_AT, request={})
    answer = do("take_lock", recovery(cloud, "first", "ABORTED"))
    assert ("taken" if waits else "nothing_to_do") == answer["decision"]
    assert waits == waiting(cloud)
    assert (SYNC_ID if waits else None) == read(cloud, keys.LOCK).get("holder")
    assert ([{"Recoveries": 1}] if waits else []) == emf.values(capsys.readouterr().out)


@pytest.mark.rule(15)
@pytest.mark.parametrize("waits", [[], ["waits"]])
def test_releasing_the_lock_returns_whether_another_run_must_start_and_its_name(
    waits: list[str], cloud: Cloud, do: Do
) -> None:
    put(cloud, keys.LOCK, holder=SYNC_ID)
    for name in waits:
        put(cloud, keys.queued(name))
    answer = do("release_lock", map_failed=False)
    assert bool(waits) is answer["has_next"]
    assert keys.LOCK == read(cloud, keys.LOCK)
    assert re.fullmatch(r"next-[0-9a-f]{40}", answer["next_name"])
    assert answer == do("release_lock", map_failed=False)
    other = do("release_lock", sync_id="run-2", map_failed=False)
    assert answer["next_name"] != other["next_name"]


def test_after_a_failed_map_the_next_run_waits(cloud: Cloud, do: Do) -> None:
    put(cloud, keys.LOCK, holder=SYNC_ID)
    do("release_lock", map_failed=True)
    assert 128 <= do("take_lock", sync_id="run-2")["settle_seconds"] <= 130


# Planning


def plan(do: Do, **execution_input: Any) -> dict[str, Any]:
    do("take_lock", execution_input)
    return do("plan_run", execution_input, missing=None)


def test_a_plan_contains_what_the_states_of_the_run_need(source: Cloud, do: Do) -> None:
    planned = plan(do)
    assert planned["planned_at"] == read(source, keys.LOCK)["planned_at"]
    assert 1 == planned["max_concurrency"]
    stored = RunsBucket(boto3.client("s3"), BUCKET).load_source(planned["source_key"])
    assert make_contact("primary") == stored.contacts[ContactType.PRIMARY]
    assert [SYNC_ID] == run_item(source)["taken"] == waiting(source)


def test_a_plan_stores_the_contacts_that_overrides_use(source: Cloud, do: Do) -> None:
    put_config(source, overrides=[{"account_ids": [MEMBER], "security": "payments"}])
    book = {"config_key": "contacts", "contacts": {"payments": ALTERNATE_FIELDS}}
    source.dynamodb.put_item(TableName=CONFIG_TABLE, Item=to_item(book))
    stored = RunsBucket(boto3.client("s3"), BUCKET).load_source(plan(do)["source_key"])
    assert {"payments": ALTERNATE_FIELDS} == stored.named


@pytest.mark.parametrize(
    ("partition", "kept"), [("aws", ()), ("aws-cn", ("CountryCode", "CompanyName"))]
)
def test_a_plan_keeps_the_fields_that_the_partition_cannot_change(
    source: Cloud, do: Do, monkeypatch: pytest.MonkeyPatch, partition: str, kept: tuple[str, ...]
) -> None:
    put_config(source)
    monkeypatch.setattr(ClientMeta, "partition", partition)
    stored = RunsBucket(boto3.client("s3"), BUCKET).load_source(plan(do)["source_key"])
    assert kept == stored.primary_keeps


def test_a_deletion_is_planned_after_a_second_reading(source: Cloud, do: Do) -> None:
    put_config(source, on_source_deleted="delete")
    source.organization.set_contact(MANAGEMENT, "SECURITY", None)
    first = plan(do)
    assert {"confirm": True, "missing": ["security"]} == first
    assert "security" in do("plan_run", missing=first["missing"])["contact_types"]


@pytest.mark.rule(1)
def test_each_plan_reads_configuration_and_source_again(source: Cloud, do: Do) -> None:
    plan(do)
    put_config(source, contact_types=["billing", "security"])
    source.organization.set_contact(MANAGEMENT, "SECURITY", None)
    assert ["billing"] == do("plan_run", missing=None)["contact_types"]
    assert {"security": "not set in the management account"} == run_item(source)["left_out"]


def test_a_dry_run_of_what_failed_asks_for_the_accounts_that_failed(source: Cloud, do: Do) -> None:
    """They need not be in the organization any more."""
    put(source, keys.run(STARTED_AT, "run-0"), **keys.run_index("run-0"), ended_at=STARTED_AT)
    failed = keys.run_index("run-0", f"failed#{STRANGER}")
    put(source, keys.account_run(STRANGER, STARTED_AT, "run-0"), **failed)
    retry = {"dry_run": True, "retry_of": "run-0"}
    do("check_request", retry)
    planned = do("plan_run", retry, missing=None)
    scope = RunsBucket(boto3.client("s3"), BUCKET).load_scope(planned["scope_key"])
    assert [STRANGER] == scope.account_ids


@pytest.mark.usefixtures("source")
def test_a_dry_run_that_brings_no_request_compares_everything(do: Do) -> None:
    """As the retry of a dead execution that only did what was queued."""
    request = {"dry_run": True, "trigger": make_trigger("continuation")}
    planned = do("plan_run", request, missing=None)
    scope = RunsBucket(boto3.client("s3"), BUCKET).load_scope(planned["scope_key"])
    assert (True, True) == (planned["dry_run"], scope.covers_all_accounts)


# Checking the source after a change


def changed(hop: int = 0) -> dict[str, Any]:
    return {"trigger": make_trigger("contact_changed", hop=hop)}


@pytest.mark.usefixtures("source")
def test_a_source_equal_to_the_plan_has_settled(do: Do) -> None:
    plan(do, **changed())
    settled = {"settled": True, "next_name": None, "next_input": None}
    assert settled == do("check_source", changed())


@pytest.mark.rule(9)
@pytest.mark.parametrize("hop", [0, 1, 2])
def test_a_source_that_differs_repeats_the_change_with_the_next_hop(
    hop: int, source: Cloud, do: Do
) -> None:
    plan(do, **changed(hop))
    source.organization.set_contact(MANAGEMENT, "SECURITY", None)
    answer = do("check_source", changed(hop))
    assert not answer["settled"]
    assert re.fullmatch(r"hop-[0-9a-f]{40}", answer["next_name"])
    trigger = answer["next_input"]["trigger"]
    assert ("contact_changed", hop + 1) == (trigger["source"], trigger["hop"])
    assert {"kind": "run", "account_id": None} == do("check_request", answer["next_input"])
    assert answer["next_name"] == do("check_source", changed(hop))["next_name"]


@pytest.mark.rule(7)
def test_a_source_that_differs_after_the_last_hop_starts_no_run(source: Cloud, do: Do) -> None:
    plan(do, **changed(3))
    source.organization.set_contact(MANAGEMENT, "SECURITY", None)
    with pytest.raises(SourceNotSettledError, match="each of 4 runs for one change"):
        do("check_source", changed(3))


def test_a_run_for_an_old_and_a_new_change_counts_hops_from_the_new_one(
    source: Cloud, do: Do
) -> None:
    do("take_lock", changed(), sync_id="newer")
    put(source, keys.LOCK, holder=SYNC_ID)
    plan(do, **changed(3))
    source.organization.set_contact(MANAGEMENT, "SECURITY", None)
    assert 1 == do("check_source", changed(3))["next_input"]["trigger"]["hop"]
