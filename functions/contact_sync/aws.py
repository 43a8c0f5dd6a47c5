"""Clients made one way, and their refusals turned into errors that the state machine knows."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from contact_sync.errors import (
    AccessDeniedError,
    ApiRefusedError,
    ContactRefusedError,
    ServiceUnavailableError,
    SyncError,
    ThrottledError,
)

# Defaults differ between botocore versions, and legacy mode does not repeat the Account API's 429.
CLIENT_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=3, read_timeout=10
)
THROTTLED = frozenset(
    {
        "TooManyRequestsException",
        "ThrottlingException",
        "Throttling",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
    }
)
DENIED = frozenset({"AccessDeniedException", "AccessDenied"})


def client(service: str) -> Any:
    """Return a client with explicit retry mode, attempts and timeouts."""
    make: Callable[..., Any] = boto3.client
    return make(service, config=CLIENT_CONFIG)


def error_code(error: ClientError) -> str:
    """Return the API's name for the error."""
    return str(error.response["Error"]["Code"])


@contextmanager
def named_errors(subject: str) -> Iterator[None]:
    """Raise our errors in place of botocore's, whose messages may repeat what was sent."""
    try:
        yield
    except ClientError as error:
        raise _named(error, subject) from None
    except BotoCoreError as error:
        raise ServiceUnavailableError(f"{subject}: {type(error).__name__}") from None


def _named(error: ClientError, subject: str) -> SyncError:
    code = error_code(error)
    status = error.response["ResponseMetadata"].get("HTTPStatusCode", 400)
    if code in THROTTLED or status == 429:
        return ThrottledError(f"{subject}: {code}")
    if status >= 500:
        return ServiceUnavailableError(f"{subject}: {code}")
    if code in DENIED:
        return AccessDeniedError(f"{subject}: {code}. {AccessDeniedError.remedy}")
    if code == "ValidationException":
        return ContactRefusedError(f"{subject}: {code}{_fields(error)}")
    return ApiRefusedError(f"{subject}: {code}")


def _fields(error: ClientError) -> str:
    """Name the fields that the Account API refused; its messages may repeat their values."""
    response: Mapping[str, Any] = error.response
    names = sorted({str(fault["name"]) for fault in response.get("fieldList", [])})
    return f" for {', '.join(names)}" if names else ""
