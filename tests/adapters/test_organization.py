"""The organization, against the strict stand-in: empty pages, State without Status, no Paths."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from account_lister.selection import select_accounts
from botocore.stub import Stubber
from contact_sync.accounts import Account
from contact_sync.aws.organization import OrganizationClient as Organization
from contact_sync.errors import (
    AccessDeniedError,
    AllFeaturesRequiredError,
    ApiRefusedError,
    NotManagementAccountError,
    OrganizationNotInUseError,
    ServiceUnavailableError,
    SyncError,
    ThrottledError,
    TrustedAccessRequiredError,
)
from standin.organization import OrganizationClient
from support.builders import (
    INNER_UNIT,
    MANAGEMENT,
    MEMBER,
    NOW,
    OTHER,
    OTHER_UNIT,
    STRANGER,
    THIRD,
    UNIT,
    make_scope,
    make_world,
)

MISSING_UNIT, OTHER_MISSING_UNIT = "ou-exam-nowhere00", "ou-exam-nowhere11"
Listing = Callable[..., Organization]


@pytest.fixture
def listing(organization: OrganizationClient, client_of: Callable[[str], Any]) -> Listing:
    def make(*accounts: Any, **settings: Any) -> Organization:
        organization.reset(make_world(*accounts, **settings))
        return Organization(client_of("organizations"))

    return make


def operations(organization: OrganizationClient) -> list[str]:
    return [call["operation"] for call in organization.calls()]


# Preflight


def test_an_organization_that_can_be_synced_passes(listing: Listing) -> None:
    listing(MEMBER).check(MANAGEMENT)


@pytest.mark.rule(5)
@pytest.mark.parametrize(
    ("settings", "error", "remedy"),
    [
        ({"organization_id": None}, OrganizationNotInUseError, "management account of an AWS"),
        ({"feature_set": "CONSOLIDATED_BILLING"}, AllFeaturesRequiredError, "Enable all features"),
        ({"trusted_access": []}, TrustedAccessRequiredError, "Enable trusted access"),
        (
            {"trusted_access": ["sso.amazonaws.com"]},
            TrustedAccessRequiredError,
            "Enable trusted access",
        ),
    ],
)
def test_a_setting_that_prevents_writes_is_an_error_with_the_remedy(
    settings: dict[str, Any], error: type[SyncError], remedy: str, listing: Listing
) -> None:
    with pytest.raises(error, match=remedy):
        listing(MEMBER, **settings).check(MANAGEMENT)


@pytest.mark.rule(5)
def test_a_wrong_management_account_is_an_error_that_names_both(listing: Listing) -> None:
    with pytest.raises(NotManagementAccountError, match=f"{STRANGER}, but .* is {MANAGEMENT}"):
        listing(MEMBER).check(STRANGER)


def test_a_trusted_service_is_found_on_a_later_page(listing: Listing) -> None:
    many = [f"service-{n}.amazonaws.com" for n in range(30)]
    listing(MEMBER, trusted_access=["account.amazonaws.com", *many]).check(MANAGEMENT)


@pytest.mark.parametrize(
    "operation", ["DescribeOrganization", "ListAWSServiceAccessForOrganization"]
)
def test_a_refused_preflight_gets_its_name(
    operation: str, listing: Listing, organization: OrganizationClient
) -> None:
    checked = listing(MEMBER)
    organization.add_fault({"operation": operation, "error": "AccessDeniedException"})
    with pytest.raises(AccessDeniedError, match="AccessDeniedException"):
        checked.check(MANAGEMENT)


# Accounts


def test_every_account_of_every_page_is_listed(
    listing: Listing, organization: OrganizationClient
) -> None:
    ids = [str(100_000_000_001 + n) for n in range(45)]
    listed = [account.id for account in listing(*ids).accounts()]
    assert [MANAGEMENT, *ids] == listed
    # The first page is empty.
    assert 4 == operations(organization).count("ListAccounts")


def test_an_account_has_its_state_and_its_paths(listing: Listing) -> None:
    accounts = listing({"id": MEMBER, "state": "SUSPENDED", "parent": INNER_UNIT}).accounts()
    path = f"o-exampleorg1/r-exam/{UNIT}/{INNER_UNIT}/{MEMBER}/"
    assert (MEMBER, "SUSPENDED", (path,)) in [(one.id, one.state, one.paths) for one in accounts]


@pytest.mark.rule(2)
@pytest.mark.parametrize(
    ("described", "state"),
    [
        ({"State": "CLOSED", "Status": "ACTIVE"}, "CLOSED"),
        ({"State": "ACTIVE", "Status": "SUSPENDED"}, "ACTIVE"),
        ({"Status": "SUSPENDED"}, "SUSPENDED"),
        ({}, "UNKNOWN"),
    ],
)
def test_state_takes_precedence_over_status_and_neither_means_inactive(
    described: dict[str, str], state: str
) -> None:
    client: Any = boto3.client("organizations")
    with Stubber(client) as stub:
        account = {"Id": MEMBER, "JoinedTimestamp": NOW, **described}
        stub.add_response("describe_account", {"Account": account})
        assert Account(MEMBER, state, (), NOW) == Organization(client).account(MEMBER)


def test_a_refusal_on_a_later_page_is_never_a_shorter_list(
    listing: Listing, organization: OrganizationClient
) -> None:
    accounts = listing(*(str(100_000_000_001 + n) for n in range(45))).accounts()
    next(accounts)
    organization.add_fault({"operation": "ListAccounts", "error": "TooManyRequestsException"})
    with pytest.raises(ThrottledError):
        list(accounts)


def test_an_account_outside_the_organization_is_not_an_error(listing: Listing) -> None:
    assert Account(STRANGER, "not in the organization") == listing(MEMBER).account(STRANGER)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("AccessDeniedException", AccessDeniedError),
        ("TooManyRequestsException", ThrottledError),
        ("drop_connection", ServiceUnavailableError),
    ],
)
def test_what_cannot_be_looked_up_is_not_taken_for_missing(
    fault: str, error: type[SyncError], listing: Listing, organization: OrganizationClient
) -> None:
    listed = listing(MEMBER)
    for operation in ("DescribeAccount", "DescribeOrganizationalUnit"):
        organization.add_fault({"operation": operation, "error": fault})
    with pytest.raises(error, match=f"describe account {MEMBER}"):
        listed.missing_accounts([MEMBER])
    with pytest.raises(error, match=f"describe organizational unit {UNIT}"):
        listed.missing_units([UNIT])


@pytest.mark.parametrize(
    ("accounts", "missing"),
    [
        ([], []),
        ([MEMBER, OTHER, MANAGEMENT], []),
        ([MEMBER, STRANGER, OTHER, THIRD], [STRANGER, THIRD]),
    ],
)
def test_missing_accounts_are_those_outside_the_organization(
    accounts: list[str], missing: list[str], listing: Listing
) -> None:
    assert missing == listing(MEMBER, {"id": OTHER, "state": "SUSPENDED"}).missing_accounts(
        accounts
    )


# Organizational units


@pytest.mark.parametrize(
    ("units", "missing"),
    [
        ([], []),
        ([UNIT, INNER_UNIT], []),
        ([UNIT, MISSING_UNIT, INNER_UNIT], [MISSING_UNIT]),
        ([OTHER_MISSING_UNIT, MISSING_UNIT], [OTHER_MISSING_UNIT, MISSING_UNIT]),
    ],
)
def test_missing_units_are_those_that_do_not_exist(
    units: list[str], missing: list[str], listing: Listing
) -> None:
    assert missing == listing(MEMBER).missing_units(units)


ACCOUNTS = (
    {"id": MEMBER, "parent": INNER_UNIT},
    {"id": OTHER, "parent": OTHER_UNIT},
    THIRD,
)


@pytest.mark.parametrize("omit_paths", [[], [MEMBER], [MEMBER, OTHER, THIRD]])
@pytest.mark.parametrize(
    ("units", "selected"),
    [([UNIT], [MEMBER]), ([INNER_UNIT], [MEMBER]), ([OTHER_UNIT, UNIT], [MEMBER, OTHER])],
)
def test_an_account_under_a_unit_is_found_with_and_without_paths(
    omit_paths: list[str], units: list[str], selected: list[str], listing: Listing
) -> None:
    listed = listing(*ACCOUNTS, omit_paths=omit_paths)
    scope = make_scope(organizational_units=units)
    assert selected == select_accounts(listed.accounts(), scope, listed.in_units).account_ids


@pytest.mark.rule(11)
@pytest.mark.parametrize("omit_paths", [[], [MEMBER]])
def test_an_account_under_an_excluded_unit_is_never_selected(
    omit_paths: list[str], listing: Listing
) -> None:
    listed = listing(*ACCOUNTS, omit_paths=omit_paths)
    scope = make_scope(excluded_organizational_units=[UNIT])
    selection = select_accounts(listed.accounts(), scope, listed.in_units)
    assert [OTHER, THIRD] == selection.account_ids


@pytest.mark.rule(11)
def test_units_are_listed_once_and_only_if_an_account_lacks_paths(
    listing: Listing, organization: OrganizationClient
) -> None:
    listed = listing(*ACCOUNTS)
    scope = make_scope(excluded_organizational_units=[UNIT])
    select_accounts(listed.accounts(), scope, listed.in_units)
    assert "ListAccountsForParent" not in operations(organization)

    listed = listing(*ACCOUNTS, omit_paths=[MEMBER, OTHER, THIRD], empty_pages=False)
    select_accounts(listed.accounts(), scope, listed.in_units)
    assert 2 == operations(organization).count("ListAccountsForParent")


@pytest.mark.rule(11)
@pytest.mark.parametrize("operation", ["ListAccountsForParent", "ListOrganizationalUnitsForParent"])
def test_a_unit_that_cannot_be_listed_is_an_error_and_never_ignored(
    operation: str, listing: Listing, organization: OrganizationClient
) -> None:
    listed = listing(*ACCOUNTS, omit_paths=[MEMBER])
    organization.add_fault({"operation": operation, "error": "AccessDeniedException"})
    scope = make_scope(excluded_organizational_units=[UNIT])
    with pytest.raises(AccessDeniedError, match=f"list organizational unit {UNIT}"):
        select_accounts(listed.accounts(), scope, listed.in_units)


def test_a_unit_deleted_after_its_check_is_an_error(listing: Listing) -> None:
    listed = listing(*ACCOUNTS, omit_paths=[MEMBER])
    scope = make_scope(excluded_organizational_units=[MISSING_UNIT])
    with pytest.raises(ApiRefusedError, match="ParentNotFoundException"):
        select_accounts(listed.accounts(), scope, listed.in_units)
