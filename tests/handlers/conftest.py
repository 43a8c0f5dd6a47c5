"""The functions as Lambda loads them, with moto, and the strict stand-in for accounts."""

from collections.abc import Iterator

import pytest
from moto import mock_aws
from standin.organization import OrganizationClient, OrganizationServer
from support.builders import make_world
from support.moto_stack import BUCKET, CONFIG_TABLE, STATE_TABLE, Cloud, create_state_machine, empty


@pytest.fixture(scope="session")
def _server() -> Iterator[OrganizationServer]:
    with OrganizationServer({}) as server:
        yield server


@pytest.fixture(scope="module")
def _cloud(_server: OrganizationServer) -> Iterator[Cloud]:
    """Create clients and tables once per file: this takes longer than the tests."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_ENDPOINT_URL_ACCOUNT", _server.url)
        patch.setenv("AWS_ENDPOINT_URL_ORGANIZATIONS", _server.url)
        patch.setattr("botocore.endpoint.time.sleep", lambda _: None)
        cloud = Cloud(OrganizationClient(_server.url))
        patch.setenv("STATE_MACHINE_ARN", cloud.machine_arn)
        yield cloud


@pytest.fixture
def cloud(_cloud: Cloud) -> Cloud:
    _cloud.organization.reset(make_world())
    empty(_cloud.dynamodb, STATE_TABLE)
    empty(_cloud.dynamodb, CONFIG_TABLE)
    for found in _cloud.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        _cloud.s3.delete_object(Bucket=BUCKET, Key=found["Key"])
    _cloud.stepfunctions.delete_state_machine(stateMachineArn=_cloud.machine_arn)
    create_state_machine()
    return _cloud
