"""Checking a deployed environment: `validate`."""

import json
import re
import signal
from dataclasses import dataclass
from typing import Any

import pytest
from operate import deep_checks, deploy
from operate.deep_checks import uninterrupted
from standin.organization.worlds import SOURCE_CONTACTS, drifted_world
from support.aws import Operate, Told, refusal
from support.cli import REPOSITORY
from support.deployed import STACK, Deployed
from support.deploying import A_TRAIL
from support.moto_stack import STATE_TABLE
from support.search import contact_values

MANAGEMENT = "999999999999"
STRANGER = "123456789012"
BASIC = (
    "stack, partition, termination protection, account, organization, functions, state machine, "
    "tables, key, rules, schedule, trail, forwarding, topic, alarms, dead letters, configuration, "
    "exclusions, source contacts, last run"
).split(", ")
DEEP = "patterns, self edits, test message, test event, dry run, time".split(", ")
SCP = json.loads((REPOSITORY / "scripts/lib/contacts-scp.json").read_text())
RULES = [f"{STACK}-{name}" for name in ("contact-changed", "account-joined", "recovery")]
ALARM = f"{STACK}-dlq-messages"
HANDLER = f"{STACK}-contact-sync-handler"
HERE = "--environment dev --region us-east-1"
DEPLOY = f"scripts/deploy.sh {HERE} --account-id 999999999999"
REPAIR = f"{DEPLOY} --repair"


@dataclass
class Healthy:
    """A healthy environment; a test breaks the answers."""

    account: Deployed
    operate: Operate

    def __post_init__(self) -> None:
        self.account.aws.answers |= {
            "lambda.GetFunctionConfiguration": {
                "State": "Active",
                "LastUpdateStatus": "Successful",
                "Environment": {"Variables": {"RUNS_BUCKET_NAME": "runs-bucket"}},
            },
            "stepfunctions.DescribeStateMachine": {"status": "ACTIVE"},
            "dynamodb.DescribeTable": {
                "Table": {"TableStatus": "ACTIVE", "SSEDescription": {"Status": "ENABLED"}}
            },
            "kms.DescribeKey": {"KeyMetadata": {"KeyState": "Enabled"}},
            "events.ListRules": {"Rules": [{"Name": n, "State": "ENABLED"} for n in RULES]},
            "events.ListRuleNamesByTarget": {"RuleNames": RULES},
            "scheduler.GetSchedule": {"State": "ENABLED"},
            **A_TRAIL,
            "sns.GetTopicAttributes": {"Attributes": {"KmsMasterKeyId": "key"}},
            "sns.ListSubscriptionsByTopic": {
                "Subscriptions": [{"SubscriptionArn": "arn", "Endpoint": "team@example.com"}]
            },
            "cloudwatch.DescribeAlarms": {"MetricAlarms": [self.alarm()]},
        }
        resources = {
            "AWS::Lambda::Function": [HANDLER],
            "AWS::Events::Rule": RULES,
            "AWS::Scheduler::Schedule": [f"{STACK}/{STACK}-schedule"],
            "AWS::CloudWatch::Alarm": [ALARM],
        }
        self.account.stacks.resources[STACK] = [
            {"ResourceType": kind, "PhysicalResourceId": name}
            for kind, names in resources.items()
            for name in names
        ]
        self.record_run("good", "success")

    def alarm(self, **more: Any) -> dict[str, Any]:
        return {"AlarmName": ALARM, "StateValue": "OK", "ActionsEnabled": True, **more}

    def answer(self, name: str, answer: Any) -> None:
        self.account.aws.answers[name] = answer

    def record_run(self, name: str, status: str, **more: Any) -> None:
        item = {"pk": "RUN", "sk": f"2026-11-2{len(name)}#{name}", "sync_id": name}
        index = {"gsi1pk": f"RUN#{name}", "gsi1sk": "RUN"}
        self.account.put(STATE_TABLE, {**item, **index, "status": status, **more})

    def set_parameter(self, name: str, value: str) -> None:
        parameters = self.account.stack["Parameters"]
        parameters[:] = [one for one in parameters if one["ParameterKey"] != name]
        parameters.append({"ParameterKey": name, "ParameterValue": value})

    def validate(self, *options: str) -> Told:
        return self.operate("validate", "--environment", "dev", *options)

    def told(self, *options: str) -> dict[str, str]:
        """Return what each check says, by its name."""
        told = self.validate(*options)
        matches = [
            re.fullmatch("(pass|warn|fail)  ([a-z ]+): (.*)", line)
            for line in told.out.splitlines()
        ]
        assert all(matches), told.out
        found = {match[2]: f"{match[1]} {match[3]}" for match in matches if match}
        assert told.code == any(line.startswith("fail") for line in found.values())
        return found


@pytest.fixture(name="site")
def _site(account: Deployed, operate: Operate) -> Healthy:
    return Healthy(account, operate)


def test_healthy(site: Healthy) -> None:
    told = site.validate()

    assert (0, "0 failed, 0 warnings\n") == (told.code, told.err), told.out
    assert BASIC == [line.split("  ")[1].split(":")[0] for line in told.out.splitlines()]
    assert {"pass"} == {line.split()[0] for line in told.out.splitlines()}
    values = contact_values(drifted_world(3))
    assert [] == [value for value in values if value in told.out + told.err]


def test_json(site: Healthy) -> None:
    """One document, for pipelines."""
    site.answer("kms.DescribeKey", {"KeyMetadata": {"KeyState": "Disabled", "KeyId": "k"}})

    told = site.validate("--json")

    document = json.loads(told.out)
    assert (1, STACK, 1, 0) == (
        told.code,
        document["stack"],
        document["failed"],
        document["warnings"],
    )
    assert BASIC == [check["name"] for check in document["checks"]]
    (failed,) = [check for check in document["checks"] if check["level"] == "fail"]
    assert "key" == failed["name"]
    assert failed["message"].startswith(f"alias/{STACK} is Disabled")
    assert failed["message"].endswith("aws kms enable-key --key-id k --region us-east-1")


class TestStack:
    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            ("REVIEW_IN_PROGRESS", r"fail {}, and was never deployed: scripts/deploy\.sh"),
            ("ROLLBACK_COMPLETE", r"fail {}, and was never deployed: scripts/deploy\.sh"),
            ("UPDATE_ROLLBACK_FAILED", r"fail {}: scripts/rollback\.sh .*, then deploy again"),
            ("ROLLBACK_FAILED", r"fail {}: scripts/rollback\.sh .* --delete, then deploy again"),
            ("DELETE_FAILED", r"fail {}: scripts/rollback\.sh .* --delete, then deploy again"),
            ("IMPORT_ROLLBACK_COMPLETE", r"pass {}"),
            ("UPDATE_IN_PROGRESS", r"warn {}: validate again when this has ended"),
        ],
    )
    def test_status(self, site: Healthy, status: str, expected: str) -> None:
        """A stack that exists is not yet one that works; what helps depends on its state."""
        site.account.stack["StackStatus"] = status

        assert re.match(expected.format(f"{STACK} is {status}"), site.told()["stack"])

    @pytest.mark.case("E8")
    def test_rolled_back(self, site: Healthy) -> None:
        """Deploying again may change nothing; then the repair is named."""
        site.account.stack["StackStatus"] = "UPDATE_ROLLBACK_COMPLETE"

        told = site.told()["stack"]

        assert told.startswith(f"warn {STACK} is UPDATE_ROLLBACK_COMPLETE: the last deployment")
        assert told.endswith(REPAIR)

    def test_missing(self, site: Healthy) -> None:
        """Without a stack there is one failure, and nothing else to look at."""
        told = site.told("--region", "eu-west-1")

        assert ["stack"] == list(told)
        assert told["stack"].startswith(f"fail there is no stack {STACK} in account 999999999999")

    def test_prod(self, site: Healthy) -> None:
        """Of prod more is expected."""
        name = "aws-contact-sync-prod"
        site.account.stacks.stacks["us-east-1", name] = {**site.account.stack, "StackName": name}
        site.account.stacks.resources[name] = []
        told = site.operate("validate", "--environment", "prod").out

        assert "warn  termination protection: off: aws cloudformation update-term" in told
        assert "state has no point-in-time recovery" in told

    @pytest.mark.case("D1")
    @pytest.mark.parametrize(
        ("partition", "region"),
        [
            ("aws-cn", "cn-north-1"),
            ("aws-us-gov", "us-gov-east-1"),
            ("aws-eusc", "eusc-de-east-1"),
        ],
    )
    def test_other_partitions(self, site: Healthy, partition: str, region: str) -> None:
        """What was never tried there is said."""
        stacks = site.account.stacks.stacks
        stacks[region, STACK] = site.account.stack

        told = site.told("--region", region)["partition"]

        assert told.startswith(f"warn not tested in {partition}: event names")


class TestResources:
    """Each broken thing fails or warns with its remedy, and all of them are told in one go."""

    @pytest.mark.parametrize(
        ("call", "answer", "check", "expected"),
        [
            (
                "sts.GetCallerIdentity",
                {"Account": STRANGER, "Arn": "x"},
                "account",
                f"fail the stack is in {STRANGER}, but its ManagementAccountId is {MANAGEMENT}",
            ),
            (
                "lambda.GetFunctionConfiguration",
                {"State": "Active", "LastUpdateStatus": "Successful"},
                "functions",
                f"fail {HANDLER} has lost its environment variables: {REPAIR}",
            ),
            (
                "stepfunctions.DescribeStateMachine",
                {"status": "DELETING"},
                "state machine",
                f"fail contact-sync is DELETING: {REPAIR}",
            ),
            (
                "dynamodb.DescribeTable",
                {"Table": {"TableStatus": "INACCESSIBLE_ENCRYPTION_CREDENTIALS"}},
                "tables",
                "fail config is INACCESSIBLE_ENCRYPTION_CREDENTIALS: if its key",
            ),
            (
                "dynamodb.DescribeTable",
                refusal("AccessDeniedException"),
                "tables",
                "fail the AWS credentials lack a permission",
            ),
            (
                "scheduler.GetSchedule",
                {"State": "DISABLED"},
                "schedule",
                "warn DISABLED: paused with --paused",
            ),
            (
                "scheduler.GetSchedule",
                refusal("ResourceNotFoundException", "gone"),
                "schedule",
                f"fail Any: ResourceNotFoundException: gone; if somebody deleted it: {REPAIR}",
            ),
            (
                "cloudtrail.GetTrailStatus",
                {"IsLogging": False},
                "trail",
                "warn no trail logs management events in us-east-1",
            ),
            (
                "sns.GetTopicAttributes",
                {"Attributes": {"KmsMasterKeyId": "arn:aws:kms:x:1:alias/aws/sns"}},
                "topic",
                "fail alarms cannot publish, because its key is alias/aws/sns",
            ),
            (
                "sns.ListSubscriptionsByTopic",
                {"Subscriptions": [{"SubscriptionArn": "PendingConfirmation", "Endpoint": "x"}]},
                "topic",
                f"warn 1 subscriptions to {STACK}-notifications are not confirmed: open",
            ),
            (
                "sns.ListSubscriptionsByTopic",
                {"Subscriptions": [{"SubscriptionArn": "Deleted", "Endpoint": "x"}]},
                "topic",
                f"warn nobody is subscribed to {STACK}-notifications: deploy with",
            ),
            (
                "cloudwatch.DescribeAlarms",
                {"MetricAlarms": []},
                "alarms",
                f"fail {ALARM} was deleted outside CloudFormation: {REPAIR}",
            ),
            (
                "cloudwatch.DescribeAlarms",
                {
                    "MetricAlarms": [
                        {"AlarmName": ALARM, "StateValue": "ALARM", "ActionsEnabled": False}
                    ]
                },
                "alarms",
                f"warn {ALARM} is in alarm: see https://",
            ),
            (
                "sqs.GetQueueAttributes",
                {"Attributes": {"ApproximateNumberOfMessages": "2"}},
                "dead letters",
                f"warn 2 events started no execution: scripts/redrive-dlq.sh {HERE}",
            ),
        ],
    )
    def test_broken(self, site: Healthy, call: str, answer: Any, check: str, expected: str) -> None:
        site.answer(call, answer)

        told = site.told()

        assert BASIC == list(told)
        assert told[check].startswith(expected)
        assert [check] == [name for name, line in told.items() if not line.startswith("pass")]

    def test_organization(self, site: Healthy) -> None:
        site.account.change_world(trusted_access=[], feature_set="CONSOLIDATED_BILLING")
        billing_alone = site.told()["organization"]
        site.account.change_world(feature_set="ALL")
        no_trust = site.told()["organization"]

        assert "aws organizations enable-all-features" in billing_alone
        command = "enable-aws-service-access --service-principal account.amazonaws.com"
        assert f"(aws organizations {command})" in no_trust

    @pytest.mark.case("E8")
    def test_rules(self, site: Healthy) -> None:
        """What a deployment would not see, a repair puts right."""
        site.answer(
            "events.ListRules",
            {
                "Rules": [
                    {"Name": RULES[0], "State": "DISABLED"},
                    {"Name": RULES[1], "State": "ENABLED"},
                ]
            },
        )
        site.answer("events.ListRuleNamesByTarget", {"RuleNames": [RULES[0]]})

        told = site.told()["rules"]

        assert told == (
            f"fail {RULES[0]} is disabled: aws events enable-rule --name {RULES[0]} --region "
            f"us-east-1; "
            f"{RULES[1]} has no target: {REPAIR}; "
            f"{RULES[2]} was deleted outside CloudFormation: {REPAIR}"
        )

    def test_triggers_are_off(self, site: Healthy) -> None:
        """Rules that are meant to be off are told once."""
        site.set_parameter("Triggers", "DISABLED")
        rules = [{"Name": name, "State": "DISABLED"} for name in RULES]
        site.answer("events.ListRules", {"Rules": rules})

        expected = (
            "warn Triggers is DISABLED: no event starts an execution until deploy.sh --resume"
        )
        assert expected == site.told()["rules"]

    @pytest.mark.case("D7")
    def test_vanished_subscription(self, site: Healthy) -> None:
        """AWS forgets what nobody confirms, and CloudFormation sees no change."""
        site.set_parameter("NotificationEmail", "other@example.com")

        told = site.told()["topic"]

        assert told == (
            f"warn the address of NotificationEmail is not subscribed to {STACK}-notifications: "
            f"{DEPLOY} subscribes it again"
        )


class TestContacts:
    def test_configuration(self, site: Healthy) -> None:
        site.account.configure(None)

        told = site.told()

        assert told["configuration"].startswith("fail no configuration item with config_key")
        assert told["configuration"].endswith(f"scripts/config.sh {HERE} apply FILE")
        assert "pass not checked, because the configuration is invalid" == told["exclusions"]

    @pytest.mark.parametrize(
        ("override", "fault"),
        [
            ({"account_ids": ["100000000001"], "billing": "nobody"}, "overrides: not in the addr"),
            (
                {"organizational_units": ["ou-exam-nowhere1"], "billing": "own"},
                "overrides: ou-exam-nowhere1 does not exist",
            ),
        ],
    )
    def test_override(self, site: Healthy, override: Any, fault: str) -> None:
        """What every run would refuse, because somebody deleted it since."""
        site.account.configure({"contact_types": ["billing"], "overrides": [override]})

        assert site.told()["configuration"].startswith(f"fail {fault}")

    @pytest.mark.case("B9")
    def test_exclusions(self, site: Healthy) -> None:
        """An exclusion that names nobody may be a typo."""
        excluded = ["100000000001", MANAGEMENT, STRANGER]
        site.account.configure({"contact_types": ["billing"], "excluded_accounts": excluded})

        told = site.told()["exclusions"]

        assert told.startswith(f"warn excluded_accounts: {MANAGEMENT} is the management account")
        assert f"; excluded_accounts: {STRANGER} is not in the organization" in told
        assert "100000000001" not in told

    def test_excluded_unit_that_is_gone(self, site: Healthy) -> None:
        """Every run refuses it."""
        units = ["ou-exam-workloads", "ou-exam-nowhere1"]
        item = {"contact_types": ["billing"], "excluded_organizational_units": units}
        site.account.configure(item)

        told = site.told()["exclusions"]

        assert told.startswith("fail excluded_organizational_units: ou-exam-nowhere1 does not")

    @pytest.mark.case("B10")
    @pytest.mark.parametrize(
        ("policy", "expected"), [("keep", "stays in the members"), ("delete", "is deleted from")]
    )
    def test_deleted_contact(self, site: Healthy, policy: str, expected: str) -> None:
        site.account.organization.set_contact(MANAGEMENT, "SECURITY", None)
        site.account.configure(
            {"contact_types": ["billing", "security"], "on_source_deleted": policy}
        )

        told = site.told()["source contacts"]

        assert told.startswith(
            f"warn the management account has no security contact: it {expected}"
        )

    @pytest.mark.case("B8")
    def test_shared_address(self, site: Healthy) -> None:
        """Compliance checks want the contacts different; the address is not shown."""
        for name in ("BILLING", "SECURITY"):
            contact = {**SOURCE_CONTACTS[name], "EmailAddress": "One@example.com"}
            site.account.organization.set_contact(MANAGEMENT, name, contact)

        told = site.told()["source contacts"]

        assert told == (
            "warn billing and security share one e-mail address: compliance checks require "
            "different ones"
        )

    @pytest.mark.case("B4")
    def test_invalid_contact(self, site: Healthy) -> None:
        contact = {**SOURCE_CONTACTS["PRIMARY"], "PhoneNumber": "0400 555 000"}
        site.account.organization.set_contact(MANAGEMENT, "PRIMARY", contact)

        told = site.told()["source contacts"]

        assert told == (
            "fail the primary contact is left out, because AWS would refuse it for member "
            "accounts: primary.PhoneNumber has a format that the API refuses"
        )
        site.account.configure({"contact_types": ["primary"], "primary_keeps": ["PhoneNumber"]})
        assert site.told()["source contacts"] == "pass primary set and valid for member accounts"

    def test_no_contact(self, site: Healthy) -> None:
        site.account.organization.set_contact(MANAGEMENT, "SECURITY", None)
        site.account.configure({"contact_types": ["security"]})

        assert site.told()["source contacts"].startswith("fail the management account has none of")

    def test_last_run(self, site: Healthy) -> None:
        """A dry run, and an execution without outcome, are not looked at."""
        site.record_run("failed", "failure", error="InvalidConfigError")
        site.record_run("dry-run", "success", dry_run=True)

        told = site.told()["last run"]

        assert told.startswith("warn failed did not succeed (failure, InvalidConfigError)")
        assert f"scripts/resync.sh {HERE} --retry-of failed repeats" in told

    def test_many_dry_runs_after_it(self, site: Healthy) -> None:
        """Such as those of a job every night, while the triggers are paused."""
        site.record_run("failed", "failure", error="InvalidConfigError")
        for number in range(25):
            site.record_run(f"x-{number:09}", "success", dry_run=True)

        assert site.told()["last run"].startswith("warn failed did not succeed")

    def test_no_run(self, site: Healthy) -> None:
        key = {"pk": {"S": "RUN"}, "sk": {"S": "2026-11-24#good"}}
        site.account.dynamodb.delete_item(TableName=STATE_TABLE, Key=key)

        assert site.told()["last run"].startswith(
            "warn no run yet: scripts/resync.sh --environment "
        )


class TestForwarding:
    @pytest.fixture(autouse=True)
    def _abroad(self, site: Healthy) -> None:
        """The stack is in eu-west-1, events come up in us-east-1, Control Tower is in a third."""
        stacks = site.account.stacks
        stacks.stacks["eu-west-1", STACK] = site.account.stack
        site.set_parameter("ControlTowerRegion", "eu-north-1")
        for region, kind in (("us-east-1", "Account"), ("eu-north-1", "ControlTower")):
            parameters = {"HomeRegion": "eu-west-1", "Kind": kind, "Triggers": "ENABLED"}
            name, outputs = f"{STACK}-forwarding", {"NotificationTopicArn": "arn:topic"}
            stacks.put(name, region=region, parameters=parameters, outputs=outputs)
        bus = f"arn:aws:events:eu-west-1:{MANAGEMENT}:event-bus/default"
        site.answer("events.ListTargetsByRule", {"Targets": [{"Arn": bus}]})

    def told(self, site: Healthy) -> str:
        return site.told("--region", "eu-west-1")["forwarding"]

    def forwarding(self, site: Healthy, region: str = "us-east-1") -> Any:
        return site.account.stacks.stacks[region, f"{STACK}-forwarding"]

    def test_healthy(self, site: Healthy) -> None:
        assert "pass ControlTower from eu-north-1, Account from us-east-1" == self.told(site)

    def test_missing(self, site: Healthy) -> None:
        del site.account.stacks.stacks["eu-north-1", f"{STACK}-forwarding"]

        assert self.told(site).startswith(f"fail there is no {STACK}-forwarding in eu-north-1: ")

    def test_wrong(self, site: Healthy) -> None:
        """A stack that serves another one, or whose rule was changed, forwards nothing to here."""
        stack = site.account.stacks.put(
            f"{STACK}-forwarding",
            status="UPDATE_ROLLBACK_FAILED",
            parameters={"HomeRegion": "eu-west-2", "Kind": "ControlTower", "Triggers": "DISABLED"},
        )
        site.answer("events.ListTargetsByRule", {"Targets": [{"Arn": "elsewhere"}]})

        told = self.told(site)

        name = stack["StackName"]
        for expected in (
            f"{name} in us-east-1 is UPDATE_ROLLBACK_FAILED",
            f"{name} in us-east-1 has HomeRegion eu-west-2, not eu-west-1",
            f"{name} in us-east-1 has Kind ControlTower, not Account",
            f"{name} in us-east-1 has Triggers DISABLED, not ENABLED",
            "does not forward to eu-west-1",
        ):
            assert expected in told

    def test_disabled_rule(self, site: Healthy) -> None:
        rules = [{"Name": RULES[0], "State": "DISABLED"}]
        site.answer("events.ListRules", {"Rules": rules})

        enable = f"aws events enable-rule --name {RULES[0]} --region us-east-1"
        assert f"{RULES[0]} in us-east-1 is disabled: {enable}" in self.told(site)

    def test_no_rule(self, site: Healthy) -> None:
        site.answer("events.ListRules", {"Rules": []})

        assert f"{STACK}-forwarding in us-east-1 has no rules: delete" in self.told(site)

    @pytest.mark.case("D7")
    def test_not_subscribed(self, site: Healthy) -> None:
        """Its dead letters raise an alarm of its own, which somebody must get."""
        pending = {"SubscriptionArn": "PendingConfirmation", "Endpoint": "x"}
        site.answer("sns.ListSubscriptionsByTopic", {"Subscriptions": [pending]})

        expected = f"1 subscriptions to {STACK}-forwarding-notifications are not confirmed"
        assert expected in self.told(site)

    def test_not_needed(self, site: Healthy) -> None:
        site.set_parameter("ControlTowerRegion", "")

        expected = "pass not needed: us-east-1 receives the events"
        assert expected == site.told()["forwarding"]


class TestDeep:
    """On the stand-in, test_on_standin.py sends the event through a real rule."""

    @pytest.fixture(autouse=True)
    def _deep(self, site: Healthy) -> None:
        wanted = [line.split() for line in deep_checks.SAMPLES.splitlines()]
        names = dict.fromkeys(rule for rule, *_ in wanted)
        rules = [
            {"Name": f"{STACK}-{name}", "State": "ENABLED", "EventPattern": json.dumps(name)}
            for name in names
        ]
        self.answers = {
            (json.dumps(rule), deep_checks.sample_event(event, self.arn(site), MANAGEMENT)): (
                answer == "True"
            )
            for rule, event, answer in wanted
        }
        self.started: dict[str, Any] = {}
        self.put: Any = None
        states = "stepfunctions."
        site.account.aws.answers |= {
            "events.ListRules": {"Rules": rules},
            "events.ListRuleNamesByTarget": {"RuleNames": [one["Name"] for one in rules]},
            "events.TestEventPattern": lambda _, given: {
                "Result": self.answers[given["EventPattern"], given["Event"]]
            },
            "events.ListTargetsByRule": {"Targets": [{"Id": "x", "RoleArn": "role"}]},
            "events.PutRule": {},
            "events.PutTargets": self._put_targets,
            "events.PutEvents": self._put_events,
            "events.RemoveTargets": {},
            "events.DeleteRule": {},
            f"{states}ListExecutions": lambda *_: {
                "executions": [{"executionArn": arn} for arn in self.started]
            },
            f"{states}DescribeExecution": lambda _, given: self._described(given["executionArn"]),
            f"{states}StartExecution": lambda _, given: self._start(site, "hand", given["input"]),
            "sns.Publish": {"MessageId": "x"},
        }
        self.site = site
        site.record_run("event", "success", dry_run=True, seconds=3, estimated_seconds=2)

    def arn(self, site: Healthy) -> str:
        return site.account.machine_arn

    def _put_targets(self, _: str, given: Any) -> Any:
        self.put = given["Targets"][0]["Input"]
        return {}

    def _put_events(self, *_: Any) -> Any:
        return self._start(self.site, "event", self.put)

    def _start(self, site: Healthy, name: str, given: str) -> Any:
        arn = f"{self.arn(site).replace(':stateMachine:', ':execution:')}:{name}"
        self.started[arn] = given
        return {"executionArn": arn}

    def _described(self, arn: str) -> Any:
        output = json.dumps({"summary": "[dev] dry run success"})
        given = {"executionArn": arn, "input": self.started[arn], "output": output}
        return {"status": "SUCCEEDED", **given}

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (SCP, "pass scripts/lib/contacts-scp.json is attached to ou-exam-payments, r-exam"),
            ({"Statement": SCP["Statement"][0]}, "pass scripts/lib/contacts-scp.json is attached"),
            ({"Statement": []}, "pass scripts/lib/contacts-scp.json is not attached: members can"),
            (
                {"Statement": [{**SCP["Statement"][0], "Condition": {"Bool": {}}}]},
                "pass scripts/lib/contacts-scp.json is not attached",
            ),
            (
                {"Statement": [{"Effect": "Deny", "NotAction": "iam:*", "Resource": "*"}]},
                "pass scripts/lib/contacts-scp.json is not attached",
            ),
        ],
    )
    def test_the_policy_against_edits(self, site: Healthy, content: Any, told: str) -> None:
        """Whether members can edit their contacts, and where they cannot."""
        targets = ["r-exam", "ou-exam-payments"]
        policy = {"id": "p-12345678", "name": "Contacts", "content": content, "targets": targets}
        site.account.change_world(policies=[policy])

        assert site.told("--deep")["self edits"].startswith(told)

    def test_healthy(self, site: Healthy) -> None:
        told = site.told("--deep")

        assert [*BASIC, *DEEP] == list(told)
        assert "pass 19 AWS events match the rules as expected" == told["patterns"]
        assert "pass a rule started event" == told["test event"]
        assert "pass [dev] dry run success" == told["dry run"]
        assert "pass 3 s for 0 accounts; the quotas allow 2 s" == told["time"]
        (given,) = [json.loads(text) for text in self.started.values()]
        assert True is given["dry_run"]
        assert "test" == given["trigger"]["source"]
        assert 1 == site.account.aws.calls["events.DeleteRule"]

    def test_rule_of_others(self, site: Healthy) -> None:
        rules = site.account.aws.answers["events.ListRules"]["Rules"]
        nightly = {"Name": f"{STACK}-nightly", "State": "ENABLED"}
        rules.append({**nightly, "ScheduleExpression": "rate(1 day)"})

        assert site.told("--deep")["patterns"].startswith("pass ")

    def test_changed_pattern(self, site: Healthy) -> None:
        member = deep_checks.sample_event(
            "put-alternate-contact-member", self.arn(site), MANAGEMENT
        )
        self.answers['"contact-changed"', member] = True

        told = site.told("--deep")["patterns"]

        assert told.startswith(
            f"fail {STACK}-contact-changed matches the event put-alternate-contact-member, "
        )

    def test_no_role(self, site: Healthy) -> None:
        """The dry run is started by hand then."""
        site.answer("events.ListTargetsByRule", {"Targets": []})

        told = site.told("--deep")

        expected = f"fail {STACK}-contact-changed has no target with a role: {REPAIR}"
        assert expected == told["test event"]
        assert told["dry run"].startswith("pass ")
        assert told["time"].startswith("warn the run recorded no time")

    def test_event_starts_nothing(self, site: Healthy) -> None:
        site.answer("events.PutEvents", {"FailedEntryCount": 0})

        told = site.told("--deep")

        assert told["test event"].startswith(
            "fail the event started no execution: check the role of "
        )
        assert 1 == site.account.aws.calls["events.DeleteRule"]

    @pytest.mark.parametrize(("seconds", "level"), [(660, "pass"), (661, "warn")])
    def test_time(self, site: Healthy, seconds: int, level: str) -> None:
        """A run that takes twice as long as it should, and a minute, is reported."""
        site.record_run(
            "event",
            "success",
            dry_run=True,
            seconds=seconds,
            estimated_seconds=300,
            accounts={"unchanged": 1000},
        )

        assert site.told("--deep")["time"].startswith(f"{level} ")


def test_samples_are_of_the_stack() -> None:
    """The rules are asked about events of this account and machine, in any partition."""
    arn = "arn:aws-cn:states:cn-north-1:123456789012:stateMachine:aws-contact-sync-prod"

    event = json.loads(deep_checks.sample_event("execution-failed", arn, "123456789012"))

    assert "123456789012" == event["account"]
    assert arn == event["detail"]["stateMachineArn"]
    execution = arn.replace(":stateMachine:", ":execution:")
    assert event["resources"][0].startswith(f"{execution}:")
    assert "999999999999" not in json.dumps(event)


@pytest.mark.parametrize("told", [DEPLOY, REPAIR])
def test_what_it_says_to_type_can_be_typed(told: str) -> None:
    deploy.parser().read(told.split()[1:])


def test_an_interruption_waits_for_the_call() -> None:
    """A call that is cut off may still be carried out, and leave the test rule behind."""
    called = []

    def put_rule() -> None:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            called.append("put rule")

    with pytest.raises(KeyboardInterrupt):
        put_rule()
    assert ["put rule"] == called
