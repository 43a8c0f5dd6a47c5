"""Starts and stops the stand-in, deploys the real template to it, and inspects the results."""

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from standin import package
from standin.errors import StandinError
from standin.organization.worlds import MANAGEMENT_ACCOUNT_ID
from standin.running import (
    ANY_KEY,
    BUILD,
    REGION,
    REPOSITORY,
    RunningStandin,
    opener,
)
from standin.stack import Execution, Message, Outcome, Stack

__all__ = [
    "BUILD",
    "REPOSITORY",
    "Execution",
    "Message",
    "Outcome",
    "Stack",
    "Standin",
    "StandinError",
]

Json = dict[str, Any]

# This Python if it has MiniStack, which the tests' own Python does not.
MINISTACK_PYTHON = (
    Path(sys.executable) if find_spec("ministack") else BUILD / "ministack/bin/python"
)

START_SECONDS = 60.0
POLL_SECONDS = 0.05
LOOPBACK = "127.0.0.1"


class Standin(RunningStandin):
    """AWS on this machine, for the duration of the `with` block.

    Listens on free loopback ports, unless `host` and `ports` (MiniStack's and the organization's)
    say otherwise: anyone who reaches the stand-in has full control of it.

    `speed` raises quotas, and shortens latency, waits and functions' sleeps; timeouts remain real
    seconds. `wait_speed`, if given, is the speed of state machines' waits. `latency` and `world`
    are the organization's. `mock_config` answers tasks, as in Step Functions Local. `record_calls`
    records each AWS call of the functions. The variable STANDIN_HOOKS_OFF skips MiniStack hooks.

    Seconds at AWS's own speed: `function_start` before the import of a function's module in a new
    execution environment, `invocation` between a state machine and each invocation's handler,
    `child_start` between a free slot of a Distributed Map and the first state of the next child.
    """

    def __init__(  # noqa: PLR0913 - each has a default
        self,
        *,
        accounts: int = 20,
        speed: float = 1.0,
        wait_speed: float | None = None,
        latency: Mapping[str, float] | None = None,
        world: Json | None = None,
        record_calls: bool = False,
        function_start: float = 0.0,
        invocation: float = 0.0,
        child_start: float = 0.0,
        host: str = LOOPBACK,
        ports: tuple[int, int] | None = None,
        mock_config: Path | None = None,
    ) -> None:
        self.accounts = accounts
        self.speed = speed
        self.wait_speed = wait_speed or speed
        self.latency = dict(latency or {})
        self.world = world
        self.record_calls = record_calls
        self.function_start = function_start
        self.invocation = invocation
        self.child_start = child_start
        self.host = host
        self.ports = ports
        self.mock_config = mock_config

    def __enter__(self) -> Self:
        if not MINISTACK_PYTHON.exists():
            raise StandinError(f"no MiniStack: {MINISTACK_PYTHON} does not exist")
        self.directory = Path(tempfile.mkdtemp(prefix="standin-"))
        port, organization_port = self.ports or _free_ports()
        # Part of the URL, so that no call reaches another organization that later uses the port.
        self.instance = secrets.token_hex(8)
        organization_url = f"http://{LOOPBACK}:{organization_port}/i-{self.instance}"
        super().__init__(f"http://{LOOPBACK}:{port}", organization_url)
        self._supervisor = _supervise(
            self.directory,
            [
                _command("ministack", MINISTACK_PYTHON, [], self._ministack_environment(port)),
                _command(
                    "organization",
                    Path(sys.executable),
                    self._organization_options(organization_port),
                    {"PATH": os.environ["PATH"]},
                ),
            ],
        )
        try:
            self._wait_until_up()
            if self.latency:
                world = self.organization.world()
                self.organization.reset({**world, "latency": self.latency})
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End both servers and their function processes, and remove their files."""
        self._supervisor.communicate()  # closes its input, which makes it end the servers
        self._clients.clear()

    def recorded_calls(self) -> list[Json]:
        """Return each AWS call that a function made: {function, service, operation, parameters}."""
        return [json.loads(line) for line in self._calls_file.read_text().splitlines()]

    def wait(self) -> None:
        """Block until a server exits by itself; raise StandinError with its log."""
        raise StandinError(self._last_words())

    @property
    def _calls_file(self) -> Path:
        return self.directory / "calls.jsonl"

    def _ministack_environment(self, port: int) -> dict[str, str]:
        """Return MiniStack's environment, which function processes inherit."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "TMPDIR": str(self.directory),
            "LANG": "C.UTF-8",
            "BIND_HOST": self.host,
            "GATEWAY_PORT": str(port),
            "MINISTACK_ACCOUNT_ID": MANAGEMENT_ACCOUNT_ID,
            "MINISTACK_REGION": REGION,
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "SFN_WAIT_SCALE": str(1 / self.wait_speed),
            "STANDIN_SPEED": str(self.speed),
            "STANDIN_HOOKS_OFF": os.environ.get("STANDIN_HOOKS_OFF", ""),
            "STANDIN_INSTANCE": self.instance,
            "STANDIN_CALLS": str(self._calls_file) if self.record_calls else "",
            "STANDIN_FUNCTION_START": str(self.function_start),
            "STANDIN_INVOCATION": str(self.invocation),
            "STANDIN_CHILD_START": str(self.child_start),
            "SFN_MOCK_CONFIG": str(self.mock_config.resolve()) if self.mock_config else "",
            "AWS_ENDPOINT_URL_ACCOUNT": self.organization_url,
            "AWS_ENDPOINT_URL_ORGANIZATIONS": self.organization_url,
            "AWS_ACCESS_KEY_ID": MANAGEMENT_ACCOUNT_ID,
            "AWS_SECRET_ACCESS_KEY": ANY_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _organization_options(self, port: int) -> list[str]:
        options: dict[str, object] = {
            "--host": self.host,
            "--port": port,
            "--accounts": self.accounts,
            "--speed": self.speed,
            "--instance": self.instance,
        }
        if self.world is not None:
            file = self.directory / "world.json"
            file.write_text(json.dumps(self.world))
            options["--world"] = file
        return [text for name, value in options.items() for text in (name, str(value))]

    def _wait_until_up(self) -> None:
        health = [
            f"{self.endpoint_url}/_ministack/health",
            f"{self.organization_url}/_standin/stats",
        ]
        deadline = time.monotonic() + START_SECONDS
        while not (all(_answers(url) for url in health) and self._is_ours()):
            if self._supervisor.poll() is not None:
                raise StandinError(self._last_words())
            if time.monotonic() > deadline:
                raise StandinError(f"no answer from {', '.join(health)}")
            time.sleep(POLL_SECONDS)

    def _last_words(self) -> str:
        """Return the error output of a supervisor that exited by itself."""
        errors = cast("IO[bytes]", self._supervisor.stderr)
        return errors.read().decode(errors="replace")

    def _is_ours(self) -> bool:
        """Return whether our MiniStack answers: another process may have taken the port first."""
        if os.environ.get("STANDIN_HOOKS_OFF"):
            return True  # our routes may be among them
        found = self.request("GET", "/_standin/instance")
        return bool(found["instance"] == self.instance)

    def _interpreter(self) -> package.Interpreter:
        return package.interpreter_of(MINISTACK_PYTHON)

    def _build_code(self, functions: Path) -> Path:
        return package.build_package(functions, BUILD, MINISTACK_PYTHON)


def _free_ports() -> tuple[int, int]:
    sockets = [socket.create_server((LOOPBACK, 0)) for _ in range(2)]
    port, organization_port = (int(server.getsockname()[1]) for server in sockets)
    for server in sockets:
        server.close()
    return port, organization_port


def _command(name: str, python: Path, options: list[str], environment: dict[str, str]) -> Json:
    return {
        "name": name,
        "arguments": [str(python), "-m", f"standin.{name}", *options],
        "environment": environment,
        "working_directory": str(Path(__file__).parents[1]),
    }


def _supervise(directory: Path, commands: list[Json]) -> subprocess.Popen[bytes]:
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "standin.supervisor"],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches only this process, which closes the pipe
    )
    plan = {"directory": str(directory), "commands": commands}
    plan_input = cast("IO[bytes]", supervisor.stdin)
    plan_input.write(json.dumps(plan).encode() + b"\n")
    plan_input.flush()
    return supervisor


def _answers(url: str) -> bool:
    try:
        with opener.open(url, timeout=5):
            return True
    except OSError:
        return False
