"""Going back to the previous release, and freeing a stack that is stuck: `rollback`."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from operate.console import OperateError
from support.aws import Operate, Told, refusal
from support.deployed import PRINCIPAL, STACK
from support.deploying import Deploying

ACCOUNT = "999999999999"
TABLE = {
    "ResourceType": "AWS::DynamoDB::Table",
    "ResourceStatus": "CREATE_COMPLETE",
    "PhysicalResourceId": "state",
}
Rollback = Operate


@pytest.fixture(autouse=True)
def _table(cloud: Deploying) -> None:
    cloud.account.stacks.resources[STACK] = [TABLE]


@pytest.fixture(name="releases")
def _releases(cloud: Deploying, operate: Operate) -> list[str]:
    """Three releases, of which the last one runs; they differ in code and log level."""
    for number, level in enumerate(("ERROR", "WARNING", "DEBUG")):
        cloud.template = f"code: {number}\n"
        words = ["--environment", "dev", "--account-id", ACCOUNT, "--yes", "--log-level", level]
        assert 0 == operate("deploy", *words).code
    cloud.aws.sent.clear()
    return cloud.releases()


@pytest.fixture(name="rollback")
def _rollback(operate: Operate) -> Rollback:
    def run(*words: Any, answer: str = "", yes: bool = True) -> Told:
        given = ["--environment", "dev", *words, *(["--force"] if yes else [])]
        return operate("rollback", *given, answer=answer)

    return run


def test_output_without_backup(rollback: Rollback) -> None:
    told = rollback("--output", "here")

    assert 2 == told.code
    assert "error: --output needs --backup-data: add it" == told.err.splitlines()[0]


class TestNothing:
    """Exit code 3, and nothing is touched."""

    @pytest.mark.parametrize("status", [None, "REVIEW_IN_PROGRESS"])
    def test_no_stack(self, cloud: Deploying, rollback: Rollback, status: str | None) -> None:
        cloud.stack["StackStatus"] = status
        if not status:
            del cloud.account.stacks.stacks["us-east-1", STACK]

        told = rollback()

        assert 3 == told.code
        assert (
            f"There is no stack {STACK} in this account and region: nothing to roll" in told.error
        )

    @pytest.mark.parametrize(
        "status", ["CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"]
    )
    def test_never_whole(self, cloud: Deploying, rollback: Rollback, status: str) -> None:
        cloud.stack["StackStatus"] = status

        told = rollback()

        assert 3 == told.code
        assert told.error.endswith("Nothing to roll back to: delete it with --delete.")

    @pytest.mark.usefixtures("cloud")
    def test_no_release(self, rollback: Rollback) -> None:
        assert f"No release of {STACK} is stored" in rollback().error

    def test_releases_of_an_earlier_stack(
        self, cloud: Deploying, rollback: Rollback, releases: list[str]
    ) -> None:
        """What an interrupted deletion left is not this stack's."""
        newest = cloud.stack["CreationTime"].replace(year=2100)
        cloud.stack["CreationTime"] = newest

        assert f"No release of {STACK} is stored" in rollback().error
        assert 3 == len(releases)


class TestRelease:
    def test_not_confirmed(self, cloud: Deploying, rollback: Rollback, releases: list[str]) -> None:
        """It shows what changes, names where, and asks; anything but yes ends it."""
        told = rollback(yes=False, answer="no\n")

        assert (1, "") == (told.code, told.out)
        assert "  LogLevel: DEBUG -> WARNING" in told.err
        assert "modify      AccountListerFunction (AWS::Lambda::Function): Code" in told.err
        where = f"Account {ACCOUNT}, region us-east-1, stack {STACK}, signed in as {PRINCIPAL}"
        assert where in told.err
        assert f"Roll {STACK} back to release {releases[1]}? [y/N]" in told.err
        assert releases[2] == cloud.running()
        assert {} == cloud.operations.sets

    @pytest.mark.usefixtures("releases")
    def test_run_in_progress(self, cloud: Deploying, rollback: Rollback) -> None:
        """It is told before the question, when it can still be waited for."""
        run = {"executionArn": f"arn:aws:states:us-east-1:{ACCOUNT}:execution:m:daily"}
        cloud.aws.answers["stepfunctions.ListExecutions"] = {"executions": [run]}

        told = rollback(yes=False, answer="n\n")

        warning, asked = told.err.index("a run is in progress"), told.err.index("[y/N]")
        assert warning < asked

    def test_back_and_further_back(
        self, cloud: Deploying, rollback: Rollback, releases: list[str]
    ) -> None:
        """Each time to the one before the release that runs; the rest of the stack stays."""
        cloud.stack["Tags"] = [{"Key": "team", "Value": "security"}]

        for left in (2, 1):
            told = rollback()

            assert 0 == told.code, told.err
            assert f"{STACK} has release {releases[left - 1]}; its tables are" in told.err
            assert releases[left - 1] == cloud.running()
            assert releases[:left] == cloud.releases()
            key = f"{STACK}/releases/{releases[left - 1]}/template.yaml"
            assert cloud.sent("cloudformation.CreateChangeSet")[-1]["TemplateURL"].endswith(key)
        assert {"team": "security"} == cloud.tags()
        assert "ERROR" == cloud.parameters()["LogLevel"]

        told = rollback()
        assert 3 == told.code
        assert (
            f"{STACK} has only one release, {releases[0]}: nothing to roll back to." == told.error
        )

    @pytest.mark.case("E1")
    def test_interrupted_then_deployed(
        self, cloud: Deploying, operate: Operate, rollback: Rollback, releases: list[str]
    ) -> None:
        """The release that was bad never comes back, whatever follows."""
        with cloud.interrupted():
            rollback()
        cloud.template = "code: 3\n"
        operate("deploy", "--environment", "dev", "--account-id", ACCOUNT, "--yes")

        assert 0 == rollback().code
        assert (releases[1], releases[:2]) == (cloud.running(), cloud.releases())

    def test_clock_behind(
        self,
        cloud: Deploying,
        operate: Operate,
        rollback: Rollback,
        releases: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Releases are in the order of their deployments, not of the machines' clocks."""
        late = SimpleNamespace(now=lambda _: datetime(2020, 1, 1, tzinfo=UTC))
        monkeypatch.setattr("operate.releases.datetime", late)
        cloud.template = "code: 3\n"
        operate("deploy", "--environment", "dev", "--account-id", ACCOUNT, "--yes")

        assert 0 == rollback().code
        assert (releases[2], releases) == (cloud.running(), cloud.releases())

    def test_twice_to_one_release(
        self, cloud: Deploying, operate: Operate, rollback: Rollback, releases: list[str]
    ) -> None:
        for code in ("3", "4"):
            assert 0 == rollback().code
            assert releases[1] == cloud.running()
            cloud.template = f"code: {code}\n"
            operate("deploy", "--environment", "dev", "--account-id", ACCOUNT, "--yes")

    def test_forwarding(
        self, cloud: Deploying, operate: Operate, rollback: Rollback, releases: list[str]
    ) -> None:
        """Events come from the regions of the release, also after an interruption."""
        stacks, name = cloud.account.stacks.stacks, ("eu-west-1", f"{STACK}-forwarding")
        cloud.aws.answers["sns.ListSubscriptionsByTopic"] = {"Subscriptions": []}
        for tower in ("eu-west-1", "none"):
            words = ["--account-id", ACCOUNT, "--yes", "--control-tower-region", tower]
            assert 0 == operate("deploy", "--environment", "dev", *words).code

        assert (0, True) == (rollback().code, name in stacks)
        with cloud.interrupted():
            rollback()
        assert (0, False) == (rollback().code, name in stacks)
        assert releases == cloud.releases()

    def test_paused_stays_paused(
        self, cloud: Deploying, operate: Operate, rollback: Rollback, releases: list[str]
    ) -> None:
        operate("deploy", "--environment", "dev", "--account-id", ACCOUNT, "--yes", "--paused")

        assert 0 == rollback().code

        assert (releases[1], "DISABLED") == (cloud.running(), cloud.parameters()["Triggers"])

    @pytest.mark.case("E1")
    def test_interrupted_and_again(
        self, cloud: Deploying, rollback: Rollback, releases: list[str]
    ) -> None:
        """Ctrl-C while CloudFormation goes back, then again as advised: it is where it was going
        to, neither forward to the bad release nor one further back."""
        with cloud.interrupted():
            told = rollback()

        assert 130 == told.code
        assert "continues what it has begun; run this command again to finish." in told.err

        again = rollback()

        assert 0 == again.code, again.err
        assert f"{STACK} is already rolled back to release {releases[1]}" in again.err
        assert releases[1] == cloud.running()
        assert releases[:2] == cloud.releases()

    @pytest.mark.case("E1")
    def test_again_while_it_goes_back(
        self, cloud: Deploying, rollback: Rollback, releases: list[str], slept: list[float]
    ) -> None:
        """Going back is not cancelled as an update would be: it waits for the end."""
        assert 0 == rollback().code
        before = cloud.parameters()
        cloud.change_meanwhile(cloud.stack, "UPDATE", slept)

        told = rollback()

        assert f"{STACK} is UPDATE_IN_PROGRESS: waiting until this ends" in told.err
        assert not cloud.sent("cloudformation.CancelUpdateStack")
        assert releases[1] == before["Release"].rpartition("/")[2]

    def test_deployment_that_was_interrupted(
        self, cloud: Deploying, rollback: Rollback, releases: list[str]
    ) -> None:
        """What runs is no release yet: back to the newest one."""
        address = cloud.parameters()["Release"].replace(releases[2], "20990101T000000Z-1")
        for one in cloud.stack["Parameters"]:
            if one["ParameterKey"] == "Release":
                one["ParameterValue"] = address

        told = rollback()

        assert 0 == told.code, told.err
        assert "The current release is not stored" in told.err
        assert releases == cloud.releases()
        assert releases[2] == cloud.running()

    def test_fails(self, cloud: Deploying, rollback: Rollback, releases: list[str]) -> None:
        cloud.operations.outcomes = ["UPDATE_ROLLBACK_COMPLETE"]

        told = rollback()

        assert 1 == told.code
        assert "  UPDATE_FAILED Broken: the name is taken" in told.err
        assert releases == cloud.releases()


class TestBackup:
    @pytest.fixture(autouse=True)
    def _folder(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)

    @pytest.mark.usefixtures("releases")
    def test_folder(self, rollback: Rollback) -> None:
        told = rollback("--backup-data")

        assert (0, "backup\n") == (told.code, told.out)
        assert json.loads(Path("backup/parameters.json").read_text())["Release"]

    @pytest.mark.usefixtures("releases")
    @pytest.mark.parametrize(
        ("error", "told_"),
        [(OperateError("no room"), "no room"), (OSError(28, "No space"), "OSError: [Errno 28] No")],
    )
    def test_fails(
        self,
        cloud: Deploying,
        rollback: Rollback,
        monkeypatch: pytest.MonkeyPatch,
        error: Exception,
        told_: str,
    ) -> None:
        """Without the backup that was asked for, nothing is changed."""

        def fail(*_: Any) -> None:
            raise error

        monkeypatch.setattr("operate.backup.write_backup", fail)

        for words in ([], ["--delete"]):
            told = rollback("--backup-data", *words)

            expected = f"error: the backup failed, so nothing was changed: {told_}"
            assert (1, True) == (told.code, told.error.startswith(expected)), told.error
        changed = {name for name, _ in cloud.aws.sent if name.startswith("cloudformation.")}
        assert not changed & {"cloudformation.ExecuteChangeSet", "cloudformation.DeleteStack"}


class TestStuck:
    @pytest.mark.parametrize(
        ("status", "operation", "question"),
        [
            (
                "UPDATE_IN_PROGRESS",
                "CancelUpdateStack",
                "is in progress. Cancel it and roll it back?",
            ),
            ("UPDATE_FAILED", "RollbackStack", "failed. Roll it back?"),
            (
                "UPDATE_ROLLBACK_FAILED",
                "ContinueUpdateRollback",
                "and so did its rollback. Try again?",
            ),
        ],
    )
    def test_freed(
        self, cloud: Deploying, rollback: Rollback, status: str, operation: str, question: str
    ) -> None:
        cloud.stack["StackStatus"] = status

        told = rollback(yes=False, answer="y\n")

        assert 0 == told.code, told.err
        assert question in told.err
        assert f"{STACK} is as it was before the update" in told.err
        assert 1 == len(cloud.sent(f"cloudformation.{operation}"))

    def test_interrupted_and_again(
        self, cloud: Deploying, rollback: Rollback, releases: list[str], slept: list[float]
    ) -> None:
        """An update that is already being rolled back: the release before it is not left, too."""
        cloud.change_meanwhile(cloud.stack, "UPDATE_ROLLBACK", slept)

        told = rollback()

        assert (0, f"{STACK} is as it was before the update") == (told.code, told.error)
        assert releases[2] == cloud.running()

    def test_ended_meanwhile(
        self, cloud: Deploying, rollback: Rollback, releases: list[str]
    ) -> None:
        """An update that ended before it could be cancelled is gone back from."""
        cloud.stack["StackStatus"] = "UPDATE_IN_PROGRESS"

        def ended(*_: Any) -> Exception:
            cloud.stack["StackStatus"] = "UPDATE_COMPLETE"
            return refusal("ValidationError", "CancelUpdateStack cannot be called")

        cloud.aws.answers["cloudformation.CancelUpdateStack"] = ended

        told = rollback()

        assert 0 == told.code, told.err
        assert releases[1] == cloud.running()

    def test_around_what_cannot_be_undone(self, cloud: Deploying, rollback: Rollback) -> None:
        cloud.stack["StackStatus"] = "UPDATE_ROLLBACK_FAILED"
        cloud.operations.outcomes = ["UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_COMPLETE"]
        failed = {**TABLE, "LogicalResourceId": "StateTable", "ResourceStatus": "UPDATE_FAILED"}
        cloud.account.stacks.resources[STACK] = [failed]

        told = rollback()

        assert 0 == told.code, told.err
        assert "skipped: StateTable; to correct them, deploy with --repair" in told.err
        sent = cloud.sent("cloudformation.ContinueUpdateRollback")
        assert [None, ["StateTable"]] == [one.get("ResourcesToSkip") for one in sent]

    def test_still_stuck(self, cloud: Deploying, rollback: Rollback) -> None:
        cloud.stack["StackStatus"] = "UPDATE_ROLLBACK_FAILED"
        cloud.operations.outcomes = ["UPDATE_ROLLBACK_FAILED"] * 2
        failed = {**TABLE, "LogicalResourceId": "StateTable", "ResourceStatus": "UPDATE_FAILED"}
        cloud.account.stacks.resources[STACK] = [failed]

        told = rollback()

        assert (1, f"error: {STACK} is UPDATE_ROLLBACK_FAILED: see its events in the console") == (
            told.code,
            told.error,
        )
