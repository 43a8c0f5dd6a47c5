"""All clients have the same settings; refusals become named errors without the request."""

from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from contact_sync.aws.account_contacts import AccountContactsClient
from contact_sync.aws.clients import client, named_errors, pace
from contact_sync.errors import (
    AccessDeniedError,
    ApiRefusedError,
    ContactRefusedError,
    ServiceUnavailableError,
    SyncError,
    ThrottledError,
)
from contact_sync.pacing import Pacer
from standin.organization import OrganizationClient
from support.builders import MEMBER, SECRET_VALUES, hides_its_context, make_contact, make_world


def client_error(
    code: str,
    status: int | None = 400,
    operation: str = "PutAlternateContact",
    **members: Any,
) -> ClientError:
    metadata = {} if status is None else {"HTTPStatusCode": status}
    message = f"cannot take {SECRET_VALUES[0]}"
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": metadata,
        **members,
    }
    return ClientError(response, operation)


@pytest.mark.rule(17)
@pytest.mark.parametrize(
    "service", ["account", "dynamodb", "organizations", "s3", "secretsmanager", "stepfunctions"]
)
def test_a_client_has_explicit_retries_and_timeouts(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They do not depend on the environment's defaults."""
    monkeypatch.setenv("AWS_RETRY_MODE", "legacy")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "9")
    config = client(service).meta.config
    assert {"mode": "standard", "total_max_attempts": 3} == config.retries
    assert (3, 10) == (config.connect_timeout, config.read_timeout)


@pytest.mark.rule(12)
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (client_error("TooManyRequestsException", 429), ThrottledError),
        (client_error("TooManyRequestsException"), ThrottledError),
        (client_error("ThrottlingException"), ThrottledError),
        (client_error("Throttling"), ThrottledError),
        (client_error("ProvisionedThroughputExceededException"), ThrottledError),
        (client_error("RequestLimitExceeded", 503), ThrottledError),
        (client_error("SlowDown", 503), ThrottledError),
        (client_error("SomethingNew", 429), ThrottledError),
        (client_error("InternalServerException", 500), ServiceUnavailableError),
        (client_error("ServiceUnavailable", 503), ServiceUnavailableError),
        (client_error("ConditionalRequestConflict", 409), ServiceUnavailableError),
        (client_error("ConcurrentModificationException"), ServiceUnavailableError),
        (client_error("RequestTimeout"), ServiceUnavailableError),
        (client_error("AccessDeniedException"), AccessDeniedError),
        (client_error("AccessDenied", 403), AccessDeniedError),
        (client_error("ValidationException"), ContactRefusedError),
        (client_error("ConflictException", 409), ApiRefusedError),
        (client_error("SomethingNew", None), ApiRefusedError),
        (ReadTimeoutError(endpoint_url="x"), ServiceUnavailableError),
        (ConnectTimeoutError(endpoint_url="x"), ServiceUnavailableError),
        (EndpointConnectionError(endpoint_url="x"), ServiceUnavailableError),
        (NoCredentialsError(), ServiceUnavailableError),
    ],
)
def test_a_refusal_becomes_a_named_error_without_the_request(
    error: ClientError | BotoCoreError, expected: type[SyncError]
) -> None:
    with pytest.raises(expected) as caught, named_errors("doing something"):
        raise error
    assert type(caught.value) is expected
    assert str(caught.value).startswith("doing something: ")
    assert SECRET_VALUES[0] not in str(caught.value)
    assert hides_its_context(caught.value)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("PutAlternateContact", ContactRefusedError),
        ("GetAlternateContact", ContactRefusedError),
        ("DeleteAlternateContact", ContactRefusedError),
        ("PutContactInformation", ContactRefusedError),
        ("GetContactInformation", ContactRefusedError),
        ("UpdateItem", ApiRefusedError),
        ("TransactWriteItems", ApiRefusedError),
        ("PutObject", ApiRefusedError),
        ("DescribeExecution", ApiRefusedError),
    ],
)
def test_only_the_account_api_refuses_contacts(operation: str, expected: type[SyncError]) -> None:
    with pytest.raises(SyncError, match="x: ValidationException") as caught, named_errors("x"):
        raise client_error("ValidationException", operation=operation)
    assert type(caught.value) is expected


def test_the_error_of_a_denied_call_names_the_remedy() -> None:
    with pytest.raises(AccessDeniedError, match="Check trusted access"), named_errors("x"):
        raise client_error("AccessDeniedException")


def test_refused_fields_are_named_once_each() -> None:
    fields = [
        {"name": "PhoneNumber", "message": SECRET_VALUES[1]},
        {"name": "Name", "message": SECRET_VALUES[0]},
        {"name": "Name", "message": SECRET_VALUES[0]},
    ]
    with pytest.raises(ContactRefusedError) as caught, named_errors("put"):
        raise client_error("ValidationException", fieldList=fields)
    assert "put: ValidationException for Name, PhoneNumber" == str(caught.value)


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), named_errors("x"):
        raise KeyError("bug")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)


WAITED = "wait for PutAlternateContact"


class CountingPacer(Pacer):
    """Records waits and refusals."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def wait(self, operation: str) -> None:
        """Record a wait."""
        self.seen.append(f"wait for {operation}")

    def refused(self, operation: str) -> None:
        """Record a refusal."""
        self.seen.append(f"{operation} refused")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (None, [WAITED]),
        ("TooManyRequestsException", [WAITED, "PutAlternateContact refused", WAITED]),
        ("InternalServerException", [WAITED, WAITED]),
        ("drop_connection", [WAITED, WAITED]),
    ],
)
def test_every_attempt_waits_and_reports_its_refusal(
    fault: str | None,
    seen: list[str],
    organization: OrganizationClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    organization.reset(make_world(MEMBER))
    if fault:
        organization.add_fault({"operation": "PutAlternateContact", "error": fault, "times": 1})
    monkeypatch.setenv("AWS_ENDPOINT_URL_ACCOUNT", organization.url)
    account, pacer = client("account"), CountingPacer()
    pace(account, pacer)
    AccountContactsClient(account).put(MEMBER, make_contact())
    assert seen == pacer.seen
    account.close()
