"""What all operating commands share: options, questions, errors of AWS, the stack."""

import json
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
from operate.aws import Aws, console_link, open_aws
from operate.stacks import find_stack, get_stack
from support.aws import Operate
from support.deployed import PRINCIPAL, STACK, Deployed

REPOSITORY = Path(__file__).parents[2]
REGION = "us-east-1"


def given(command: SimpleNamespace, operate: Operate, *arguments: str) -> Namespace:
    """Return the options that the command got."""
    got: list[Namespace] = []
    command.run = lambda options: got.append(options) or 0
    told = operate("probe", *arguments)
    assert 0 == told.code, told.err
    return got[0]


class TestOptions:
    @pytest.mark.case("E20")
    @pytest.mark.parametrize("form", [["--environment", "prod"], ["--environment=prod"]])
    def test_both_forms(self, command: SimpleNamespace, operate: Operate, form: list[str]) -> None:
        assert "prod" == given(command, operate, *form).environment

    def test_lists(self, command: SimpleNamespace, operate: Operate) -> None:
        """Commas, spaces and repetition all add up, each value once."""
        options = given(
            command,
            operate,
            *("--environment", "dev", "--type", "billing,security", "primary"),
            *("--type=billing", "--account", "100000000001", "100000000002"),
        )

        assert ["billing", "security", "primary"] == options.type
        assert ["100000000001", "100000000002"] == options.account

    @pytest.mark.parametrize("word", ["--yes", "--force"])
    def test_yes(self, command: SimpleNamespace, operate: Operate, word: str) -> None:
        """The guide says --force."""
        assert given(command, operate, "--environment", "dev", word).yes

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

    @pytest.mark.usefixtures("command")
    def test_help(self, operate: Operate) -> None:
        told = operate("probe", "--help")

        assert (0, "") == (told.code, told.err)
        assert "examples:\n  scripts/probe.sh" in told.out


class TestQuestions:
    @pytest.fixture(autouse=True)
    def _asks(self, command: SimpleNamespace, account: Deployed) -> None:
        del account

        def run(options: Namespace) -> int:
            where = open_aws(options).where(STACK)
            console.confirm("Go on?", where, yes=options.yes)
            return 0

        command.run = run

    @pytest.mark.case("E3")
    def test_it_says_where(self, operate: Operate) -> None:
        """Account, region, principal and stack."""
        told = operate("probe", "--environment", "dev", answer="y\n")

        assert 0 == told.code
        for named in ("999999999999", REGION, PRINCIPAL, STACK, "Go on? [y/N]"):
            assert named in told.err

    @pytest.mark.parametrize("answer", ["n\n", "\n", "yesterday\n"])
    def test_no(self, operate: Operate, answer: str) -> None:
        told = operate("probe", "--environment", "dev", answer=answer)

        assert (1, "error: not confirmed; nothing was changed") == (told.code, told.error)

    @pytest.mark.case("E17")
    def test_no_terminal(self, operate: Operate) -> None:
        """Where nobody can answer, the way out is named."""
        told = operate("probe", "--environment", "dev")

        assert 1 == told.code
        assert "error: not confirmed: no answer. Without a terminal, add --yes" == told.error

    def test_yes(self, operate: Operate) -> None:
        told = operate("probe", "--environment", "dev", "--yes")

        assert (0, "") == (told.code, told.err)

    @pytest.mark.case("E3")
    @pytest.mark.parametrize(
        ("answer", "named", "is_confirmed"),
        [
            (f"{STACK}\n", None, True),
            ("y\n", None, False),
            ("", STACK, True),
            ("", "aws-contact-sync-prod", False),
        ],
    )
    def test_name(
        self,
        command: SimpleNamespace,
        operate: Operate,
        answer: str,
        named: str | None,
        *,
        is_confirmed: bool,
    ) -> None:
        """What cannot be undone wants the stack's name typed, or given."""

        def run(_: Namespace) -> int:
            console.confirm_name("Delete it?", "Account …", STACK, given=named)
            return 0

        command.run = run

        told = operate("probe", "--environment", "dev", answer=answer)

        assert is_confirmed == (told.code == 0)

    def test_name_without_terminal(self, command: SimpleNamespace, operate: Operate) -> None:
        command.run = lambda _: console.confirm_name("Delete it?", "Account …", STACK, given=None)

        told = operate("probe", "--environment", "dev")

        assert f"Without a terminal, add --yes --confirm-name {STACK}" in told.error


class TestStacks:
    def test_found(self, account: Deployed) -> None:
        account.stack["Tags"] = [{"Key": "cost-center", "Value": "42"}]

        stack = get_stack(Aws(REGION, None), "dev")

        assert ("CREATE_COMPLETE", {"cost-center": "42"}) == (stack.status, stack.tags)
        assert "999999999999" == stack.parameters["ManagementAccountId"]
        assert account.machine_arn == stack.output("StateMachineArn")
        with pytest.raises(console.OperateError, match="has no output Nothing"):
            stack.output("Nothing")

    def test_missing(self, account: Deployed) -> None:
        del account
        aws = Aws("eu-west-1", None)

        assert None is find_stack(aws, STACK)
        with pytest.raises(
            console.OperateError,
            match=r"there is no stack aws-contact-sync-dev in account 9+, region eu-west-1",
        ):
            get_stack(aws, "dev")

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
import runpy, sys, time
import operate.backup
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


def test_json_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    console.out_json({"a": 1})

    assert {"a": 1} == json.loads(capsys.readouterr().out)
