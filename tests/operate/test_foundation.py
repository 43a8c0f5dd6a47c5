"""What all operating commands share: options, errors of AWS, the stack."""

import os
import signal
import subprocess
import sys
import tomllib
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest
from operate import console
from operate.__main__ import COMMANDS
from operate.aws import Aws, console_link, open_aws
from operate.stacks import get_stack
from support.aws import Operate
from support.deployed import Deployed

REPOSITORY = Path(__file__).parents[2]
REGION = "us-east-1"


class TestOptions:
    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            ("", "--environment is required"),
            ("--environment", "--environment needs a value"),
            ("--environment production", "unknown environment 'production': use dev, staging or"),
            ("--environment dev --type", "--type needs a value"),
            ("--environment dev --type SECURITY", "unknown contact type 'SECURITY': use primary,"),
            ("--environment dev --account 12", "invalid account ID '12': expected 12 digits"),
            ("--environment dev --account 100000000001,x", "invalid account ID 'x'"),
            ("--environment dev --region here", "invalid region 'here': expected one such as us-"),
            ("--environment dev --profile=", "--profile: needs a value"),
            ("--environment dev --accounts 1", "unknown option: --accounts"),
            ("--env dev", "--environment is required"),
            ("--environment dev word", "unknown option: word"),
        ],
    )
    @pytest.mark.usefixtures("command")
    def test_wrong(self, operate: Operate, arguments: str, complaint: str) -> None:
        """The fault and the usage are on stderr; the exit code is 2."""
        told = operate("probe", *arguments.split())

        assert (2, "") == (told.code, told.out)
        assert told.err.startswith("error: ")
        assert complaint in told.err.splitlines()[0]
        assert "usage: scripts/probe.sh" in told.err

    @pytest.mark.case("E3")
    @pytest.mark.parametrize("name", [name for name in COMMANDS if name != "config"])
    def test_environment_is_required(self, operate: Operate, name: str) -> None:
        """No command has a default, least of all one that writes to every account."""
        told = operate(name)

        assert 2 == told.code
        assert "--environment" in told.err.splitlines()[0]
        assert told.err.splitlines()[0].endswith("is required")


class TestStacks:
    @pytest.mark.usefixtures("account")
    def test_missing_output(self) -> None:
        with pytest.raises(console.OperateError, match="has no output Nothing"):
            get_stack(Aws(REGION, None), "dev").output("Nothing")

    @pytest.mark.parametrize(
        ("partition", "host"),
        [
            ("aws", "console.aws.amazon.com"),
            ("aws-cn", "console.amazonaws.cn"),
            ("aws-us-gov", "console.amazonaws-us-gov.com"),
            ("aws-eusc", "console.amazonaws-eusc.eu"),
        ],
    )
    def test_console_link(self, partition: str, host: str) -> None:
        arn = f"arn:{partition}:states:xx-yyyy-1:999999999999:execution:m:f00d"
        assert console_link(arn) == (
            f"https://{host}/states/home?region=xx-yyyy-1#/v2/executions/details/{arn}"
        )


@pytest.mark.case("E20")
def test_debug_shows_calls_only(
    account: Deployed,
    command: SimpleNamespace,
    operate: Operate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DEBUG shows the names of calls, and never what is sent."""
    del account
    monkeypatch.setenv("DEBUG", "1")

    def run(options: Namespace) -> int:
        client = open_aws(options).client("dynamodb")
        client.get_item(TableName="config", Key={"config_key": {"S": "hidden"}})
        return 0

    command.run = run

    told = operate("probe", "--environment", "dev")

    assert (0, "", "+ dynamodb GetItem\n") == (told.code, told.out, told.err)


ENDED = """\
import runpy, signal, sys, time
import operate.backup
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
def run(_):
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("cleaned up")
operate.backup.run = run
sys.argv = ["operate", "backup", "--environment", "dev"]
runpy.run_module("operate", run_name="__main__")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ended_by_a_signal(number: signal.Signals) -> None:
    """Also when the terminal is closed, nothing is left, such as part of a backup."""
    path = os.pathsep.join(str(REPOSITORY / name) for name in ("scripts", "functions"))
    with subprocess.Popen(
        [sys.executable, "-c", ENDED],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout
        assert "ready\n" == running.stdout.readline()
        running.send_signal(number)
        told = running.communicate()

    assert (128 + number, ("cleaned up\n", "Interrupted.\n")) == (running.returncode, told)


def test_packages_are_the_functions_own() -> None:
    """The commands decide by the functions' modules, in the versions that the functions have."""
    groups = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["dependency-groups"]
    pins = set((REPOSITORY / "functions/requirements.txt").read_text().split())

    assert set() == pins - set(groups["operate"])
    # MiniStack pins the other botocore.
    assert ["boto3"] == [one.partition("==")[0] for one in pins - set(groups["standin"])]
