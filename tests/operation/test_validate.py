"""Checking a deployed environment: `scripts/validate.sh`."""

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from operation.operate import environment_of, operate
from standin.organization.worlds import drifted_world
from support.cli import REPOSITORY, Cli, FakeAws, Result, needs_aws, run, source
from support.machine import Machine, machine

STACK = "aws-contact-sync-dev"
HANDLER = f"{STACK}-contact-sync-handler"
MANAGEMENT = "999999999999"
BASIC = (
    "stack, termination protection, account, organization, functions, state machine, tables, key, "
    "rules, schedule, trail, forwarding, topic, alarms, dead letters, configuration, last run"
).split(", ")
DEEP = "patterns, test message, test event, dry run, time".split(", ")


@pytest.fixture(name="fresh")
def _fresh(tmp_path: Path) -> Iterator[Cli]:
    """A stack of its own, which a test may break; a trail; and one good run."""
    needs_aws()
    with machine(triggers="ENABLED") as running:
        running.reset(drifted_world(3))
        trail = running.standin.client("cloudtrail")
        trail.create_trail(Name="organization", S3BucketName="b", IsMultiRegionTrail=True)
        trail.start_logging(Name="organization")
        running.run()
        yield Cli(running, tmp_path)


def lines(result: Result) -> dict[str, str]:
    """Return what each check says, by its name."""
    matches = [
        re.fullmatch("(pass|warn|fail)  ([a-z ]+): (.+)", line)
        for line in result.stdout.splitlines()
    ]
    assert all(matches), result.stdout
    return {match[2]: f"{match[1]} {match[3]}" for match in matches if match}


def target_of(event: str) -> str:
    """Return the id that SAM gives the target of a rule of the state machine."""
    return f"ContactSyncStateMachine{event}StepFunctionsTarget"


def schedule_of(stand: Machine) -> Any:
    """Return the request that leaves the schedule as it is."""
    scheduler = stand.standin.client("scheduler")
    (entry,) = scheduler.list_schedules(GroupName=STACK)["Schedules"]
    found = scheduler.get_schedule(GroupName=STACK, Name=entry["Name"])
    kept = ("Name", "GroupName", "ScheduleExpression", "Target", "FlexibleTimeWindow")
    return {name: found[name] for name in kept}


class TestOptions:
    @pytest.mark.parametrize("option", ["-h", "--help"])
    def test_help(self, fake_aws: FakeAws, option: str) -> None:
        """Help is an answer, not an error."""
        fake_aws.answers = ["exit 99"]

        result = run("validate.sh", option, environment=fake_aws.environment)

        assert (0, "") == (result.returncode, result.stderr)
        for named in ("--environment ENV", "--deep", "--region R", "--profile P"):
            assert named in result.stdout

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ("", "--environment is required"),
            ("--bogus", "unknown option: --bogus"),
            ("left-over", "unknown option: left-over"),
            ("--environment", "--environment needs a value"),
            ("--environment production", "'production' is no environment"),
            ("--region somewhere", "'somewhere' is no region"),
            ("--profile", "--profile needs a value"),
        ],
    )
    def test_wrong(self, fake_aws: FakeAws, options: str, complaint: str) -> None:
        """A wrong option is told on stderr with the usage and exit code 2, before any call."""
        fake_aws.answers = ["exit 99"]

        result = run("validate.sh", *shlex.split(options), environment=fake_aws.environment)

        assert (2, "") == (result.returncode, result.stdout)
        assert complaint in result.stderr.splitlines()[0]
        assert "Usage: scripts/validate.sh" in result.stderr
        assert 0 == fake_aws.calls


class TestBasic:
    def test_healthy(self, fresh: Cli) -> None:
        """Of a stack as it was deployed, every check passes."""
        result = operate(fresh, "validate.sh")

        assert (0, "0 failed, 0 warnings\n") == (result.returncode, result.stderr), result.stdout
        told = lines(result)
        assert BASIC == list(told)
        assert {"pass"} == {line.split()[0] for line in told.values()}
        assert "pass 5 ready" == told["functions"]
        assert "pass 11 enabled" == told["rules"]
        assert "pass organization is logging" == told["trail"]

    def test_warnings(self, fresh: Cli) -> None:
        """What somebody has to decide is a warning with its remedy, and no failure."""
        stand = fresh.machine
        client = stand.standin.client
        client("events").disable_rule(Name=f"{STACK}-account-joined")
        client("scheduler").update_schedule(**schedule_of(stand), State="DISABLED")
        client("cloudtrail").stop_logging(Name="organization")
        topic = stand.stack.outputs["NotificationTopicArn"]
        for one in client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
            client("sns").unsubscribe(SubscriptionArn=one["SubscriptionArn"])
        alarm = {"AlarmName": f"{STACK}-dlq-messages", "StateReason": "test"}
        client("cloudwatch").set_alarm_state(**alarm, StateValue="ALARM")
        client("cloudwatch").disable_alarm_actions(AlarmNames=[alarm["AlarmName"]])
        queue = stand.stack.outputs["DeadLetterQueueUrl"]
        client("sqs").send_message(QueueUrl=queue, MessageBody="{}")
        stand.put_config({"config_key": "default", "contact_types": ["legal"]})
        failed = stand.run()
        stand.configure()

        result = operate(fresh, "validate.sh")

        assert (0, "0 failed, 7 warnings\n") == (result.returncode, result.stderr), result.stdout
        told = lines(result)
        assert (
            f"warn {STACK}-account-joined is disabled: aws events enable-rule --name "
            f"{STACK}-account-joined" == told["rules"]
        )
        assert told["schedule"].startswith("warn it is DISABLED")
        assert told["trail"].startswith("warn none is logging in us-east-1")
        assert told["topic"].startswith("warn nobody is subscribed: deploy with --notification-ema")
        assert f"warn {STACK}-dlq-messages is in alarm: see https://" in told["alarms"]
        assert "aws cloudwatch enable-alarm-actions" in told["alarms"]
        redrive = "scripts/redrive-dlq.sh --environment dev"
        assert f"warn 1 events started nothing: {redrive}" == told["dead letters"]
        assert told["last run"].startswith(
            f"warn {failed.name} was no success (failure, InvalidConfigError)"
        )

    def test_failures(self, fresh: Cli) -> None:
        """Everything that is broken is told in one go, each with its remedy."""
        stand = fresh.machine
        client = stand.standin.client
        # The guide's own command, which takes all other variables away.
        debug = ["lambda", "update-function-configuration", "--function-name", HANDLER]
        subprocess.run(
            ["aws", *debug, "--environment", "Variables={LOG_LEVEL=DEBUG}"],
            env=environment_of(fresh),
            check=True,
            capture_output=True,
        )
        stand.put_config(None)
        world = drifted_world(3)
        stand.organization.reset(
            {**world, "trusted_access": [], "feature_set": "CONSOLIDATED_BILLING"}
        )
        events = client("events")
        for rule, event in (("account-closed", "AccountClosed"), ("recovery", "Recovery")):
            events.remove_targets(Rule=f"{STACK}-{rule}", Ids=[target_of(event)])
        events.delete_rule(Name=f"{STACK}-recovery")
        key = client("kms").describe_key(KeyId=f"alias/{STACK}")["KeyMetadata"]["KeyId"]
        client("kms").disable_key(KeyId=key)
        client("sns").set_topic_attributes(
            TopicArn=stand.stack.outputs["NotificationTopicArn"],
            AttributeName="KmsMasterKeyId",
            AttributeValue="alias/aws/sns",
        )
        client("cloudwatch").delete_alarms(AlarmNames=[f"{STACK}-dlq-messages"])
        denied = {"service": "dynamodb", "operation": "DescribeTable"}
        stand.standin.set_faults([{**denied, "error": "AccessDeniedException", "times": 1}])

        result = operate(fresh, "validate.sh")

        assert 1 == result.returncode
        told = lines(result)
        assert BASIC == list(told)
        failed = [name for name, line in told.items() if line.startswith("fail ")]
        assert (
            "organization, functions, tables, key, rules, topic, alarms, configuration"
        ) == ", ".join(failed), result.stdout
        assert "8 failed, 0 warnings\n" == result.stderr
        assert f"{HANDLER} has lost its environment variables" in told["functions"]
        assert "no configuration item with config_key `default`" in told["configuration"]
        assert "scripts/config.sh apply FILE --environment dev" in told["configuration"]
        assert "aws organizations enable-all-features" in told["organization"]
        assert (
            "aws organizations enable-aws-service-access --service-principal account.amazonaws.com"
        ) in told["organization"]
        assert f"{STACK}-account-closed has no target" in told["rules"]
        assert f"{STACK}-recovery was deleted by hand" in told["rules"]
        assert "is Disabled" in told["key"]
        assert "alias/aws/sns" in told["topic"]
        assert f"{STACK}-dlq-messages was deleted by hand" in told["alarms"]
        assert "the AWS credentials do not suffice" in told["tables"]

    def test_prod(self, tmp_path: Path) -> None:
        """Of prod more is expected; switched-off triggers are told once."""
        needs_aws()
        with machine(triggers="DISABLED", environment="prod") as running:
            running.reset(drifted_world(0))
            running.standin.client("dynamodb").update_continuous_backups(
                TableName="aws-contact-sync-prod-state",
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False},
            )
            cli = Cli(running, tmp_path)
            environment = environment_of(cli)

            result = run("validate.sh", "--environment", "prod", environment=environment)

        assert 0 == result.returncode, result.stdout
        told = lines(result)
        assert told["termination protection"].startswith("warn off: aws cloudformation update-term")
        assert "warn aws-contact-sync-prod-state has no point-in-time recovery" in told["tables"]
        assert "aws-contact-sync-prod-config has no" not in told["tables"]
        assert "warn no event starts an execution, because Triggers is DISABLED" == told["rules"]
        assert "resync.sh --environment prod --dry-run" in told["last run"]

    def test_no_stack(self, machine: Machine, tmp_path: Path) -> None:
        """Without a stack there is one failure, and nothing else to look at."""
        result = operate(Cli(machine, tmp_path), "validate.sh", "--region", "eu-west-1")

        assert (1, "1 failed, 0 warnings\n") == (result.returncode, result.stderr)
        told = lines(result)
        assert ["stack"] == list(told)
        assert told["stack"].startswith(f"fail there is no stack {STACK} in this account and regio")

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            ("ROLLBACK_COMPLETE", "fail aws-contact-sync-dev is ROLLBACK_COMPLETE: scripts/rollb"),
            ("UPDATE_ROLLBACK_FAILED", "fail aws-contact-sync-dev is UPDATE_ROLLBACK_FAILED"),
            ("DELETE_FAILED", "fail aws-contact-sync-dev is DELETE_FAILED"),
            ("UPDATE_ROLLBACK_COMPLETE", "warn aws-contact-sync-dev is UPDATE_ROLLBACK_COMPLETE"),
            ("UPDATE_IN_PROGRESS", "warn aws-contact-sync-dev is UPDATE_IN_PROGRESS: validate ag"),
        ],
    )
    def test_unhealthy_stack(self, fake_aws: FakeAws, status: str, expected: str) -> None:
        """A stack that exists is not yet one that works."""
        fake_aws.answers = ["echo None", f"printf '{status}\\tFalse\\n'", "echo None"]
        environment = {**fake_aws.environment, "PYTHON": sys.executable}

        result = run("validate.sh", "--environment", "dev", environment=environment)

        assert lines(result)["stack"].startswith(expected)
        assert expected.startswith("fail") == (result.returncode == 1)

    def test_expired_credentials(self, fake_aws: FakeAws) -> None:
        """Without credentials it says so once, and fails."""
        fake_aws.answers = ['echo "An error occurred (ExpiredToken)" >&2; exit 254']
        environment = {**fake_aws.environment, "PYTHON": sys.executable}

        result = run("validate.sh", "--environment", "dev", environment=environment)

        assert 1 == result.returncode
        assert lines(result)["stack"].startswith("fail the AWS credentials are expired or invalid")


@pytest.fixture(scope="module", name="forwarding")
def _forwarding(machine: Machine) -> Iterator[Machine]:
    """Stacks that forward to eu-west-1, as deploy.sh makes them, and where it says so."""
    s3 = machine.standin.client("s3", "eu-west-1")
    bucket = {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration=bucket)
    made = {"Resources": {"T": {"Type": "AWS::SNS::Topic"}}}
    made["Outputs"] = {"SourceBucket": {"Value": "artifacts"}}
    create(machine, "eu-west-1", "aws-sam-cli-managed-default", json.dumps(made))
    s3.put_object(Bucket="artifacts", Key=f"{STACK}/control-tower-region", Body=b"eu-north-1\n")
    template = (REPOSITORY / "scripts/forwarding.yaml").read_text()
    for region, kind in (("us-east-1", "Account"), ("eu-north-1", "ControlTower")):
        more = {"HomeRegion": "eu-west-1", "Kind": kind, "ManagementAccountId": MANAGEMENT}
        create(machine, region, f"{STACK}-forwarding", template, **more)
    yield machine
    for region in ("us-east-1", "eu-north-1"):
        client = machine.standin.client("cloudformation", region)
        client.delete_stack(StackName=f"{STACK}-forwarding")


def create(stand: Machine, region: str, name: str, template: str, **parameters: str) -> None:
    client = stand.standin.client("cloudformation", region)
    given = [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()]
    capabilities = ["CAPABILITY_IAM"]
    client.create_stack(
        StackName=name, TemplateBody=template, Parameters=given, Capabilities=capabilities
    )
    client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})


def told_of_forwarding(stand: Machine, home: Path, region: str = "eu-west-1") -> str:
    """Return what the check says of a stack that is in this region."""
    text = (REPOSITORY / "scripts/validate.sh").read_text().removesuffix('main "$@"\n')
    text = text.replace('$(dirname -- "${BASH_SOURCE[0]}")', f"{REPOSITORY}/scripts")
    arn = f"arn:aws:states:{region}:{MANAGEMENT}:stateMachine:{STACK}-contact-sync"
    begin = f"failed=0 warned=0 stack={STACK} AWS_REGION_OPTION={region}"
    outputs = f"outputs='StateMachineArn\t{arn}' parameters='Triggers\tENABLED'"
    told = subprocess.run(
        ["bash", "-c", f"{text}\n{begin} {outputs}; check_forwarding; echo $failed $warned"],
        env=environment_of(Cli(stand, home)),
        check=False,
        capture_output=True,
        text=True,
    )
    assert (0, "") == (told.returncode, told.stderr)
    return told.stdout


class TestForwarding:
    def test_healthy(self, forwarding: Machine, tmp_path: Path) -> None:
        """Each region that has events has a stack, which is told with what it forwards."""
        told = told_of_forwarding(forwarding, tmp_path)

        assert told == (
            "pass  forwarding: Account from us-east-1, ControlTower from eu-north-1\n0 0\n"
        )

    def test_wrong(self, forwarding: Machine, tmp_path: Path) -> None:
        """A stack that serves another one, or whose rule was changed, forwards nothing to here."""
        events = forwarding.standin.client("events")
        name = f"{STACK}-forwarding-contact-changed"
        (target,) = events.list_targets_by_rule(Rule=name)["Targets"]
        elsewhere = target["Arn"].replace("eu-west-1", "eu-west-2")
        events.put_targets(Rule=name, Targets=[{**target, "Arn": elsewhere}])
        events.disable_rule(Name=name)
        s3 = forwarding.standin.client("s3", "eu-west-1")
        key = {"Bucket": "artifacts", "Key": f"{STACK}/control-tower-region"}
        s3.put_object(**key, Body=b"us-east-1\n")
        try:
            told = told_of_forwarding(forwarding, tmp_path)
            there = told_of_forwarding(forwarding, tmp_path, "ap-southeast-2")
        finally:
            events.put_targets(Rule=name, Targets=[target])
            events.enable_rule(Name=name)
            s3.put_object(**key, Body=b"eu-north-1\n")

        assert told.startswith("fail  forwarding: ")
        assert "forwards the events of Account, and those of Both are needed" in told
        assert f"{name} in us-east-1 does not forward to eu-west-1" in told
        enable = f"aws events enable-rule --region us-east-1 --name {name}"
        assert f"{name} in us-east-1 is disabled: {enable}" in told
        assert "us-east-1 forwards to eu-west-1, and the stack is in ap-southeast-2" in there

    def test_missing(self, forwarding: Machine, tmp_path: Path) -> None:
        """Where there is none, a change of contacts would go unnoticed."""
        s3 = forwarding.standin.client("s3", "eu-west-1")
        key = {"Bucket": "artifacts", "Key": f"{STACK}/control-tower-region"}
        s3.put_object(**key, Body=b"sa-east-1\n")
        try:
            told = told_of_forwarding(forwarding, tmp_path)
        finally:
            s3.put_object(**key, Body=b"eu-north-1\n")

        assert (
            f"fail  forwarding: there is no {STACK}-forwarding in sa-east-1: deploy again" in told
        )

    def test_not_needed(self, machine: Machine, tmp_path: Path) -> None:
        """Where the events come up, nothing is forwarded."""
        told = told_of_forwarding(machine, tmp_path, "us-east-1")

        assert "pass  forwarding: not needed: the events come up in us-east-1\n0 0\n" == told


class TestDeep:
    def test_healthy(self, fresh: Cli) -> None:
        """An event travels through a rule, its dry run ends well, and nothing is left behind."""
        stand = fresh.machine
        stand.organization.clear_calls()
        published = len(stand.messages())

        result = operate(fresh, "validate.sh", "--deep")

        assert 0 == result.returncode, result.stdout
        told = lines(result)
        assert [*BASIC, *DEEP] == list(told)
        assert {"pass"} == {line.split()[0] for line in told.values()}
        execution = stand.stack.executions()[-1]
        assert f"pass a rule started {execution.name}" == told["test event"]
        assert "success" in told["dry run"]
        assert re.fullmatch(r"pass \d+ s for 3 accounts; the quotas allow \d+ s", told["time"])
        assert "test" == execution.input()["trigger"]["source"]
        assert True is execution.input()["dry_run"]
        assert [] == stand.writes()
        subjects = [message.subject for message in stand.messages()[published:]]
        assert "[dev] Test of the contact sync's notifications" in subjects
        assert [] == own_rules(stand)

    def test_failures(self, fresh: Cli) -> None:
        """Each link that is broken is told by name."""
        stand = fresh.machine
        events = stand.standin.client("events")
        name = f"{STACK}-contact-changed"
        pattern = json.loads(events.describe_rule(Name=name)["EventPattern"])
        # Without this, each own write would start the next run.
        del pattern["detail"]["requestParameters"]
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.remove_targets(Rule=name, Ids=[target_of("ContactChanged")])
        denied = {"service": "sns", "operation": "Publish", "error": "AuthorizationError"}
        stand.standin.set_faults([{**denied, "times": 1}])
        stand.put_config({"config_key": "default", "contact_types": ["legal"]})

        result = operate(fresh, "validate.sh", "--deep")

        assert 1 == result.returncode
        told = lines(result)
        assert f"fail {name} should say False to put-alternate-contact-member: " in told["patterns"]
        assert told["test message"].startswith("fail ")
        assert f"fail {name} has no role that could start it" == told["test event"]
        assert told["dry run"].startswith("fail FAILED: InvalidConfigError: ")
        assert "time" not in told
        assert [] == own_rules(stand)

    def test_interrupted(self, fresh: Cli) -> None:
        """Ended in the middle, it takes its rule with it."""
        script = REPOSITORY / "scripts/validate.sh"
        with subprocess.Popen(
            ["bash", script, "--environment", "dev", "--deep"],
            env=environment_of(fresh),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as running:
            # The basic checks come before.
            while running.poll() is None and not own_rules(fresh.machine):
                time.sleep(0.1)
            running.send_signal(signal.SIGTERM)

        assert 0 != running.returncode
        assert [] == own_rules(fresh.machine)

    def test_samples_are_of_the_stack(self) -> None:
        """The rules are asked about events of this account and machine, in any partition."""
        machine_arn = "arn:aws-cn:states:cn-north-1:123456789012:stateMachine:aws-contact-sync-prod"
        setting = f"machine={machine_arn}; parameter() {{ echo 123456789012; }}"
        deep = '. "$REPOSITORY/scripts/lib/deep_checks.sh"'

        result = source(f"{setting}; {deep}; sample_event execution-failed")

        assert "" == result.stderr
        event = json.loads(result.stdout)
        assert "123456789012" == event["account"]
        assert machine_arn == event["detail"]["stateMachineArn"]
        execution = machine_arn.replace(":stateMachine:", ":execution:")
        assert event["resources"][0].startswith(f"{execution}:")
        assert "999999999999" not in result.stdout

    @pytest.mark.parametrize(
        ("told", "expected"),
        [
            ("300\t660\t1000", "end 660 s for 1000 accounts; the quotas allow 300 s"),
            ("300\t661\t1000", "note warn the run of 1000 accounts took 661 s, and the quotas "),
            ("None\tNone\t0", "note warn the run recorded no time"),
            ("None", "note warn the run recorded no time"),
        ],
    )
    def test_time(self, told: str, expected: str) -> None:
        """A run that takes twice as long as it should, and a minute, is reported."""
        stubs = f"""
            TAB=$'\\t'; outputs=""; execution=x
            begin() {{ :; }}; note() {{ echo "note $*"; }}; end() {{ echo "end $1"; }}
            ask() {{ answer=$'{told}'; }}; output_of() {{ echo table; }}
            """

        result = source(f'{stubs}\n. "$REPOSITORY/scripts/lib/deep_checks.sh"\ncheck_time')

        assert "" == result.stderr
        assert result.stdout.startswith(expected)


def own_rules(stand: Machine) -> list[str]:
    found = stand.standin.client("events").list_rules(NamePrefix=f"{STACK}-validate")
    return [rule["Name"] for rule in found["Rules"]]
