"""Starts and stops the stand-in, deploys the real template to it, and looks at what happened."""

import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config
from samtranslator.yaml_helper import yaml_parse

from standin import package, search
from standin.deployment import deploy_stack, upload_artifacts
from standin.errors import StandinError
from standin.organization.client import OrganizationClient
from standin.stack import Execution, Message, Outcome, Stack

__all__ = ["Execution", "Message", "Outcome", "Stack", "Standin", "StandinError"]

Json = dict[str, Any]

MANAGEMENT_ACCOUNT_ID = "999999999999"
ORGANIZATION_ID = "o-exampleorg1"
REGION = "us-east-1"

REPOSITORY = Path(__file__).parents[2]
BUILD = REPOSITORY / ".build"
# Where MiniStack is installed; the variable is for an environment kept elsewhere.
MINISTACK_PYTHON = Path(os.environ.get("STANDIN_MINISTACK_PYTHON", BUILD / "ministack/bin/python"))

START_SECONDS = 60.0
POLL_SECONDS = 0.05

# Marks requests of the tests, which meet no planned fault.
CLIENT_MARK = "standin-client"

_CLIENT_CONFIG = Config(user_agent_extra=CLIENT_MARK, retries={"total_max_attempts": 2}, proxies={})

# Loopback must not go through a proxy that the environment names.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

_ANY_KEY = "any"


class Standin:
    """AWS on loopback, for as long as the `with` block lasts.

    `speed` makes quotas wider, and latency, waits and functions' sleeps shorter; timeouts remain
    real seconds. `latency` and `world` are the organization's. `hooks_off` leaves hooks of
    MiniStack out, or `all` of them. `record_calls` writes down each AWS call of the functions.

    Seconds at AWS's own speed: `function_start` before the import of a function's module in a new
    execution environment, `invocation` between a state machine and each invocation's handler,
    `child_start` between a Distributed Map's free place and the first state of the next child.
    """

    def __init__(
        self,
        *,
        accounts: int = 20,
        speed: float = 1.0,
        latency: Mapping[str, float] | None = None,
        seed: int = 1,
        world: Json | None = None,
        hooks_off: Iterable[str] = (),
        record_calls: bool = False,
        function_start: float = 0.0,
        invocation: float = 0.0,
        child_start: float = 0.0,
    ) -> None:
        self.accounts = accounts
        self.speed = speed
        self.latency = dict(latency or {})
        self.seed = seed
        self.world = world
        self.hooks_off = tuple(hooks_off)
        self.record_calls = record_calls
        self.function_start = function_start
        self.invocation = invocation
        self.child_start = child_start
        self._clients: dict[tuple[str, str], Any] = {}

    def __enter__(self) -> Self:
        if not MINISTACK_PYTHON.exists():
            raise StandinError(f"no MiniStack: {MINISTACK_PYTHON} does not exist")
        self.directory = Path(tempfile.mkdtemp(prefix="standin-"))
        port, organization_port = _free_ports(2)
        self.endpoint_url = f"http://127.0.0.1:{port}"
        self.organization_url = f"http://127.0.0.1:{organization_port}"
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
            self.organization = OrganizationClient(self.organization_url)
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
        for stream in (self._supervisor.stdin, self._supervisor.stderr):
            assert stream is not None
            stream.close()
        self._supervisor.wait()
        self._clients.clear()

    def client(self, service: str, region: str = REGION) -> Any:
        """Return a boto3 client of `service` in the management account."""
        if (service, region) not in self._clients:
            own = service in ("account", "organizations")
            make: Callable[..., Any] = boto3.client
            self._clients[service, region] = make(
                service,
                endpoint_url=self.organization_url if own else self.endpoint_url,
                region_name=region,
                aws_access_key_id=MANAGEMENT_ACCOUNT_ID,
                aws_secret_access_key=_ANY_KEY,
                config=_CLIENT_CONFIG,
            )
        return self._clients[service, region]

    def deploy(
        self,
        environment: str = "dev",
        parameters: Mapping[str, str] | None = None,
        template: Path = REPOSITORY / "template.yaml",
        stack_name: str | None = None,
    ) -> Stack:
        """Create or update the stack of `template`; raise StandinError with its events."""
        name = stack_name or f"aws-contact-sync-{environment}"
        document = yaml_parse(template.read_text())
        url = upload_artifacts(self.client("s3"), document, template.parent, _build_code)
        given = {**self._default_parameters(environment), **(parameters or {})}
        known = document.get("Parameters", {})
        values = {key: value for key, value in given.items() if key in known}
        if unknown := set(parameters or {}) - set(known):
            raise StandinError(f"the template has no parameter {', '.join(sorted(unknown))}")
        outputs = deploy_stack(self.client("cloudformation"), name, url, values)
        return Stack(self, name, outputs)

    def put_event(self, event: Json) -> Json:
        """Put an event on the default bus as AWS itself would; return it as rules see it."""
        put: Json = self._request("POST", "/_standin/events", event)
        return put

    def set_faults(self, faults: list[Json]) -> None:
        """Replace the planned faults of functions and services."""
        self._request("POST", "/_standin/faults", faults)

    def faults(self) -> list[Json]:
        """Return the planned faults with the times that are left."""
        faults: list[Json] = self._request("GET", "/_standin/faults")
        return faults

    def clear_faults(self) -> None:
        self._request("DELETE", "/_standin/faults")

    def usage(self) -> Json:
        """Return what functions and executions used since the start or `forget_usage`.

        {functions: {name: {...}}, requests: [{caller, service, operation, count, items}],
        executions: [{arn, events, transitions, children, largest_payload, ...}]}
        """
        used: Json = self._request("GET", "/_standin/stats")
        return used

    def forget_usage(self) -> None:
        """Count what functions use anew; executions stay."""
        self._request("DELETE", "/_standin/stats")

    def recorded_calls(self) -> list[Json]:
        """Return each AWS call that a function made: {function, service, operation, parameters}."""
        return [json.loads(line) for line in self._calls_file.read_text().splitlines()]

    def queued_messages(self, queue_url: str) -> list[Json]:
        """Return what is in a queue, and leave it there."""
        path = f"/_ministack/sqs/messages?QueueUrl={urllib.parse.quote(queue_url)}"
        answer = self._request("GET", path)["messages"]
        (messages,) = answer[MANAGEMENT_ACCOUNT_ID][REGION].values()
        return list(messages)

    def log(self, server: str = "ministack") -> str:
        """Return what `ministack` or `organization` wrote so far."""
        return (self.directory / f"{server}.log").read_text(errors="replace")

    def stored_texts(self) -> Iterator[tuple[str, str]]:
        """Yield (where, text) for everything that is stored anywhere.

        Left out are only the deployed artifacts and the live source objects, which are the one
        place where contact values may be.
        """
        yield from search.stored_texts(self.client, self._request)

    def search(self, values: Iterable[str]) -> list[str]:
        """Return where any of `values` is stored, as `value: place`."""
        return search.find(values, self.stored_texts())

    def _request(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - our own address
            self.endpoint_url + path, data, method=method
        )
        try:
            with _opener.open(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise StandinError(error.read().decode(errors="replace")) from error

    @property
    def _calls_file(self) -> Path:
        return self.directory / "calls.jsonl"

    def _recorder_environment(self) -> dict[str, str]:
        """Return what makes botocore load the recorder, from a folder with nothing else in it."""
        if not self.record_calls:
            return {}
        return {
            "BOTOCORE_EXPERIMENTAL__PLUGINS": "recorder=call_recorder",
            "PYTHONPATH": str(Path(__file__).with_name("recorder")),
            "STANDIN_CALLS": str(self._calls_file),
        }

    def _ministack_environment(self, port: int) -> dict[str, str]:
        """Return MiniStack's environment, which function processes inherit."""
        return {
            **self._recorder_environment(),
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "TMPDIR": str(self.directory),
            "LANG": "C.UTF-8",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "MINISTACK_ACCOUNT_ID": MANAGEMENT_ACCOUNT_ID,
            "MINISTACK_REGION": REGION,
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "SFN_WAIT_SCALE": str(1 / self.speed),
            "STANDIN_SPEED": str(self.speed),
            "STANDIN_HOOKS_OFF": " ".join(self.hooks_off),
            "STANDIN_FUNCTION_START": str(self.function_start),
            "STANDIN_INVOCATION": str(self.invocation),
            "STANDIN_CHILD_START": str(self.child_start),
            "AWS_ENDPOINT_URL_ACCOUNT": self.organization_url,
            "AWS_ENDPOINT_URL_ORGANIZATIONS": self.organization_url,
            "AWS_ACCESS_KEY_ID": MANAGEMENT_ACCOUNT_ID,
            "AWS_SECRET_ACCESS_KEY": _ANY_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _organization_options(self, port: int) -> list[str]:
        options: dict[str, object] = {
            "--port": port,
            "--accounts": self.accounts,
            "--speed": self.speed,
            "--seed": self.seed,
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
        while not all(_answers(url) for url in health):
            if self._supervisor.poll() is not None:
                assert self._supervisor.stderr is not None
                raise StandinError(self._supervisor.stderr.read().decode(errors="replace"))
            if time.monotonic() > deadline:
                raise StandinError(f"no answer from {', '.join(health)}")
            time.sleep(POLL_SECONDS)

    def _default_parameters(self, environment: str) -> dict[str, str]:
        script = "import sys; print('python%d.%d' % sys.version_info[:2])"
        runtime = subprocess.run(
            [MINISTACK_PYTHON, "-c", script], check=True, capture_output=True, text=True
        ).stdout.strip()
        arm = platform.machine().lower() in ("arm64", "aarch64")
        return {
            "Environment": environment,
            "ManagementAccountId": MANAGEMENT_ACCOUNT_ID,
            "OrganizationId": ORGANIZATION_ID,
            "Runtime": runtime,
            "Architecture": "arm64" if arm else "x86_64",
        }


def _build_code(functions: Path) -> Path:
    return package.build_package(functions, BUILD, MINISTACK_PYTHON)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(server.getsockname()[1]) for server in sockets]
    for server in sockets:
        server.close()
    return ports


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
        start_new_session=True,  # Ctrl-C reaches only us, and we close the pipe
    )
    assert supervisor.stdin is not None
    plan = {"directory": str(directory), "commands": commands}
    supervisor.stdin.write(json.dumps(plan).encode() + b"\n")
    supervisor.stdin.flush()
    return supervisor


def _answers(url: str) -> bool:
    try:
        with _opener.open(url, timeout=5):
            return True
    except OSError:
        return False
