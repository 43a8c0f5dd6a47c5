"""The strict Organizations and Account Management stand-in refuses what AWS refuses."""

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from benchmark.options import Latency
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from standin.organization import (
    OrganizationClient,
    OrganizationServer,
    drifted_world,
)
from standin.organization.client import AdminError
from standin.organization.quotas import DEFAULT_QUOTAS, Quotas, TokenBucket
from support.search import contact_values

MANAGEMENT = "999999999999"
MEMBER = "100000000001"
OTHER = "100000000002"
STRANGER = "123123123123"

ALTERNATE = {
    "Name": "Ottoline Tester",
    "Title": "Head of Trials",
    "EmailAddress": "trials@example.com",
    "PhoneNumber": "+1 555-0100",
}
PRIMARY = {
    "FullName": "Ottoline Tester",
    "AddressLine1": "1 Trial Street",
    "City": "Testington",
    "StateOrRegion": "WA",
    "PostalCode": "98101",
    "CountryCode": "US",
    "PhoneNumber": "+15550100",
}
# What refused calls end with.
DENIED, NOT_FOUND = ("AccessDeniedException", 403), ("ResourceNotFoundException", 404)
INVALID = ("InvalidInputException", 400)


class FakeTime:
    """A clock that moves by hand; who sleeps is noted and not kept waiting."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Note a pause."""
        self.slept.append(seconds)


def make_world(**settings: Any) -> dict[str, Any]:
    """Two members, one in an OU within an OU; only the management account has contacts."""
    return {
        "organizational_units": [
            {"id": "ou-exam-outerouter", "name": "Outer", "parent": "r-exam"},
            {"id": "ou-exam-innerinner", "name": "Inner", "parent": "ou-exam-outerouter"},
        ],
        "accounts": [
            {"id": MEMBER, "parent": "ou-exam-innerinner"},
            {"id": OTHER, "parent": "r-exam"},
        ],
        "contacts": {MANAGEMENT: {"PRIMARY": PRIMARY, "SECURITY": ALTERNATE}},
        # Most tests are about something else than quotas.
        "quotas": dict.fromkeys(DEFAULT_QUOTAS, (1000, 1000)),
        **settings,
    }


def make_client(service: str, url: str) -> Any:
    """A boto3 client that never retries."""
    config = Config(retries={"mode": "standard", "total_max_attempts": 1})
    # The stubs have one overload for each literal name of a service.
    create: Any = boto3.client
    return create(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",  # noqa: S106 - nobody checks it
        config=config,
    )


@pytest.fixture(name="fake_time", scope="module")
def _fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture(name="server", scope="module")
def _server(fake_time: FakeTime) -> Iterator[OrganizationServer]:
    with OrganizationServer(make_world(), clock=fake_time.clock, sleep=fake_time.sleep) as server:
        yield server


@pytest.fixture(name="standin", autouse=True)
def _standin(server: OrganizationServer, fake_time: FakeTime) -> OrganizationClient:
    fake_time.slept.clear()
    client = OrganizationClient(server.url)
    client.reset(make_world())
    return client


@pytest.fixture(name="account", scope="module")
def _account(server: OrganizationServer) -> Any:
    return make_client("account", server.url)


@pytest.fixture(name="organizations", scope="module")
def _organizations(server: OrganizationServer) -> Any:
    return make_client("organizations", server.url)


def refusal(call: Callable[..., Any], /, **params: Any) -> tuple[str, int]:
    """The error code and HTTP status that a call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def put_alternate(account: Any, account_id: str = MEMBER, **changes: Any) -> None:
    """Put a valid SECURITY contact, or one that differs from it."""
    params = {**ALTERNATE, "AlternateContactType": "SECURITY", "AccountId": account_id, **changes}
    account.put_alternate_contact(**params)


def put_primary(account: Any, account_id: str = MEMBER, **changes: Any) -> None:
    """Put a valid primary contact, or one that differs from it; None leaves a field out."""
    contact = {**PRIMARY, **changes}
    account.put_contact_information(
        AccountId=account_id,
        ContactInformation={name: value for name, value in contact.items() if value is not None},
    )


def get_alternate(account: Any, account_id: str = MEMBER) -> dict[str, str]:
    """The SECURITY contact of a member."""
    answer = account.get_alternate_contact(AccountId=account_id, AlternateContactType="SECURITY")
    contact: dict[str, str] = answer["AlternateContact"]
    return contact


class TestContacts:
    """What the contact operations do when all is well."""

    def test_without_account_id_it_is_the_management_account(
        self, standin: OrganizationClient, account: Any
    ) -> None:
        answer = account.get_alternate_contact(AlternateContactType="SECURITY")
        account.put_alternate_contact(AlternateContactType="BILLING", **ALTERNATE)

        assert answer["AlternateContact"] == {**ALTERNATE, "AlternateContactType": "SECURITY"}
        assert standin.contacts(MANAGEMENT)["BILLING"] == ALTERNATE
        assert standin.contacts(MEMBER) == {}

    def test_put_answers_nothing_and_is_read(
        self, server: OrganizationServer, standin: OrganizationClient, account: Any
    ) -> None:
        """Put has an empty body; the contact is read back with its type."""
        body = {**ALTERNATE, "AlternateContactType": "SECURITY", "AccountId": MEMBER}

        status, _, content = raw_call(server, "POST", "/putAlternateContact", body)

        assert (status, content) == (200, b"")
        assert get_alternate(account) == {**ALTERNATE, "AlternateContactType": "SECURITY"}
        assert standin.contacts(MEMBER) == {"SECURITY": ALTERNATE}

    def test_unset_contact_is_not_found(self, account: Any) -> None:
        assert refusal(get_alternate, account=account) == NOT_FOUND
        assert refusal(account.get_contact_information, AccountId=MEMBER) == NOT_FOUND

    def test_second_delete_is_not_found(self, standin: OrganizationClient, account: Any) -> None:
        put_alternate(account)
        target = {"AccountId": MEMBER, "AlternateContactType": "SECURITY"}

        account.delete_alternate_contact(**target)

        assert standin.contacts(MEMBER) == {}
        assert refusal(account.delete_alternate_contact, **target) == NOT_FOUND

    def test_put_replaces_whole_primary_contact(self, account: Any) -> None:
        put_primary(account, CompanyName="Trials Inc", AddressLine2="Attic")

        put_primary(account)

        assert account.get_contact_information(AccountId=MEMBER)["ContactInformation"] == PRIMARY


class TestAuthorisation:
    """Who may be read and written, and in which organization."""

    @pytest.mark.parametrize("account_id", [MANAGEMENT, STRANGER])
    def test_only_members_are_named(self, account: Any, account_id: str) -> None:
        """The management account must leave its own id out."""
        for call in (get_alternate, put_primary):
            assert DENIED == refusal(call, account=account, account_id=account_id)

    def test_denied_account_is_refused(self, standin: OrganizationClient, account: Any) -> None:
        """An account may be denied by policy, to reads and writes; others are not affected."""
        standin.reset(make_world(denied_accounts=[MEMBER]))
        put_alternate(account, OTHER)

        assert DENIED == refusal(get_alternate, account=account)
        assert DENIED == refusal(put_alternate, account=account)

    @pytest.mark.parametrize(
        "settings",
        [
            {"trusted_access": ["ram.amazonaws.com"]},
            {"feature_set": "CONSOLIDATED_BILLING"},
            {"organization_id": None},
        ],
    )
    def test_members_need_trusted_access_and_all_features(
        self, standin: OrganizationClient, account: Any, settings: dict[str, Any]
    ) -> None:
        """What the organization lacks is AccessDenied for members, and nothing for the caller."""
        standin.reset(make_world(**settings))

        account.get_contact_information()
        assert DENIED == refusal(account.get_contact_information, AccountId=MEMBER)

    @pytest.mark.parametrize(
        "state", ["PENDING_ACTIVATION", "SUSPENDED", "PENDING_CLOSURE", "CLOSED"]
    )
    def test_write_to_inactive_account_is_refused_and_recorded(
        self, standin: OrganizationClient, account: Any, state: str
    ) -> None:
        """Only ACTIVE accounts take writes; the others can be read."""
        put_alternate(account)
        standin.set_account(MEMBER, state=state)

        assert DENIED == refusal(put_alternate, account=account)
        assert DENIED == refusal(
            account.delete_alternate_contact, AccountId=MEMBER, AlternateContactType="SECURITY"
        )
        assert get_alternate(account)["Name"] == "Ottoline Tester"
        assert standin.stats()["inactive_writes"] == {MEMBER: 2}


class TestValidation:
    """The rules for contact values, which botocore's client mostly does not check."""

    @pytest.mark.parametrize(
        ("field", "good", "bad"),
        [
            ("Name", "n" * 64, "n" * 65),
            ("EmailAddress", " a+b=c.d#e|f!g&h-i_j@ex-ample.example.com ", "a@b"),
            ("EmailAddress", "a@example.com", "a b@example.com"),
            ("EmailAddress", "a@example.com", "\u00e4@example.com"),
            ("PhoneNumber", "+1 (555) 0-100", "555-0100 ext 1"),
            ("AlternateContactType", "BILLING", "PRIMARY"),
        ],
    )
    def test_alternate_contact_rules(self, account: Any, field: str, good: str, bad: str) -> None:
        """By botocore's model; a longer or ill-formed value is a ValidationException."""
        put_alternate(account, **{field: good})

        with pytest.raises(account.exceptions.ValidationException) as caught:
            put_alternate(account, **{field: bad})

        response = caught.value.response
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert response["reason"] == "fieldValidationFailed"
        assert [field] == [entry["name"] for entry in response["fieldList"]]

    @pytest.mark.parametrize(
        ("field", "good", "bad"),
        [
            ("AddressLine3", "a" * 60, "a" * 61),
            ("CountryCode", "FR", "FRA"),
            ("PhoneNumber", "+1 (555) 0-100", "1 555 0100"),
        ],
    )
    def test_primary_contact_rules(
        self, standin: OrganizationClient, account: Any, field: str, good: str, bad: str
    ) -> None:
        """So are the fields within the primary contact."""
        put_primary(account, **{field: good})

        assert refusal(put_primary, account=account, **{field: bad}) == ("ValidationException", 400)
        assert good == standin.contacts(MEMBER)["PRIMARY"][field]

    @pytest.mark.parametrize("country", ["US", "CA", "GB", "DE", "JP", "IN", "BR"])
    def test_some_countries_need_a_state(self, account: Any, country: str) -> None:
        """StateOrRegion is required for seven countries and optional elsewhere."""
        put_primary(account, CountryCode="FR", StateOrRegion=None)

        with pytest.raises(account.exceptions.ValidationException) as caught:
            put_primary(account, CountryCode=country, StateOrRegion=None)

        fields = [entry["name"] for entry in caught.value.response["fieldList"]]
        assert fields == ["ContactInformation.StateOrRegion"]

    @pytest.mark.parametrize(
        ("path", "body", "within"),
        [
            ("putAlternateContact", {**ALTERNATE, "AlternateContactType": "SECURITY"}, ""),
            ("putContactInformation", PRIMARY, "ContactInformation"),
        ],
    )
    def test_required_and_empty_fields(
        self, server: OrganizationServer, path: str, body: Any, within: str
    ) -> None:
        """A missing or empty required field is refused also where the client does not check."""
        field = "PhoneNumber"
        without = {name: value for name, value in body.items() if name != field}

        for broken in (without, {**body, field: None}, {**body, field: ""}):
            given = {within: broken} if within else broken
            status, headers, content = raw_call(server, "POST", f"/{path}", given)

            assert (400, "ValidationException") == (status, headers["x-amzn-ErrorType"])
            found = {entry["name"] for entry in json.loads(content)["fieldList"]}
            assert {f"{within}.{field}".strip(".")} == found

    @pytest.mark.parametrize("account_id", ["1", "1000000000011", "10000000000a", ""])
    def test_account_id_has_twelve_digits(self, account: Any, account_id: str) -> None:
        """An ill-formed id is a fault of the request, not of the permissions."""
        invalid = ("ValidationException", 400)
        assert invalid == refusal(get_alternate, account=account, account_id=account_id)

    def test_message_echoes_value(self, account: Any) -> None:
        """As the real message may, so that whoever logs it is found out."""
        with pytest.raises(account.exceptions.ValidationException) as caught:
            put_alternate(account, PhoneNumber="call me Zebedee")

        response = caught.value.response
        assert "call me Zebedee" in response["message"]
        assert "call me Zebedee" in response["fieldList"][0]["message"]

    @pytest.mark.parametrize("body", [{**ALTERNATE, "Name": 5}, ["Name"], {"AccountId": True}])
    def test_wrong_types_are_refused(self, server: OrganizationServer, body: Any) -> None:
        """A value of another type is not even a request."""
        status, headers, _ = raw_call(server, "POST", "/putAlternateContact", body)

        assert (status, headers["x-amzn-ErrorType"]) == (400, "SerializationException")


class TestQuotas:
    """Token buckets per operation, shared by all targets."""

    @pytest.mark.parametrize(
        ("operation", "rate", "burst"),
        [
            ("GetAlternateContact", 10, 15),
            ("PutAlternateContact", 5, 8),
            ("DeleteAlternateContact", 1, 6),
            ("DescribeOrganization", 1, 2),
        ],
    )
    def test_documented_numbers(self, operation: str, rate: int, burst: int) -> None:
        """A burst at once, then so many a second."""
        now = FakeTime()
        quotas = Quotas({}, 1.0, now.clock)
        at_once = sum(quotas.allow(operation) for _ in range(100))

        now.now += 1.0

        assert burst == at_once
        assert min(rate, burst) == sum(quotas.allow(operation) for _ in range(100))

    def test_bucket_holds_no_more_than_its_burst(self) -> None:
        now = FakeTime()
        bucket = TokenBucket(5, 8, now.clock)

        now.now += 3600

        assert sum(bucket.take() for _ in range(100)) == 8

    def test_small_refills_add_up(self) -> None:
        """Ten times a tenth of a token buys a call."""
        now = FakeTime()
        now.now = 0.0
        bucket = TokenBucket(1, 1, now.clock)
        bucket.take()

        for _ in range(9):
            now.now += 0.1
            assert not bucket.take()
        now.now += 0.1

        assert bucket.take()

    def test_speed_multiplies_rate_and_keeps_burst(self) -> None:
        """Twice the speed is twice the rate; a burst is a number of calls."""
        now = FakeTime()
        quotas = Quotas({}, 2.0, now.clock)
        at_once = sum(quotas.allow("DescribeOrganization") for _ in range(10))
        now.now += 0.5

        assert at_once == 2
        assert sum(quotas.allow("DescribeOrganization") for _ in range(10)) == 1

    def test_account_throttling_is_429_over_all_targets(
        self, standin: OrganizationClient, account: Any, fake_time: FakeTime
    ) -> None:
        """Calls for different accounts use the same tokens, and a refused one changes nothing."""
        standin.reset(make_world(quotas={"PutAlternateContact": [1, 2]}))
        put_alternate(account, MEMBER)
        put_alternate(account, OTHER)

        with pytest.raises(account.exceptions.TooManyRequestsException) as caught:
            put_alternate(account, MEMBER, Name="Too Early")

        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert standin.contacts(MEMBER)["SECURITY"] == ALTERNATE
        fake_time.now += 1.0
        put_alternate(account, MEMBER, Name="In Time")

    def test_refused_calls_count_as_calls(
        self, standin: OrganizationClient, organizations: Any
    ) -> None:
        """What validation refuses has used its token all the same."""
        standin.reset(make_world(quotas={"ListAccounts": [1, 1]}))
        assert refusal(organizations.list_accounts, MaxResults=21) == INVALID

        assert refusal(organizations.list_accounts) == ("TooManyRequestsException", 400)


class TestOrganizations:
    """The reading operations of Organizations."""

    def test_describe_organization(self, organizations: Any) -> None:
        """The preflight finds feature set and management account."""
        described = organizations.describe_organization()["Organization"]

        assert described["Id"] == "o-exampleorg1"
        assert described["FeatureSet"] == "ALL"
        assert described["MasterAccountId"] == MANAGEMENT

    @pytest.mark.parametrize(
        ("method", "params"),
        [
            ("describe_organization", {}),
            ("list_accounts", {}),
            ("describe_account", {"AccountId": MEMBER}),
            ("list_aws_service_access_for_organization", {}),
        ],
    )
    def test_no_organization(
        self,
        standin: OrganizationClient,
        organizations: Any,
        method: str,
        params: dict[str, str],
    ) -> None:
        """Outside an organization every operation says so."""
        standin.reset(make_world(organization_id=None))

        with pytest.raises(organizations.exceptions.AWSOrganizationsNotInUseException):
            getattr(organizations, method)(**params)

    def test_accounts_have_state_and_paths(
        self, standin: OrganizationClient, organizations: Any
    ) -> None:
        """An account shows State and Paths, and the retired Status no more."""
        standin.set_account(MEMBER, state="PENDING_CLOSURE")

        described = organizations.describe_account(AccountId=MEMBER)["Account"]

        path = "o-exampleorg1/r-exam/ou-exam-outerouter/ou-exam-innerinner/100000000001/"
        assert ("PENDING_CLOSURE", [path]) == (described["State"], described["Paths"])
        assert "Status" not in described

    def test_paths_may_be_absent(self, standin: OrganizationClient, organizations: Any) -> None:
        """Accounts named by the world lack Paths, wherever they are shown."""
        standin.reset(make_world(omit_paths=[MEMBER]))

        accounts = list_all(organizations, "list_accounts", "Accounts")

        assert [account["Id"] for account in accounts if "Paths" not in account] == [MEMBER]
        assert "Paths" not in organizations.describe_account(AccountId=MEMBER)["Account"]

    def test_list_accounts_has_management_account(self, organizations: Any) -> None:
        accounts = list_all(organizations, "list_accounts", "Accounts")

        assert {MANAGEMENT, MEMBER, OTHER} == {account["Id"] for account in accounts}

    def test_children_are_direct_ones(self, organizations: Any) -> None:
        outer = {"ParentId": "ou-exam-outerouter"}
        units = list_all(
            organizations, "list_organizational_units_for_parent", "OrganizationalUnits", **outer
        )
        in_root = list_all(organizations, "list_accounts_for_parent", "Accounts", ParentId="r-exam")

        assert [(unit["Id"], unit["Name"]) for unit in units] == [("ou-exam-innerinner", "Inner")]
        assert list_all(organizations, "list_accounts_for_parent", "Accounts", **outer) == []
        assert {MANAGEMENT, OTHER} == {account["Id"] for account in in_root}

    def test_policies(self, organizations: Any, standin: OrganizationClient) -> None:
        """A service control policy is listed, described, and tells its targets."""
        targets = ["r-exam", "ou-exam-innerinner", MEMBER]
        policy = {"id": "p-12345678", "name": "Deny", "content": {"Statement": []}}
        standin.reset({**standin.world(), "policies": [{**policy, "targets": targets}]})

        kind = {"Filter": "SERVICE_CONTROL_POLICY"}
        listed = list_all(organizations, "list_policies", "Policies", **kind)
        described = organizations.describe_policy(PolicyId="p-12345678")["Policy"]
        found = list_all(organizations, "list_targets_for_policy", "Targets", PolicyId="p-12345678")

        assert [("p-12345678", "Deny", False)] == [
            (one["Id"], one["Name"], one["AwsManaged"]) for one in listed
        ]
        assert '{"Statement": []}' == described["Content"]
        kinds = ["ROOT", "ORGANIZATIONAL_UNIT", "ACCOUNT"]
        assert list(zip(targets, kinds, strict=True)) == [
            (one["TargetId"], one["Type"]) for one in found
        ]

    def test_roots_and_units(self, organizations: Any) -> None:
        """The root is listed, an OU is described with its path."""
        roots = list_all(organizations, "list_roots", "Roots")
        unit = organizations.describe_organizational_unit(
            OrganizationalUnitId="ou-exam-innerinner"
        )["OrganizationalUnit"]

        assert [root["Id"] for root in roots] == ["r-exam"]
        assert unit["Name"] == "Inner"
        assert unit["Path"] == "o-exampleorg1/r-exam/ou-exam-outerouter/ou-exam-innerinner/"

    @pytest.mark.parametrize(
        ("method", "params", "error"),
        [
            ("describe_account", {"AccountId": STRANGER}, "AccountNotFoundException"),
            ("describe_policy", {"PolicyId": "p-12345678"}, "PolicyNotFoundException"),
            ("list_accounts_for_parent", {"ParentId": "r-none"}, "ParentNotFoundException"),
            (
                "list_organizational_units_for_parent",
                {"ParentId": "ou-exam-nonesuch"},
                "ParentNotFoundException",
            ),
            (
                "describe_organizational_unit",
                {"OrganizationalUnitId": "ou-exam-nonesuch"},
                "OrganizationalUnitNotFoundException",
            ),
        ],
    )
    def test_unknown_things(
        self,
        organizations: Any,
        method: str,
        params: dict[str, str],
        error: str,
    ) -> None:
        with pytest.raises(getattr(organizations.exceptions, error)):
            getattr(organizations, method)(**params)

    @pytest.mark.parametrize(
        ("method", "params", "reason"),
        [
            ("list_accounts", {"MaxResults": 21}, "MAX_VALUE_EXCEEDED"),
            ("list_accounts", {"NextToken": "made up"}, "INVALID_NEXT_TOKEN"),
            ("describe_account", {"AccountId": "12345"}, "INVALID_PATTERN"),
            ("list_accounts_for_parent", {"ParentId": "root"}, "INVALID_PATTERN"),
            ("list_policies", {"Filter": "SCP"}, "INVALID_ENUM"),
        ],
    )
    def test_invalid_input(
        self,
        organizations: Any,
        method: str,
        params: dict[str, Any],
        reason: str,
    ) -> None:
        """Requests outside the model are an InvalidInputException with its reason."""
        with pytest.raises(organizations.exceptions.InvalidInputException) as caught:
            getattr(organizations, method)(**params)

        assert reason == caught.value.response["Reason"]

    @pytest.mark.parametrize(
        ("operation", "body", "error", "reason"),
        [
            ("ListAccounts", {"MaxResults": 0}, "InvalidInputException", "MIN_VALUE_EXCEEDED"),
            ("ListAccounts", {"MaxResults": True}, "SerializationException", None),
            ("ListAccountsForParent", {}, "InvalidInputException", "INPUT_REQUIRED"),
        ],
    )
    def test_what_boto3_would_not_send(
        self, server: OrganizationServer, operation: str, body: Any, error: str, reason: Any
    ) -> None:
        """It is refused too; a boolean is no number, although it is one in Python."""
        target = {"X-Amz-Target": f"AWSOrganizationsV20161128.{operation}"}

        status, _, content = raw_call(server, "POST", "/", body, target)

        answer = json.loads(content)
        assert (400, error, reason) == (status, answer["__type"], answer.get("Reason"))

    def test_trusted_access_can_be_enabled(
        self, standin: OrganizationClient, account: Any, organizations: Any
    ) -> None:
        """EnableAWSServiceAccess shows in the listing and opens the members."""
        standin.reset(make_world(trusted_access=[]))

        organizations.enable_aws_service_access(ServicePrincipal="account.amazonaws.com")

        listed = list_all(
            organizations, "list_aws_service_access_for_organization", "EnabledServicePrincipals"
        )
        assert [entry["ServicePrincipal"] for entry in listed] == ["account.amazonaws.com"]
        put_alternate(account)

    def test_unknown_operations(self, organizations: Any, account: Any) -> None:
        """What is not implemented is refused, never answered with nothing."""
        assert refusal(organizations.list_delegated_administrators) == (
            "UnknownOperationException",
            400,
        )
        assert refusal(account.list_regions) == ("UnknownOperationException", 404)


class TestPaging:
    """NextToken, and pages that are empty although there is more."""

    def test_first_page_is_empty(self, organizations: Any) -> None:
        """Every listing begins with an empty page, as AWS allows itself."""
        first = organizations.list_accounts()

        assert first["Accounts"] == []
        assert len(organizations.list_accounts(NextToken=first["NextToken"])["Accounts"]) == 3

    def test_empty_pages_can_be_turned_off(
        self, standin: OrganizationClient, organizations: Any
    ) -> None:
        """Then the first page has entries and a short listing no token."""
        standin.reset(make_world(empty_pages=False))

        page = organizations.list_accounts()

        assert (len(page["Accounts"]), "NextToken" in page) == (3, False)

    @pytest.mark.parametrize(
        ("size", "pages"), [({}, 5), ({"MaxResults": 20}, 5), ({"MaxResults": 7}, 12)]
    )
    def test_pages_hold_everything_once(
        self, standin: OrganizationClient, organizations: Any, size: dict[str, int], pages: int
    ) -> None:
        """At most 20 entries a page; all pages together are the whole."""
        standin.reset(drifted_world(76, quotas={"ListAccounts": [1000, 1000]}))
        found: list[str] = []
        count = 0
        token: dict[str, str] | None = {}

        while token is not None:
            page = organizations.list_accounts(**size, **token)
            found += [account["Id"] for account in page["Accounts"]]
            assert len(page["Accounts"]) <= size.get("MaxResults", 20)
            count += 1
            token = {"NextToken": page["NextToken"]} if "NextToken" in page else None

        assert (77, 77, pages) == (len(found), len(set(found)), count)

    def test_token_belongs_to_its_listing(self, organizations: Any) -> None:
        token = organizations.list_accounts()["NextToken"]

        assert (
            refusal(organizations.list_accounts_for_parent, ParentId="r-exam", NextToken=token)
            == INVALID
        )


class TestTime:
    """Delayed reads, latency and speed, by a clock that moves by hand."""

    def test_reads_lag_behind_a_put(
        self, standin: OrganizationClient, account: Any, fake_time: FakeTime
    ) -> None:
        """A read shows the old value for the delay; contacts() shows the truth."""
        standin.reset(make_world(read_delay=5))
        put_alternate(account, Name="First")
        fake_time.now += 3
        put_alternate(account, Name="Second")

        assert standin.contacts(MEMBER)["SECURITY"]["Name"] == "Second"
        assert refusal(get_alternate, account=account) == NOT_FOUND
        fake_time.now += 2
        assert get_alternate(account)["Name"] == "First"
        fake_time.now += 3
        assert get_alternate(account)["Name"] == "Second"

    def test_reads_lag_behind_a_delete(
        self, standin: OrganizationClient, account: Any, fake_time: FakeTime
    ) -> None:
        """A deleted contact is still seen, but cannot be deleted again."""
        standin.reset(make_world(read_delay=5))
        standin.set_contact(MEMBER, "SECURITY", ALTERNATE)
        target = {"AccountId": MEMBER, "AlternateContactType": "SECURITY"}
        account.delete_alternate_contact(**target)

        assert get_alternate(account)["Name"] == "Ottoline Tester"
        assert NOT_FOUND == refusal(account.delete_alternate_contact, **target)
        fake_time.now += 5
        assert NOT_FOUND == refusal(get_alternate, account=account)

    def test_latency_by_operation(
        self, standin: OrganizationClient, account: Any, fake_time: FakeTime
    ) -> None:
        standin.reset(make_world(latency={"PutAlternateContact": 0.3, "default": 0.1}))

        put_alternate(account)
        get_alternate(account)

        assert fake_time.slept == [0.3, 0.1]

    def test_speed_divides_latency_and_read_delay(self) -> None:
        now = FakeTime()
        world = make_world(read_delay=5, latency={"default": 0.5})
        with OrganizationServer(world, speed=10, clock=now.clock, sleep=now.sleep) as server:
            account = make_client("account", server.url)
            put_alternate(account)
            now.now += 0.4
            assert refusal(get_alternate, account=account) == NOT_FOUND
            now.now += 0.1
            get_alternate(account)

        assert now.slept == [0.05, 0.05, 0.05]


class TestFaults:
    def test_fault_hits_what_it_names_so_often(
        self, standin: OrganizationClient, account: Any
    ) -> None:
        """Operation, account, type and times all limit a fault."""
        standin.add_fault(
            {
                "operation": "PutAlternateContact",
                "account_id": MEMBER,
                "contact_type": "SECURITY",
                "error": "InternalServerException",
                "times": 2,
            }
        )
        put_alternate(account, OTHER)
        put_alternate(account, AlternateContactType="BILLING")
        assert refusal(get_alternate, account=account) == NOT_FOUND

        failed = ("InternalServerException", 500)
        assert failed == refusal(put_alternate, account=account)
        assert failed == refusal(put_alternate, account=account)
        assert "SECURITY" not in standin.contacts(MEMBER)
        put_alternate(account)
        assert [fault["times"] for fault in standin.faults()] == [0]

    def test_endless_fault_ends_when_cleared(
        self, standin: OrganizationClient, account: Any, organizations: Any
    ) -> None:
        """Without times a fault stays; a star means every operation of both services."""
        standin.add_fault({"operation": "*", "error": "TooManyRequestsException", "times": None})

        assert refusal(account.get_contact_information) == ("TooManyRequestsException", 429)
        assert refusal(organizations.list_accounts) == ("TooManyRequestsException", 400)
        standin.clear_faults()
        account.get_contact_information()

    def test_dropped_connection(self, standin: OrganizationClient, account: Any) -> None:
        """The connection closes without an answer and without an effect."""
        standin.add_fault(
            {"operation": "PutAlternateContact", "error": "drop_connection", "times": 1}
        )

        with pytest.raises(ConnectionClosedError):
            put_alternate(account)

        assert standin.contacts(MEMBER) == {}
        assert standin.calls()[-1]["outcome"] == "drop_connection"
        put_alternate(account)

    def test_slow_call(
        self, standin: OrganizationClient, account: Any, fake_time: FakeTime
    ) -> None:
        standin.add_fault({"operation": "*", "error": "slow", "delay": 7, "times": 1})

        put_alternate(account)

        assert fake_time.slept == [7]
        assert standin.calls()[-1]["outcome"] == "ok"

    @pytest.mark.parametrize(
        "fault",
        [
            {"operation": "PutContact", "error": "slow"},
            {"operation": "PutAlternateContact", "error": "ThrottlingException"},
            {"operation": "PutAlternateContact", "error": "ResourceNotFoundException"},
            {"operation": "*", "error": "slow", "account": MEMBER},
            {"operation": "*"},
        ],
    )
    def test_impossible_faults(self, standin: OrganizationClient, fault: dict[str, Any]) -> None:
        """A fault that could never happen is a mistake in the test that plans it."""
        with pytest.raises(AdminError):
            standin.add_fault(fault)


class TestCallLog:
    def test_calls_are_logged_with_outcome(
        self, standin: OrganizationClient, account: Any, organizations: Any
    ) -> None:
        put_alternate(account)
        account.get_contact_information()
        refusal(get_alternate, account=account, account_id=STRANGER)
        organizations.describe_account(AccountId=MEMBER)

        expected = [
            ("PutAlternateContact", MEMBER, "SECURITY", "ok"),
            ("GetContactInformation", MANAGEMENT, "PRIMARY", "ok"),
            ("GetAlternateContact", STRANGER, "SECURITY", "AccessDeniedException"),
            ("DescribeAccount", MEMBER, None, "ok"),
        ]
        calls = standin.calls()
        names = ("operation", "account_id", "contact_type", "outcome")
        assert expected == [tuple(call[name] for name in names) for call in calls]
        assert sorted(call["time"] for call in calls) == [call["time"] for call in calls]

    def test_stats_count_outcomes(self, standin: OrganizationClient, account: Any) -> None:
        """Counts go by operation and outcome, until they are cleared."""
        put_alternate(account)
        put_alternate(account)
        refusal(put_alternate, account=account, account_id=STRANGER)

        expected = {"PutAlternateContact": {"AccessDeniedException": 1, "ok": 2}}
        assert expected == standin.stats()["outcomes"]
        assert standin.stats()["calls"] == 3
        standin.clear_calls()
        assert (standin.stats()["calls"], standin.calls()) == (0, [])

    def test_log_holds_no_input(
        self, standin: OrganizationClient, server: OrganizationServer
    ) -> None:
        """A contact value in the wrong place does not get into the log."""
        body = {**ALTERNATE, "AccountId": "trials@example.com", "AlternateContactType": "Tester"}
        raw_call(server, "POST", "/putAlternateContact", body)

        text = json.dumps([standin.calls(), standin.stats()])
        assert not [value for value in ALTERNATE.values() if value in text]
        assert tuple(standin.calls()[-1][name] for name in ("account_id", "contact_type")) == (
            None,
            None,
        )


class TestAdmin:
    def test_world_is_what_it_has_become(self, standin: OrganizationClient, account: Any) -> None:
        """world() can be given to reset() and has all changes."""
        put_alternate(account)
        standin.set_account(OTHER, state="SUSPENDED", parent="ou-exam-outerouter")
        standin.add_account("100000000003", contacts={"PRIMARY": PRIMARY})
        world = standin.world()

        standin.reset(world)

        assert world == standin.world()
        assert world["contacts"][MEMBER] == {"SECURITY": ALTERNATE}
        assert world["contacts"]["100000000003"] == {"PRIMARY": PRIMARY}
        changed = next(account for account in world["accounts"] if account["id"] == OTHER)
        assert (changed["state"], changed["parent"]) == ("SUSPENDED", "ou-exam-outerouter")

    def test_given_world_is_left_alone(self) -> None:
        world = make_world(trusted_access=[])
        with OrganizationServer(world) as server:
            organizations = make_client("organizations", server.url)
            organizations.enable_aws_service_access(ServicePrincipal="ram.amazonaws.com")

        assert world["trusted_access"] == []

    def test_set_contact_is_seen_at_once_and_unchecked(
        self, standin: OrganizationClient, account: Any
    ) -> None:
        """By hand any value can be set, even one that no put would take, and removed."""
        standin.reset(make_world(read_delay=60))
        standin.set_contact(MANAGEMENT, "SECURITY", {**ALTERNATE, "PhoneNumber": "none"})
        answer = account.get_alternate_contact(AlternateContactType="SECURITY")
        standin.set_contact(MANAGEMENT, "SECURITY", None)

        assert answer["AlternateContact"]["PhoneNumber"] == "none"
        assert "SECURITY" not in standin.contacts(MANAGEMENT)

    @pytest.mark.parametrize(
        "settings",
        [
            {"accounts": [{"id": "1", "parent": "r-exam"}]},
            {"accounts": [{"id": MANAGEMENT, "parent": "r-exam"}]},
            {"accounts": [{"id": MEMBER, "parent": "r-exam"}] * 2},
            {"accounts": [{"id": MEMBER, "parent": "ou-exam-nonesuch"}]},
            {"accounts": [{"id": MEMBER, "parent": "r-exam", "state": "OPEN"}]},
            {"accounts": [{"id": MEMBER}]},
            {"organizational_units": [{"id": "ou-exam-a", "name": "A", "parent": "ou-exam-a"}]},
            {"contacts": {STRANGER: {}}},
            {"contacts": {MANAGEMENT: {"TERTIARY": {}}}},
            {"omit_paths": [STRANGER]},
            {"denied_accounts": [STRANGER]},
            {"quotas": {"PutContact": [1, 1]}},
            {"latency": {"PutContact": 1}},
            {"feature_set": "SOME"},
            {"surprise": True},
        ],
    )
    def test_impossible_worlds(self, standin: OrganizationClient, settings: dict[str, Any]) -> None:
        """A mistake in a world is told at once, and the old world stays."""
        with pytest.raises(AdminError):
            standin.reset(make_world(**settings))

        assert {MEMBER, OTHER} == {account["id"] for account in standin.world()["accounts"]}

    @pytest.mark.parametrize(
        "request_",
        [
            lambda standin: standin.contacts(STRANGER),
            lambda standin: standin.set_contact(STRANGER, "PRIMARY", PRIMARY),
            lambda standin: standin.set_contact(MEMBER, "TERTIARY", PRIMARY),
            lambda standin: standin.set_account(STRANGER, state="ACTIVE"),
            lambda standin: standin.set_account(MANAGEMENT, state="CLOSED"),
            lambda standin: standin.set_account(MEMBER, state="OPEN"),
            lambda standin: standin.set_account(MEMBER, parent="ou-exam-nonesuch"),
            lambda standin: standin.add_account(MEMBER),
        ],
    )
    def test_impossible_requests(
        self, standin: OrganizationClient, request_: Callable[[OrganizationClient], None]
    ) -> None:
        """So is a mistake in an admin request."""
        with pytest.raises(AdminError):
            request_(standin)


class TestServer:
    def test_binds_loopback_only(self, server: OrganizationServer) -> None:
        assert server.url.startswith("http://127.0.0.1:")
        assert server._http.socket.getsockname()[0] == "127.0.0.1"

    @pytest.mark.parametrize(
        ("path", "headers", "status"),
        [
            ("/getContactInformation", {}, 403),
            ("/", {"X-Amz-Target": "AWSOrganizationsV20161128.ListAccounts"}, 400),
        ],
    )
    def test_authorization_header_is_required(
        self, server: OrganizationServer, path: str, headers: dict[str, str], status: int
    ) -> None:
        """A signature is not checked, but something must be signed."""
        found, answered, _ = raw_call(server, "POST", path, {}, headers, authorization=None)

        assert status == found
        assert answered["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"

    def test_only_post_is_an_operation(self, server: OrganizationServer) -> None:
        """The path alone does not make an operation."""
        assert raw_call(server, "GET", "/getContactInformation", None)[0] == 404

    def test_stop_closes_kept_alive_connections(self) -> None:
        """After stop() no connection of before is served."""
        with OrganizationServer(make_world()) as server:
            connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
            ask(connection)

        with pytest.raises((http.client.HTTPException, OSError)):
            ask(connection)

    def test_runs_alone(self, tmp_path: Path) -> None:
        """`python -m standin.organization` serves a world from a file."""
        file = tmp_path / "world.json"
        file.write_text(json.dumps(make_world()))
        accounts = world_alone("--world", str(file))["accounts"]

        assert [account["id"] for account in accounts] == [MEMBER, OTHER]

    def test_runs_alone_as_in_the_benchmark(self) -> None:
        """Without a file it generates the world that the benchmark measures."""
        alone = world_alone("--accounts", "8", "--drift", "0.5")
        measured = drifted_world(8, drift=0.5, latency={"default": Latency.api_call})

        assert alone["contacts"] == measured["contacts"]
        assert alone["latency"] == measured["latency"]


def world_alone(*options: str) -> dict[str, Any]:
    """Return the world that the organization serves when it runs alone."""
    process = subprocess.Popen(
        [sys.executable, "-B", "-m", "standin.organization", "--port", "0", *options],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "scripts")},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        return OrganizationClient(process.stdout.readline().split()[-1]).world()
    finally:
        process.terminate()
        process.communicate()


class TestDriftedWorld:
    def test_same_seed_same_world(self) -> None:
        assert drifted_world(30, 5) == drifted_world(30, 5)
        assert drifted_world(30, 5) != drifted_world(30, 6)

    def test_all_drifted_differ_everywhere(self) -> None:
        """Of a drifted member every contact needs a write; some alternates are missing."""
        world = drifted_world(50)
        source = world["contacts"].pop(MANAGEMENT)
        members = list(world["contacts"].values())

        assert len(members) == 50
        assert not [
            kind for contacts in members for kind in contacts if contacts[kind] == source[kind]
        ]
        assert all("PRIMARY" in contacts for contacts in members)
        assert 0 < sum(len(contacts) < 4 for contacts in members) < 50

    def test_states_are_spread(self) -> None:
        """So many accounts have the states asked for, the others are ACTIVE."""
        world = drifted_world(20, states={"SUSPENDED": 2, "CLOSED": 1})
        states = [account["state"] for account in world["accounts"]]

        assert tuple(map(states.count, ("ACTIVE", "SUSPENDED", "CLOSED"))) == (17, 2, 1)

    def test_values_are_those_of_no_real_person(self) -> None:
        """Domains are reserved ones, numbers fictitious and every value to be searched for."""
        world = drifted_world(300)
        contacts = [c for each in world["contacts"].values() for c in each.values()]
        phones = ["".join(filter(str.isdigit, c["PhoneNumber"])) for c in contacts]
        emails = [c["EmailAddress"] for c in contacts if "EmailAddress" in c]

        assert all(phone[4:9] == "55501" and len(phone) == 11 for phone in phones)
        assert all(email.endswith(".example.com") for email in emails)
        assert {"Zephyrine Quillmark", "+12025550141"} <= contact_values(world)
        assert "US" not in contact_values(world)


def ask(connection: http.client.HTTPConnection) -> None:
    """One admin request on an open connection."""
    connection.request("GET", "/_standin/stats")
    connection.getresponse().read()


def list_all(organizations: Any, method: str, key: str, **params: Any) -> list[dict[str, Any]]:
    """Everything that a listing has."""
    pages = organizations.get_paginator(method).paginate(**params)
    return [entry for page in pages for entry in page[key]]


def raw_call(
    server: OrganizationServer,
    method: str,
    path: str,
    body: Any,
    headers: dict[str, str] | None = None,
    *,
    authorization: str | None = "testing",
) -> tuple[int, Any, bytes]:
    """One request as no client would send it: status, headers and body of the answer."""
    sent = dict(headers or {})
    if authorization:
        sent["Authorization"] = authorization
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    connection.request(method, path, json.dumps(body), sent)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, response.headers, content
