"""AWS in process (moto), and the strict stand-in where moto is too lax."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws
from moto_stack import create_bucket, create_config_table, create_state_table
from standin.organization import OrganizationClient, OrganizationServer

NO_RETRIES = Config(retries={"mode": "standard", "total_max_attempts": 1})


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def state_table(aws: None) -> Any:  # noqa: ARG001
    return create_state_table()


@pytest.fixture
def config_table(aws: None) -> Any:  # noqa: ARG001
    return create_config_table()


@pytest.fixture
def bucket(aws: None) -> Any:  # noqa: ARG001
    return create_bucket()


@pytest.fixture(scope="session")
def _server() -> Iterator[OrganizationServer]:
    with OrganizationServer({}) as server:
        yield server


@pytest.fixture
def organization(_server: OrganizationServer) -> OrganizationClient:
    """Return the admin client of the stand-in; a test resets its world."""
    return OrganizationClient(_server.url)


@pytest.fixture
def client_of(organization: OrganizationClient) -> Iterator[Callable[[str], Any]]:
    """Make clients of the stand-in that do not repeat, so that nothing waits."""
    clients: list[Any] = []

    def make(service: str) -> Any:
        client: Any = boto3.client(service, endpoint_url=organization.url, config=NO_RETRIES)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()
