"""Showing, checking and changing the configuration: `scripts/config.sh`."""

import json
import shlex
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from operation.operate import environment_of, operate
from standin.organization.worlds import drifted_world
from support.cli import REPOSITORY, Cli, FakeAws, environment_for, run, source, without_aws
from support.machine import Machine

ACCOUNT, OTHER_ACCOUNT = "100000000001", "100000000002"
UNIT = "ou-exam-workloads"
TABLE = "aws-contact-sync-dev-config"
WHOLE = {
    "config_key": "default",
    "contact_types": ["billing", "security"],
    "excluded_accounts": [ACCOUNT],
    "on_source_deleted": "delete",
    "retry_config": {"max_attempts": 5, "base_delay": 1, "max_delay": 30},
    "notification_settings": {"notify_on_success": True, "failure_threshold": 3},
}


@pytest.fixture(name="organization")
def _organization(machine: Machine) -> Iterator[Machine]:
    """Six accounts, and the default configuration."""
    machine.reset(drifted_world(6))
    yield machine
    machine.standin.clear_faults()


def stored(machine: Machine) -> Any:
    """Return the item in DynamoDB's typed form."""
    answer = machine.standin.client("dynamodb").get_item(
        TableName=TABLE, Key={"config_key": {"S": "default"}}, ConsistentRead=True
    )
    return answer.get("Item")


def file_of(folder: Path, content: Any) -> Path:
    file = folder / "config.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


class TestOptions:
    @pytest.mark.parametrize("option", ["-h", "--help"])
    def test_help(self, fake_aws: FakeAws, option: str) -> None:
        """Help is an answer, not an error."""
        fake_aws.answers = ["exit 99"]

        result = run("config.sh", option, environment=fake_aws.environment)

        assert (0, "") == (result.returncode, result.stderr)
        for named in (
            "show",
            "validate FILE",
            "apply FILE",
            "exclude ID...",
            "include ID...",
            "--environment ENV",
            "--yes",
            "--region R",
            "--profile P",
        ):
            assert named in result.stdout

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ("", "a command is required"),
            ("--environment dev", "a command is required"),
            ("edit", "COMMAND: 'edit' is no command"),
            ("show", "--environment is required"),
            ("apply x.json", "--environment is required"),
            ("show --environment production", "'production' is no environment"),
            ("show --environment", "--environment needs a value"),
            ("show --environment dev x", "unexpected: x"),
            ("show --bogus", "unknown option: --bogus"),
            ("apply --environment dev", "apply needs a file"),
            ("validate", "validate needs a file"),
            ("validate a.json b.json", "validate takes one file"),
            ("exclude --environment dev", "exclude needs an id"),
            ("include --environment dev 12345678901", "'12345678901' is no account id"),
            ("exclude --environment dev ou-EXAM-workloads", "nor an organizational unit"),
            (f"exclude --environment dev {ACCOUNT},{OTHER_ACCOUNT}", "is no account id"),
            ("show --region somewhere", "'somewhere' is no region"),
            ("show --profile", "--profile needs a value"),
        ],
    )
    def test_wrong(self, fake_aws: FakeAws, options: str, complaint: str) -> None:
        """A wrong option is told on stderr with the usage and exit code 2, before any call."""
        fake_aws.answers = ["exit 99"]

        result = run("config.sh", *shlex.split(options), environment=fake_aws.environment)

        assert (2, "") == (result.returncode, result.stdout)
        assert complaint in result.stderr.splitlines()[0]
        assert "Usage: scripts/config.sh" in result.stderr
        assert 0 == fake_aws.calls


class TestShow:
    def test_it_is_a_file(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """What `show` prints is what `apply` takes."""
        result = operate(cli, "config.sh", "show")

        assert (0, "") == (result.returncode, result.stderr)
        expected = json.loads(organization.stack.outputs["DefaultConfiguration"])
        assert expected == json.loads(result.stdout)
        applied = operate(cli, "config.sh", "apply", file_of(tmp_path, result.stdout))
        assert (0, "", "nothing to change\n") == (
            applied.returncode,
            applied.stdout,
            applied.stderr,
        )

    def test_none(self, organization: Machine, cli: Cli) -> None:
        """An absent item is told, and is not taken for a valid one."""
        organization.put_config(None)

        result = operate(cli, "config.sh", "show")

        assert (1, "") == (result.returncode, result.stdout)
        assert "error: no configuration item with config_key `default`\n" == result.stderr

    def test_broken(self, organization: Machine, cli: Cli) -> None:
        """A broken item is shown with its faults."""
        organization.configure(contact_types=["legal"], excluded_accounts=[1])

        result = operate(cli, "config.sh", "show")

        assert 1 == result.returncode
        assert ["legal"] == json.loads(result.stdout)["contact_types"]
        assert "contact_types.0: unknown contact type 'legal': use primary, " in result.stderr
        assert "excluded_accounts.0: expected text, in quotes" in result.stderr


class TestValidate:
    def test_needs_no_account(self, fake_aws: FakeAws, tmp_path: Path) -> None:
        """A file is checked without any call to AWS."""
        fake_aws.answers = ["exit 99"]
        environment = {**fake_aws.environment, "PYTHON": sys.executable}

        result = run("config.sh", "validate", file_of(tmp_path, WHOLE), environment=environment)

        assert (0, "") == (result.returncode, result.stdout)
        assert f"{tmp_path}/config.json is valid\n" == result.stderr
        assert 0 == fake_aws.calls

    def test_readme(self, tmp_path: Path) -> None:
        """The configuration that the README shows is valid."""
        readme = (REPOSITORY / "README.md").read_text()
        example = readme.split("```json\n", 1)[1].split("```", 1)[0]

        result = validated(file_of(tmp_path, example), tmp_path)

        assert 0 == result.returncode

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            ({}, "contact_types: is required"),
            ({**WHOLE, "contact_types": []}, "contact_types: must not be empty"),
            ({**WHOLE, "contact_types": ["legal"]}, "contact_types.0: "),
            ({**WHOLE, "excluded_accounts": [100000000001]}, "excluded_accounts.0: "),
            (
                {**WHOLE, "excluded_acounts": []},
                "excluded_acounts: unknown key: did you mean excluded_accounts?",
            ),
            ({**WHOLE, "config_key": "current"}, "config_key: only `default` is ever read"),
            (
                {**WHOLE, "retry_config": {"base_delay": 9, "max_delay": 3}},
                "retry_config: max_delay is below base_delay",
            ),
            ({**WHOLE, "retry_config": {"max_attempts": 2.5}}, "retry_config.max_attempts: "),
            (
                '{"contact_types": ["billing"], "excluded_accounts": ["1"], "contact_types": []}',
                "more than once: contact_types",
            ),
            ('{"contact_types": ["billing"], "x": NaN}', "NaN is no JSON"),
            (f'{{"contact_types": ["billing"], "x": 1.{"1" * 50}}}', "more digits than DynamoDB"),
            ('{"contact_types": ["billing"],', "no JSON: "),
            ("[]", "no JSON object"),
            ("", "no JSON: "),
        ],
    )
    def test_broken(self, tmp_path: Path, content: Any, complaint: str) -> None:
        """Each fault is named, with the file that has it."""
        file = file_of(tmp_path, content)

        result = validated(file, tmp_path)

        assert (1, "") == (result.returncode, result.stdout)
        assert result.stderr.startswith(f"error: {file}: ")
        assert complaint in result.stderr

    def test_every_fault_at_once(self, tmp_path: Path) -> None:
        """Nobody has to try again and again."""
        file = file_of(tmp_path, {"contact_types": [1], "x": 1, "on_source_deleted": "archive"})

        result = validated(file, tmp_path)

        for place in ("contact_types.0: ", "x: ", "on_source_deleted: "):
            assert place in result.stderr

    def test_the_file_is_not_repeated(self, tmp_path: Path) -> None:
        """What a file holds by mistake is not printed."""
        file = file_of(tmp_path, {**WHOLE, "retry_config": "jane.doe@example.com"})

        result = validated(file, tmp_path)

        assert "jane.doe" not in result.stderr

    def test_no_file(self, tmp_path: Path) -> None:
        """A missing file is told by name."""
        result = validated(tmp_path / "none.json", tmp_path)

        assert (1, f"error: {tmp_path}/none.json: No such file or directory\n") == (
            result.returncode,
            result.stderr,
        )

    def test_not_in_utf_8(self, tmp_path: Path) -> None:
        """A file in another encoding is told, without a traceback."""
        file = tmp_path / "config.json"
        file.write_bytes(b'{"contact_types": ["\xff"]}')

        result = validated(file, tmp_path)

        assert (1, f"error: {file}: no JSON: not in UTF-8\n") == (result.returncode, result.stderr)


def validated(file: Path, home: Path) -> Any:
    environment = environment_for(home, PYTHON=sys.executable)
    return run("config.sh", "validate", str(file), environment=environment)


class TestApply:
    def test_writes_after_yes(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """The difference is shown, the question asked, and then the item is the file."""
        file = file_of(tmp_path, WHOLE)

        result = operate(cli, "config.sh", "apply", file, answer="y\n")

        assert 0 == result.returncode, result.stderr
        assert f"--- {TABLE} now\n+++ {TABLE} then\n" in result.stdout
        assert '-    "primary",' in result.stdout
        assert f'+    "{ACCOUNT}"' in result.stdout
        assert f"Write this to {TABLE}? [y/N]" in result.stderr
        assert WHOLE == json.loads(operate(cli, "config.sh", "show").stdout)
        assert {"N": "5"} == stored(organization)["retry_config"]["M"]["max_attempts"]
        assert {"BOOL": True} == (
            stored(organization)["notification_settings"]["M"]["notify_on_success"]
        )

    @pytest.mark.parametrize("answer", ["", "n\n", "no\n"])
    def test_no_is_no(self, organization: Machine, cli: Cli, tmp_path: Path, answer: str) -> None:
        """Without a yes nothing is written."""
        before = stored(organization)

        result = operate(cli, "config.sh", "apply", file_of(tmp_path, WHOLE), answer=answer)

        assert 1 == result.returncode
        assert "error: not confirmed; nothing was done\n" in result.stderr
        assert before == stored(organization)

    def test_first_one(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """Where there is no item the file becomes it, with its key."""
        organization.put_config(None)
        file = file_of(tmp_path, {"contact_types": ["billing"]})

        result = operate(cli, "config.sh", "apply", file, "--yes")

        assert (0, f"written to {TABLE}; each run reads it anew\n") == (
            result.returncode,
            result.stderr,
        )
        expected = {"config_key": {"S": "default"}, "contact_types": {"L": [{"S": "billing"}]}}
        assert expected == stored(organization)

    def test_broken_file(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """A broken file never reaches the table, not even with --yes."""
        before = stored(organization)

        result = operate(
            cli, "config.sh", "apply", "--yes", file_of(tmp_path, {**WHOLE, "contact_types": []})
        )

        assert (1, "") == (result.returncode, result.stdout)
        assert "contact_types: must not be empty" in result.stderr
        assert before == stored(organization)

    def test_over_a_broken_item(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """A whole file is how a broken item is put right."""
        organization.configure(contact_types=["legal"], unknown="x")

        result = operate(cli, "config.sh", "apply", file_of(tmp_path, WHOLE), "--yes")

        assert 0 == result.returncode, result.stderr
        assert '-  "unknown": "x"' in result.stdout
        assert 0 == operate(cli, "config.sh", "show").returncode

    def test_unknown_unit(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """A unit that the organization does not have would make every run fail."""
        before = stored(organization)
        units = [UNIT, "ou-exam-nowhere1"]
        file = file_of(tmp_path, {**WHOLE, "excluded_organizational_units": units})

        result = operate(cli, "config.sh", "apply", file, "--yes")

        assert 1 == result.returncode
        assert "ou-exam-nowhere1 does not exist in the organization\n" in result.stderr
        assert UNIT not in result.stderr
        assert before == stored(organization)

    def test_changed_meanwhile(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """What another one wrote while the question stood is not written over."""
        environment = environment_of(cli)
        options = ("--environment", "dev", "apply", str(file_of(tmp_path, WHOLE)))
        environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
        # Between reading and writing, as a person's change would come.
        change = tmp_path / "mktemp"
        item = json.dumps({**stored(organization), "on_source_deleted": {"S": "delete"}})
        change.write_text(
            f"#!/bin/sh\naws dynamodb put-item --table-name {TABLE} --item '{item}' || exit\n"
            'exec /usr/bin/env PATH="${PATH#*:}" mktemp "$@"\n'
        )
        change.chmod(0o755)

        result = run("config.sh", "--yes", *options, environment=environment)

        assert 1 == result.returncode
        assert "changed by someone else meanwhile; nothing was written" in result.stderr
        assert json.loads(item) == stored(organization)

    def test_the_same_item_as_stored_is_expected(
        self, organization: Machine, cli: Cli, tmp_path: Path
    ) -> None:
        """Whatever the table holds, an unchanged item is recognized as unchanged."""
        organization.put_config(
            {
                **WHOLE,
                "excluded_accounts": {ACCOUNT, OTHER_ACCOUNT},
                "excluded_organizational_units": [],
                "nothing": None,
            }
        )

        result = operate(cli, "config.sh", "apply", file_of(tmp_path, WHOLE), "--yes")

        assert 0 == result.returncode, result.stderr

    def test_nothing_stays_behind(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """The temporary files are removed, whatever the answer was."""
        assert organization
        file = file_of(tmp_path, WHOLE)

        operate(cli, "config.sh", "apply", file, answer="n\n")

        assert [] == [one for one in tmp_path.iterdir() if one.name.startswith("tmp.")]

    def test_throttled(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """A refused write is an error, and told in one line."""
        refusal = "ProvisionedThroughputExceededException"
        organization.standin.set_faults(
            [{"service": "dynamodb", "operation": "PutItem", "error": refusal, "times": 100}]
        )
        more = {"AWS_MAX_ATTEMPTS": "2"}

        result = operate(cli, "config.sh", "apply", file_of(tmp_path, WHOLE), "--yes", **more)

        assert 1 == result.returncode
        assert refusal in result.stderr.splitlines()[-1]


class TestExclusions:
    def test_exclude_and_include(self, organization: Machine, cli: Cli) -> None:
        """Accounts and units are added and taken away, each once, and nothing else changes."""
        before = stored(organization)
        first = operate(cli, "config.sh", "exclude", ACCOUNT, UNIT, OTHER_ACCOUNT, ACCOUNT, "--yes")
        assert 0 == first.returncode, first.stderr
        assert f'+    "{UNIT}"' in first.stdout
        expected = {
            **before,
            "excluded_accounts": {"L": [{"S": ACCOUNT}, {"S": OTHER_ACCOUNT}]},
            "excluded_organizational_units": {"L": [{"S": UNIT}]},
        }
        assert expected == stored(organization)

        second = operate(cli, "config.sh", "include", OTHER_ACCOUNT, UNIT, "--yes")

        assert 0 == second.returncode, second.stderr
        assert f'-    "{OTHER_ACCOUNT}"' in second.stdout
        assert {"L": [{"S": ACCOUNT}]} == stored(organization)["excluded_accounts"]
        assert {"L": []} == stored(organization)["excluded_organizational_units"]

    @pytest.mark.parametrize("command", ["exclude", "include"])
    def test_nothing_to_change(self, organization: Machine, cli: Cli, command: str) -> None:
        """What is so already is told, asked nothing, and is no error."""
        excluded = [ACCOUNT] if command == "exclude" else []
        organization.configure(excluded_accounts=excluded)

        result = operate(cli, "config.sh", command, ACCOUNT)

        assert (0, "", "nothing to change\n") == (result.returncode, result.stdout, result.stderr)

    def test_unknown_unit(self, organization: Machine, cli: Cli) -> None:
        """A unit that does not exist is not excluded."""
        before = stored(organization)

        result = operate(cli, "config.sh", "exclude", "ou-exam-nowhere1", "--yes")

        assert 1 == result.returncode
        assert before == stored(organization)

    def test_a_removed_unit_can_be_included(self, organization: Machine, cli: Cli) -> None:
        """A unit that was removed from the organization can be taken out of the item."""
        organization.configure(excluded_organizational_units=["ou-exam-nowhere1"])

        result = operate(cli, "config.sh", "include", "ou-exam-nowhere1", "--yes")

        assert 0 == result.returncode, result.stderr

    @pytest.mark.parametrize("item", [None, {"config_key": "default", "contact_types": ["legal"]}])
    def test_on_no_valid_item(self, organization: Machine, cli: Cli, item: Any) -> None:
        """A broken or missing item is told; an exclusion alone cannot put it right."""
        organization.put_config(item)

        result = operate(cli, "config.sh", "exclude", ACCOUNT, "--yes")

        assert (1, "") == (result.returncode, result.stdout)
        assert "configuration item" in result.stderr
        assert "Traceback" not in result.stderr

    def test_the_next_run_obeys(self, organization: Machine, cli: Cli) -> None:
        """What was excluded is not written to."""
        operate(cli, "config.sh", "exclude", ACCOUNT, "--yes")

        organization.run()

        written = {call["account_id"] for call in organization.writes()}
        assert written
        assert ACCOUNT not in written


class TestAws:
    def test_no_stack(self, organization: Machine, cli: Cli) -> None:
        """Another region has no stack, and no other table is guessed."""
        assert organization

        result = operate(cli, "config.sh", "show", "--region", "eu-west-1")

        assert (1, "") == (result.returncode, result.stdout)
        assert "there is no stack aws-contact-sync-dev in this account and region" in result.stderr

    def test_no_profile(self, organization: Machine, cli: Cli) -> None:
        """A profile that does not exist is named."""
        assert organization

        result = operate(cli, "config.sh", "show", "--profile", "nobody")

        assert 1 == result.returncode
        assert "no AWS profile nobody" in result.stderr

    def test_no_cli(self, tmp_path: Path) -> None:
        """A missing AWS CLI is told with the remedy."""
        environment = {**without_aws(tmp_path), "PYTHON": sys.executable}

        result = run("config.sh", "show", "--environment", "dev", environment=environment)

        assert 1 == result.returncode
        assert "the AWS CLI is missing" in result.stderr


class TestPython:
    def test_the_one_that_has_the_same_versions(self) -> None:
        """The Python is used that decides as the functions do."""
        result = source(f'PYTHON="{sys.executable}" functions_python')

        assert (0, f"{sys.executable}\n") == (result.returncode, result.stdout)

    def test_any_other_is_not(self, tmp_path: Path) -> None:
        """Another version might decide otherwise, so an environment of its own is made."""
        python = tmp_path / "python"
        python.write_text("#!/bin/sh\nexit 1\n")
        python.chmod(python.stat().st_mode | stat.S_IXUSR)
        fakes = 'has_requirements() { return 1; }; ensure_environment() { echo "$*"; }'

        result = source(f'{fakes}; PYTHON="{python}" functions_python')

        assert f"{REPOSITORY}/.build/functions/bin/python\n" == result.stdout
        wanted = f"--requirement {REPOSITORY}/functions/requirements.txt"
        assert f"{REPOSITORY}/.build/functions {wanted}\n" == result.stderr
