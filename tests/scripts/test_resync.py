"""Starting the sync by hand: `scripts/resync.sh`, and how the scripts speak with AWS."""

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standin.organization.worlds import drifted_world
from support.cli import (
    ACCESS_KEYS,
    REPOSITORY,
    Cli,
    FakeAws,
    Result,
    environment_for,
    needs_aws,
    run,
    source,
    wait_until,
    without_aws,
)
from support.machine import Machine
from support.stack import source_template

ACCOUNT, OTHER_ACCOUNT = "100000000001", "100000000002"
UNIT = "ou-exam-workloads"
MACHINE = "arn:aws:states:us-east-1:999999999999:stateMachine:aws-contact-sync-dev-contact-sync"
EXECUTION = f"{MACHINE.replace(':stateMachine:', ':execution:')}:f00d"
LINK = "https://console.aws.amazon.com/states/home?region=us-east-1#/v2/executions/details/"


@pytest.fixture(name="organization")
def _organization(machine: Machine) -> Iterator[Machine]:
    """Six accounts that differ from the source."""
    machine.reset(drifted_world(6))
    yield machine
    machine.organization.clear_faults()
    machine.stack.wait_for_executions(0)


def started_input(machine: Machine, result: Result) -> Any:
    """Return the input of the execution whose name the script printed."""
    name = result.stdout.splitlines()[0]
    return next(each.input() for each in machine.stack.executions() if each.name == name)


class TestOptions:
    @pytest.mark.parametrize("option", ["-h", "--help"])
    def test_help(self, fake_aws: FakeAws, option: str) -> None:
        """Help is an answer, not an error."""
        fake_aws.answers = ["exit 99"]

        result = run("resync.sh", option, environment=fake_aws.environment)

        assert (0, "") == (result.returncode, result.stderr)
        for named in (
            "--environment ENV",
            "--account ID...",
            "--ou ID...",
            "--type T...",
            "--dry-run",
            "--retry-of SYNC_ID",
            "--reason TEXT",
            "--follow",
            "--region R",
            "--profile P",
        ):
            assert named in result.stdout

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ("--bogus", "unknown option: --bogus"),
            ("left-over", "unknown option: left-over"),
            ("--environment", "--environment needs a value"),
            ("--environment production", "'production' is no environment"),
            ("--environment 'dev staging'", "'dev staging' is no environment"),
            ("--account", "--account needs a value"),
            ("--account --dry-run", "--account needs a value"),
            ("--account 12345678901", "'12345678901' is no account id"),
            (f"--account {ACCOUNT} x", "'x' is no account id"),
            (f"--account {ACCOUNT},{ACCOUNT}", "is no account id"),
            ("--ou r-exam", "'r-exam' is no organizational unit"),
            ("--ou ou-EXAM-workloads", "is no organizational unit"),
            ("--type Billing", "'Billing' is no contact type"),
            ("--type billing legal", "'legal' is no contact type"),
            ("--reason ''", "--reason needs a value"),
            (f"--reason {'x' * 1001}", "more than 1000 characters"),
            ("--retry-of 'two words'", "is no execution's name"),
            (f"--retry-of f00d --account {ACCOUNT}", "--retry-of stands alone"),
            (f"--ou {UNIT} --retry-of f00d", "--retry-of stands alone"),
            ("--type billing --retry-of f00d", "--retry-of stands alone"),
            ("--region somewhere", "'somewhere' is no region"),
            ("--profile", "--profile needs a value"),
        ],
    )
    def test_wrong(self, fake_aws: FakeAws, options: str, complaint: str) -> None:
        """A wrong option is told on stderr with the usage and exit code 2, before any call."""
        fake_aws.answers = ["exit 99"]

        result = run("resync.sh", *shlex.split(options), environment=fake_aws.environment)

        assert (2, "") == (result.returncode, result.stdout)
        assert complaint in result.stderr.splitlines()[0]
        assert "Usage: scripts/resync.sh" in result.stderr
        assert 0 == fake_aws.calls


class TestStart:
    def test_everything(self, organization: Machine, cli: Cli) -> None:
        """Without options everything is synced; name and link are printed, and nothing else."""
        result = cli.run("resync.sh")

        assert (0, "") == (result.returncode, result.stderr)
        name, link = result.stdout.splitlines()
        assert f"{LINK}{EXECUTION.removesuffix('f00d')}{name}" == link
        assert {} == started_input(organization, result)

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            (
                ["--account", ACCOUNT, OTHER_ACCOUNT, "--account", "100000000003", "--dry-run"],
                {"account_ids": [ACCOUNT, OTHER_ACCOUNT, "100000000003"], "dry_run": True},
            ),
            (
                ["--ou", UNIT, "ou-exam-sandboxes", "--type", "billing", "--type", "primary"],
                {
                    "organizational_units": [UNIT, "ou-exam-sandboxes"],
                    "contact_types": ["billing", "primary"],
                },
            ),
            (
                ["--retry-of", "0f9a8b7c-6d5e", "--dry-run", "--region", "us-east-1"],
                {"retry_of": "0f9a8b7c-6d5e", "dry_run": True},
            ),
        ],
    )
    def test_scope(
        self, organization: Machine, cli: Cli, options: list[str], expected: dict[str, Any]
    ) -> None:
        """Options become the execution input, repeated or with several values."""
        result = cli.run("resync.sh", *options)

        assert (0, "") == (result.returncode, result.stderr)
        assert expected == started_input(organization, result)

    def test_any_reason(self, organization: Machine, cli: Cli) -> None:
        """A reason may be any text, whatever it means to JSON or to a shell."""
        reason = "the \"new\" desk\\team: $HOME `date` & 'x'\n\ttab, \x1b[1m, Grüße, 連絡先 -- {}"

        result = cli.run("resync.sh", "--reason", reason)

        assert (0, "") == (result.returncode, result.stderr)
        assert {"reason": reason} == started_input(organization, result)


class TestFollow:
    def test_success(self, organization: Machine, cli: Cli) -> None:
        """The run is followed to its end, with the accounts that are done."""
        slow = {"operation": "GetContactInformation", "error": "slow", "delay": 1.5, "times": 6}
        organization.organization.add_fault(slow)

        result = cli.run("resync.sh", "--follow")

        assert 0 == result.returncode
        name, _, end = result.stdout.splitlines()
        assert f"{name} SUCCEEDED: [dev] contact sync success: 6 updated" == end
        assert " of 6 accounts done, " in result.stderr

    @pytest.mark.usefixtures("organization")
    def test_failure(self, cli: Cli) -> None:
        """A run that fails is told with its error, and is the script's failure."""
        result = cli.run("resync.sh", "--follow", "--account", "123456789012")

        assert 1 == result.returncode
        name, _, end = result.stdout.splitlines()
        assert end.startswith(f"{name} FAILED: InvalidRequestError: ")
        assert "123456789012" in end

    def test_queued(self, organization: Machine, cli: Cli) -> None:
        """A request that queued is followed in the run that does it, which the holder starts."""
        slow = {"operation": "GetContactInformation", "error": "slow", "delay": 3, "times": 6}
        organization.organization.add_fault(slow)
        holder = organization.stack.start({"reason": "holds the lock"})
        wait_until(lambda: "SyncAccounts" in holder.states())

        result = cli.run("resync.sh", "--follow", "--type", "billing")

        assert 0 == result.returncode
        name, _, run, link, end = result.stdout.splitlines()
        assert 3 == len({name, holder.name, run})
        assert link.endswith(f":{run}")
        assert result.stderr.startswith(f"Queued behind {holder.name}. Waiting for the run that ")
        assert f"{holder.name}: " in result.stderr
        assert f"{run} SUCCEEDED: [dev] contact sync success: 6 unchanged" == end
        assert "SUCCEEDED" == holder.status()

    def test_queued_and_dropped(self, fake_aws: FakeAws) -> None:
        """A request that is neither queued nor done went with the run that had taken it."""
        fake_aws.answers = [*STARTED, QUEUED, printed("None")]

        result = run("resync.sh", "--follow", environment=fake_aws.environment)

        assert 1 == result.returncode
        assert result.stderr.splitlines()[-1].startswith("error: the run that took this request ")

    def test_queued_without_a_run(self, fake_aws: FakeAws) -> None:
        """Where nothing is under way for long, the script says who does the request."""
        nobody = [printed("QUEUE#f00d"), printed("None"), printed("None")]
        fake_aws.answers = [*STARTED, QUEUED, *nobody * 151]

        result = run("resync.sh", "--follow", environment=fake_aws.environment)

        assert 1 == result.returncode
        assert result.stderr.splitlines()[-1].startswith("error: no run is under way; the next ")

    def test_aborted(self, fake_aws: FakeAws) -> None:
        """An execution that was stopped has no error, and is a failure all the same."""
        fake_aws.answers = [*STARTED, printed("ABORTED\t\t")]

        result = run("resync.sh", "--follow", environment=fake_aws.environment)

        assert 1 == result.returncode
        assert "f00d ABORTED" == result.stdout.splitlines()[-1]

    def test_cause_of_several_lines(self, fake_aws: FakeAws) -> None:
        """What an execution says of its end is told in full."""
        cause = "2 accounts failed:\n100000000001\tAccessDeniedError"
        fake_aws.answers = [*STARTED, printed(f"FAILED\tPartialSyncError\t{cause}")]

        result = run("resync.sh", "--follow", environment=fake_aws.environment)

        assert 1 == result.returncode
        assert result.stdout.endswith(f"f00d FAILED: PartialSyncError: {cause}\n")

    def test_connection_comes_back(self, fake_aws: FakeAws) -> None:
        """A call that fails now and then does not end the following."""
        output = '{"status": "success", "summary": "[dev] all \\"well\\""}'
        outage = [BROKEN] * 5
        running = [printed("RUNNING\t\t"), printed("None")]
        end = printed(f"SUCCEEDED\t\t{output}")
        fake_aws.answers = [*STARTED, *outage, *running, *outage, end]

        result = run("resync.sh", "--follow", environment=fake_aws.environment)

        assert 0 == result.returncode
        assert "preparing\n" == result.stderr
        assert 'f00d SUCCEEDED: [dev] all \\"well\\"' == result.stdout.splitlines()[-1]

    def test_interrupted(self, fake_aws: FakeAws) -> None:
        """Ctrl-C ends the following, and says that the execution goes on."""
        fake_aws.answers = [*STARTED, printed("RUNNING\t\t")]
        with subprocess.Popen(
            ["bash", REPOSITORY / "scripts/resync.sh", "--follow"],
            env=fake_aws.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as script:
            wait_until(lambda: fake_aws.calls > len(STARTED))
            os.killpg(script.pid, signal.SIGINT)
            _, told = script.communicate(timeout=20)

        assert 130 == script.returncode
        assert told.endswith("No longer following; the execution goes on.\n")

    def test_connection_is_lost(self, fake_aws: FakeAws) -> None:
        """Where it goes on failing, the script says that only the following has ended."""
        fake_aws.answers = [*STARTED, BROKEN]

        result = run("resync.sh", "--follow", environment=fake_aws.environment)

        assert 1 == result.returncode
        first, second = result.stderr.splitlines()
        assert "AWS cannot be reached" in first
        assert "error: cannot follow f00d any longer; it goes on" == second


def printed(text: str) -> str:
    return f"printf '%s\\n' {shlex.quote(text)}"


STARTED = [
    printed(f"StateMachineArn\t{MACHINE}\nStateTableName\tstate"),
    printed(EXECUTION),
]
QUEUED = printed('SUCCEEDED\t\t{"queued_behind": "h01der"}')
BROKEN = "echo 'Could not connect to the endpoint URL' >&2; exit 255"


class TestAws:
    def test_no_cli(self, tmp_path: Path) -> None:
        """Without the AWS CLI the script says what to install."""
        result = run("resync.sh", environment=without_aws(tmp_path))

        assert (1, "") == (result.returncode, result.stdout)
        assert one_line(result).startswith("error: the AWS CLI is missing: install it")

    def test_no_credentials(self, tmp_path: Path) -> None:
        """Without credentials it says how to give them."""
        needs_aws()
        environment = environment_for(tmp_path, AWS_DEFAULT_REGION="us-east-1")

        result = run("resync.sh", environment=environment)

        assert (1, "") == (result.returncode, result.stdout)
        assert "error: no AWS credentials: sign in, or name a profile with --profile" == (
            one_line(result)
        )

    def test_no_profile(self, tmp_path: Path) -> None:
        """A profile that is not there is named."""
        needs_aws()

        result = run("resync.sh", "--profile", "audit", environment=environment_for(tmp_path))

        assert (1, "") == (result.returncode, result.stdout)
        assert 'error: no AWS profile audit: see "aws configure list-profiles"' == one_line(result)

    def test_no_region(self, tmp_path: Path) -> None:
        """Without a region it says how to give one."""
        needs_aws()

        result = run("resync.sh", environment=environment_for(tmp_path, **ACCESS_KEYS))

        assert (1, "") == (result.returncode, result.stdout)
        assert "error: no AWS region: name the one of the stack with --region" == one_line(result)

    def test_no_stack(self, cli: Cli) -> None:
        """The stack of the environment is named where it is not there; prod is the default."""
        result = run("resync.sh", environment=cli.environment)

        assert (1, "") == (result.returncode, result.stdout)
        assert one_line(result).startswith(
            "error: there is no stack aws-contact-sync-prod in this account and region: deploy it"
        )

    def test_options_of_the_cli(self, cli: Cli) -> None:
        """Region and profile are the AWS CLI's."""
        config = cli.home / ".aws/config"
        config.parent.mkdir()
        keys = "aws_access_key_id = 999999999999\naws_secret_access_key = any\n"
        config.write_text(f"[profile audit]\nregion = us-east-1\n{keys}")

        found = cli.run("resync.sh", "--profile", "audit", "--dry-run")
        elsewhere = cli.run("resync.sh", "--profile", "audit", "--region", "eu-west-1")

        assert (0, "") == (found.returncode, found.stderr)
        assert 1 == elsewhere.returncode
        assert "there is no stack aws-contact-sync-dev" in elsewhere.stderr

    @pytest.mark.parametrize(
        ("told", "explained"),
        [
            ("An error (ExpiredToken) occurred: The token is old", "are expired or invalid"),
            ("Error when retrieving token from sso: Token has expired", "sign in again"),
            ("An error (UnrecognizedClientException) occurred", "sign in again"),
            ("User: x is not authorized to perform: states:StartExecution", "do not suffice"),
            ("Could not connect to the endpoint URL: x", "AWS cannot be reached"),
            ("warning: old\n\nAn error (Throttling) occurred\n", "An error (Throttling) occurred"),
            ("", "did not say why"),
        ],
    )
    def test_errors_are_one_line(self, told: str, explained: str) -> None:
        """What the AWS CLI says of an error becomes a line with what to do."""
        result = source(f"explain_aws_error {shlex.quote(told)}")

        (line,) = result.stdout.splitlines()
        assert explained in line

    def test_output_that_is_not_there(self, fake_aws: FakeAws) -> None:
        """A stack of another version is told from a stack that is not there."""
        fake_aws.answers = [printed("ConfigTableName\tconfig")]

        result = run("resync.sh", environment=fake_aws.environment)

        assert (1, "") == (result.returncode, result.stdout)
        assert one_line(result).startswith("error: the stack has no output StateMachineArn: ")

    def test_console_of_every_partition(self) -> None:
        """Links lead to the console that the template's links lead to."""
        partitions = source_template()["Mappings"]["Partitions"]

        for partition, names in partitions.items():
            arn = f"arn:{partition}:states:xx-north-1:999999999999:execution:machine:f00d"
            link = f"https://{names['ConsoleDomain']}/states/home?region=xx-north-1"

            told = source(f"console_link {arn}").stdout.strip()

            assert f"{link}#/v2/executions/details/{arn}" == told


def one_line(result: Result) -> str:
    (line,) = result.stderr.splitlines()
    return line


def test_the_cli_is_pinned_for_the_tests() -> None:
    """The environment that `ensure_aws_environment` makes is a group of pyproject.toml."""
    commands = 'ensure_environment() { printf "%s\\n" "$@"; }; ensure_aws_environment'

    folder, option, group = source(commands).stdout.splitlines()

    assert folder.endswith("/.build/aws")
    assert "--group" == option
    assert group.endswith("pyproject.toml:aws")
