"""Deploys the template to a running stand-in, given by its URLs, and inspects it."""

import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from samtranslator.yaml_helper import yaml_parse

from standin import package
from standin.deployment import deploy_stack, upload_artifacts
from standin.errors import StandinError
from standin.organization.client import OrganizationClient
from standin.organization.worlds import MANAGEMENT_ACCOUNT_ID, ORGANIZATION_ID
from standin.stack import Stack

Json = dict[str, Any]

REGION = "us-east-1"

REPOSITORY = Path(__file__).parents[2]
BUILD = REPOSITORY / ".build"

# Marks requests of the tests, which are exempt from planned faults.
CLIENT_MARK = "standin-client"

ANY_KEY = "any"

_CLIENT_CONFIG = Config(user_agent_extra=CLIENT_MARK, retries={"total_max_attempts": 2}, proxies={})

# Loopback must bypass a proxy that the environment names.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class RunningStandin:
    """The stand-in at two URLs, started in a container or by another program."""

    def __init__(self, endpoint_url: str, organization_url: str) -> None:
        self.endpoint_url = endpoint_url.rstrip("/")
        self.organization_url = organization_url.rstrip("/")
        self.organization = OrganizationClient(self.organization_url)
        self._clients: dict[tuple[str, str], Any] = {}

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
                aws_secret_access_key=ANY_KEY,
                config=_CLIENT_CONFIG,
            )
        return self._clients[service, region]

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that point every AWS client to the stand-in."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ENDPOINT_URL_ACCOUNT": self.organization_url,
            "AWS_ENDPOINT_URL_ORGANIZATIONS": self.organization_url,
            "AWS_ACCESS_KEY_ID": MANAGEMENT_ACCOUNT_ID,
            "AWS_SECRET_ACCESS_KEY": ANY_KEY,
            "AWS_DEFAULT_REGION": REGION,
        }

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
        url = upload_artifacts(self.client("s3"), document, template.parent, self._build_code)
        given = {**self._default_parameters(environment), **(parameters or {})}
        known = document.get("Parameters", {})
        values = {key: value for key, value in given.items() if key in known}
        if unknown := set(parameters or {}) - set(known):
            raise StandinError(f"the template has no parameter {', '.join(sorted(unknown))}")
        outputs = deploy_stack(self.client("cloudformation"), name, url, values)
        return Stack(self, name, outputs)

    def put_event(self, event: Json) -> Json:
        """Put an event on the default bus as AWS services do; return it as rules see it."""
        put: Json = self.request("POST", "/_standin/events", event)
        return put

    def evaluate_alarms(self) -> dict[str, str]:
        """Evaluate every alarm now and run its actions; return the states by alarm name."""
        states: dict[str, str] = self.request("POST", "/_standin/alarms")
        return states

    def set_faults(self, faults: list[Json]) -> None:
        """Replace the planned faults of functions and services."""
        self.request("POST", "/_standin/faults", faults)

    def faults(self) -> list[Json]:
        """Return the planned faults with their remaining times."""
        faults: list[Json] = self.request("GET", "/_standin/faults")
        return faults

    def clear_faults(self) -> None:
        """Remove all planned faults."""
        self.request("DELETE", "/_standin/faults")

    def usage(self) -> Json:
        """Return the usage of functions and executions since the start or `forget_usage`.

        {functions: {name: {...}}, requests: [{caller, service, operation, count, items}],
        executions: [{arn, events, transitions, children, largest_payload, ...}]}
        """
        used: Json = self.request("GET", "/_standin/stats")
        return used

    def forget_usage(self) -> None:
        """Reset the functions' usage; keep the executions."""
        self.request("DELETE", "/_standin/stats")

    def evaluations(self) -> list[Json]:
        """Return evaluations of each JSONata expression: {expression, bindings, value | error}."""
        evaluations: list[Json] = self.request("GET", "/_standin/evaluations")
        return evaluations

    def await_quiet(self, timeout: float = 120.0) -> None:
        """Wait until no execution and no function runs; raise StandinError at the timeout.

        The function of a stopped execution keeps running, and could affect later work.
        """
        deadline = time.monotonic() + timeout
        while any((left := self.request("GET", "/_standin/in-flight")).values()):
            if time.monotonic() > deadline:
                raise StandinError(f"still running: {left}")
            time.sleep(0.05)

    def queued_messages(self, queue_url: str) -> list[Json]:
        """Return the messages of a queue without removing them."""
        path = f"/_ministack/sqs/messages?QueueUrl={urllib.parse.quote(queue_url)}"
        answer = self.request("GET", path)["messages"]
        (messages,) = answer[MANAGEMENT_ACCOUNT_ID][REGION].values()
        return list(messages)

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Call a non-AWS route on MiniStack's port; return its JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - the stand-in's URL
            self.endpoint_url + path, data, method=method
        )
        try:
            with opener.open(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise StandinError(error.read().decode(errors="replace")) from error

    def _interpreter(self) -> package.Interpreter:
        """Return the Python that runs the functions."""
        return package.Interpreter(**self.request("GET", "/_standin/interpreter"))

    def _build_code(self, functions: Path) -> Path:
        """Build the functions' package with wheels for Linux, on any operating system."""
        return package.build_package(functions, BUILD, Path(sys.executable), self._interpreter())

    def _default_parameters(self, environment: str) -> dict[str, str]:
        interpreter = self._interpreter()
        return {
            "Environment": environment,
            "ManagementAccountId": MANAGEMENT_ACCOUNT_ID,
            "OrganizationId": ORGANIZATION_ID,
            "Runtime": f"python{interpreter.version}",
            "Architecture": "arm64" if interpreter.machine in ("arm64", "aarch64") else "x86_64",
        }
