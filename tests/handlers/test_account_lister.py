"""account-lister: lists the accounts of a run, or looks up one account."""

from typing import Any

import boto3
import pytest
from contact_sync.accounts import Account
from contact_sync.aws.organization import OrganizationClient
from contact_sync.aws.replaced_contacts import ReplacedContactsBucket
from contact_sync.aws.runs_bucket import SETS, RunsBucket, beside
from contact_sync.contact_sets import OWN, SOURCE, Overrides
from contact_sync.contacts import ContactType
from contact_sync.errors import (
    InvalidConfigError,
    NotManagementAccountError,
    ThrottledError,
)
from contact_sync.undo import Replaced
from support.builders import (
    INNER_UNIT,
    MEMBER,
    OTHER,
    OTHER_UNIT,
    STRANGER,
    SYNC_ID,
    THIRD,
    UNIT,
    make_listed,
    make_plan,
    make_scope,
    make_world,
)
from support.moto_stack import BUCKET, Cloud

PLAN = make_plan()
SECONDS = {ContactType.BILLING: {"GetAlternateContact": 0.1, "PutAlternateContact": 0.6}}
EVENT = {"action": "list_accounts", "sync_id": SYNC_ID, "plan": PLAN}
ACCOUNTS = (
    {"id": MEMBER, "parent": INNER_UNIT},
    {"id": OTHER, "parent": OTHER_UNIT},
    {"id": THIRD, "state": "SUSPENDED"},
)
MISSING_UNIT = "ou-exam-nowhere00"
NOT_FOUND = "not in the organization"


def lists(cloud: Cloud, **scope: Any) -> dict[str, Any]:
    RunsBucket(boto3.client("s3"), BUCKET).store_scope(
        PLAN["scope_key"], make_scope(**{"seconds": SECONDS, **scope})
    )
    return cloud.load("account_lister")(EVENT)


def manifest() -> list[str]:
    accounts = RunsBucket(boto3.client("s3"), BUCKET).load_manifest(PLAN["manifest_key"])
    return [one.account_id for one in accounts]


# The accounts of a run


@pytest.mark.rule(10)
def test_the_accounts_are_listed_and_counted(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.organization.reset(make_world(*ACCOUNTS))
    monkeypatch.setattr("account_lister.selection.KNOWN_STATES", {"ACTIVE"})
    assert lists(cloud, excluded_accounts=[STRANGER]) == make_listed(
        2,
        skipped={"SUSPENDED": 1},
        unknown_states={"SUSPENDED": 1},
        warnings=[f"excluded_accounts: {NOT_FOUND}: {STRANGER}"],
        estimated_seconds=2,
    )
    assert {MEMBER, OTHER} == set(manifest())


def test_what_does_not_exist_is_skipped_by_name_and_the_rest_is_listed(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listing is older than the named accounts' joining."""
    cloud.organization.reset(make_world(*ACCOUNTS))
    listed = [Account(OTHER, "PENDING_ACTIVATION"), Account(THIRD, "ACTIVE")]
    monkeypatch.setattr(OrganizationClient, "accounts", lambda _: listed)
    units = [UNIT, MISSING_UNIT]
    answer = lists(cloud, account_ids=[MEMBER, OTHER, STRANGER], organizational_units=units)
    assert {MEMBER, OTHER} == set(manifest())
    assert {STRANGER: NOT_FOUND, MISSING_UNIT: NOT_FOUND} == answer["named_skips"]
    assert {NOT_FOUND: 2} == answer["skipped"]


@pytest.mark.parametrize(
    ("scope", "error"),
    [
        ({"excluded_organizational_units": [MISSING_UNIT]}, InvalidConfigError),
        ({"management_account_id": STRANGER}, NotManagementAccountError),
    ],
)
def test_nothing_is_listed_where_organization_or_configuration_is_wrong(
    scope: dict[str, Any], error: type[Exception], cloud: Cloud
) -> None:
    cloud.organization.reset(make_world(*ACCOUNTS))
    with pytest.raises(error):
        lists(cloud, **scope)
    listed = cloud.s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [PLAN["scope_key"]] == [one["Key"] for one in listed]


def test_a_repeated_attempt_keeps_the_sets_that_children_may_have_read(cloud: Cloud) -> None:
    cloud.organization.reset(make_world(MEMBER, OTHER))
    bucket, key = RunsBucket(cloud.s3, BUCKET), beside(PLAN["manifest_key"], SETS)
    earlier = [{ContactType.BILLING: SOURCE, ContactType.SECURITY: one} for one in (SOURCE, OWN)]
    plan = {**PLAN, "contact_types": ["billing", "security"]}
    bucket.store_sets(key, earlier)
    overrides = Overrides({MEMBER: {ContactType.SECURITY: OWN}})
    scope = make_scope(overrides=overrides, seconds={name: {} for name in ContactType})
    bucket.store_scope(plan["scope_key"], scope)
    cloud.load("account_lister")({**EVENT, "plan": plan})
    numbers = {
        one.account_id: one.contact_set for one in bucket.load_manifest(plan["manifest_key"])
    }
    assert ({MEMBER: 1, OTHER: 0}, earlier) == (numbers, bucket.load_sets(key))


@pytest.mark.rule(11)
def test_each_listing_uses_the_current_units_of_accounts(cloud: Cloud) -> None:
    world = make_world(*ACCOUNTS, omit_paths=[MEMBER, OTHER, THIRD])
    cloud.organization.reset(world)
    lists(cloud, organizational_units=[OTHER_UNIT])
    handler = cloud.load("account_lister")
    handler(EVENT)
    assert [OTHER] == manifest()
    cloud.organization.set_account(MEMBER, parent=OTHER_UNIT)
    handler(EVENT)
    assert {MEMBER, OTHER} == set(manifest())


# Whether an account that joined is ready


def check(cloud: Cloud, account_id: str = MEMBER) -> dict[str, Any]:
    event = {"action": "check_account", "sync_id": SYNC_ID, "account_id": account_id}
    return cloud.load("account_lister")(event)


@pytest.mark.parametrize("state", ["ACTIVE", "SUSPENDED", "PENDING_CLOSURE", "CLOSED"])
def test_an_account_in_a_permanent_state_counts_as_ready(state: str, cloud: Cloud) -> None:
    cloud.organization.reset(make_world({"id": MEMBER, "state": state}))
    assert {"is_ready": True} == check(cloud)


@pytest.mark.parametrize(
    ("account_id", "state"), [(MEMBER, "PENDING_ACTIVATION"), (STRANGER, "ACTIVE")]
)
def test_an_account_that_is_not_yet_active_is_not_ready(
    account_id: str, state: str, cloud: Cloud
) -> None:
    cloud.organization.reset(make_world({"id": MEMBER, "state": state}))
    assert {"is_ready": False} == check(cloud, account_id)


@pytest.mark.parametrize("operation", ["GetAlternateContact", "GetContactInformation"])
def test_an_active_account_that_denies_some_contacts_is_not_ready(
    operation: str, cloud: Cloud
) -> None:
    cloud.organization.reset(make_world(MEMBER))
    denies = {"operation": operation, "error": "AccessDeniedException", "times": 1}
    cloud.organization.add_fault(denies)
    assert {"is_ready": False} == check(cloud)
    assert {"is_ready": True} == check(cloud)


@pytest.mark.parametrize(
    "operation", ["DescribeAccount", "GetAlternateContact", "GetContactInformation"]
)
def test_an_account_that_cannot_be_looked_up_is_an_error(operation: str, cloud: Cloud) -> None:
    cloud.organization.reset(make_world(MEMBER))
    cloud.organization.add_fault({"operation": operation, "error": "TooManyRequestsException"})
    with pytest.raises(ThrottledError):
        check(cloud)


# An undo


def test_an_undo_lists_the_writes_of_its_runs_latest_first(cloud: Cloud) -> None:
    cloud.organization.reset(make_world(*ACCOUNTS))
    replaced = ReplacedContactsBucket(cloud.s3, BUCKET, keeps=True)
    for run, account_id in (("late", OTHER), ("early", OTHER), ("early", THIRD)):
        replaced.store(run, account_id, ContactType.BILLING, Replaced(None, "1:new"))
    undo = {"undoes": ("late", "early"), "synced_types": (ContactType.BILLING,)}
    answer = lists(cloud, excluded_accounts=[OTHER], **undo)
    assert (1, {THIRD: "SUSPENDED"}, []) == (
        answer["accounts"],
        answer["named_skips"],
        answer["unused"],
    )
    bucket = RunsBucket(cloud.s3, BUCKET)
    (listed,) = bucket.load_manifest(PLAN["manifest_key"])
    assert (OTHER, ("billing",)) == (listed.account_id, listed.stays)
    sets = bucket.load_sets(beside(PLAN["manifest_key"], SETS))
    assert "late early" == sets[listed.contact_set][ContactType.BILLING]
