"""Going back and deleting: `scripts/rollback.sh` with the real AWS and SAM CLIs."""

import json
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from operation.deployment import EMAIL, Project, project
from support.cli import Result, environment_for, needs_aws, run
from support.interrupted import interrupt

NEVER = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
STACK = "aws-contact-sync-dev"


@pytest.fixture(scope="module", name="cloud")
def _cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with project(tmp_path_factory.mktemp("project")) as made:
        yield made


@pytest.fixture(autouse=True)
def _clean(request: pytest.FixtureRequest) -> Iterator[None]:
    """Nothing of a test is left to the next."""
    yield
    if "cloud" in request.fixturenames:
        cloud: Project = request.getfixturevalue("cloud")
        cloud.instead.clear()
        cloud.forget_calls()
        cloud.restore("template.yaml")
        cloud.restore("scripts/backup.sh")


@pytest.fixture(scope="module", name="two_releases")
def _two_releases(cloud: Project) -> dict[str, Any]:
    """Two releases that differ in template, code and parameters; returns the first one's."""
    first = cloud.deploy("--notification-email", EMAIL, "--log-level", "WARNING")
    assert 0 == first.returncode, first.stderr
    before = {"stack": cloud.stack(), "template": deployed_template(cloud)}
    cloud.edit("template.yaml", "\nOutputs:\n", "\nOutputs:\n  New:\n    Value: new\n")
    cloud.edit("functions/sync_reporter/handler.py", '"""', '"""Newly: ')
    second = cloud.deploy("--log-level", "DEBUG", "--schedule", "off")
    assert 0 == second.returncode, second.stderr
    assert 2 == len(cloud.releases())
    return before


def rollback(cloud: Project, *options: str, environment: str = "dev", answer: str = "") -> Result:
    return cloud.run("rollback.sh", "--environment", environment, *options, answer=answer)


def deployed_template(cloud: Project) -> str:
    client = cloud.standin.client("cloudformation")
    answer = client.get_template(StackName=STACK, TemplateStage="Original")
    return str(answer["TemplateBody"]).strip()


def outputs(cloud: Project) -> set[str]:
    return {output["OutputKey"] for output in cloud.stack().get("Outputs", [])}


class TestOptions:
    @pytest.mark.parametrize("option", ["-h", "--help"])
    def test_help(self, tmp_path: Path, option: str) -> None:
        """Help is an answer, not an error, and has every option."""
        result = run("rollback.sh", option, environment=environment_for(tmp_path, **NEVER))

        assert (0, "") == (result.returncode, result.stderr)
        for named in (
            "--environment ENV",
            "--force",
            "--backup-data",
            "--output DIR",
            "--delete",
            "--region R",
            "--profile P",
        ):
            assert named in result.stdout

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ("--bogus", "unknown option: --bogus"),
            ("--environment production", "'production' is no environment"),
            ("--environment", "--environment needs a value"),
            ("--output here", "--output is where --backup-data writes"),
            ("--region somewhere", "'somewhere' is no region"),
            ("--profile --force", "--profile needs a value"),
        ],
    )
    def test_wrong(self, tmp_path: Path, options: str, complaint: str) -> None:
        """A wrong option is told on stderr with the usage and exit code 2, before any call."""
        environment = environment_for(tmp_path, **NEVER)

        result = run("rollback.sh", *shlex.split(options), environment=environment)

        assert (2, "") == (result.returncode, result.stdout)
        assert complaint in result.stderr.splitlines()[0]
        assert "Usage: scripts/rollback.sh" in result.stderr


class TestAws:
    @pytest.mark.parametrize("options", [[], ["--delete", "--force"]])
    def test_no_credentials(self, tmp_path: Path, options: list[str]) -> None:
        """Without credentials it says how to give them."""
        needs_aws()
        environment = environment_for(tmp_path, AWS_DEFAULT_REGION="us-east-1", **NEVER)

        result = run("rollback.sh", *options, environment=environment)

        assert (1, "") == (result.returncode, result.stdout)
        assert "error: no AWS credentials: sign in" in result.stderr

    @pytest.mark.parametrize(
        "command",
        [
            "--environment prod --profile my-aws-profile",
            "--environment prod --force --profile my-aws-profile",
            "--environment prod --backup-data --profile my-aws-profile",
            "--environment dev --delete --backup-data --profile my-aws-profile",
        ],
    )
    def test_commands_of_the_guide(self, tmp_path: Path, command: str) -> None:
        """The guide's commands work as they are written; their profile is the AWS CLI's."""
        needs_aws()
        environment = environment_for(tmp_path, AWS_DEFAULT_REGION="us-east-1", **NEVER)

        result = run("rollback.sh", *command.split(), environment=environment)

        assert (1, "") == (result.returncode, result.stdout)
        assert "error: no AWS profile my-aws-profile" in result.stderr

    def test_tables_cannot_be_listed(self, cloud: Project) -> None:
        """What cannot be asked is not taken for absent: nothing is deleted without its backup."""
        denied = "echo 'An error occurred (AccessDenied): no' >&2; exit 254"
        cloud.instead["*list-stack-resources*"] = denied
        states(cloud, "CREATE_COMPLETE")

        result = rollback(cloud, "--delete", "--backup-data", "--force")

        assert 1 == result.returncode
        assert "error: the AWS credentials do not suffice" in result.stderr
        assert not [call for call in cloud.calls() if changes(call)]


class TestNothing:
    """Exit code 3 where there is nothing to go back to, and nothing is touched."""

    def test_no_stack(self, cloud: Project) -> None:
        back = rollback(cloud, environment="staging")
        delete = rollback(cloud, "--delete", environment="staging")

        assert (3, "") == (back.returncode, back.stdout)
        assert "There is no stack aws-contact-sync-staging" in back.stderr
        assert "nothing to go back to" in back.stderr
        assert (3, "") == (delete.returncode, delete.stdout)
        assert "nothing to delete" in delete.stderr

    def test_failed_first_deployment(self, cloud: Project) -> None:
        """What was never whole can only be deleted, and holds nothing to back up."""
        cloud.start_broken("aws-contact-sync-staging")

        back = rollback(cloud, "--force", environment="staging")
        options = ["--delete", "--backup-data", "--force"]
        delete = rollback(cloud, *options, environment="staging")

        assert 3 == back.returncode
        assert "ROLLBACK_COMPLETE" in back.stderr
        assert "Remove it with --delete" in back.stderr
        assert 0 == delete.returncode, delete.stderr
        assert "There are no tables to back up" in delete.stderr
        assert {} == cloud.stack("staging")


class TestRelease:
    """One account through its life; each test leaves it as the next one finds it."""

    @pytest.mark.usefixtures("two_releases")
    def test_not_confirmed(self, cloud: Project) -> None:
        """It says what changes and asks, and anything but yes ends it."""
        result = rollback(cloud, answer="no\n")

        assert (1, "") == (result.returncode, result.stdout)
        assert "other code or template" in result.stderr
        assert "< LogLevel=DEBUG" in result.stderr
        assert "> LogLevel=WARNING" in result.stderr
        assert f"Take {STACK} back to release {cloud.releases()[0]}? [y/N]" in result.stderr
        assert "error: not confirmed; nothing was done" in result.stderr
        assert "New" in outputs(cloud)

    @pytest.mark.usefixtures("two_releases")
    def test_backup_fails(self, cloud: Project) -> None:
        """Without the backup that was asked for, nothing is changed."""
        (cloud.folder / "scripts/backup.sh").write_text("exit 1\n")

        back = rollback(cloud, "--force", "--backup-data")
        delete = rollback(cloud, "--force", "--delete", "--backup-data")

        for result in (back, delete):
            assert 1 == result.returncode
            assert "error: the backup failed, so nothing was changed" in result.stderr
        assert "New" in outputs(cloud)
        assert not [call for call in cloud.calls() if changes(call)]

    @pytest.mark.usefixtures("two_releases")
    def test_interrupted(self, cloud: Project, tmp_path: Path) -> None:
        """It says that CloudFormation goes on, and forgets no release; the next run, which is
        that of the next test, does the whole."""
        cloud.write_programs()

        ended = interrupt(
            "rollback.sh",
            *("--environment", "dev", "--force"),
            environment=cloud.environment,
            folder=tmp_path / "bin",
            call=r"*cloudformation\ deploy*",
            number=signal.SIGTERM,
        )

        assert 143 == ended.returncode
        assert ended.stderr.endswith("goes on; run this again to finish.\n")
        assert 2 == len(cloud.releases())
        assert [] == list(cloud.folder.glob("home/contact-sync.*"))

    def test_back(self, cloud: Project, two_releases: dict[str, Any]) -> None:
        """From a stable stack to the release before: template, code and parameters; the tables
        keep what they have."""
        target = cloud.releases()[0]
        configuration = cloud.configuration()
        output = cloud.folder / "saved"

        result = rollback(cloud, "--backup-data", "--output", str(output), answer="y\n")

        assert 0 == result.returncode, result.stderr
        assert f"{STACK} runs release {target}" in result.stderr
        assert two_releases["template"] == deployed_template(cloud)
        assert two_releases["stack"]["Parameters"] == cloud.stack()["Parameters"]
        assert [target] == cloud.releases()
        assert configuration == cloud.configuration()
        assert (output / "config-table-backup.json").exists()

    @pytest.mark.usefixtures("two_releases")
    def test_only_release(self, cloud: Project) -> None:
        """What was gone back from is forgotten, so now there is nothing left."""
        result = rollback(cloud, "--force")

        assert (3, "") == (result.returncode, result.stdout)
        assert f"{STACK} runs its only release, {cloud.releases()[0]}" in result.stderr

    def test_changed_by_hand(self, cloud: Project, two_releases: dict[str, Any]) -> None:
        """What somebody changed past deploy.sh goes back to the newest release."""
        client = cloud.standin.client("cloudformation")
        parameters = [
            {**parameter, "ParameterValue": "ERROR"}
            if parameter["ParameterKey"] == "LogLevel"
            else parameter
            for parameter in two_releases["stack"]["Parameters"]
        ]
        client.update_stack(
            StackName=STACK,
            UsePreviousTemplate=True,
            Parameters=parameters,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        client.get_waiter("stack_update_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})

        result = rollback(cloud, "--force")

        assert 0 == result.returncode, result.stderr
        assert "What runs now was not deployed by deploy.sh" in result.stderr
        assert "WARNING" == cloud.parameters()["LogLevel"]
        assert 1 == len(cloud.releases())

    @pytest.mark.usefixtures("two_releases")
    def test_update_stuck_halfway(self, cloud: Project) -> None:
        """An update that failed and was not undone is undone."""
        before = deployed_template(cloud)
        cloud.start_broken(STACK, update=True)
        assert "UPDATE_FAILED" == cloud.stack()["StackStatus"]

        result = rollback(cloud, answer="y\n")

        assert 0 == result.returncode, result.stderr
        assert f"{STACK} is what it was before that update" in result.stderr
        assert "UPDATE_ROLLBACK_COMPLETE" == cloud.stack()["StackStatus"]
        assert before == deployed_template(cloud)


class TestStuck:
    """States that the stand-in does not get into by itself."""

    def test_update_in_progress(self, cloud: Project) -> None:
        """An update that goes on is cancelled."""
        states(cloud, "UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE")
        cloud.instead["*cancel-update-stack*"] = "exit 0"

        result = rollback(cloud, answer="y\n")

        assert 0 == result.returncode, result.stderr
        assert "is being updated. Cancel that" in result.stderr
        assert f"{STACK} is what it was before that update" in result.stderr
        assert 1 == len([call for call in cloud.calls() if "cancel-update-stack" in call])

    def test_rollback_failed(self, cloud: Project) -> None:
        """A rollback that failed is continued, around what cannot be undone if it must."""
        failed = "UPDATE_ROLLBACK_FAILED"
        states(cloud, failed, "UPDATE_ROLLBACK_IN_PROGRESS", failed, "UPDATE_ROLLBACK_COMPLETE")
        cloud.instead["*continue-update-rollback*"] = "exit 0"
        cloud.instead["*list-stack-resources*UPDATE_FAILED*"] = "echo StateTable; exit"

        result = rollback(cloud, "--force")

        assert 0 == result.returncode, result.stderr
        assert "left as they are: StateTable" in result.stderr
        tried = [call for call in cloud.calls() if "continue-update-rollback" in call]
        assert [False, True] == ["--resources-to-skip StateTable" in call for call in tried]

    def test_still_stuck(self, cloud: Project) -> None:
        """What cannot be freed is said to be so."""
        states(cloud, "UPDATE_ROLLBACK_FAILED")
        cloud.instead["*continue-update-rollback*"] = "exit 0"
        cloud.instead["*list-stack-resources*UPDATE_FAILED*"] = "echo StateTable; exit"

        result = rollback(cloud, "--force")

        assert 1 == result.returncode
        assert f"error: {STACK} is UPDATE_ROLLBACK_FAILED: see its events" in result.stderr


class TestDelete:
    @pytest.mark.usefixtures("two_releases")
    def test_delete_and_deploy_again(self, cloud: Project) -> None:
        """A protected stack is deleted after its backup, with its forwarding and its releases;
        then the same can be deployed anew."""
        client = cloud.standin.client("cloudformation")
        client.update_termination_protection(StackName=STACK, EnableTerminationProtection=True)
        client.create_stack(
            StackName=f"{STACK}-forwarding",
            TemplateBody=json.dumps(
                {
                    "Parameters": {"HomeRegion": {"Type": "String", "Default": "us-east-1"}},
                    "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
                }
            ),
        )
        runs = f"{STACK}-runs-999999999999-us-east-1"
        cloud.standin.client("s3").put_object(Bucket=runs, Key="runs/1/manifest.json", Body=b"[]")
        deployed = cloud.deploy("--parameter", "CreateTrail=true")
        assert 0 == deployed.returncode, deployed.stderr
        (trail,) = cloud.standin.client("cloudtrail").describe_trails()["trailList"]
        output = cloud.folder / "saved-again"

        options = ["--delete", "--backup-data", "--output", str(output)]
        refused = rollback(cloud, *options, answer="\n")
        assert 1 == refused.returncode
        assert cloud.stack()

        result = rollback(cloud, *options, answer="y\n")

        assert 0 == result.returncode, result.stderr
        assert {} == cloud.stack() == cloud.stack(more="-forwarding")
        assert [] == cloud.releases()
        assert (output / "config-table-backup.json").exists()
        done = [call for call in cloud.calls() if changes(call) or "dynamodb scan" in call]
        order = [
            next(n for n, call in enumerate(done) if what in call)
            for what in ("scan", "update-termination-protection", f"s3://{runs}/", "delete-stack")
        ]
        assert sorted(order) == order
        stopped, emptied = (
            next(n for n, call in enumerate(done) if what in call)
            for what in ("stop-logging", f"s3://{trail['S3BucketName']}/")
        )
        assert stopped < emptied < order[-1]

        # As if the deletion had been interrupted before its end.
        key = f"{STACK}/releases/20260101T000000Z/parameters"
        cloud.standin.client("s3").put_object(Bucket=cloud.bucket(), Key=key, Body=b"")
        rest = rollback(cloud, "--delete", "--force")
        assert 0 == rest.returncode
        assert f"{STACK} is gone, and its releases are left" in rest.stderr
        assert [] == cloud.releases()
        again = rollback(cloud, "--delete", "--force")
        assert 3 == again.returncode

        anew = cloud.deploy()
        assert 0 == anew.returncode, anew.stderr
        assert 1 == len(cloud.releases())


def changes(call: str) -> bool:
    return any(
        each in call
        for each in (
            "cloudformation deploy",
            "delete-stack",
            "stop-logging",
            "update-termination-protection",
            "s3 rm",
        )
    )


def states(cloud: Project, *given: str) -> None:
    """Let the stack have these states, one for each time it is asked, the last one for ever."""
    counter = cloud.folder / "states"
    counter.write_text("\n".join(given) + "\n")
    take = f'head -n 1 "{counter}"; [ "$(wc -l <"{counter}")" -gt 1 ] && sed -i 1d "{counter}"'
    cloud.instead["*Stacks*.StackStatus"] = f"{take}; exit 0"
