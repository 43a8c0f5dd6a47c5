"""The functions as Lambda loads them: moto behind them, and the strict stand-in for accounts."""

from collections.abc import Iterator

import pytest
from builders import make_world
from moto import mock_aws
from moto_stack import Cloud
from standin.organization import OrganizationClient, OrganizationServer


@pytest.fixture(scope="session")
def _server() -> Iterator[OrganizationServer]:
    with OrganizationServer({}) as server:
        yield server


@pytest.fixture
def cloud(_server: OrganizationServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    organization = OrganizationClient(_server.url)
    organization.reset(make_world())
    monkeypatch.setenv("AWS_ENDPOINT_URL_ACCOUNT", organization.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_ORGANIZATIONS", organization.url)
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    with mock_aws():
        cloud = Cloud(organization)
        monkeypatch.setenv("STATE_MACHINE_ARN", cloud.machine_arn)
        yield cloud
