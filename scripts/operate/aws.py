"""Access to AWS: one session per command, uniformly configured clients, readable errors."""

import json
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from shlex import quote
from typing import Any, TypeVar

import boto3
from botocore import exceptions as botocore
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session
from contact_sync.errors import (
    AccessDeniedError,
    ApiRefusedError,
    ServiceUnavailableError,
    SyncError,
    ThrottledError,
)

from operate.console import OperateError, note

# Errors that end a command or a check with one line; the last three are those of files, and of
# what a profile starts to get credentials.
FAILURES = (
    *(ClientError, BotoCoreError, OperateError, SyncError),
    *(OSError, EOFError, json.JSONDecodeError),
)
# The functions' adapters raise these in place of the AWS error, which a command may show.
HIDING = (AccessDeniedError, ApiRefusedError, ServiceUnavailableError, ThrottledError)
# Defaults differ between botocore versions, and legacy mode does not retry the Account API's 429.
CLIENT_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 6},
    connect_timeout=5,
    read_timeout=30,
    max_pool_connections=32,
)
# For each partition: the region that receives account events, and the console's host.
PARTITIONS = {
    "aws": ("us-east-1", "console.aws.amazon.com"),
    "aws-cn": ("cn-northwest-1", "console.amazonaws.cn"),
    "aws-us-gov": ("us-gov-west-1", "console.amazonaws-us-gov.com"),
    "aws-eusc": ("eusc-de-east-1", "console.amazonaws-eusc.eu"),
}
SIGNED_OUT = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
# How AWS's messages begin if the clock is wrong; the codes are those of wrong credentials.
WRONG_CLOCK = ("Signature expired", "Signature not yet current", "The difference between")
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}
THROTTLED = {"Throttling", "ThrottlingException", "TooManyRequestsException", "SlowDown"}
UNREACHABLE = (botocore.ConnectionError, botocore.HTTPClientError)
NO_CREDENTIALS = (botocore.NoCredentialsError, botocore.PartialCredentialsError)
SIGN_IN = (
    botocore.SSOError,
    botocore.SSOTokenLoadError,
    botocore.UnauthorizedSSOTokenError,
    botocore.TokenRetrievalError,
    botocore.LoginError,
)


CALLS_AT_ONCE = 16

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Aws:
    """One account and region, from `--region` and `--profile`."""

    def __init__(self, region: str | None, profile: str | None) -> None:
        self.profile = profile
        self._session = boto3.Session(profile_name=profile)
        default = os.environ.get("AWS_REGION") or self._session.region_name
        if not (found := region or default):
            raise OperateError("no AWS region: add --region with the stack's region")
        self.region: str = found
        self._clients: dict[tuple[str, str], Any] = {}
        self._making = threading.Lock()

    def client(self, service: str, region: str | None = None) -> Any:
        """Return a client of the service; threads can share it."""
        key = (service, region or self.region)
        with self._making:
            if key not in self._clients:
                make: Any = self._session.client
                self._clients[key] = make(service, region_name=key[1], config=CLIENT_CONFIG)
                if os.environ.get("DEBUG"):
                    self._clients[key].meta.events.register("before-call", _show_call)
            return self._clients[key]

    @cached_property
    def partition(self) -> str:
        """The partition of the region."""
        return str(self._session.get_partition_for_region(self.region))

    @cached_property
    def events_region(self) -> str:
        """The region that receives account events."""
        return PARTITIONS[self.partition][0]

    @cached_property
    def caller(self) -> tuple[str, str]:
        """The caller's account and ARN."""
        answer = self.client("sts").get_caller_identity()
        return str(answer["Account"]), str(answer["Arn"])

    def where(self, stack: str) -> str:
        """Return account, region, stack and principal, to show before a question."""
        account, arn = self.caller
        return f"Account {account}, region {self.region}, stack {stack}, signed in as {arn}"

    def options(self, region: str | None = None) -> str:
        """Return the options that give another command the same region and profile."""
        return f"--region {region or self.region}{_named(self.profile)}"


def pages(client: Any, operation: str, key: str, **given: Any) -> list[Any]:
    """Return the items of all pages of an operation."""
    found = client.get_paginator(operation).paginate(**given)
    return [one for page in found for one in page.get(key, [])]


def each(call: Callable[[Item], Answer], items: Iterable[Item]) -> list[tuple[Item, Answer]]:
    """Call with every item, some concurrently; return each item with its answer."""
    some = list(items)
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        return list(zip(some, pool.map(call, some), strict=True))


def console_host(partition: str) -> str:
    """Return the host of the partition's console."""
    return PARTITIONS[partition][1]


def console_link(execution_arn: str) -> str:
    """Return the URL of the execution in its partition's console."""
    _, partition, _, region, *_ = execution_arn.split(":")
    return f"https://{console_host(partition)}/states/home?region={region}#/v2/executions/details/{execution_arn}"


def code_of(error: ClientError) -> str:
    """Return the API's error code."""
    return str(error.response["Error"]["Code"])


def explain(error: BaseException, profile: str | None) -> str:
    """Return one line: what is wrong, and what to do if that is known."""
    if isinstance(error, HIDING) and error.__context__:
        error = error.__context__
    if isinstance(error, ClientError):
        return _explain_refusal(error, profile)
    if isinstance(error, BotoCoreError):
        return _explain_failure(error, profile)
    if isinstance(error, SyncError):
        return f"{error} ({error.command})"
    told = str(error) or "there is no terminal to ask in"
    return told if isinstance(error, OperateError) else f"{type(error).__name__}: {told}"


def _explain_failure(error: BotoCoreError, profile: str | None) -> str:
    told = " ".join(str(error).split())
    if isinstance(error, SIGN_IN):
        command = "aws login" if isinstance(error, botocore.LoginError) else "aws sso login"
        return f"not signed in, or the sign-in has expired: {command}{_named(profile)} ({told})"
    if isinstance(error, UNREACHABLE):
        return f"cannot reach AWS; check the network and the region: {told}"
    if isinstance(error, botocore.ProfileNotFound):
        known = ", ".join(get_session().available_profiles) or "none"
        return f"{told}: use one of these: {known}"
    if isinstance(error, NO_CREDENTIALS):
        return "no AWS credentials: sign in with 'aws sso login' or 'aws login', or add --profile"
    return f"{type(error).__name__}: {told}"


def _explain_refusal(error: ClientError, profile: str | None) -> str:
    code, message = code_of(error), error.response["Error"].get("Message", "")
    told = f"{error.operation_name}: {code}: {' '.join(message.split())}"
    if message.startswith(WRONG_CLOCK):
        return f"the clock of this computer is wrong: set it, then try again ({told})"
    if code in SIGNED_OUT:
        return (
            "the AWS credentials are expired or invalid: sign in again, for example with "
            f"'aws sso login{_named(profile)}' ({told})"
        )
    if code in DENIED:
        return f"the AWS credentials lack a permission: {told}"
    if code in THROTTLED:
        return f"AWS throttled the calls of this account: try again in a minute ({told})"
    return told


def is_unreachable(error: ClientError | BotoCoreError) -> bool:
    """Return whether a retry may help, because the network or AWS failed."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        return status >= 500 or code_of(error) in THROTTLED
    return isinstance(error, UNREACHABLE)


def _named(profile: str | None) -> str:
    return f" --profile {quote(profile)}" if profile else ""


def _show_call(model: Any, **_: Any) -> None:
    """Show the name of each call, but never its content."""
    note(f"+ {model.service_model.service_name} {model.name}")


def open_aws(options: Any) -> Aws:
    """Return the session for the options."""
    return Aws(options.region, options.profile)
