"""Clients with one configuration, and their errors under names that the state machine knows."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
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
from contact_sync.pacing import Pacer

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
CONTACT_OPERATIONS = ("AlternateContact", "ContactInformation")
# Errors of S3 and Organizations with a 4xx status that their documentation says to repeat.
REPEATABLE = frozenset(
    {"ConcurrentModificationException", "ConditionalRequestConflict", "RequestTimeout"}
)
DENIED = frozenset({"AccessDeniedException", "AccessDenied"})


def client(service: str) -> Any:
    """Return a client with explicit retry mode, attempts and timeouts."""
    make: Callable[..., Any] = boto3.client
    return make(service, config=CLIENT_CONFIG)


def pace(paced: Any, pacer: Pacer) -> None:
    """Make every call of the client wait for its slot, retries included."""

    def before(event_name: str, **_: Any) -> None:
        pacer.wait(event_name.rpartition(".")[2])

    def after(response: Any, operation: Any, **_: Any) -> None:
        # None: no answer came.
        if response is not None and response[0].status_code == HTTPStatus.TOO_MANY_REQUESTS:
            pacer.refused(operation.name)

    paced.meta.events.register_first("request-created", before)
    paced.meta.events.register_first("needs-retry", after)


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
    if code in THROTTLED or status == HTTPStatus.TOO_MANY_REQUESTS:
        return ThrottledError(f"{subject}: {code}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or code in REPEATABLE:
        return ServiceUnavailableError(f"{subject}: {code}")
    if (code, error.operation_name) == ("AccessDenied", "GetObject"):
        # What S3 answers of a missing object, too, to a role that may not list the bucket.
        return ApiRefusedError(f"{subject}: {code}: it has expired, or the role may not read it")
    if code in DENIED:
        return AccessDeniedError(f"{subject}: {code}. {AccessDeniedError.remedy}")
    if code == "ValidationException" and error.operation_name.endswith(CONTACT_OPERATIONS):
        return ContactRefusedError(f"{subject}: {code}{_fields(error)}")
    return ApiRefusedError(f"{subject}: {code}")


def _fields(error: ClientError) -> str:
    """Name the fields that the Account API refused; its messages may repeat their values."""
    response: Mapping[str, Any] = error.response
    names = sorted({str(fault["name"]) for fault in response.get("fieldList", [])})
    return f" for {', '.join(names)}" if names else ""
