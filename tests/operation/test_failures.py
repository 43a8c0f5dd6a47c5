"""What every script does where AWS or the tools do not: one message, exit code 1, nothing done."""

import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from operation.operate import environment_of, operate
from standin.organization.worlds import drifted_world
from support.cli import Cli, FakeAws, Result, needs_aws, run, without_aws
from support.interrupted import SIGNALS, interrupt
from support.machine import Machine

STACK = "aws-contact-sync-dev"
SCRIPTS = {
    "backup.sh": "--environment dev --output saved",
    "restore.sh": "--environment dev --yes",
}
EXPIRED = "An error occurred (ExpiredToken) when calling the DescribeStacks operation: expired"
THROTTLED = (
    "An error occurred (Throttling) when calling the DescribeStacks operation: Rate exceeded"
)
DENIED = "An error occurred (AccessDenied) when calling the DescribeStacks operation: not you"
# A resource that cannot be made, because the name is taken.
BROKEN = '{"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "a-taken-name"}}'

every_script = pytest.mark.parametrize("script", SCRIPTS)
each_signal = pytest.mark.parametrize("number", SIGNALS)


def told(script: str, environment: dict[str, str], folder: Path, *more: str) -> Result:
    """Run a script that cannot do anything; return what it says, and fail if it did more."""
    more_variables = {"PYTHON": sys.executable, "AWS_DEFAULT_REGION": "us-east-1"}
    options = SCRIPTS[script].replace("saved", str(folder / "saved"))
    result = run(
        script, *shlex.split(options), *more, environment={**environment, **more_variables}
    )
    assert 1 == result.returncode
    assert not (folder / "saved").exists()
    assert "Traceback" not in result.stderr
    return result


@every_script
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (EXPIRED, "the AWS credentials are expired or invalid: sign in again"),
        (THROTTLED, "(Throttling) when calling the DescribeStacks operation: Rate exceeded"),
        (DENIED, "the AWS credentials do not suffice"),
    ],
)
def test_refused(fake_aws: FakeAws, tmp_path: Path, script: str, error: str, message: str) -> None:
    """An error of AWS is told once, with the remedy where there is one."""
    fake_aws.answers = [f"echo {shlex.quote(error)} >&2; exit 254"]

    result = told(script, fake_aws.environment, tmp_path)

    assert 1 == (result.stdout + result.stderr).count(message)


@every_script
def test_no_aws_cli(tmp_path: Path, script: str) -> None:
    """A missing tool is told with where to get it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    environment = without_aws(folder)
    for tool in ("ls", "mkdir", "mktemp", "rm", "rmdir", "mv"):
        (folder / tool).symlink_to(f"/bin/{tool}")

    result = told(script, environment, tmp_path)

    assert "the AWS CLI is missing: install it (https://" in result.stdout + result.stderr


@every_script
def test_no_profile(cli: Cli, tmp_path: Path, script: str) -> None:
    """A profile that does not exist is named."""
    result = told(script, cli.environment, tmp_path, "--profile", "nobody")

    assert "no AWS profile nobody: see" in result.stdout + result.stderr


@every_script
def test_another_account(cli: Cli, tmp_path: Path, script: str) -> None:
    """In an account without the stack, that is what is said, and no name is guessed."""
    environment = {**cli.environment, "AWS_ACCESS_KEY_ID": "100000000001"}

    result = told(script, environment, tmp_path)

    assert f"there is no stack {STACK} in this account and region" in result.stdout + result.stderr


@every_script
def test_failed_first_deployment(cli: Cli, tmp_path: Path, script: str) -> None:
    """A stack in ROLLBACK_COMPLETE has nothing to work with; what to do is said."""
    needs_aws()
    client = cli.machine.standin.client("cloudformation", "eu-central-1")
    try:
        client.describe_stacks(StackName=STACK)
    except client.exceptions.ClientError:
        client.create_stack(StackName=STACK, TemplateBody=f'{{"Resources": {{"B": {BROKEN}}}}}')
    status = client.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
    while status.endswith("_IN_PROGRESS"):
        status = client.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
    assert "ROLLBACK_COMPLETE" == status
    options = ("--region", "eu-central-1")

    result = told(script, cli.environment, tmp_path, *options)

    output = result.stdout + result.stderr
    assert f"{STACK} is ROLLBACK_COMPLETE" in output or "its first deployment failed" in output


@pytest.fixture(autouse=True, scope="module", name="taken")
def _taken(machine: Machine) -> Iterator[None]:
    machine.standin.client("s3").create_bucket(Bucket="a-taken-name")
    yield
    machine.standin.client("s3").delete_bucket(Bucket="a-taken-name")


class TestInterrupted:
    """Ended in the middle, a script says what is left, and the same command does the rest."""

    @each_signal
    def test_restore(
        self, machine: Machine, cli: Cli, tmp_path: Path, number: signal.Signals
    ) -> None:
        machine.reset(drifted_world(0))
        for account in range(30):
            machine.put({"pk": f"ACCOUNT#{account:012}", "sk": "STATE"})
        folder = str(tmp_path / "saved")
        assert 0 == operate(cli, "backup.sh", "--output", folder).returncode
        for item in machine.items():
            machine.delete(item["pk"], item["sk"])
        options = ["--input", folder, "--yes"]

        ended = interrupt(
            "restore.sh",
            *("--environment", "dev", *options),
            environment=environment_of(cli),
            folder=tmp_path / "bin",
            call="*batch-write-item*",
            number=number,
            after=1,
        )
        written = len(machine.items())
        again = operate(cli, "restore.sh", *options)

        assert SIGNALS[number] == ended.returncode
        assert ended.stderr.endswith("run this again to write all of it.\n")
        assert 0 < written < 30
        assert 0 == again.returncode, again.stderr
        assert 30 == len(machine.items())
        assert [] == [each for each in tmp_path.iterdir() if each.name.startswith("tmp.")]
