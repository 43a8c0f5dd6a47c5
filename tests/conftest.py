"""No test reaches AWS: broken credentials, one region, and no network but loopback."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.rules import listed

pytest.register_assert_rewrite("support.situations")

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1,localhost",
    # The functions' variables, read when a handler is imported.
    "MANAGEMENT_ACCOUNT_ID": "999999999999",
    "CONFIG_TABLE_NAME": "config",
    "STATE_TABLE_NAME": "state",
    "RUNS_BUCKET_NAME": "runs-bucket",
    "STATE_MACHINE_ARN": "arn:aws:states:us-east-1:999999999999:stateMachine:contact-sync",
    "DIGEST_KEY_SECRET_ARN": "digest-key",
    "MAX_CONCURRENCY": "1",
    "QUOTA_SHARE": "1",
    "KEEP_REPLACED_DAYS": "30",
    "ENVIRONMENT": "test",
    "EXECUTIONS_URL": "https://console.example.com/executions/contact-sync",
    "DASHBOARD_URL": "https://console.example.com/dashboard",
    "POWERTOOLS_SERVICE_NAME": "contact-sync",
}

os.environ.pop("AWS_PROFILE", None)
os.environ.update(ENVIRONMENT)


# In a shell's background job, the programs that tests start would ignore Ctrl-C, too.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rules", action="store_true", help="list the design's rules with their tests; run none"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.option.rules:
        config.args = [str(Path(__file__).parent)]


# Each takes minutes, mostly waiting: if started last, it would leave the other workers idle.
# (pytest-xdist starts files with few tests last, except with --no-loadscope-reorder.)
LONGEST = {
    "test_in_process.py",
    "test_lifecycle.py",
    "test_second_interpreter.py",
    "test_through_machine.py",
    "test_version1.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.option.rules:
        found = listed(session.items)
        session.config.get_terminal_writer().line(found)
        pytest.exit("no test was run", returncode=int("NONE" in found or session.testsfailed > 0))


class NetworkBlockedError(Exception):
    """A test tried to connect to another machine."""


@pytest.fixture(scope="session", autouse=True)
def _only_loopback() -> Iterator[None]:
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX:
            _refuse_remote(address[0])
        connect(self, address)

    def guarded_resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        _refuse_remote(host)
        return resolve(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket, "getaddrinfo", guarded_resolve)
        yield


def _refuse_remote(host: Any) -> None:
    if host not in (None, "localhost", "127.0.0.1", "::1"):
        raise NetworkBlockedError(f"tests must not connect to {host}")
