"""account-lister: the accounts of a round are listed, or one account is looked up."""

from typing import Any

import boto3
import pytest
from builders import (
    INNER_UNIT,
    MANAGEMENT,
    MEMBER,
    OTHER,
    OTHER_UNIT,
    STRANGER,
    SYNC_ID,
    THIRD,
    UNIT,
    make_scope,
    make_world,
)
from contact_sync.errors import (
    AccessDeniedError,
    InvalidConfigError,
    InvalidRequestError,
    NoMemberAccountsError,
    NotManagementAccountError,
    ThrottledError,
    TrustedAccessRequiredError,
)
from contact_sync.runs_bucket import RunsBucket
from contact_sync.selection import scattered
from moto_stack import BUCKET, Cloud

SCOPE_KEY, MANIFEST_KEY = "runs/run-1/1/scope.json", "runs/run-1/1/manifest.json"
EVENT = {
    "action": "list_accounts",
    "sync_id": SYNC_ID,
    "scope_key": SCOPE_KEY,
    "manifest_key": MANIFEST_KEY,
    "seconds_an_account": 0.6,
}
ACCOUNTS = (
    {"id": MEMBER, "parent": INNER_UNIT},
    {"id": OTHER, "parent": OTHER_UNIT},
    {"id": THIRD, "state": "SUSPENDED"},
)
MISSING_UNIT = "ou-exam-nowhere00"


def lists(cloud: Cloud, **scope: Any) -> dict[str, Any]:
    bucket = RunsBucket(boto3.client("s3"), BUCKET)
    bucket.store_scope(SCOPE_KEY, make_scope(**scope))
    return cloud.load("account_lister")(EVENT)


def manifest() -> list[str]:
    return RunsBucket(boto3.client("s3"), BUCKET).load_manifest(MANIFEST_KEY)


def test_the_accounts_are_listed_and_counted(cloud: Cloud) -> None:
    cloud.organization.reset(make_world(*ACCOUNTS))
    assert lists(cloud) == {
        "accounts": 2,
        "estimated_seconds": 2,
        "left_alone": {"SUSPENDED": 1},
        "named": {},
    }
    assert scattered([MEMBER, OTHER]) == manifest()


@pytest.mark.parametrize("omit_paths", [[], [MEMBER]])
def test_excluded_accounts_and_units_are_left_alone(omit_paths: list[str], cloud: Cloud) -> None:
    cloud.organization.reset(make_world(*ACCOUNTS, omit_paths=omit_paths))
    answer = lists(cloud, excluded_organizational_units=[UNIT], account_ids=[MEMBER, OTHER])
    expected = {
        "accounts": 1,
        "estimated_seconds": 1,
        "left_alone": {"excluded": 1},
        "named": {MEMBER: "excluded"},
    }
    assert expected == answer
    assert [OTHER] == manifest()


def test_none_in_scope_is_an_empty_manifest(cloud: Cloud) -> None:
    cloud.organization.reset(make_world(*ACCOUNTS))
    assert 0 == lists(cloud, account_ids=[THIRD])["accounts"]
    assert [] == manifest()


@pytest.mark.parametrize(
    ("world", "scope", "error"),
    [
        ({}, {"account_ids": [STRANGER]}, InvalidRequestError),
        ({}, {"organizational_units": [MISSING_UNIT]}, InvalidRequestError),
        ({}, {"excluded_organizational_units": [MISSING_UNIT]}, InvalidConfigError),
        (
            {},
            {"excluded_organizational_units": [MISSING_UNIT], "must_exist": False},
            InvalidConfigError,
        ),
        ({}, {"management_account_id": STRANGER}, NotManagementAccountError),
        ({"trusted_access": []}, {}, TrustedAccessRequiredError),
        ({"accounts": []}, {}, NoMemberAccountsError),
    ],
)
def test_nothing_is_listed_where_organization_or_scope_is_wrong(
    world: dict[str, Any], scope: dict[str, Any], error: type[Exception], cloud: Cloud
) -> None:
    cloud.organization.reset(make_world(*ACCOUNTS) | world)
    with pytest.raises(error):
        lists(cloud, **scope)
    listed = cloud.s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [SCOPE_KEY] == [one["Key"] for one in listed]


@pytest.mark.parametrize(
    ("units", "listed"),
    [([MISSING_UNIT, UNIT], [MEMBER]), ([MISSING_UNIT], []), ([UNIT], [MEMBER])],
)
def test_a_queued_request_does_not_fail_because_of_anothers_unknown_unit(
    units: list[str], listed: list[str], cloud: Cloud
) -> None:
    cloud.organization.reset(make_world(*ACCOUNTS))
    answer = lists(cloud, organizational_units=units, must_exist=False)
    assert len(listed) == answer["accounts"]
    assert scattered(listed) == manifest()


@pytest.mark.parametrize("kind", ["organizational_units", "excluded_organizational_units"])
def test_a_unit_that_cannot_be_looked_up_stops_the_round(kind: str, cloud: Cloud) -> None:
    cloud.organization.reset(make_world(*ACCOUNTS))
    fault = {"operation": "DescribeOrganizationalUnit", "error": "AccessDeniedException"}
    cloud.organization.add_fault(fault)
    with pytest.raises(AccessDeniedError):
        lists(cloud, **{kind: [UNIT]}, must_exist=False)


def test_the_answer_stays_small_at_many_accounts(cloud: Cloud) -> None:
    ids = [str(100_000_000_001 + n) for n in range(300)]
    cloud.organization.reset(make_world(*({"id": one, "state": "CLOSED"} for one in ids)))
    answer = lists(cloud, account_ids=ids)
    assert {"CLOSED": 300} == answer["left_alone"]
    assert 20 == len(answer["named"])


def test_the_management_account_is_never_listed(cloud: Cloud) -> None:
    cloud.organization.reset(make_world(MEMBER))
    lists(cloud, account_ids=[MEMBER, MANAGEMENT], must_exist=False)
    assert [MEMBER] == manifest()


@pytest.mark.parametrize(
    ("account_id", "state", "is_coming"),
    [
        (MEMBER, "ACTIVE", False),
        (MEMBER, "PENDING_ACTIVATION", True),
        (MEMBER, "SUSPENDED", False),
        (MEMBER, "CLOSED", False),
        (STRANGER, "not in the organization", True),
    ],
)
def test_one_account_is_looked_up(
    account_id: str, state: str, *, is_coming: bool, cloud: Cloud
) -> None:
    member_state = state if account_id == MEMBER else "ACTIVE"
    cloud.organization.reset(make_world({"id": MEMBER, "state": member_state}))
    event = {"action": "check_account", "sync_id": SYNC_ID, "account_id": account_id}
    assert {"state": state, "is_coming": is_coming} == cloud.load("account_lister")(event)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("TooManyRequestsException", ThrottledError),
        ("AccessDeniedException", AccessDeniedError),
    ],
)
def test_an_account_that_cannot_be_looked_up_is_an_error(
    fault: str, error: type[Exception], cloud: Cloud
) -> None:
    cloud.organization.reset(make_world(MEMBER))
    cloud.organization.add_fault({"operation": "DescribeAccount", "error": fault})
    event = {"action": "check_account", "sync_id": SYNC_ID, "account_id": MEMBER}
    with pytest.raises(error, match=f"describe account {MEMBER}"):
        cloud.load("account_lister")(event)


def test_looking_up_one_account_lists_nothing_and_stores_nothing(cloud: Cloud) -> None:
    cloud.organization.reset(make_world(MEMBER))
    event = {"action": "check_account", "sync_id": SYNC_ID, "account_id": MEMBER}
    cloud.load("account_lister")(event)
    called = {call["operation"] for call in cloud.organization.calls()}
    assert {"DescribeAccount"} == called
    assert "Contents" not in cloud.s3.list_objects_v2(Bucket=BUCKET)


def test_each_listing_sees_where_accounts_are_now(cloud: Cloud) -> None:
    world = make_world(*ACCOUNTS, omit_paths=[MEMBER, OTHER, THIRD])
    cloud.organization.reset(world)
    RunsBucket(boto3.client("s3"), BUCKET).store_scope(
        SCOPE_KEY, make_scope(organizational_units=[OTHER_UNIT])
    )
    handler = cloud.load("account_lister")
    handler(EVENT)
    assert [OTHER] == manifest()
    cloud.organization.set_account(MEMBER, parent=OTHER_UNIT)
    handler(EVENT)
    assert scattered([MEMBER, OTHER]) == manifest()
