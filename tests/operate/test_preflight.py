"""What a deployment needs is checked before the first change."""

from typing import Any

import pytest
from operate.parameters import defaults
from standin.organization import OrganizationClient, OrganizationServer
from standin.organization.worlds import SOURCE_CONTACTS
from support.aws import Json, Operate, Told, refusal
from support.deployed import STACK
from support.deploying import TRAIL, Deploying
from support.stack import source_template

ACCOUNT = "999999999999"
PRIMARY, BILLING = SOURCE_CONTACTS["PRIMARY"], SOURCE_CONTACTS["BILLING"]
Deploy = Operate


@pytest.fixture(name="plan")
def _plan(operate: Operate, cloud: Deploying) -> Deploy:
    """Deploy for the plan alone, and see that nothing is changed."""

    def run(*words: Any, account: str = ACCOUNT, environment: str = "dev") -> Told:
        before = dict(cloud.account.stacks.stacks)
        told = operate("deploy", "--environment", environment, "--account-id", account, *words)
        assert before == cloud.account.stacks.stacks
        return told

    return lambda *words, **more: run("--plan", *words, **more)


class TestAccount:
    def test_another_account(self, plan: Deploy) -> None:
        """An account that was not named is never deployed to."""
        told = plan(account="123456789012")

        assert 1 == told.code
        assert f"error: signed in to account {ACCOUNT}, not 123456789012" in told.error

    def test_member_account(self, cloud: Deploying, plan: Deploy) -> None:
        cloud.aws.answers["organizations.DescribeOrganization"] = {
            "Organization": {"Id": "o-x", "MasterAccountId": "1", "FeatureSet": "ALL"}
        }

        assert "but the organization's management account is 1 " in plan().error

    def test_no_organization(self, cloud: Deploying, plan: Deploy) -> None:
        cloud.account.change_world(organization_id=None)

        assert "error: Deploy the stack in the management account of an AWS" in plan().error

    def test_billing_alone(self, cloud: Deploying, plan: Deploy) -> None:
        cloud.account.change_world(feature_set="CONSOLIDATED_BILLING")

        assert "aws organizations enable-all-features" in plan().error


class TestChecks:
    def test_everything_is_told_at_once(
        self, cloud: Deploying, plan: Deploy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Every check is made before the command ends, and no contact value is told."""
        cloud.account.change_world(trusted_access=[])
        organization = cloud.account.organization
        organization.set_contact(ACCOUNT, "PRIMARY", {**PRIMARY, "PhoneNumber": "555 0100"})
        organization.set_contact(ACCOUNT, "BILLING", {**BILLING, "Name": "N" * 65})
        organization.set_contact(ACCOUNT, "SECURITY", None)
        monkeypatch.setattr("operate.packaging.shutil.which", lambda _: None)
        cloud.stack["StackStatus"] = "UPDATE_ROLLBACK_FAILED"

        told = plan("--use-container")

        assert (1, "") == (told.code, told.out)
        assert "failed: the SAM CLI is missing: install it (https://" in told.err
        assert "failed: --use-container needs Docker or Finch" in told.err
        assert "aws organizations enable-aws-service-access --service-principal" in told.err
        assert "primary.PhoneNumber has a format that the API refuses" in told.err
        assert "billing.Name is longer than 64 characters" in told.err
        assert "the management account has no security contact" in told.err
        assert "error: 6 checks failed (see above); nothing was changed" == told.error
        assert "555 0100" not in told.err
        assert "NNN" not in told.err
        told = plan("--use-container", "--primary-keeps", "PhoneNumber")
        assert "primary.PhoneNumber" not in told.err

    @pytest.mark.parametrize(
        ("status", "remedy"),
        [
            (
                "UPDATE_FAILED",
                "'scripts/rollback.sh --environment dev --region us-east-1'",
            ),
            (
                "UPDATE_ROLLBACK_FAILED",
                "'scripts/rollback.sh --environment dev --region us-east-1'",
            ),
            (
                "DELETE_FAILED",
                "'scripts/rollback.sh --environment dev --region us-east-1 --delete'",
            ),
            (
                "ROLLBACK_FAILED",
                "'scripts/rollback.sh --environment dev --region us-east-1 --delete'",
            ),
        ],
    )
    def test_state(self, cloud: Deploying, plan: Deploy, status: str, remedy: str) -> None:
        """A state that no deployment can start from is told with what ends it."""
        cloud.stack["StackStatus"] = status

        told = plan()

        assert remedy in told.err
        assert "error: 1 check failed (see above); nothing was changed" == told.error


def test_quotas(
    cloud: Deploying, plan: Deploy, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DescribeOrganization is paced: two at once, then one a second (quotas of AWS Organizations).

    Time passes only while the command waits, as if AWS answered at once.
    """
    world = cloud.account.organization.world()
    with OrganizationServer(world, clock=lambda: sum(slept)) as strict:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ORGANIZATIONS", strict.url)
        told = plan()
        refused = [one["outcome"] for one in OrganizationClient(strict.url).calls()]

    assert 3 == told.code, told.err
    assert "TooManyRequestsException" in refused


class TestTrail:
    """Which trails make EventBridge see a contact change."""

    @pytest.mark.parametrize(
        ("trail", "selectors"),
        [
            ({}, {}),
            ({"IsMultiRegionTrail": False}, {}),
            ({}, {"EventSelectors": [{"IncludeManagementEvents": True, "ReadWriteType": "All"}]}),
            ({}, {"AdvancedEventSelectors": [{"FieldSelectors": [{"eventCategory": 1}]}]}),
        ],
        ids=["everywhere", "here", "basic", "advanced"],
    )
    def test_suffices(self, cloud: Deploying, plan: Deploy, trail: Json, selectors: Json) -> None:
        if "AdvancedEventSelectors" in selectors:
            selectors = advanced(eventCategory="Management")

        told = self.told(cloud, plan, trail, selectors)

        assert "Trail all logs management events" in told.err

    @pytest.mark.parametrize(
        ("trail", "selectors"),
        [
            ({"IsMultiRegionTrail": False, "HomeRegion": "eu-west-1"}, {}),
            ({"Name": f"{STACK}-trail"}, {}),
            ({"Name": "aws-contact-sync-prod-trail"}, {}),
            ({"stopped": True}, {}),
            (
                {},
                {
                    "EventSelectors": [
                        {"IncludeManagementEvents": True, "ReadWriteType": "ReadOnly"}
                    ]
                },
            ),
            ({}, {"EventSelectors": [{"IncludeManagementEvents": False}]}),
            ({}, {"AdvancedEventSelectors": []}),
        ],
        ids=["elsewhere", "own", "prods", "stopped", "reads", "data", "advanced reads"],
    )
    def test_does_not_suffice(
        self, cloud: Deploying, plan: Deploy, trail: Json, selectors: Json
    ) -> None:
        """The stack has its own then."""
        if "AdvancedEventSelectors" in selectors:
            selectors = advanced(eventCategory="Management", readOnly="true")

        told = self.told(cloud, plan, trail, selectors)

        assert "No other trail logs management events: the stack creates its own" in told.err
        assert "CreateTrail=true" in told.err

    def told(self, cloud: Deploying, plan: Deploy, trail: Json, selectors: Json) -> Told:
        """Return what is said of the account's only trail."""
        found = {**TRAIL, **trail}
        cloud.aws.answers["cloudtrail.DescribeTrails"] = {"trailList": [found]}
        cloud.aws.answers["cloudtrail.GetTrailStatus"] = {"IsLogging": "stopped" not in trail}
        if selectors:
            cloud.aws.answers["cloudtrail.GetEventSelectors"] = selectors
        told = plan()
        assert 3 == told.code, told.err
        return told

    def test_cannot_be_asked(self, cloud: Deploying, plan: Deploy) -> None:
        """A trail that may not be read is not taken for one that is off."""
        cloud.aws.fail("cloudtrail.GetTrailStatus", refusal("AccessDenied"))

        assert "error: the AWS credentials lack a permission" in plan().error

    @pytest.mark.case("E12")
    def test_no_trail_is_remembered(self, cloud: Deploying, operate: Operate) -> None:
        """Until another value is given."""
        words = ["deploy", "--environment", "dev", "--account-id", ACCOUNT, "--yes"]
        cloud.aws.answers["cloudtrail.DescribeTrails"] = {"trailList": []}

        for more in (["--no-trail"], []):
            told = operate(*words, *more)
            assert 0 == told.code, told.err
            assert "no trail logs management events: only the schedule finds changes" in told.err
            assert "never" == cloud.parameters()["CreateTrail"]

        operate(*words, "--parameter", "CreateTrail=true")
        assert "true" == cloud.parameters()["CreateTrail"]

    def test_paused_needs_none(self, cloud: Deploying, plan: Deploy) -> None:
        cloud.aws.answers["cloudtrail.DescribeTrails"] = {"trailList": []}

        told = plan("--paused")

        assert "CreateTrail=false" in told.err


def advanced(**fields: str) -> Json:
    selectors = [{"Field": field, "Equals": [value]} for field, value in fields.items()]
    return {"AdvancedEventSelectors": [{"FieldSelectors": selectors}]}


def test_parameters_of_the_template() -> None:
    """What the command reads of the template is what the template says."""
    expected = {
        name: str(each.get("Default", "")) for name, each in source_template()["Parameters"].items()
    }

    assert expected == defaults()
