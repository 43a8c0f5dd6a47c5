"""Deployment: `scripts/deploy.sh` with the real AWS and SAM CLIs in an account of the stand-in."""

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from operation.deployment import ACCOUNT, BROKEN, EMAIL, RUNTIME, Json, Project, project
from standin.organization.worlds import SOURCE_CONTACTS, drifted_world
from support.cli import REPOSITORY, Result, environment_for, run, wait_until
from support.stack import source_template

WORLD = drifted_world(2)
NEVER = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}


@pytest.fixture(scope="module", name="cloud")
def _cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """An account with the dev environment deployed, and nothing else."""
    with project(tmp_path_factory.mktemp("project")) as made:
        yield made


@pytest.fixture(scope="module", name="first")
def _first(cloud: Project) -> Result:
    """The first deployment, while the organization throttles."""
    fault = {"error": "TooManyRequestsException", "times": 2}
    cloud.standin.organization.add_fault({**fault, "operation": "DescribeOrganization"})
    cloud.standin.organization.add_fault({**fault, "operation": "GetAlternateContact"})
    more = ["--notification-email", EMAIL, "--contact-types", "security,billing", "primary"]
    return cloud.deploy(*more, "--schedule", "rate(12 hours)", "--log-level", "WARNING")


@pytest.fixture(autouse=True)
def _clean(request: pytest.FixtureRequest) -> Iterator[None]:
    """Nothing of a test is left to the next."""
    yield
    if "cloud" in request.fixturenames:
        cloud: Project = request.getfixturevalue("cloud")
        cloud.instead.clear()
        cloud.forget_calls()
        cloud.standin.organization.reset(WORLD)


class TestOptions:
    @pytest.mark.parametrize("option", ["-h", "--help"])
    def test_help(self, tmp_path: Path, option: str) -> None:
        """Help is an answer, not an error, and has every option."""
        result = run("deploy.sh", option, environment=environment_for(tmp_path, **NEVER))

        assert (0, "") == (result.returncode, result.stderr)
        for named in (
            "--environment ENV",
            "--account-id ID",
            "--notification-email ADDRESS",
            "--schedule EXPRESSION",
            "--contact-types T...",
            "--log-level LEVEL",
            "--no-trail",
            "--control-tower-region R",
            "--parameter NAME=VALUE",
            "--enable-trusted-access",
            "--yes",
            "--region R",
            "--profile P",
        ):
            assert named in result.stdout

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ("", "--environment and --account-id are required"),
            ("--environment dev", "--environment and --account-id are required"),
            ("--bogus", "unknown option: --bogus"),
            ("--environment production", "'production' is no environment"),
            ("--account-id 12345678901", "'12345678901' is no account id"),
            ("--account-id --yes", "--account-id needs a value"),
            ("--notification-email nobody", "'nobody' is no e-mail address"),
            ("--schedule daily", "'daily' is no schedule"),
            ("--contact-types Billing", "'Billing' is no contact type"),
            ("--contact-types billing,legal", "'legal' is no contact type"),
            ("--log-level debug", "'debug' is no level"),
            ("--control-tower-region here", "'here' is no region"),
            ("--parameter QuotaShare", "'QuotaShare' is no NAME=VALUE"),
            ("--parameter Colour=blue", "template.yaml has no parameter Colour"),
            ("--region somewhere", "'somewhere' is no region"),
            ("--profile", "--profile needs a value"),
        ],
    )
    def test_wrong(self, tmp_path: Path, options: str, complaint: str) -> None:
        """A wrong option is told on stderr with the usage and exit code 2, before any call."""
        environment = environment_for(tmp_path, **NEVER)

        result = run("deploy.sh", *shlex.split(options), environment=environment)

        assert (2, "") == (result.returncode, result.stdout)
        assert complaint in result.stderr.splitlines()[0]
        assert "Usage: scripts/deploy.sh" in result.stderr


class TestTools:
    def test_missing(self, tmp_path: Path) -> None:
        """Each tool that is missing is named at once, with where to get it."""
        for tool in ("dirname", "awk", "grep", "mktemp", "rm"):
            (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")

        result = run("deploy.sh", *OPTIONS, environment={"PATH": str(tmp_path)})

        assert (1, "") == (result.returncode, result.stdout)
        assert "failed: the AWS CLI is missing: install it (https://" in result.stderr
        assert "failed: the SAM CLI is missing: install it (https://" in result.stderr
        assert "error: no Python 3.11 or later" in result.stderr

    @pytest.mark.parametrize(
        ("tool", "told", "complaint"),
        [
            ("aws", "aws-cli/2.0.3 Python/3.7.3", None),
            ("aws", "aws-cli/1.31.9 Python/3.11.7", "the AWS CLI is 1.31.9: update it to 1.32.0"),
            ("sam", "SAM CLI, version 1.50.0", "the SAM CLI is 1.50.0: update it to 1.128.0"),
        ],
    )
    def test_old(self, cloud: Project, tool: str, told: str, complaint: str | None) -> None:
        """A version that cannot do it is refused before anything is asked of AWS."""
        cloud.write_programs()
        programs = {"aws": "aws-cli/2.31.0 Python/3.13", "sam": "SAM CLI, version 1.170.0"}
        for name, version in {**programs, tool: told}.items():
            answer = f'echo "{version}"; [ "$1" = --version ]'
            cloud.program(name, answer)

        result = subprocess.run(
            cloud.command("deploy.sh", *OPTIONS),
            env=cloud.environment,
            check=False,
            capture_output=True,
            text=True,
        )

        assert 1 == result.returncode
        if complaint:
            assert f"failed: {complaint} or later" in result.stderr
        else:
            assert "update it" not in result.stderr


OPTIONS = ("--environment", "dev", "--account-id", ACCOUNT, "--region", "us-east-1", "--yes")


class TestPreflight:
    def test_command_of_the_guide(self, cloud: Project) -> None:
        """The guide's command works as it is written; its profile is the AWS CLI's."""
        command = (
            "--environment prod --account-id 123456789012 "
            "--notification-email admin@yourcompany.com --region us-east-1 "
            "--profile my-aws-profile"
        )
        assert os.access(REPOSITORY / "scripts/deploy.sh", os.X_OK)

        result = cloud.run("deploy.sh", *command.split())

        assert (1, "") == (result.returncode, result.stdout)
        assert "error: no AWS profile my-aws-profile" in result.stderr

    def test_no_credentials(self, cloud: Project) -> None:
        """Without credentials it says how to give them."""
        result = cloud.deploy(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")

        assert 1 == result.returncode
        assert "error: no AWS credentials: sign in" in result.stderr

    def test_expired_credentials(self, cloud: Project) -> None:
        """What is expired is told apart from what is missing."""
        expired = "An error occurred (ExpiredToken) when calling GetCallerIdentity: expired"
        cloud.instead["*get-caller-identity*"] = f"echo {shlex.quote(expired)} >&2; exit 254"

        result = cloud.deploy()

        assert 1 == result.returncode
        assert "error: the AWS credentials are expired or invalid: sign in again" in result.stderr

    def test_no_region(self, cloud: Project) -> None:
        """Without a region it says how to give one."""
        result = cloud.deploy(AWS_DEFAULT_REGION="")

        assert 1 == result.returncode
        assert "error: no AWS region: name the one of the stack with --region" in result.stderr

    def test_wrong_account(self, cloud: Project) -> None:
        """Another account than the one named is never deployed to."""
        options = ["--environment", "dev", "--account-id", "123456789012", "--yes"]

        result = cloud.run("deploy.sh", *options)

        assert 1 == result.returncode
        assert f"error: signed in to account {ACCOUNT}, not 123456789012" in result.stderr

    def test_member_account(self, cloud: Project) -> None:
        """A member account is told from the management account."""
        options = ["--environment", "dev", "--account-id", "100000000001", "--yes"]

        result = cloud.run("deploy.sh", *options, AWS_ACCESS_KEY_ID="100000000001")

        assert 1 == result.returncode
        assert f"is not the organization's management account, which is {ACCOUNT}" in result.stderr

    def test_no_organization(self, cloud: Project) -> None:
        """An account without an organization has nothing to synchronize."""
        cloud.standin.organization.reset({**WORLD, "organization_id": None})

        result = cloud.deploy()

        assert 1 == result.returncode
        assert f"error: account {ACCOUNT} is in no organization" in result.stderr

    def test_everything_is_told_at_once(self, cloud: Project) -> None:
        """Every check is made before the script ends, and no contact value is told."""
        organization = cloud.standin.organization
        organization.reset({**WORLD, "trusted_access": []})
        organization.set_contact(ACCOUNT, "PRIMARY", {**PRIMARY, "PhoneNumber": "555 0100"})
        organization.set_contact(ACCOUNT, "BILLING", {**BILLING, "Name": "N" * 65})
        organization.set_contact(ACCOUNT, "SECURITY", None)
        options = ["--environment", "staging", "--account-id", ACCOUNT, "--yes"]

        result = cloud.run("deploy.sh", *options, "--parameter", "Runtime=python3.14")

        assert (1, "") == (result.returncode, result.stdout)
        assert "aws organizations enable-aws-service-access --service-principal" in result.stderr
        assert "failed: sam build needs python3.14 with pip" in result.stderr
        assert "primary.PhoneNumber has a form that the API refuses" in result.stderr
        assert "billing.Name is longer than 64 characters" in result.stderr
        assert "the management account has no security contact" in result.stderr
        assert "error: 4 of the checks failed; nothing was changed" in result.stderr
        assert_without_contacts(result)
        assert {} == cloud.stack("staging")

    def test_no_contacts_and_no_features(self, cloud: Project) -> None:
        """An organization for billing alone, and a source without what is to be synchronized."""
        organization = cloud.standin.organization
        organization.reset({**WORLD, "feature_set": "CONSOLIDATED_BILLING"})
        organization.set_contact(ACCOUNT, "SECURITY", None)

        result = cloud.deploy("--contact-types", "security", environment="staging")

        assert 1 == result.returncode
        assert "failed: the organization has consolidated billing only" in result.stderr
        assert "has none of the contacts to synchronize (security)" in result.stderr

    def test_not_confirmed(self, cloud: Project) -> None:
        """It asks before the first change, and anything but yes ends it."""
        options = [o for o in cloud.deployment("staging") if o != "--yes"]

        result = cloud.run("deploy.sh", *options, answer="n\n")

        assert (1, "") == (result.returncode, result.stdout)
        assert "Deploy aws-contact-sync-staging? [y/N]" in result.stderr
        assert "error: not confirmed; nothing was done" in result.stderr
        assert not any("cloudformation deploy" in call for call in cloud.calls())

    @pytest.mark.parametrize(
        ("status", "remedy"),
        [
            ("UPDATE_IN_PROGRESS", "is being changed (UPDATE_IN_PROGRESS): wait"),
            ("UPDATE_ROLLBACK_FAILED", "free it with 'scripts/rollback.sh --environment dev'"),
            ("DELETE_FAILED", "'scripts/rollback.sh --environment dev --delete'"),
        ],
    )
    def test_state_of_the_stack(self, cloud: Project, status: str, remedy: str) -> None:
        """A state that no deployment can start from is told with what ends it."""
        cloud.instead["*StackStatus"] = f"echo {status}; exit"

        result = told_by(cloud, "stack=aws-contact-sync-dev; check_stack")

        assert "failed: aws-contact-sync-dev is " in result.stderr
        assert remedy in result.stderr


PRIMARY: dict[str, str] = SOURCE_CONTACTS["PRIMARY"]
BILLING: dict[str, str] = SOURCE_CONTACTS["BILLING"]


def assert_without_contacts(result: Result) -> None:
    told = result.stdout + result.stderr
    values = [v for contact in SOURCE_CONTACTS.values() for v in contact.values() if len(v) > 5]
    assert [] == [value for value in values if value in told]


class TestTrail:
    """Which trails make EventBridge see a contact change."""

    @pytest.mark.parametrize(
        ("name", "settings", "selectors"),
        [
            ("everywhere", {"IsMultiRegionTrail": True}, None),
            ("here", {}, None),
            ("writes", {}, {"ReadWriteType": "WriteOnly"}),
            ("advanced", {}, {"eventCategory": "Management"}),
        ],
    )
    def test_suffices(
        self, cloud: Project, name: str, settings: Json, selectors: Json | None
    ) -> None:
        """One that is on and writes down what changes."""
        told = self.told(cloud, name, settings, selectors)

        assert f"Trail {name} logs management events\n" == told

    @pytest.mark.parametrize(
        ("name", "settings", "selectors"),
        [
            ("stopped", {"IsMultiRegionTrail": True}, None),
            ("reads", {}, {"ReadWriteType": "ReadOnly"}),
            ("data", {}, {"IncludeManagementEvents": False}),
            ("advanced-reads", {}, {"eventCategory": "Management", "readOnly": "true"}),
            ("aws-contact-sync-dev-trail", {}, None),
            ("aws-contact-sync-prod-trail", {"IsMultiRegionTrail": True}, None),
        ],
    )
    def test_does_not_suffice(
        self, cloud: Project, name: str, settings: Json, selectors: Json | None
    ) -> None:
        """One that is off, writes down something else, or goes with the stack."""
        told = self.told(cloud, name, settings, selectors)

        assert told.startswith("warning: no trail logs management events: a change is found only")

    def test_cannot_be_asked(self, cloud: Project) -> None:
        """A trail that may not be read is an error, and not taken for one that is off."""
        denied = "echo 'An error occurred (AccessDenied): no' >&2; exit 254"
        cloud.instead["*get-trail-status*"] = denied

        told = self.told(cloud, "secret", {}, None, code=1)

        assert told.startswith("error: the AWS credentials do not suffice")

    def told(
        self, cloud: Project, name: str, settings: Json, selectors: Json | None, code: int = 0
    ) -> str:
        """Return what the check says of the account's only trail."""
        client = cloud.standin.client("cloudtrail")
        client.create_trail(Name=name, S3BucketName="trail", **settings)
        if name != "stopped":
            client.start_logging(Name=name)
        if selectors:
            put_selectors(client, name, selectors)
        try:
            commands = "events_home=us-east-1 stack=aws-contact-sync-dev no_trail=yes parameters=()"
            result = told_by(cloud, f"{commands}; check_trail")
        finally:
            client.delete_trail(Name=name)

        assert (code, "") == (result.returncode, result.stdout)
        return result.stderr


def functions_of(folder: Path) -> str:
    """Return the script without its last line, which runs it."""
    text = (folder / "scripts/deploy.sh").read_text().removesuffix('main "$@"\n')
    return text.replace('$(dirname -- "${BASH_SOURCE[0]}")', f"{folder}/scripts")


def told_by(cloud: Project, commands: str) -> Result:
    """Run functions of the script in the account."""
    cloud.write_programs()
    begin = "environment=dev problems=0"
    return subprocess.run(
        ["bash", "-c", f"{functions_of(cloud.folder)}\n{begin}; {commands}"],
        env=cloud.environment,
        check=False,
        capture_output=True,
        text=True,
    )


def put_selectors(client: Any, name: str, given: Json) -> None:
    if "eventCategory" in given:
        fields = [{"Field": field, "Equals": [value]} for field, value in given.items()]
        selector = {"Name": "management", "FieldSelectors": fields}
        client.put_event_selectors(TrailName=name, AdvancedEventSelectors=[selector])
    else:
        client.put_event_selectors(TrailName=name, EventSelectors=[given])


class TestDeployment:
    """One account through its life; each test leaves it as the next one finds it."""

    def test_first(self, cloud: Project, first: Result) -> None:
        """Stack, configuration and release are there, and nothing has told a contact value."""
        assert 0 == first.returncode, first.stderr
        assert first.stdout.startswith("https://")
        assert first.stdout.endswith("#dashboards:name=aws-contact-sync-dev-dashboard\n")
        assert "CREATE_COMPLETE" == cloud.stack()["StackStatus"]
        expected = {
            "Environment": "dev",
            "ManagementAccountId": ACCOUNT,
            "OrganizationId": "o-exampleorg1",
            "NotificationEmail": EMAIL,
            "ScheduleExpression": "rate(12 hours)",
            "LogLevel": "WARNING",
            "Triggers": "ENABLED",
            "Runtime": RUNTIME,
        }
        assert expected.items() <= cloud.parameters().items()
        assert [{"S": "security"}, {"S": "billing"}, {"S": "primary"}] == (
            cloud.configuration()["contact_types"]["L"]
        )
        assert 1 == len(cloud.releases())
        assert_without_contacts(first)

    def test_first_says_what_it_means(self, first: Result) -> None:
        """What `primary` replaces, how a change is found, and what comes next."""
        assert 1 == first.stderr.count("'primary' replaces each member account's whole primary")
        assert "no trail logs management events: a change is found only by" in first.stderr
        dry_run = "scripts/resync.sh --environment dev --region us-east-1 --dry-run --follow"
        assert dry_run in first.stderr

    @pytest.mark.usefixtures("first")
    def test_default_configuration(self, cloud: Project) -> None:
        """It is the template's, with the contact types that were chosen."""
        default = json.loads(
            next(
                output["OutputValue"]
                for output in cloud.stack()["Outputs"]
                if output["OutputKey"] == "DefaultConfiguration"
            )
        )
        item = cloud.configuration()

        assert default.keys() == item.keys()
        assert {"N": "3"} == item["retry_config"]["M"]["max_attempts"]
        assert {"BOOL": True} == item["notification_settings"]["M"]["notify_on_success"]

    @pytest.mark.usefixtures("first")
    def test_again(self, cloud: Project) -> None:
        """Without a change it says so; options left out keep what there is, and so does the
        configuration, whatever it has."""
        before = (cloud.stack(), cloud.releases())
        dynamodb = cloud.standin.client("dynamodb")
        item = {**cloud.configuration(), "excluded_accounts": {"L": [{"S": "100000000001"}]}}
        dynamodb.put_item(TableName="aws-contact-sync-dev-config", Item=item)
        waiting = "*list-subscriptions-by-topic*"
        cloud.instead[waiting] = f"echo {EMAIL}; exit"

        result = cloud.deploy("--contact-types", "operations")

        assert 0 == result.returncode, result.stderr
        assert "No change: aws-contact-sync-dev is up to date" in result.stderr
        assert before == (cloud.stack(), cloud.releases())
        assert item == cloud.configuration()
        assert "'primary' replaces" not in result.stderr
        assert "--contact-types has no effect" in result.stderr
        assert f"Not subscribed yet: {EMAIL} must follow the link" in result.stderr

    @pytest.mark.usefixtures("first")
    def test_failed_update(self, cloud: Project) -> None:
        """What failed is named, and the release is not kept."""
        before = cloud.releases()
        cloud.edit("template.yaml", "Resources:\n", f"Resources:\n  Broken: {json.dumps(BROKEN)}\n")
        try:
            result = cloud.deploy()
        finally:
            cloud.restore("template.yaml")

        assert (1, "") == (result.returncode, result.stdout)
        assert "  Broken: " in result.stderr
        state = "UPDATE_ROLLBACK_COMPLETE"
        assert f"aws-contact-sync-dev was not deployed; it is {state}" in result.stderr
        assert before == cloud.releases()

    @pytest.mark.usefixtures("first")
    def test_interrupted(self, cloud: Project) -> None:
        """Ctrl-C says that CloudFormation goes on, and the next run finishes what was left."""
        cloud.instead["*cloudformation\\ deploy*"] = "exec sleep 30"
        cloud.write_programs()
        command = cloud.command("deploy.sh", *cloud.deployment(), "--log-level", "ERROR")
        with subprocess.Popen(
            command,
            env=cloud.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as script:
            assert script.stderr is not None
            for line in script.stderr:
                if line.startswith("Deploying"):
                    break
            wait_until(lambda: any("cloudformation deploy" in call for call in cloud.calls()))
            os.killpg(script.pid, signal.SIGINT)
            _, told = script.communicate(timeout=20)
        cloud.instead.clear()

        assert 130 == script.returncode
        assert told.endswith("run this again to finish.\n")
        assert [] == list(cloud.folder.glob("home/contact-sync.*"))

        result = cloud.deploy("--log-level", "ERROR")

        assert 0 == result.returncode, result.stderr
        assert "Deployed aws-contact-sync-dev" in result.stderr
        assert "ERROR" == cloud.parameters()["LogLevel"]
        assert 2 == len(cloud.releases())

    @pytest.mark.rule(19)
    @pytest.mark.usefixtures("first")
    def test_prod_beside_dev(self, cloud: Project) -> None:
        """Only one environment acts by itself, and prod cannot be deleted by mistake. What a
        failed first deployment left is removed. Trusted access can be had on the way."""
        cloud.standin.organization.reset({**WORLD, "trusted_access": []})
        cloud.start_broken("aws-contact-sync-prod")
        assert "ROLLBACK_COMPLETE" == cloud.stack("prod")["StackStatus"]

        refused = cloud.deploy("--parameter", "Triggers=ENABLED", environment="prod")
        result = cloud.deploy("--enable-trusted-access", environment="prod")

        assert 1 == refused.returncode
        assert "failed: aws-contact-sync-dev acts by itself already" in refused.stderr
        assert 0 == result.returncode, result.stderr
        assert "Removing what a failed first deployment left" in result.stderr
        assert "warning: aws-contact-sync-dev acts by itself" in result.stderr
        assert "DISABLED" == cloud.parameters("prod")["Triggers"]
        assert cloud.stack("prod")["EnableTerminationProtection"]
        assert not cloud.stack("dev").get("EnableTerminationProtection")
        assert ["account.amazonaws.com"] == cloud.standin.organization.world()["trusted_access"]

    @pytest.mark.rule(18)
    @pytest.mark.usefixtures("first")
    def test_another_region(self, cloud: Project) -> None:
        """Events of other regions are forwarded, and that is kept, changed and taken away."""
        staging = {"environment": "staging"}
        there = ["--region", "eu-west-1", "--notification-email", EMAIL]

        result = cloud.deploy(*there, "--control-tower-region", "ap-southeast-2", **staging)

        assert 0 == result.returncode, result.stderr
        assert "warning: aws-contact-sync-dev acts by itself" in result.stderr
        forwarding = {"more": "-forwarding"}
        account = cloud.parameters("staging", "us-east-1", **forwarding)
        tower = cloud.parameters("staging", "ap-southeast-2", **forwarding)
        expected = {
            "HomeRegion": "eu-west-1",
            "Kind": "Account",
            "ManagementAccountId": ACCOUNT,
            "NotificationEmail": EMAIL,
            "Triggers": "DISABLED",
        }
        assert expected == account
        assert {**expected, "Kind": "ControlTower"} == tower

        elsewhere = cloud.deploy(environment="staging")
        result = cloud.deploy(
            "--region", "eu-west-1", "--control-tower-region", "us-east-1", **staging
        )

        assert 1 == elsewhere.returncode
        assert "failed: aws-contact-sync-staging is deployed in eu-west-1 already" in (
            elsewhere.stderr
        )
        assert 0 == result.returncode, result.stderr
        assert "No change: aws-contact-sync-staging is up to date" in result.stderr
        assert "Both" == cloud.parameters("staging", "us-east-1", **forwarding)["Kind"]
        assert {} == cloud.stack("staging", "ap-southeast-2", "-forwarding")

    @pytest.mark.usefixtures("first")
    def test_trail(self, cloud: Project) -> None:
        """The stack has a trail while no other is there, and keeps it; an environment that does
        not act by itself needs none."""
        client = cloud.standin.client("cloudtrail")
        options = [option for option in cloud.deployment() if option != "--no-trail"]

        made = cloud.run("deploy.sh", *options)

        assert 0 == made.returncode, made.stderr
        assert "No other trail logs management events: the stack has its own" in made.stderr
        (trail,) = client.describe_trails()["trailList"]
        assert ("aws-contact-sync-dev-trail", True) == (trail["Name"], trail["IsMultiRegionTrail"])
        assert client.get_trail_status(Name=trail["Name"])["IsLogging"]
        assert "true" == self.chosen(cloud, "CreateTrail=true")
        assert "false" == self.chosen(cloud, "CreateTrail=true", "Triggers=DISABLED")

        client.create_trail(Name="another", S3BucketName="trail", IsMultiRegionTrail=True)
        client.start_logging(Name="another")
        given_up = cloud.run("deploy.sh", *options)

        assert 0 == given_up.returncode, given_up.stderr
        assert "Trail another logs management events" in given_up.stderr
        assert ["another"] == [each["Name"] for each in client.describe_trails()["trailList"]]
        client.delete_trail(Name="another")

    def chosen(self, cloud: Project, *parameters: str) -> str:
        """Return whether the next deployment would have a trail."""
        begin = "events_home=us-east-1 stack=aws-contact-sync-dev no_trail='' given=()"
        given = f"parameters=({' '.join(parameters)})"
        result = told_by(cloud, f"{begin} {given}; check_trail; get_parameter CreateTrail")
        assert 0 == result.returncode, result.stderr
        return result.stdout.strip()


def test_defaults_of_the_template() -> None:
    """What the script reads of the template by awk is what the template says."""
    names = source_template()["Parameters"]
    asked = "; ".join(f'get_parameter {name}; echo "--"' for name in names)
    commands = f"parameters=(); template_parameters; echo ==; {asked}"

    told = subprocess.run(
        ["bash", "-c", f"{functions_of(REPOSITORY)}\n{commands}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    found, values = told.split("==\n")
    assert list(names) == found.split()
    expected = [str(parameter.get("Default", "")) for parameter in names.values()]
    assert expected == [value.strip() for value in values.split("--\n")[:-1]]
