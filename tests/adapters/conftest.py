"""AWS in process (moto), and the strict stand-in where moto is too lax."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws
from standin.organization import OrganizationClient, OrganizationServer
from support.moto_stack import (
    BUCKET,
    CONFIG_TABLE,
    STATE_TABLE,
    create_bucket,
    create_config_table,
    create_state_table,
    empty,
)

NO_RETRIES = Config(retries={"mode": "standard", "total_max_attempts": 1})


@pytest.fixture(scope="module")
def _aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture(scope="module")
def _state_table(_aws: None) -> Any:
    return create_state_table()


@pytest.fixture(scope="module")
def _config_table(_aws: None) -> Any:
    return create_config_table()


@pytest.fixture(scope="module")
def _bucket(_aws: None) -> Any:
    return create_bucket()


@pytest.fixture
def state_table(_state_table: Any) -> Any:
    """Return a client of the state table, emptied: creating it again is slow."""
    empty(_state_table, STATE_TABLE)
    return _state_table


@pytest.fixture
def config_table(_config_table: Any) -> Any:
    """Return a client of the configuration table, emptied."""
    empty(_config_table, CONFIG_TABLE)
    return _config_table


@pytest.fixture
def bucket(_bucket: Any) -> Any:
    """Return a client of the runs bucket, emptied."""
    for item in _bucket.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        _bucket.delete_object(Bucket=BUCKET, Key=item["Key"])
    return _bucket


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
    """Make clients of the stand-in without retries, so that nothing waits."""
    clients: list[Any] = []

    def make(service: str) -> Any:
        client: Any = boto3.client(service, endpoint_url=organization.url, config=NO_RETRIES)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()
