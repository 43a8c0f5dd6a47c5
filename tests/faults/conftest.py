"""The system that every case in process starts from; the seed is printed before the first case."""

import logging
from collections.abc import Iterator

import pytest
from faults import seeds
from faults.clock import Clock
from faults.functions import private_modules
from faults.system import MACHINE_ARN, System, between_clients_and_services
from moto import mock_aws
from standin.organization import OrganizationClient, OrganizationServer
from support.moto_stack import Cloud


def pytest_report_header() -> str:
    return f"fault cases: FAULTS_SEED={seeds.SEED}"


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    clock = Clock()
    with (
        pytest.MonkeyPatch.context() as patch,
        OrganizationServer({}, clock=clock.monotonic) as server,
        mock_aws(),
        private_modules(),
    ):
        patch.setenv("AWS_ENDPOINT_URL_ACCOUNT", server.url)
        patch.setenv("AWS_ENDPOINT_URL_ORGANIZATIONS", server.url)
        patch.setenv("STATE_MACHINE_ARN", MACHINE_ARN)
        patch.setenv("QUOTA_SHARE", "1000000")  # nothing is paced
        patch.setattr("botocore.endpoint.time.sleep", lambda _: None)
        system = System(Cloud(OrganizationClient(server.url)), clock)
        # Else pytest would keep every line of every case.
        patch.setattr(logging.getLogger("contact-sync"), "propagate", False)
        with between_clients_and_services(system):
            yield system
