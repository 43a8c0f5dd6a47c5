"""What once broke version 1's scripts, by the scripts alone, whatever they are made of.

Only what they leave in the account and how they end counts: each test also runs, and fails, with
the scripts, the template and the functions of version 1.
"""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.documents import DOCUMENTS, Sample, samples_of
from support.project import ACCOUNT, DEPLOYMENT, SAM, Project, project

STACK = "aws-contact-sync-dev"
EMAIL = "team@example.com"
STRANGER = "100000000777"
SLOW = {"error": "slow", "delay": 4}
SLOWED = ("ListAccounts", "GetAlternateContact", "GetContactInformation")

Json = dict[str, Any]


@pytest.fixture(autouse=True, name="slept")
def _slept() -> None:
    """Time passes here: the tests wait for other programs."""


@pytest.fixture(scope="module", name="deployed")
def _deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """An environment without a trail, and with a tag of the user's own."""
    with project(tmp_path_factory.mktemp("project"), accounts=3) as made:
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
    packaged = deployed.folder / "packaged"
    sam = deployed.folder / "bin/sam"
    sam.unlink()
    sam.write_text(f'#!/bin/sh\n"{SAM}" "$@" || exit\n[ "$1" != package ] || touch "{packaged}"\n')
    sam.chmod(0o755)
    options = ("--schedule", "rate(2 days)", "--log-level", "INFO")
    with running(deployed, "deploy", *DEPLOYMENT, *options) as deploying:
        wait_until(packaged.exists)
        under_way = start_slowly(deployed)
        wait_until(lambda: is_updated() or "under way" in told_by(deployed))
        deployed.standin.organization.clear_faults()
        wait_until(is_updated)
        status = status_of(deployed, under_way)
    assert 0 == deploying.returncode, told_by(deployed)
    return status


@pytest.mark.case("E11")
@pytest.mark.parametrize(
    "sample", [each for path in DOCUMENTS for each in samples_of(path)], ids=str
)
def test_no_comment_follows_a_command(sample: Sample) -> None:
    """A shell that reads what is pasted, such as zsh, takes one for arguments."""
    assert sample.language != "bash" or sample.words == shlex.split(sample.text)


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
@pytest.mark.usefixtures("during")
def test_a_run_is_stopped_before_its_stack_is_deleted(deployed: Project) -> None:
    """Else the machine would stay DELETING for as long as the run takes."""
    under_way = start_slowly(deployed)
    with running(deployed, "rollback", "--delete", "--force") as deleting:
        wait_until(lambda: deployed.stack().get("StackStatus", "") != "UPDATE_COMPLETE")
        status = status_of(deployed, under_way)

    assert "ABORTED" == status, told_by(deployed)
    assert 0 == deleting.returncode, told_by(deployed)


@pytest.mark.case("D6")
def test_a_bucket_that_fills_while_it_is_emptied(deployed: Project) -> None:
    """CloudTrail delivers for a while after it was stopped; the stack is deleted all the same."""
    run(deployed, "rollback", "--delete", "--force")
    deployed.deploy()
    [trail] = deployed.standin.client("cloudtrail").describe_trails()["trailList"]
    assert f"{STACK}-trail" == trail["Name"]

    told = run(deployed, "rollback", "--delete", "--force")

    assert (0, {}) == (told.returncode, deployed.stack()), told.stderr


def run(cloud: Project, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a command, however it ends."""
    with running(cloud, name, *options) as started:
        pass
    return subprocess.CompletedProcess(started.args, started.returncode, "", told_by(cloud))


def running(cloud: Project, name: str, *options: str) -> subprocess.Popen[str]:
    """Start a command, which waits for nobody's answers."""
    with (cloud.folder / "told").open("w") as told:
        return subprocess.Popen(
            cloud.command(name, *options),
            env=cloud.environment,
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


def start_slowly(cloud: Project) -> str:
    """Start a run that takes long; return its ARN."""
    for operation in SLOWED:
        cloud.standin.organization.add_fault({**SLOW, "operation": operation})
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
