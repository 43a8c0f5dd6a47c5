"""Deploying an environment: what is shown, asked and done: `deploy`."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from operate import releases
from standin.organization.worlds import SOURCE_CONTACTS
from support.aws import Operate, Told, refusal
from support.deployed import PRINCIPAL, STACK
from support.deploying import BUCKET, Deploying

ACCOUNT = "999999999999"
EMAIL = "team@example.com"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
CONFIG = f"{STACK}-config"
INVALID = json.dumps(
    {
        CONFIG: [
            {
                "PutRequest": {
                    "Item": {"config_key": {"S": "default"}, "contact_types": {"L": [{"S": "fax"}]}}
                }
            }
        ]
    }
)
Deploy = Operate


@pytest.fixture(name="nothing")
def _nothing(cloud: Deploying) -> Deploying:
    """Nothing is deployed."""
    del cloud.account.stacks.stacks["us-east-1", STACK]
    cloud.account.configure(None)
    return cloud


@pytest.fixture(name="deploy")
def _deploy(operate: Operate) -> Deploy:
    def run(*words: Any, yes: bool = True, environment: str = "dev", **typed: Any) -> Told:
        given = ["--environment", environment, "--account-id", ACCOUNT, *words]
        return operate("deploy", *given, *(["--yes"] if yes else []), **typed)

    return run


def succeeded(told: Told) -> Told:
    assert 0 == told.code, told.err
    return told


def assert_without_contacts(told: Told) -> None:
    values = [v for contact in SOURCE_CONTACTS.values() for v in contact.values() if len(v) > 5]
    assert [] == [value for value in values if value in told.out + told.err]


class TestOptions:
    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            ("--notification-email nobody", "invalid e-mail address 'nobody': expected one such"),
            ("--schedule daily", "invalid schedule 'daily': expected rate(...), cron(...) or off"),
            ("--contact-types Billing", "unknown contact type 'Billing': use primary, billing,"),
            ("--primary-keeps Phone", "unknown field of the primary contact 'Phone': use FullName"),
            ("--log-level debug", "unknown level 'debug': use DEBUG, INFO, WARNING or ERROR"),
            ("--control-tower-region here", "invalid region 'here'"),
            ("--parameter QuotaShare", "invalid value 'QuotaShare': expected NAME=VALUE"),
            ("--parameter Colour=blue", "has no parameter Colour: use one of ManagementAccountId"),
            ("--permissions-boundary x", "invalid policy 'x': expected the ARN of a policy, or no"),
            ("--role-arn x", "invalid role 'x': expected the ARN of a role"),
            ("--tags team", "invalid tag 'team': expected KEY=VALUE"),
            ("--paused --resume", "--resume: not allowed with argument --paused"),
            ("--restore x --resume", "--resume: not allowed with argument --restore"),
        ],
    )
    def test_wrong(self, deploy: Deploy, words: str, complaint: str) -> None:
        told = deploy(*words.split())

        assert (2, "") == (told.code, told.out)
        assert complaint in told.err.splitlines()[0]

    def test_account_is_required(self, operate: Operate) -> None:
        told = operate("deploy", "--environment", "dev")

        assert 2 == told.code
        assert "error: --account-id is required" == told.err.splitlines()[0]


class TestFirst:
    def test_what_is_there(self, nothing: Deploying, deploy: Deploy) -> None:
        """Stack, configuration and release; no contact value is told."""
        options = ["--notification-email", EMAIL, "--contact-types", "security,billing", "primary"]

        told = succeeded(deploy(*options, "--schedule", "rate(12 hours)", "--log-level=WARNING"))

        assert "https://console.aws.amazon.com/cloudwatch/home\n" == told.out
        expected = {
            "Environment": "dev",
            "ManagementAccountId": ACCOUNT,
            "OrganizationId": "o-exampleorg1",
            "NotificationEmail": EMAIL,
            "ScheduleExpression": "rate(12 hours)",
            "LogLevel": "WARNING",
            "Triggers": "ENABLED",
            "Runtime": "python3.13",
        }
        assert expected.items() <= nothing.parameters().items()
        configuration = nothing.account.configuration() or {}
        assert ["security", "billing", "primary"] == configuration["contact_types"]
        assert [nothing.running()] == nothing.releases()
        assert "'primary' replaces the whole primary contact of each member account" in told.err
        assert "Next, see what a run would change; a dry run writes to no account:" in told.err
        assert_without_contacts(told)

    @pytest.mark.parametrize(
        ("typed", "kept"),
        [
            ("\n", ["PhoneNumber"]),
            ("PhoneNumber,CompanyName\n", ["PhoneNumber", "CompanyName"]),
            ("none\n", None),
        ],
    )
    def test_kept_fields_are_asked_for(
        self,
        nothing: Deploying,
        deploy: Deploy,
        typed: str,
        kept: Any,
    ) -> None:
        """Enter takes the phone number, whose change may send an SMS."""
        told = succeeded(deploy(answer=f"{typed}y\n", yes=False, is_terminal=True))

        assert "Which fields of its primary contact should each account keep" in told.err
        assert kept == (nothing.account.configuration() or {}).get("primary_keeps")

    def test_an_unknown_field_deploys_nothing(self, nothing: Deploying, deploy: Deploy) -> None:
        told = deploy(answer="Phone\n", yes=False, is_terminal=True)

        assert 1 == told.code
        assert "unknown field of the primary contact 'Phone': use FullName" in told.error
        assert not nothing.sent("cloudformation.CreateChangeSet")

    def test_kept_fields_may_be_given(self, nothing: Deploying, deploy: Deploy) -> None:
        succeeded(deploy("--primary-keeps", "PhoneNumber"))

        assert ["PhoneNumber"] == (nothing.account.configuration() or {})["primary_keeps"]

    def test_without_a_terminal_nothing_is_kept_and_that_is_told(
        self, nothing: Deploying, deploy: Deploy
    ) -> None:
        told = succeeded(deploy(answer="y\n", yes=False))

        assert "primary_keeps" not in (nothing.account.configuration() or {})
        assert "warning: accounts keep no field of their primary contact" in told.err

    @pytest.mark.usefixtures("nothing")
    def test_without_a_primary_contact_nothing_is_asked(self, deploy: Deploy) -> None:
        told = succeeded(deploy("--contact-types", "security"))

        assert "keep no field" not in told.err

    def test_build(self, nothing: Deploying, deploy: Deploy) -> None:
        """`sam` builds what the parameters say, and uploads it to its own bucket."""
        succeeded(deploy("--parameter", "Runtime=python3.12"))

        build, package = nothing.commands
        assert "Runtime=python3.12 Architecture=arm64" in " ".join(build)
        assert f"--resolve-s3 --s3-prefix {STACK}" in " ".join(package)
        (made,) = nothing.sent("cloudformation.CreateChangeSet")
        key = f"{STACK}/releases/{nothing.running()}/template.yaml"
        assert made["TemplateURL"].endswith(f"/{BUCKET}/{key}")
        body = boto3.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"]
        assert nothing.template == body.read().decode()

    def test_build_fails(self, nothing: Deploying, deploy: Deploy) -> None:
        nothing.sam_fails = "build"

        told = deploy()

        assert (1, "error: sam build failed: see its output above") == (told.code, told.error)
        assert not nothing.sent("cloudformation.CreateChangeSet")

    @pytest.mark.parametrize(
        ("status", "answer", "complaint"),
        [
            ("CREATE_COMPLETE", "n\n", "not confirmed; nothing was changed"),
            (None, "y\n", f"{STACK} was deleted meanwhile: run this command again"),
        ],
    )
    def test_somebody_else_was_faster(
        self, nothing: Deploying, deploy: Deploy, status: str | None, answer: str, complaint: str
    ) -> None:
        """What another operator deployed at the same time is not deleted."""
        stacks = nothing.account.stacks.stacks
        usual = nothing.aws.answers["cloudformation.DescribeChangeSet"]

        def described(region: str, given: Any) -> Any:
            stack = stacks.pop((region, STACK), {})
            if status:
                stacks[region, STACK] = {**stack, "StackStatus": status}
            return usual(region, given)

        nothing.aws.answers["cloudformation.DescribeChangeSet"] = described

        told = deploy(yes=False, answer=answer)

        assert (1, f"error: {complaint}") == (told.code, told.error)
        assert bool(status) == (("us-east-1", STACK) in stacks)

    def test_remains_of_a_failure(self, nothing: Deploying, deploy: Deploy) -> None:
        """What a failed first deployment left is removed, and its parameters are kept."""
        stacks = nothing.account.stacks
        failed = {"LogLevel": "ERROR"}
        stacks.put(STACK, status="ROLLBACK_COMPLETE", parameters=failed)

        refused = deploy(yes=False, answer="n\n")
        planned = deploy("--plan", yes=False)
        succeeded(deploy())

        assert f"Delete what the failed first deployment of {STACK} left? [y/N]" in refused.err
        assert "not confirmed; nothing was changed" in refused.error
        assert (3, f"The first deployment of {STACK} failed: it would be created again\n") == (
            planned.code,
            planned.out,
        )
        assert "ERROR" == nothing.parameters()["LogLevel"]

    @pytest.mark.parametrize("status", ["REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"])
    def test_what_was_never_deployed(self, nothing: Deploying, deploy: Deploy, status: str) -> None:
        """It does not act by itself, although it has parameters; a stack of a change set is made.

        (CreateChangeSet: type CREATE where the status is REVIEW_IN_PROGRESS, as `aws
        cloudformation deploy` does.)
        """
        stacks = nothing.account.stacks
        stacks.put(STACK, status="REVIEW_IN_PROGRESS")
        stacks.put("aws-contact-sync-prod", status=status, parameters={"Triggers": "ENABLED"})

        succeeded(deploy())

        assert "ENABLED" == nothing.parameters()["Triggers"]
        [made] = nothing.sent("cloudformation.CreateChangeSet")
        assert "CREATE" == made["ChangeSetType"]

    def test_prod_is_protected(self, cloud: Deploying, deploy: Deploy) -> None:
        """And only one environment acts by itself."""
        cloud.operations.outputs["TerminationProtection"] = "true"

        refused = deploy("--resume", environment="prod")
        told = succeeded(deploy(environment="prod"))

        assert (
            f"failed: the triggers of {STACK} are enabled, and only one stack may have them: deploy"
            in (refused.err)
        )
        assert (
            f"warning: the triggers of {STACK} are enabled, and all stacks share the account"
            in told.err
        )
        prod = "aws-contact-sync-prod"
        assert "DISABLED" == cloud.parameters(prod)["Triggers"]
        assert cloud.account.stacks.stacks["us-east-1", prod]["EnableTerminationProtection"]
        assert "EnableTerminationProtection" not in cloud.stack


class TestAgain:
    def test_nothing_to_change(self, cloud: Deploying, deploy: Deploy) -> None:
        """Options left out keep what there is, and so does the configuration; nothing is asked."""
        succeeded(deploy("--log-level", "ERROR"))
        before = (cloud.parameters(), cloud.releases(), cloud.account.configuration())
        cloud.aws.sent.clear()

        told = succeeded(deploy("--contact-types", "operations", yes=False))

        assert f"No changes: {STACK} is up to date" in told.err
        assert "--contact-types has no effect" in told.err
        assert before == (cloud.parameters(), cloud.releases(), cloud.account.configuration())
        assert not cloud.sent("cloudformation.ExecuteChangeSet")
        assert {} == cloud.operations.sets

    @pytest.mark.usefixtures("cloud")
    def test_kept_fields_do_not_reach_a_stored_configuration(self, deploy: Deploy) -> None:
        """Who believes the opposite loses phone numbers in the next run."""
        told = succeeded(deploy("--primary-keeps", "PhoneNumber"))
        same = succeeded(deploy("--primary-keeps", "none"))

        warning = "--primary-keeps has no effect: the stored configuration has none. To change it"
        assert f"warning: {warning}, use scripts/config.sh apply" in told.err
        assert "no effect" not in same.err

    @pytest.mark.parametrize("types", [["SECURITY"], "security", 7, None], ids=str)
    def test_invalid_configuration(self, cloud: Deploying, deploy: Deploy, types: Any) -> None:
        """It is told, and stays for whoever corrects it."""
        cloud.account.configure({"contact_types": types})

        told = succeeded(deploy())

        assert "warning: the stored configuration is invalid, so every run fails" in told.err
        assert types == (cloud.account.configuration() or {})["contact_types"]

    def test_lost_configuration(self, cloud: Deploying, deploy: Deploy) -> None:
        """Without the exclusions that were in the table, nothing may start by itself."""
        execute = cloud.aws.answers["cloudformation.ExecuteChangeSet"]
        cloud.aws.answers["dynamodb.GetItem"] = refusal("ResourceNotFoundException")

        def made_again(region: str, given: Any) -> Any:
            del cloud.aws.answers["dynamodb.GetItem"]
            cloud.account.configure(None)
            return execute(region, given)

        cloud.aws.answers["cloudformation.ExecuteChangeSet"] = made_again

        told = succeeded(deploy("--repair"))

        assert "DISABLED" == cloud.parameters()["Triggers"]
        assert "warning: somebody deleted the table config, and all exclusions and" in told.err

    def test_another_release(
        self, cloud: Deploying, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Other code is another release; the oldest are forgotten."""
        monkeypatch.setattr(releases, "KEPT", 2)
        for number in range(3):
            cloud.template = f"code: {number}\n"
            succeeded(deploy())

        assert 2 == len(cloud.releases())
        assert cloud.running() in cloud.releases()

    def test_fails(self, cloud: Deploying, deploy: Deploy) -> None:
        """What failed is named, and there is no release of it."""
        succeeded(deploy())
        before = cloud.releases()
        cloud.template = "code: 2\n"
        cloud.operations.outcomes = ["UPDATE_ROLLBACK_COMPLETE"]

        told = deploy()

        assert (1, "") == (told.code, told.out)
        assert "  UPDATE_FAILED Broken: the name is taken" in told.err
        assert f"error: {STACK} was not deployed; it is UPDATE_ROLLBACK_COMPLETE" in told.error
        assert before == cloud.releases()

    def test_is_refused(self, cloud: Deploying, deploy: Deploy) -> None:
        """What CloudFormation refuses before it begins is told with its reason."""
        answer = {"Status": "FAILED", "StatusReason": "validation failed"}
        why = {"LogicalResourceId": "ConfigTable", "ValidationStatusReason": "exists already"}
        cloud.aws.answers["cloudformation.DescribeChangeSet"] = answer
        second = {"OperationEvents": [why]}

        def page(_: str, given: Any) -> Any:
            return second if "NextToken" in given else {"OperationEvents": [], "NextToken": "2"}

        cloud.aws.answers["cloudformation.DescribeEvents"] = page

        told = deploy()

        assert "  ConfigTable: exists already" in told.err
        assert f"error: CloudFormation refused the change set of {STACK}: validation failed" == (
            told.error
        )

    def test_interrupted(self, cloud: Deploying, deploy: Deploy) -> None:
        """Ctrl-C says that CloudFormation goes on; what ran then becomes a release."""
        succeeded(deploy())
        cloud.template = "code: 2\n"

        with cloud.interrupted():
            ended = deploy()

        assert 130 == ended.code
        assert (
            "CloudFormation continues what it has begun; run this command again to finish."
            in ended.err
        )
        assert 1 == len(cloud.releases())

        succeeded(deploy())

        assert 2 == len(cloud.releases())
        assert cloud.running() == cloud.releases()[-1]

    def test_it_waits_for_what_goes_on(
        self, cloud: Deploying, deploy: Deploy, slept: list[float]
    ) -> None:
        cloud.change_meanwhile(cloud.stack, "UPDATE", slept)

        told = succeeded(deploy())

        assert f"{STACK} is UPDATE_IN_PROGRESS: waiting until this ends" in told.err


class TestPlan:
    @pytest.mark.case("E10")
    def test_changes(self, cloud: Deploying, deploy: Deploy) -> None:
        """The changes are on stdout, the exit code is 3, and nothing is changed or left."""
        table = {
            "Action": "Modify",
            "Replacement": "True",
            "PolicyAction": "ReplaceAndRetain",
            "LogicalResourceId": "StateTable",
            "ResourceType": "AWS::DynamoDB::Table",
            "Details": [{"Target": {"Attribute": "Properties", "Name": "KeySchema"}}],
        }
        queue = {
            "Action": "Remove",
            "PolicyAction": "Delete",
            "LogicalResourceId": "DeadLetterQueue",
            "ResourceType": "AWS::SQS::Queue",
        }
        cloud.operations.changes += [table, queue]
        before = dict(cloud.stack)

        told = deploy("--plan", yes=False)

        assert 3 == told.code, told.err
        assert [
            f"Changes to {STACK}:",
            "  modify      AccountListerFunction (AWS::Lambda::Function): Code",
            "  replace     StateTable (AWS::DynamoDB::Table): KeySchema; the old one is kept",
            "  remove      DeadLetterQueue (AWS::SQS::Queue)",
        ] == told.out.splitlines()
        assert "warning: DeadLetterQueue loses its data" in told.err
        assert "StateTable loses" not in told.err
        assert before == cloud.stack
        assert ([], {}) == (cloud.objects(), cloud.operations.sets)

    def test_json(self, cloud: Deploying, deploy: Deploy) -> None:
        """One document, of the plan and of the deployment."""
        queue = {
            "Action": "Remove",
            "LogicalResourceId": "DeadLetterQueue",
            "ResourceType": "AWS::SQS::Queue",
        }
        cloud.operations.changes.append(queue)

        planned, deployed = deploy("--plan", "--json"), succeeded(deploy("--json"))

        removed = {
            "action": "Remove",
            "resource": "DeadLetterQueue",
            "type": "AWS::SQS::Queue",
            "replacement": None,
            "properties": [],
            "loses_data": True,
        }
        document = json.loads(planned.out)
        assert (3, STACK) == (planned.code, document["stack"])
        assert removed in document["changes"]
        assert {
            **document,
            "release": cloud.running(),
            "dashboard": "https://console.aws.amazon.com/cloudwatch/home",
        } == json.loads(deployed.out)

    def test_json_of_a_failure(self, nothing: Deploying, deploy: Deploy) -> None:
        """What failed on its first deployment is made anew."""
        nothing.account.stacks.put(STACK, status="ROLLBACK_COMPLETE")

        told = deploy("--plan", "--json")

        expected = {"stack": STACK, "changes": [], "anew": True}
        assert (3, expected) == (told.code, json.loads(told.out))

    @pytest.mark.case("E10")
    def test_no_changes(self, cloud: Deploying, deploy: Deploy) -> None:
        succeeded(deploy())
        before = cloud.objects()

        told = deploy("--plan", yes=False)

        assert (0, f"No changes: {STACK} is up to date\n") == (told.code, told.out)
        assert before == cloud.objects()

    def test_of_nothing(self, nothing: Deploying, deploy: Deploy) -> None:
        """The stack that CloudFormation makes for the change set is gone afterwards."""
        told = deploy("--plan")

        assert 3 == told.code
        assert ("us-east-1", STACK) not in nothing.account.stacks.stacks
        assert nothing.account.configuration() is None

    @pytest.mark.case("E10")
    def test_shown_before_it_is_asked(self, cloud: Deploying, deploy: Deploy) -> None:
        """The question names account, region, principal and stack."""
        told = deploy(yes=False, answer="n\n")

        shown, _, asked = told.err.partition("Changes to")
        assert "Deploy" not in shown.partition("Uploading")[2]
        where = f"Account {ACCOUNT}, region us-east-1, stack {STACK}, signed in as {PRINCIPAL}"
        assert where in asked
        assert f"Deploy {STACK}? [y/N]" in asked
        assert "error: not confirmed; nothing was changed" == told.error
        assert {} == cloud.operations.sets

    @pytest.mark.case("E17")
    def test_no_terminal(self, cloud: Deploying, deploy: Deploy) -> None:
        told = deploy(yes=False)

        assert "error: not confirmed: no answer. Without a terminal, add --yes" == told.error
        assert not cloud.sent("cloudformation.ExecuteChangeSet")


class TestSurroundings:
    """What an organization may demand of a stack."""

    @pytest.mark.case("E6")
    def test_tags(self, cloud: Deploying, deploy: Deploy) -> None:
        """Tags of the user's own are kept; --tags adds, and replaces those of the same name."""
        cloud.stack["Tags"] = [{"Key": "owner", "Value": "jane"}, {"Key": "cost", "Value": "1"}]

        succeeded(deploy())
        assert {"owner": "jane", "cost": "1"} == cloud.tags()

        succeeded(deploy("--tags", "cost=2, team=security", "key=a=="))
        assert {"owner": "jane", "cost": "2", "team": "security", "key": "a=="} == cloud.tags()

    @pytest.mark.case("E9")
    def test_boundary_role_and_bucket(self, cloud: Deploying, deploy: Deploy) -> None:
        """All three are used, and remembered where they are left out the next time."""
        boto3.client("s3").create_bucket(Bucket="own-bucket")
        role = f"arn:aws:iam::{ACCOUNT}:role/deployer"
        options = ["--permissions-boundary", BOUNDARY, "--role-arn", role]

        succeeded(deploy(*options, "--s3-bucket", "own-bucket"))

        assert BOUNDARY == cloud.parameters()["PermissionsBoundary"]
        assert role == cloud.sent("cloudformation.CreateChangeSet")[-1]["RoleARN"]
        assert "--s3-bucket own-bucket" in " ".join(cloud.commands[-1])
        assert [] == cloud.objects()

        cloud.template = "code: 2\n"
        succeeded(deploy())

        assert BOUNDARY == cloud.parameters()["PermissionsBoundary"]
        assert "--s3-bucket own-bucket" in " ".join(cloud.commands[-1])
        keys = [key for key in cloud.objects("own-bucket") if key.endswith("/parameters")]
        assert 2 == len(keys)

        succeeded(deploy("--permissions-boundary", "none"))
        assert "" == cloud.parameters()["PermissionsBoundary"]

    @pytest.mark.case("E9")
    @pytest.mark.usefixtures("cloud")
    def test_bucket_of_others(self, deploy: Deploy) -> None:
        told = deploy("--s3-bucket", "nowhere-bucket")

        assert "failed: --s3-bucket: no access to nowhere-bucket (404)" in told.err
        assert 1 == told.code

    @pytest.mark.case("E13")
    def test_container(
        self, cloud: Deploying, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Built in a container, no Python of the functions' version is needed."""
        monkeypatch.setattr("operate.packaging._has_pip", lambda _: False)

        refused = deploy()
        succeeded(deploy("--use-container"))

        assert "failed: sam build needs python3.13 with pip on PATH: install it" in (refused.err)
        assert "--use-container" in refused.err
        assert "--use-container" in cloud.commands[0]

    @pytest.mark.case("E8")
    def test_repair(self, cloud: Deploying, deploy: Deploy) -> None:
        """A change set that reverts drift finds changes where the template has none."""
        succeeded(deploy())
        rule = {
            "Action": "Modify",
            "LogicalResourceId": "ExecutionStoppedRule",
            "ResourceType": "AWS::Events::Rule",
            "Details": [{"Target": {"Attribute": "Properties", "Name": "Targets"}}],
        }
        cloud.operations.changes = [rule]

        told = succeeded(deploy("--repair"))

        made = cloud.sent("cloudformation.CreateChangeSet")
        assert [None, "REVERT_DRIFT"] == [one.get("DeploymentMode") for one in made]
        assert "modify      ExecutionStoppedRule (AWS::Events::Rule): Targets" in told.err
        assert 1 == len(cloud.releases())


class TestTriggers:
    def test_paused_and_resumed(self, cloud: Deploying, deploy: Deploy) -> None:
        """Both are no other release; paused stays paused until it is resumed."""
        succeeded(deploy())
        succeeded(deploy("--paused"))
        told = succeeded(deploy())

        assert "DISABLED" == cloud.parameters()["Triggers"]
        assert f"the rules and the schedule of {STACK} remain paused: add --resume" in told.err

        succeeded(deploy("--resume"))

        assert "ENABLED" == cloud.parameters()["Triggers"]
        assert 1 == len(cloud.releases())

    @pytest.mark.case("E18")
    @pytest.mark.parametrize(
        ("schedule", "hours"),
        [
            ("rate(2 days)", "49"),
            ("rate(12 hours)", "25"),
            ("rate(8 days)", "0"),
            ("cron(0 4 * * ? *)", "25"),
        ],
    )
    def test_alarm_follows_schedule(
        self, cloud: Deploying, deploy: Deploy, schedule: str, hours: str
    ) -> None:
        succeeded(deploy("--schedule", schedule))

        assert (schedule, hours) == (
            cloud.parameters()["ScheduleExpression"],
            cloud.parameters()["MostHoursWithoutRun"],
        )

    @pytest.mark.case("E18")
    def test_alarm_cannot_follow(self, cloud: Deploying, deploy: Deploy) -> None:
        """Of an expression for some days it warns; a number that is given stays."""
        told = succeeded(deploy("--schedule", "cron(0 3 ? * MON *)"))
        assert "warning: the alarm no-full-run waits 25 hours" in told.err

        options = ["--schedule", "rate(2 days)", "--parameter", "MostHoursWithoutRun=72"]
        told = succeeded(deploy(*options))
        assert "72" == cloud.parameters()["MostHoursWithoutRun"]
        assert "no-full-run" not in told.err

    @pytest.mark.usefixtures("cloud")
    @pytest.mark.parametrize(("days", "warns"), [("0", True), ("7", False)])
    def test_without_what_runs_replace(self, deploy: Deploy, days: str, *, warns: bool) -> None:
        told = succeeded(deploy("--parameter", f"KeepReplacedDays={days}"))
        assert warns == ("no run can be undone" in told.err)

    def test_off(self, cloud: Deploying, deploy: Deploy) -> None:
        succeeded(deploy("--schedule", "off"))

        assert "" == cloud.parameters()["ScheduleExpression"]


class TestRun:
    """A run under way, whose children may not understand new functions."""

    @pytest.fixture(name="running", autouse=True)
    def _running(self, cloud: Deploying, slept: list[float]) -> None:
        arn = f"arn:aws:states:us-east-1:{ACCOUNT}:execution:x:1"
        cloud.aws.answers["stepfunctions.ListExecutions"] = lambda *_: {
            "executions": [] if len(slept) > 2 else [{"executionArn": arn}]
        }

    @pytest.mark.case("A17")
    def test_waits(self, deploy: Deploy, slept: list[float]) -> None:
        told = succeeded(deploy())

        assert "A run is in progress: waiting until it ends; --now does not wait" in told.err
        assert 3 == len(slept)

    @pytest.mark.case("A17")
    def test_now(self, deploy: Deploy, slept: list[float]) -> None:
        told = succeeded(deploy("--now"))

        assert "warning: a run is in progress: its remaining accounts may fail" in told.err
        assert [] == slept


class TestSubscription:
    @pytest.mark.case("D7")
    def test_vanished(self, cloud: Deploying, deploy: Deploy) -> None:
        """CloudFormation sees no change where a pending subscription has vanished."""
        topic, email = cloud.account.topic_arn, "new@example.com"
        client = boto3.client("sns")

        told = succeeded(deploy("--notification-email", email))
        again = succeeded(deploy())

        found = client.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        assert 1 == [each["Endpoint"] for each in found].count(email)
        assert f"The subscription of {email} to {STACK} has ended: subscribing again" in told.err
        assert "subscribing again" not in again.err


class TestRestore:
    @pytest.fixture(name="backup")
    def _backup(self, tmp_path: Path) -> Path:
        item = {
            "config_key": {"S": "default"},
            "contact_types": {"L": [{"S": "billing"}]},
            "excluded_accounts": {"L": [{"S": "100000000001"}]},
        }
        files = {
            "parameters": {"LogLevel": "ERROR", "Triggers": "ENABLED", "Release": "s3://gone/x"},
            "tags": {"team": "security"},
            "config-table-backup": {CONFIG: [{"PutRequest": {"Item": item}}]},
            "manifest": {
                "tables": {
                    "config": {"table": CONFIG, "items": 1, "files": ["config-table-backup.json"]}
                }
            },
        }
        folder = tmp_path / "my backup"
        folder.mkdir()
        for name, content in files.items():
            (folder / f"{name}.json").write_text(json.dumps(content))
        return folder

    @pytest.mark.case("E2")
    def test_paused_with_what_was(self, nothing: Deploying, deploy: Deploy, backup: Path) -> None:
        """Parameters, tags and exclusions are there from the first moment, and nothing starts."""
        told = succeeded(deploy("--restore", backup))

        found = nothing.parameters()
        assert ("ERROR", "DISABLED") == (found["LogLevel"], found["Triggers"])
        assert found["Release"].startswith(f"s3://{BUCKET}/")
        assert {"team": "security"} == nothing.tags()
        configuration = nothing.account.configuration() or {}
        assert ["100000000001"] == configuration["excluded_accounts"]
        assert "Wrote the backup configuration" in told.err
        where = "--environment dev --region us-east-1"
        assert f"  scripts/restore.sh {where} --input '{backup}'" in told.err
        assert f"  scripts/deploy.sh {where} --account-id {ACCOUNT} --resume" in told.err

    @pytest.mark.parametrize(
        "damage",
        [
            ("parameters", "[1]", "is damaged"),
            ("tags", "{", "is damaged"),
            ("manifest", "{}", "manifest.json is damaged"),
            ("config-table-backup", '{"x": []}', "is not a request to write items"),
            ("config-table-backup", INVALID, "configuration item `default`: contact_types.0: unk"),
        ],
        ids=str,
    )
    def test_damaged(
        self, nothing: Deploying, deploy: Deploy, backup: Path, damage: tuple[str, str, str]
    ) -> None:
        file, content, complaint = damage
        (backup / f"{file}.json").write_text(content)

        told = deploy("--restore", backup)

        assert 1 == told.code
        assert complaint in told.error
        assert ("us-east-1", STACK) not in nothing.account.stacks.stacks

    @pytest.mark.case("E2")
    def test_another_organization(self, nothing: Deploying, deploy: Deploy, backup: Path) -> None:
        """Its exclusions would protect nobody here."""
        (backup / "parameters.json").write_text('{"OrganizationId": "o-another"}')

        told = deploy("--restore", backup)

        assert 1 == told.code
        assert "is a backup of organization o-another, not of o-exampleorg1" in told.error
        assert ("us-east-1", STACK) not in nothing.account.stacks.stacks

    @pytest.mark.case("E2")
    def test_no_backup(self, nothing: Deploying, deploy: Deploy, tmp_path: Path) -> None:
        told = deploy("--restore", tmp_path)

        assert 1 == told.code
        assert "it has no parameters.json" in told.error
        assert ("us-east-1", STACK) not in nothing.account.stacks.stacks


class TestForwarding:
    """Events of other regions."""

    @pytest.fixture(name="far")
    def _far(self, cloud: Deploying, deploy: Deploy) -> Deploy:
        cloud.aws.answers |= {
            "dynamodb.GetItem": {},
            "dynamodb.TransactWriteItems": {},
            "sns.ListSubscriptionsByTopic": {"Subscriptions": []},
            "sns.Subscribe": {},
        }

        def run(*words: Any) -> Told:
            return deploy("--region", "eu-west-1", *words, environment="staging")

        with suppress(ClientError):  # of the test before
            boto3.client("s3", region_name="eu-west-1").create_bucket(
                Bucket="far-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
            )
        return lambda *words: run("--s3-bucket", "far-bucket", *words)

    @pytest.mark.case("E9")
    def test_kept_changed_and_taken_away(self, cloud: Deploying, far: Deploy) -> None:
        name = "aws-contact-sync-staging-forwarding"
        stacks = cloud.account.stacks.stacks
        options = ["--notification-email", EMAIL, "--permissions-boundary", BOUNDARY]

        told = succeeded(far(*options, "--tags", "a=b", "--control-tower-region", "ap-southeast-2"))

        assert "Forwarding the events of us-east-1 (Account)" in told.err
        expected = {
            "HomeRegion": "eu-west-1",
            "Kind": "Account",
            "ManagementAccountId": ACCOUNT,
            "NotificationEmail": EMAIL,
            "PermissionsBoundary": BOUNDARY,
            "Triggers": "DISABLED",
        }
        assert expected == cloud.parameters(name)
        tower = {**expected, "Kind": "ControlTower"}
        assert tower == cloud.parameters(name, "ap-southeast-2")
        assert {"a": "b"} == cloud.tags(name)

        succeeded(far())
        assert ("ap-southeast-2", name) in stacks

        succeeded(far("--control-tower-region", "us-east-1"))
        assert "Both" == cloud.parameters(name)["Kind"]
        assert ("ap-southeast-2", name) not in stacks

    def test_taken_away_after_an_interruption(self, cloud: Deploying, far: Deploy) -> None:
        """The region of before is known until everything is done."""
        stacks = cloud.account.stacks.stacks
        succeeded(far("--control-tower-region", "ap-southeast-2"))
        with cloud.interrupted():
            assert 130 == far("--control-tower-region", "none").code

        succeeded(far())

        assert ("ap-southeast-2", "aws-contact-sync-staging-forwarding") not in stacks

    @pytest.mark.case("E6")
    @pytest.mark.case("E9")
    def test_own_tags_and_role(self, cloud: Deploying, far: Deploy) -> None:
        """A forwarding stack keeps its own tags; a later one gets the role of the stack."""
        name = "aws-contact-sync-staging-forwarding"
        role = f"arn:aws:iam::{ACCOUNT}:role/deployer"
        succeeded(far("--role-arn", role))
        stack = cloud.account.stacks.stacks["us-east-1", name]
        stack["Tags"] = [{"Key": "owner", "Value": "jane"}]

        succeeded(far("--control-tower-region", "ap-southeast-2", "--tags", "a=b"))

        assert {"owner": "jane", "a": "b"} == cloud.tags(name)
        assert role == cloud.account.stacks.stacks["ap-southeast-2", name]["RoleARN"]

    @pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "DELETE_FAILED"])
    def test_failed_before(self, cloud: Deploying, far: Deploy, status: str) -> None:
        """What a failed creation or deletion left is made anew."""
        name = "aws-contact-sync-staging-forwarding"
        succeeded(far())
        cloud.account.stacks.stacks["us-east-1", name]["StackStatus"] = status

        succeeded(far())

        stack = cloud.account.stacks.stacks["us-east-1", name]
        assert "CREATE_COMPLETE" == stack["StackStatus"]

    def test_interrupted_before(self, cloud: Deploying, far: Deploy, slept: list[float]) -> None:
        """What CloudFormation continued after Ctrl-C is waited for."""
        name = "aws-contact-sync-staging-forwarding"
        succeeded(far())
        stack = cloud.account.stacks.stacks["us-east-1", name]
        cloud.change_meanwhile(stack, "UPDATE", slept)

        told = succeeded(far("--tags", "a=b"))

        assert f"{name} is UPDATE_IN_PROGRESS: waiting until this ends" in told.err

    @pytest.mark.case("D7")
    def test_vanished_subscription(self, cloud: Deploying, far: Deploy) -> None:
        """The alarm of a forwarding stack has subscribers of its own."""
        succeeded(far("--notification-email", EMAIL))

        cloud.aws.sent.clear()
        succeeded(far())

        assert [EMAIL] * 2 == [one["Endpoint"] for one in cloud.sent("sns.Subscribe")]

    def test_deployed_elsewhere(self, far: Deploy, deploy: Deploy) -> None:
        succeeded(far())

        told = deploy(environment="staging")

        assert 1 == told.code
        assert "aws-contact-sync-staging is already deployed in eu-west-1: use --region" in told.err


class TestTrustedAccess:
    def test_enabled_on_the_way(self, cloud: Deploying, deploy: Deploy) -> None:
        cloud.account.change_world(trusted_access=[])

        told = succeeded(deploy("--enable-trusted-access"))

        assert "Enabling trusted access for account.amazonaws.com" in told.err
        assert ["account.amazonaws.com"] == cloud.account.organization.world()["trusted_access"]


def test_signed_out(cloud: Deploying, deploy: Deploy) -> None:
    cloud.aws.fail("sts.GetCallerIdentity", refusal("ExpiredToken", "expired"))

    told = deploy()

    assert 1 == told.code
    assert "error: the AWS credentials are expired or invalid: sign in again" in told.error
