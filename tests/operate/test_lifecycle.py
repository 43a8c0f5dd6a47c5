"""One environment from its first plan to its restored backup, all by the scripts."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest
from support.project import ACCOUNT, DEPLOYMENT, Json, Project, project

EXCLUDED = "100000000002"
EMAIL = "team@example.com"


@pytest.fixture(autouse=True, name="slept")
def _slept() -> None:
    """Time passes here: the tests wait for other programs."""


@pytest.fixture(scope="module", name="cloud")
def _cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """An organization whose rules demand tags and a boundary, with a trail of its own."""
    with project(tmp_path_factory.mktemp("project"), accounts=3) as made:
        trails = made.standin.client("cloudtrail")
        trails.create_trail(Name="everything", S3BucketName="trail", IsMultiRegionTrail=True)
        trails.start_logging(Name="everything")
        yield made


@pytest.fixture(name="boundary")
def _boundary(cloud: Project) -> str:
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
    policy = cloud.standin.client("iam").create_policy(
        PolicyName="demanded-boundary", PolicyDocument=json.dumps(document)
    )
    return str(policy["Policy"]["Arn"])


@pytest.mark.case("E2")
@pytest.mark.case("E9")
def test_lifecycle(cloud: Project, boundary: str) -> None:
    """Planned, deployed, changed, taken back, deleted and restored, everything is what it was."""
    refused = cloud.deploy(code=1)
    assert "AccessDenied: a role needs the organization's boundary" in refused.stderr
    demanded = ["--tags", "team=security", "--permissions-boundary", boundary]
    given = [*demanded, "--notification-email", EMAIL, "--paused"]
    planned = cloud.deploy("--plan", *given, code=3)
    assert "would be created again" in planned.stdout
    cloud.deploy(*given)
    assert "DISABLED" == cloud.parameters()["Triggers"]

    cloud.run("config", "exclude", EXCLUDED, "--yes")
    cloud.run("validate")
    told = cloud.run("resync", "--dry-run", "--follow").stdout
    assert "100000000001" in told
    assert EXCLUDED not in told
    cloud.deploy("--resume")
    told = cloud.run("resync", "--follow").stdout
    assert "SUCCEEDED: [dev] contact sync success: 2 updated" in told
    before = (stored(cloud), without_release(cloud.parameters()), cloud.tags())

    upgrade_and_interrupt(cloud)
    cloud.run("rollback", "--yes")
    assert before == (stored(cloud), without_release(cloud.parameters()), cloud.tags())

    saved = cloud.folder / "saved"
    cloud.run("rollback", "--delete", "--yes", "--backup-data", "--output", saved)
    assert {} == cloud.stack()

    cloud.deploy("--restore", saved)
    assert "DISABLED" == cloud.parameters()["Triggers"]
    shown = json.loads(cloud.run("config", "show").stdout)
    assert [EXCLUDED] == shown["excluded_accounts"]
    cloud.run("restore", "--input", saved, "--yes")
    cloud.deploy("--resume")
    assert before == (stored(cloud), without_release(cloud.parameters()), cloud.tags())

    told = cloud.run("resync", "--follow").stdout
    assert "SUCCEEDED: [dev] contact sync success: 2 unchanged" in told


def upgrade_and_interrupt(cloud: Project) -> None:
    """Press Ctrl-C while CloudFormation brings a new release."""
    cloud.edit("functions/sync_reporter/handler.py", '"""', '"""Newly: ')
    command = cloud.command("deploy", *DEPLOYMENT, "--log-level", "ERROR")
    with subprocess.Popen(
        command,
        env=cloud.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        assert running.stderr
        for line in running.stderr:
            if line.startswith("  UPDATE_COMPLETE"):
                break
        os.killpg(running.pid, signal.SIGINT)
        told = running.stderr.read()
    assert 130 == running.returncode, told


def without_release(parameters: dict[str, str]) -> dict[str, str]:
    assert ACCOUNT == parameters["ManagementAccountId"]
    return {name: value for name, value in parameters.items() if name != "Release"}


def stored(cloud: Project) -> list[Json]:
    """Return what both tables hold but lock and time slots, in one order."""
    dynamodb = cloud.standin.client("dynamodb")
    items: list[Json] = []
    for name in ("config", "state"):
        items += dynamodb.scan(TableName=f"aws-contact-sync-dev-{name}")["Items"]
    passing = ({"S": "LOCK"}, {"S": "SLOTS"})
    return sorted((item for item in items if item.get("pk") not in passing), key=repr)
