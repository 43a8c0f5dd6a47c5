"""Commands run in this process, in an account with one deployed environment."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from operate import __main__
from operate.options import Parser, account_id, contact_type
from standin.organization import OrganizationServer
from support.aws import Operate, operator
from support.deployed import Deployed, deployed
from support.deploying import Deploying, deploying


@pytest.fixture(name="operate")
def _operate(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Operate:
    return operator(capsys, monkeypatch)


@pytest.fixture(scope="session", name="server")
def _server() -> Iterator[OrganizationServer]:
    # Nothing waits, so the rates are those of hours.
    with OrganizationServer({}, speed=10_000) as server:
        yield server


@pytest.fixture(scope="module", name="whole_account")
def _whole_account(server: OrganizationServer) -> Iterator[Deployed]:
    with deployed(server) as account:
        yield account


@pytest.fixture(scope="session", name="session")
def _session() -> boto3.Session:
    """One session for all commands: each of them would read the services' models anew."""
    return boto3.Session()


@pytest.fixture(name="account")
def _account(
    whole_account: Deployed, session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> Deployed:
    """The environment `dev`, with three drifted members."""
    monkeypatch.setattr("operate.aws.boto3.Session", lambda **_: session)
    whole_account.reset()
    return whole_account


@pytest.fixture(autouse=True, name="slept")
def _slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nothing waits; returns how long it would have waited."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert len(slept) < 1000, "it waits for ever"

    monkeypatch.setattr(time, "sleep", sleep)
    return slept


@pytest.fixture(name="config")
def _config(operate: Operate) -> Operate:
    return partial(operate, "config", "--environment", "dev")


@pytest.fixture(name="cloud")
def _cloud(account: Deployed, monkeypatch: pytest.MonkeyPatch) -> Deploying:
    """The same environment, and what deployments need."""
    return deploying(account, monkeypatch)


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Callable[[Any], Path]:
    """Writes a file for `config`."""

    def write(content: Any) -> Path:
        path = tmp_path / "config.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


@pytest.fixture(name="command")
def _command(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A command `probe` that only remembers its options; tests replace what it does."""

    def parser() -> Parser:
        made = Parser("probe", "Probes.", "examples:\n  scripts/probe.sh --environment dev")
        made.values("--account", account_id, "ID", "only these")
        made.values("--type", contact_type, "T", "only these")
        return made

    command = SimpleNamespace(parser=parser, run=lambda _: 0)
    monkeypatch.setattr(__main__, "COMMANDS", ("probe",))
    monkeypatch.setitem(sys.modules, "operate.probe", command)
    return command
