"""contact-sync-handler: one action in, what its state needs out."""

import json
import re
import traceback
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
    EmptySourceError,
    InvalidConfigError,
    InvalidRequestError,
    InvalidSourceError,
    LockLostError,
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
    SECRET_VALUES,
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
        ({"reason": "again"}, "run", None),
        ({"dry_run": True}, "dry_run", None),
        ({"trigger": make_trigger("schedule", account_id=MEMBER)}, "run", MEMBER),
        ({"trigger": make_trigger("contact_changed")}, "run", None),
        ({"trigger": make_trigger("recovery", execution_arn="arn:dead")}, "run", None),
        ({"trigger": make_trigger("account_joined", account_id=MEMBER)}, "joined", MEMBER),
        ({"trigger": make_trigger("account_left", account_id=MEMBER)}, "left", MEMBER),
        (
            {"trigger": make_trigger("account_left", account_id=MEMBER), "dry_run": True},
            "dry_run",
            MEMBER,
        ),
    ],
)
def test_each_kind_of_request_goes_its_own_way(
    execution_input: dict[str, Any], kind: str, account_id: str | None, do: Do
) -> None:
    answer = {"kind": kind, "account_id": account_id}
    assert answer == do("check_request", execution_input)


@pytest.mark.parametrize(
    "wrong", [{"accounts": []}, {"account_ids": [MANAGEMENT]}, {"account_ids": None}, [], "all"]
)
def test_a_wrong_request_is_refused_and_counted_before_anything_is_read(
    wrong: Any, cloud: Cloud, do: Do, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InvalidRequestError):
        do("check_request", wrong)
    assert [] == cloud.organization.calls()
    assert [{"HandlerErrors": 1}] == emf.values(capsys.readouterr().out)


def test_what_a_person_names_and_does_not_exist_is_refused_by_name(source: Cloud, do: Do) -> None:
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
def test_what_a_person_names_and_exists_is_accepted(do: Do) -> None:
    named = {
        "account_ids": [MEMBER, OTHER],
        "organizational_units": [UNIT],
        "contact_types": ["security"],
    }
    assert {"kind": "run", "account_id": None} == do("check_request", named)


def test_contact_types_cannot_be_checked_against_a_broken_configuration(
    source: Cloud, do: Do
) -> None:
    put_config(source, contact_types=["fax"])
    with pytest.raises(InvalidConfigError):
        do("check_request", {"contact_types": ["security"]})


def test_what_a_trigger_names_is_not_looked_up(source: Cloud, do: Do) -> None:
    named = {"account_ids": [STRANGER], "organizational_units": [MISSING_UNIT]}
    do("check_request", {**named, "trigger": make_trigger("test")})
    assert [] == source.organization.calls()


def test_of_very_many_names_the_first_500_are_looked_up_and_paced(
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
def test_what_is_not_configured_any_more_can_be_undone_while_it_is_kept(
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


def test_a_retry_names_no_account_that_has_to_exist(source: Cloud, do: Do) -> None:
    put(source, keys.run(STARTED_AT, "run-0"), **keys.run_index("run-0"), ended_at=STARTED_AT)
    for account_id in (MEMBER, STRANGER):
        key = keys.account_run(account_id, STARTED_AT, "run-0")
        put(source, key, **keys.run_index("run-0", f"failed#{account_id}"))
    do("check_request", {"retry_of": "run-0"})
    do("take_lock", {"retry_of": "run-0"})
    queued = read(source, keys.queued(SYNC_ID))
    assert {"account_ids": [MEMBER, STRANGER]} == queued["request"]


# The lock


def test_a_free_lock_is_taken_with_the_request_queued(cloud: Cloud, do: Do) -> None:
    answer = do("take_lock", {"account_ids": [MEMBER], "trigger": make_trigger("contact_changed")})
    assert ("taken", SYNC_ID) == (answer["decision"], answer["holder"])
    assert 29 <= answer["settle_seconds"] <= 30
    assert SYNC_ID == read(cloud, keys.LOCK)["holder"]
    assert [MEMBER] == read(cloud, keys.queued(SYNC_ID))["request"]["account_ids"]


def test_a_request_queues_behind_a_running_execution(cloud: Cloud, do: Do) -> None:
    cloud.start_execution("first")
    put(cloud, keys.LOCK, holder="first")
    expected = {"decision": "queued", "holder": "first", "settle_seconds": 0}
    assert expected == do("take_lock")
    assert ("first", [SYNC_ID]) == (read(cloud, keys.LOCK)["holder"], waiting(cloud))


def test_a_continuation_with_nothing_queued_has_nothing_to_do(cloud: Cloud, do: Do) -> None:
    expected = {"decision": "nothing_to_do", "holder": None, "settle_seconds": 0}
    assert expected == do("take_lock", {"trigger": make_trigger("continuation")})
    assert {} == read(cloud, keys.LOCK)


def recovery(cloud: Cloud, name: str, status: str) -> dict[str, Any]:
    arn = cloud.machine_arn.replace(":stateMachine:", ":execution:") + f":{name}"
    return {"trigger": make_trigger("recovery", event_name=status, execution_arn=arn)}


@pytest.mark.parametrize("waits", [[], ["waits"]])
def test_an_aborted_execution_leaves_what_was_queued_behind_it(
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


def test_only_a_recovery_counts_as_one(do: Do, capsys: pytest.CaptureFixture[str]) -> None:
    assert "taken" == do("take_lock")["decision"]
    assert [] == emf.values(capsys.readouterr().out)


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


def test_a_plan_is_what_the_runs_states_need(source: Cloud, do: Do) -> None:
    planned = plan(do)
    prefix = f"runs/{SYNC_ID}/{planned['planned_at']}"
    assert planned == {
        "confirm": False,
        "sync_id": SYNC_ID,
        "planned_at": read(source, keys.LOCK)["planned_at"],
        "dry_run": False,
        "contact_types": ["primary", "billing", "operations", "security"],
        "source_key": f"{prefix}/source.json",
        "scope_key": f"{prefix}/scope.json",
        "manifest_key": f"{prefix}/manifest.json",
        "retry": {"max_attempts": 3, "base_delay": 2, "max_delay": 60},
        "notification": {
            "notify_on_failure": True,
            "notify_on_success": False,
            "notify_on_partial_failure": True,
            "failure_threshold": 1,
            "drift_threshold": None,
        },
        "max_concurrency": 1,
    }
    stored = RunsBucket(boto3.client("s3"), BUCKET).load_source(planned["source_key"])
    assert make_contact("primary") == stored.contacts[ContactType.PRIMARY]
    assert [SYNC_ID] == run_item(source)["taken"] == waiting(source)


def test_a_plan_takes_the_contacts_that_rules_use(source: Cloud, do: Do) -> None:
    put_config(source, overrides=[{"account_ids": [MEMBER], "security": "payments"}])
    book = {"config_key": "contacts", "contacts": {"payments": ALTERNATE_FIELDS}}
    source.dynamodb.put_item(TableName=CONFIG_TABLE, Item=to_item(book))
    stored = RunsBucket(boto3.client("s3"), BUCKET).load_source(plan(do)["source_key"])
    assert {"payments": ALTERNATE_FIELDS} == stored.named


@pytest.mark.parametrize(
    ("partition", "kept"), [("aws", ()), ("aws-cn", ("CountryCode", "CompanyName"))]
)
def test_a_plan_keeps_what_the_partition_does_not_change(
    source: Cloud, do: Do, monkeypatch: pytest.MonkeyPatch, partition: str, kept: tuple[str, ...]
) -> None:
    put_config(source)
    monkeypatch.setattr(ClientMeta, "partition", partition)
    stored = RunsBucket(boto3.client("s3"), BUCKET).load_source(plan(do)["source_key"])
    assert kept == stored.primary_keeps


def test_a_plan_survives_json_and_neither_it_nor_the_table_holds_a_value(
    source: Cloud, do: Do
) -> None:
    printed = json.dumps(plan(do)) + str(source.dynamodb.scan(TableName=STATE_TABLE)["Items"])
    assert [] == [value for value in SECRET_VALUES if value in printed]


@pytest.mark.parametrize(
    "stored",
    [{"request": {"contact_types": ["fax"]}, "queued_at": "then"}, {"request": "all"}, {}],
)
def test_a_queued_request_that_cannot_be_read_means_everything(
    stored: dict[str, Any], source: Cloud, do: Do
) -> None:
    put(source, keys.queued("unreadable"), **stored)
    planned = plan(do, account_ids=[MEMBER], contact_types=["billing"])
    assert 4 == len(planned["contact_types"])
    scope = RunsBucket(boto3.client("s3"), BUCKET).load_scope(planned["scope_key"])
    assert scope.covers_all_accounts


def test_a_queued_request_of_a_newer_release_is_read_as_far_as_it_is_known(
    source: Cloud, do: Do
) -> None:
    request = {"account_ids": [OTHER], "contact_types": ["billing"], "unheard_of": 1}
    put(source, keys.queued("newer"), request=request, queued_at=STARTED_AT)
    planned = plan(do, account_ids=[MEMBER], contact_types=["billing"])
    assert ["billing"] == planned["contact_types"]
    scope = RunsBucket(boto3.client("s3"), BUCKET).load_scope(planned["scope_key"])
    assert [MEMBER, OTHER] == scope.account_ids


@pytest.mark.parametrize(
    ("changes", "contacts", "error"),
    [
        ({"excluded_accounts": "x"}, {}, InvalidConfigError),
        ({"contact_types": ["billing"]}, {"BILLING": None}, EmptySourceError),
        (
            {"contact_types": ["billing"]},
            {"BILLING": {**ALTERNATE_FIELDS, "PhoneNumber": "call me"}},
            InvalidSourceError,
        ),
    ],
)
def test_a_wrong_configuration_or_source_stops_the_run_without_a_value(
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
        plan(do)
    out, err = capfd.readouterr()
    printed = "".join(traceback.format_exception(caught.value)) + out + err
    assert [] == [value for value in (*SECRET_VALUES, "call me") if value in printed]
    assert "Contents" not in source.s3.list_objects_v2(Bucket=BUCKET)


def test_an_invalid_contact_does_not_keep_the_others_from_being_planned(
    source: Cloud, do: Do
) -> None:
    broken = {**PRIMARY_FIELDS, "PhoneNumber": "0400 000 000"}
    source.organization.set_contact(MANAGEMENT, "PRIMARY", broken)
    assert ["security"] == plan(do, contact_types=["security", "primary"])["contact_types"]


def test_a_deletion_is_planned_after_a_second_reading(source: Cloud, do: Do) -> None:
    put_config(source, on_source_deleted="delete")
    source.organization.set_contact(MANAGEMENT, "SECURITY", None)
    first = plan(do)
    assert {"confirm": True, "missing": ["security"]} == first
    assert "security" in do("plan_run", missing=first["missing"])["contact_types"]


@pytest.mark.rule(1)
def test_each_plan_reads_configuration_and_source_anew(source: Cloud, do: Do) -> None:
    plan(do)
    put_config(source, contact_types=["billing", "security"])
    source.organization.set_contact(MANAGEMENT, "SECURITY", None)
    assert ["billing"] == do("plan_run", missing=None)["contact_types"]
    assert {"security": "not set in the management account"} == run_item(source)["left_out"]


@pytest.mark.rule(1)
def test_the_source_is_read_without_an_account_id(source: Cloud, do: Do) -> None:
    plan(do)
    assert {"ok"} == {call["outcome"] for call in source.organization.calls()}
    assert all(call["operation"].startswith("Get") for call in source.organization.calls())


def test_a_run_without_the_lock_plans_nothing(source: Cloud, do: Do) -> None:
    put(source, keys.LOCK, holder="another")
    with pytest.raises(LockLostError, match="held by another"):
        do("plan_run", missing=None)
    assert {} == run_item(source)


def test_a_dry_run_needs_no_lock_and_takes_nothing_queued(source: Cloud, do: Do) -> None:
    put(source, keys.LOCK, holder="another", planned_at="2026-01-05T09:00:00.000000+00:00")
    put(source, keys.queued("waits"), request={"contact_types": ["security"]})
    before = read(source, keys.LOCK)
    request = {"dry_run": True, "contact_types": ["billing"], "account_ids": [MEMBER]}
    planned = do("plan_run", request, missing=None)
    assert (True, ["billing"]) == (planned["dry_run"], planned["contact_types"])
    assert (before, ["waits"]) == (read(source, keys.LOCK), waiting(source))
    assert (True, []) == (run_item(source)["dry_run"], run_item(source)["taken"])


def test_a_dry_run_of_what_failed_asks_for_the_accounts_that_failed(source: Cloud, do: Do) -> None:
    put(source, keys.run(STARTED_AT, "run-0"), **keys.run_index("run-0"), ended_at=STARTED_AT)
    failed = keys.run_index("run-0", f"failed#{MEMBER}")
    put(source, keys.account_run(MEMBER, STARTED_AT, "run-0"), **failed)
    planned = do("plan_run", {"dry_run": True, "retry_of": "run-0"}, missing=None)
    scope = RunsBucket(boto3.client("s3"), BUCKET).load_scope(planned["scope_key"])
    assert [MEMBER] == scope.account_ids


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
def test_a_source_that_is_still_what_was_planned_has_settled(do: Do) -> None:
    plan(do, **changed())
    settled = {"settled": True, "next_name": None, "next_input": None}
    assert settled == do("check_source", changed())


@pytest.mark.rule(9)
@pytest.mark.parametrize("hop", [0, 1, 2])
def test_a_source_that_differs_starts_the_change_again_one_hop_further(
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
def test_a_source_that_differs_after_the_last_hop_starts_nothing(source: Cloud, do: Do) -> None:
    plan(do, **changed(3))
    source.organization.set_contact(MANAGEMENT, "SECURITY", None)
    with pytest.raises(SourceNotSettledError, match="each of 4 runs for one change"):
        do("check_source", changed(3))


def test_a_run_that_took_a_new_change_with_an_old_one_counts_from_the_new_one(
    source: Cloud, do: Do
) -> None:
    do("take_lock", changed(), sync_id="newer")
    put(source, keys.LOCK, holder=SYNC_ID)
    plan(do, **changed(3))
    source.organization.set_contact(MANAGEMENT, "SECURITY", None)
    assert 1 == do("check_source", changed(3))["next_input"]["trigger"]["hop"]


def test_a_run_that_failed_for_a_stale_source_is_repeated(source: Cloud, do: Do) -> None:
    put_config(source, contact_types=["billing"])
    source.organization.set_contact(MANAGEMENT, "BILLING", None)
    with pytest.raises(EmptySourceError):
        plan(do, **changed())
    source.organization.set_contact(MANAGEMENT, "BILLING", ALTERNATE_FIELDS)
    assert not do("check_source", changed())["settled"]


def test_an_unknown_action_is_a_bug(do: Do) -> None:
    with pytest.raises(KeyError):
        do("guess")


# One execution after the other


def test_a_request_that_was_queued_is_done_by_the_run_after(source: Cloud, do: Do) -> None:
    arn = source.start_execution("first")
    assert "taken" == do("take_lock", {"account_ids": [MEMBER]}, "first")["decision"]
    first = do("plan_run", {"account_ids": [MEMBER]}, "first", missing=None)
    assert "queued" == do("take_lock", {"account_ids": [OTHER]}, "second")["decision"]
    source.dynamodb.delete_item(TableName=STATE_TABLE, Key=to_item(keys.queued("first")))
    released = do("release_lock", sync_id="first", map_failed=False)
    assert released["has_next"]
    source.stepfunctions.stop_execution(executionArn=arn)
    following = {"trigger": make_trigger("continuation")}
    assert "taken" == do("take_lock", following, released["next_name"])["decision"]
    second = do("plan_run", following, released["next_name"], missing=None)
    assert first["planned_at"] < second["planned_at"]
    scope = RunsBucket(boto3.client("s3"), BUCKET).load_scope(second["scope_key"])
    assert [OTHER] == scope.account_ids
