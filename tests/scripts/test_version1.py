"""What once broke version 1's scripts, by the scripts alone, whatever they are made of.

Only what they leave in the account and how they end counts: each test also runs, and fails, with
the scripts, the template and the functions of version 1.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.cli import AWS_FOLDER, aws_2_folder, environment_for
from support.cli import run as run_script
from support.documents import DOCUMENTS, Sample, samples_of
from support.project import ACCOUNT, DEPLOYMENT, SAM, Project, project

STACK = "aws-contact-sync-dev"
EMAIL = "team@example.com"
STRANGER, EXCLUDED = "100000000777", "100000000002"
SIGNED_OUT = """\
[profile audit]
region = us-east-1
sso_session = s
sso_account_id = 999999999999
sso_role_name = R
[sso-session s]
sso_region = us-east-1
sso_start_url = https://example.com/start
"""
SESSION_KEYS = {
    "Version": 1,
    "AccessKeyId": ACCOUNT,
    "SecretAccessKey": "any",
    "SessionToken": "any",
}
UNCONFIRMED = tuple(option for option in DEPLOYMENT if option != "--yes")
SLOW = {"error": "slow", "delay": 4}
DENIED = "AccessDeniedException"
SLOWED = ("ListAccounts", "GetAlternateContact", "GetContactInformation")

Json = dict[str, Any]


@pytest.fixture(autouse=True, name="slept")
def _slept() -> None:
    """Time passes here: the tests wait for other programs."""


@pytest.fixture(scope="module", name="deployed")
def _deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """An environment without a trail, and with a tag of the user's own."""
    with project(tmp_path_factory.mktemp("project"), accounts=3) as made:
        # Version 1 asks the Python at hand for the functions' requirement, by its name.
        about = made.folder / "home/everything-1.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: everything\nVersion: 1\n")
        made.deploy("--no-trail", "--notification-email", EMAIL, "--log-level", "DEBUG")
        stacks = made.standin.client("cloudformation")
        kept = [{"ParameterKey": name, "UsePreviousValue": True} for name in made.parameters()]
        stacks.update_stack(
            StackName=STACK,
            UsePreviousTemplate=True,
            Parameters=kept,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Tags=[{"Key": "team", "Value": "security"}],
        )
        wait_until(lambda: made.stack()["StackStatus"] == "UPDATE_COMPLETE")
        assert {"team": "security"} == made.tags()
        yield made


@pytest.fixture(scope="module", name="during")
def _during(deployed: Project) -> str:
    """Update it while a run is under way, and without the subscription, which was not confirmed.

    Returns the status of the run at the time of the update.
    """

    def is_updated() -> bool:
        return deployed.parameters()["LogLevel"] == "INFO"

    topics = deployed.standin.client("sns")
    for one in subscriptions(deployed):
        topics.unsubscribe(SubscriptionArn=one["SubscriptionArn"])
    deployed.edit("functions/sync_reporter/handler.py", '"""', '"""Newly: ')
    packaged, proceed = deployed.folder / "packaged", deployed.folder / "proceed"
    sam = deployed.folder / "bin/sam"
    sam.unlink()
    sam.write_text(
        f'#!/bin/sh\n"{SAM}" "$@" || exit\n[ "$1" = package ] || exit 0\ntouch "{packaged}"\n'
        f'until [ -e "{proceed}" ]; do sleep 0.1; done\n'
    )
    sam.chmod(0o755)
    options = ("--schedule", "rate(2 days)", "--log-level", "INFO")
    with running(deployed, "deploy", *DEPLOYMENT, *options) as deploying:
        try:
            wait_until(packaged.exists)
            under_way = start_slowly(deployed)
        finally:
            proceed.touch()
        wait_until(lambda: is_updated() or "A run is in progress" in told_by(deployed))
        deployed.standin.organization.clear_faults()
        wait_until(is_updated)
        status = status_of(deployed, under_way)
    assert 0 == deploying.returncode, told_by(deployed)
    return status


@pytest.fixture(scope="module", name="deleted")
def _deleted(deployed: Project, during: str) -> str:
    """Exclude an account, and delete all while a run is under way, with a backup.

    Returns the status of the run at the time of the deletion.
    """
    del during
    deployed.run("config", "exclude", EXCLUDED, "--yes")
    before = deployed.stack()["StackStatus"]
    under_way = start_slowly(deployed)
    options = ("--delete", "--force", "--backup-data", "--output", str(deployed.folder / "saved"))
    with running(deployed, "rollback", *options):
        wait_until(lambda: deployed.stack().get("StackStatus", "") != before)
        status = status_of(deployed, under_way)
    deployed.standin.organization.clear_faults()
    delete(deployed)
    return status


@pytest.mark.case("E11")
@pytest.mark.parametrize(
    "sample", [each for path in DOCUMENTS for each in samples_of(path)], ids=str
)
def test_no_comment_follows_a_command(sample: Sample) -> None:
    """A shell that reads what is pasted, such as zsh, takes one for arguments."""
    assert sample.language != "bash" or sample.words == shlex.split(sample.text)


@pytest.mark.case("E4")
def test_whoever_is_signed_out_is_told_so(tmp_path: Path) -> None:
    """That a token does not exist says nothing of the stack."""
    config = tmp_path / "config"
    config.write_text(SIGNED_OUT)
    variables = {"AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "audit", "PYTHON": sys.executable}
    environment = environment_for(tmp_path, **variables)

    told = run_script("rollback.sh", "--environment", "dev", "--force", environment=environment)

    assert 1 == told.returncode, told.stderr
    assert "aws sso login" in told.stderr


@pytest.mark.case("E5")
def test_trusted_access_is_looked_for_on_every_page(deployed: Project) -> None:
    organization = deployed.standin.organization
    world = organization.world()
    others = [f"service-{number}.amazonaws.com" for number in range(21)]
    organization.reset({**world, "trusted_access": others})

    told = run(deployed, "deploy", *UNCONFIRMED)
    organization.reset(world)

    assert "enable-aws-service-access" in told.stderr


@pytest.mark.case("E13")
def test_there_is_a_way_without_the_runtimes_python(deployed: Project) -> None:
    """And not only another runtime for what is deployed."""
    told = run(deployed, "deploy", *UNCONFIRMED, "--parameter", "Runtime=python3.99")

    assert "--use-container" in told.stderr


@pytest.mark.case("E10")
def test_whoever_is_asked_sees_what_is_deleted(deployed: Project) -> None:
    deployed.edit("template.yaml", "  DeadLetterQueueAlarm:", "  OtherAlarm:")

    told = run(deployed, "deploy", *UNCONFIRMED)
    deployed.edit("template.yaml", "  OtherAlarm:", "  DeadLetterQueueAlarm:")

    assert "DeadLetterQueueAlarm (AWS::CloudWatch::Alarm)" in told.stderr


@pytest.mark.case("E7")
@pytest.mark.parametrize("setting", ["", "cli_error_format = json"])
def test_messages_do_not_depend_on_the_aws_cli(
    deployed: Project, tmp_path: Path, setting: str
) -> None:
    """Version 2 ends some of its own with details, or writes them as JSON."""
    config = tmp_path / "config"
    config.write_text(f"[default]\n{setting}\n")
    path = f"{aws_2_folder()}{os.pathsep}{deployed.environment['PATH']}"

    told = run(deployed, "resync", "--environment", "prod", PATH=path, AWS_CONFIG_FILE=str(config))

    assert "there is no stack aws-contact-sync-prod" in told.stderr


@pytest.mark.case("E19")
def test_checks_start_no_aws_cli(deployed: Project, tmp_path: Path) -> None:
    """Each start takes longer than what is asked for: with one a check it were 26 s."""
    starts = tmp_path / "starts"
    program = tmp_path / "aws"
    program.write_text(f'#!/bin/sh\necho >>"{starts}"\nexec "{AWS_FOLDER}/aws" "$@"\n')
    program.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{deployed.environment['PATH']}"

    told = run(deployed, "validate", PATH=path)

    assert " warnings" in told.stderr
    assert not starts.exists(), f"{len(starts.read_text())} starts"


@pytest.mark.case("A17")
def test_nothing_is_deployed_while_a_run_is_under_way(during: str) -> None:
    """Whose children would call functions of another release."""
    assert "RUNNING" != during


@pytest.mark.case("E6")
@pytest.mark.usefixtures("during")
def test_tags_of_the_users_own_are_kept(deployed: Project) -> None:
    assert {"team": "security"} == deployed.tags()


@pytest.mark.case("E12")
@pytest.mark.usefixtures("during")
def test_no_trail_is_remembered(deployed: Project) -> None:
    assert [] == deployed.standin.client("cloudtrail").describe_trails()["trailList"]


@pytest.mark.case("E18")
@pytest.mark.usefixtures("during")
def test_the_alarm_follows_the_schedule(deployed: Project) -> None:
    """With a run every two days, a day without one is no alarm."""
    [alarm] = deployed.standin.client("cloudwatch").describe_alarms(
        AlarmNames=[f"{STACK}-no-full-run"]
    )["MetricAlarms"]

    assert 48 * 3600 < alarm["Period"] * alarm["EvaluationPeriods"]


@pytest.mark.case("D7")
@pytest.mark.usefixtures("during")
def test_a_subscription_that_vanished_is_made_again(deployed: Project) -> None:
    assert [EMAIL] == [one["Endpoint"] for one in subscriptions(deployed)]


@pytest.mark.case("E15")
def test_nobody_excludes_the_management_account(deployed: Project) -> None:
    """Who does, meant another account, which would be overwritten."""
    told = run(deployed, "config", "exclude", ACCOUNT, "--yes")

    assert 1 == told.returncode, told.stderr
    assert ACCOUNT in told.stderr


@pytest.mark.case("E15")
def test_an_exclusion_of_nobody_is_warned_about(deployed: Project) -> None:
    told = run(deployed, "config", "exclude", STRANGER, "--yes")
    run(deployed, "config", "include", STRANGER, "--yes")

    assert "warning" in told.stderr
    assert STRANGER in told.stderr


@pytest.mark.case("E17")
@pytest.mark.usefixtures("during")
def test_without_a_terminal_the_option_is_named(deployed: Project) -> None:
    told = run(deployed, "rollback")

    assert 1 == told.returncode
    assert "--yes" in told.stderr


@pytest.mark.case("E3")
def test_nothing_is_deleted_without_an_environment(deployed: Project) -> None:
    """Least of all prod."""
    command = ["bash", str(deployed.folder / "scripts/rollback.sh"), "--delete", "--force"]
    told = subprocess.run(
        command, env=deployed.environment, check=False, capture_output=True, text=True
    )

    assert 2 == told.returncode, told.stderr
    assert "--environment" in told.stderr


@pytest.mark.case("E8")
@pytest.mark.usefixtures("during")
def test_a_rule_without_a_target_is_repaired_as_advised(deployed: Project) -> None:
    """By what validate.sh says of it: in version 1, to deploy again."""
    events, rule = deployed.standin.client("events"), f"{STACK}-contact-changed"
    before = events.list_targets_by_rule(Rule=rule)["Targets"]
    events.remove_targets(Rule=rule, Ids=[one["Id"] for one in before])

    advice = deployed.run("validate", code=1).stdout.partition(f"{rule} has no target: ")[2]
    deployed.deploy(*["--repair"][: advice.count("--repair")])

    assert before == events.list_targets_by_rule(Rule=rule)["Targets"]


@pytest.mark.case("E16")
@pytest.mark.usefixtures("during")
def test_lost_credentials_are_no_failed_run(deployed: Project, tmp_path: Path) -> None:
    """The run goes on, which the exit code tells."""
    keys, config = tmp_path / "keys", tmp_path / "config"
    soon = datetime.now(UTC) + timedelta(minutes=5)
    keys.write_text(json.dumps({**SESSION_KEYS, "Expiration": soon.isoformat()}))
    config.write_text(f"[profile lost]\nregion = us-east-1\ncredential_process = cat '{keys}'\n")
    slow_down(deployed)
    options = ("--follow", "--profile", "lost")
    with running(deployed, "resync", *options, AWS_CONFIG_FILE=str(config)) as following:
        wait_until(lambda: "preparing" in told_by(deployed))
        keys.unlink()
    deployed.standin.organization.clear_faults()
    deployed.standin.await_quiet()

    deployed.standin.organization.add_fault({"error": DENIED, "operation": "ListAccounts"})
    failed = run(deployed, "resync", "--follow")
    deployed.standin.organization.clear_faults()
    deployed.standin.await_quiet()

    assert following.returncode not in (0, 1, failed.returncode), failed.stderr


@pytest.mark.case("E1")
@pytest.mark.usefixtures("during")
def test_going_back_is_interrupted_and_repeated(deployed: Project) -> None:
    """It ends where it was going to."""
    with running(deployed, "rollback", "--force") as going_back:
        wait_until(lambda: deployed.parameters()["LogLevel"] == "DEBUG")
        os.killpg(going_back.pid, signal.SIGINT)
    assert 130 == going_back.returncode, told_by(deployed)
    wait_until(lambda: not deployed.stack()["StackStatus"].endswith("_IN_PROGRESS"))

    again = run(deployed, "rollback", "--force")

    assert "DEBUG" == deployed.parameters()["LogLevel"], again.stderr


@pytest.mark.case("E14")
def test_each_backup_has_a_folder_of_its_own(deployed: Project) -> None:
    """As rollback.sh --backup-data makes them."""
    ends = [run(deployed, "backup") for _ in range(2)]

    assert [0, 0] == [one.returncode for one in ends], ends[1].stderr


@pytest.mark.case("D5")
def test_a_run_is_stopped_before_its_stack_is_deleted(deleted: str) -> None:
    """Else the machine would stay DELETING for as long as the run takes."""
    assert "ABORTED" == deleted


@pytest.mark.case("E2")
@pytest.mark.usefixtures("deleted")
def test_what_was_deleted_comes_back_as_it_was(deployed: Project) -> None:
    """Deployed as deploy.sh --help says: nobody who was excluded is overwritten meanwhile."""
    told = deployed.run("deploy", "--help").stdout
    deployed.deploy(*["--restore", deployed.folder / "saved"] if "--restore" in told else [])

    excluded = json.loads(deployed.run("config", "show").stdout)["excluded_accounts"]
    parameters = deployed.parameters()
    notified, triggers = parameters["NotificationEmail"], parameters["Triggers"]
    assert ([EXCLUDED], EMAIL, "DISABLED") == (excluded, notified, triggers)
    assert {"team": "security"} == deployed.tags()


@pytest.mark.case("D6")
def test_a_bucket_that_fills_while_it_is_emptied(deployed: Project) -> None:
    """CloudTrail delivers for a while after it was stopped; the stack is deleted all the same."""
    delete(deployed)
    deployed.deploy()
    [trail] = deployed.standin.client("cloudtrail").describe_trails()["trailList"]
    assert f"{STACK}-trail" == trail["Name"]

    told = run(deployed, "rollback", "--delete", "--force")

    assert (0, {}) == (told.returncode, deployed.stack()), told.stderr


@pytest.mark.case("E9")
def test_what_an_organization_demands_is_given(deployed: Project) -> None:
    """Tags, a boundary for every role, a bucket for the code, and a role that deploys."""
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = deployed.standin.client("iam").create_policy(
        PolicyName="demanded-boundary", PolicyDocument=document
    )
    bucket, role = "own-bucket", f"arn:aws:iam::{ACCOUNT}:role/deployer"
    deployed.standin.client("s3").create_bucket(Bucket=bucket)
    options = ("--tags", "cost=1", "--s3-bucket", bucket, "--role-arn", role)
    delete(deployed)

    boundary = ("--permissions-boundary", made["Policy"]["Arn"])
    told = run(deployed, "deploy", *DEPLOYMENT, *options, *boundary)

    assert 0 == told.returncode, told.stderr
    assert {"cost": "1"} == deployed.tags()
    assert deployed.standin.client("s3").list_objects_v2(Bucket=bucket)["Contents"]


def run(
    cloud: Project, name: str, *options: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command, however it ends."""
    with running(cloud, name, *options, **variables) as started:
        pass
    return subprocess.CompletedProcess(started.args, started.returncode, "", told_by(cloud))


def delete(cloud: Project) -> None:
    """Delete what is left, also of a deletion that a filled bucket stopped: D6 is about that."""
    for _ in range(2):
        told = run(cloud, "rollback", "--delete", "--force")
    assert {} == cloud.stack(), told.stderr


def running(cloud: Project, name: str, *options: str, **variables: str) -> subprocess.Popen[str]:
    """Start a command, which waits for nobody's answers."""
    with (cloud.folder / "told").open("w") as told:
        return subprocess.Popen(
            cloud.command(name, *options),
            env={**cloud.environment, **variables},
            cwd=cloud.folder / "home",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=told,
            text=True,
            start_new_session=True,
        )


def told_by(cloud: Project) -> str:
    """Return what the newest command has told so far."""
    return (cloud.folder / "told").read_text()


def slow_down(cloud: Project) -> None:
    for operation in SLOWED:
        cloud.standin.organization.add_fault({**SLOW, "operation": operation})


def start_slowly(cloud: Project) -> str:
    """Start a run that takes long; return its ARN."""
    slow_down(cloud)
    outputs = {one["OutputKey"]: one["OutputValue"] for one in cloud.stack()["Outputs"]}
    started = cloud.standin.client("stepfunctions").start_execution(
        stateMachineArn=outputs["StateMachineArn"], input="{}"
    )
    return str(started["executionArn"])


def status_of(cloud: Project, execution: str) -> str:
    client = cloud.standin.client("stepfunctions")
    return str(client.describe_execution(executionArn=execution)["status"])


def subscriptions(cloud: Project) -> list[Json]:
    """Return the subscriptions of people."""
    client = cloud.standin.client("sns")
    found = client.list_subscriptions_by_topic(
        TopicArn=f"arn:aws:sns:us-east-1:{ACCOUNT}:{STACK}-notifications"
    )["Subscriptions"]
    return [one for one in found if one["Protocol"] == "email"]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
