"""What every command does where AWS does not: one message, exit code 1, nothing done."""

from pathlib import Path

import pytest
from operate.__main__ import COMMANDS
from support.aws import Operate, Told, refusal
from support.deployed import STACK, Deployed

MORE = {"config": ["show"], "restore": ["--yes"], "redrive-dlq": ["--yes"]}
# Of the commands that deploy, the same is in their own tests.
OPERATING = ("backup", "config", "redrive-dlq", "report", "restore", "resync", "validate")

every_command = pytest.mark.parametrize("name", OPERATING)


@pytest.fixture(autouse=True)
def _backup(
    account: Deployed, operate: Operate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """There is something to restore."""
    del account
    monkeypatch.chdir(tmp_path)
    assert 0 == operate("backup", "--environment", "dev").code


def told_by(operate: Operate, name: str, *more: str) -> Told:
    told = operate(name, "--environment", "dev", *MORE.get(name, []), *more)
    assert 1 == told.code
    assert "Traceback" not in told.err
    return told


def test_all_are_here() -> None:
    assert set(OPERATING) <= set(COMMANDS)


@every_command
@pytest.mark.case("E7")
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ExpiredToken", "the AWS credentials are expired or invalid: sign in again"),
        ("Throttling", "AWS throttled the calls of this account: try again"),
        ("AccessDenied", "the AWS credentials lack a permission"),
    ],
)
def test_refused(account: Deployed, operate: Operate, name: str, code: str, message: str) -> None:
    """An error of AWS is told once, by its code, with the remedy."""
    account.aws.answers["cloudformation.DescribeStacks"] = refusal(code, "not you")

    told = told_by(operate, name)

    assert 1 == (told.out + told.err).count(message)


@every_command
def test_another_place(operate: Operate, name: str) -> None:
    """In a region without the stack, that is what is said, and no name is guessed."""
    told = told_by(operate, name, "--region", "eu-west-1")

    expected = f"there is no stack {STACK} in account 999999999999, region eu-west-1"
    assert expected in told.out + told.err


@every_command
@pytest.mark.parametrize("status", ["REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"])
def test_failed_first_deployment(
    account: Deployed, operate: Operate, name: str, status: str
) -> None:
    """A stack that was never whole has nothing to work with; what to do is said."""
    account.stack.update(StackStatus=status, Outputs=[])

    told = told_by(operate, name)

    output = told.out + told.err
    assert f"{STACK} is {status}" in output or "its first deployment failed" in output
