"""The bench that every case starts from, new for each test."""

import logging
from collections.abc import Iterator

import pytest
from faults.clock import Clock
from faults.functions import private_modules
from faults.system import MACHINE_ARN, between_clients_and_services
from faults.version1.bench import Bench
from moto import mock_aws
from standin.organization import OrganizationClient, OrganizationServer
from support.moto_stack import Cloud
from support.stack import Stack, expand, source_template


@pytest.fixture(scope="session", name="stack")
def _stack() -> Stack:
    return Stack(expand(source_template()))


@pytest.fixture(scope="module", name="whole_bench")
def _whole_bench(stack: Stack) -> Iterator[Bench]:
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
        bench = Bench(Cloud(OrganizationClient(server.url)), clock, stack)
        # Else pytest would keep every line of every case.
        patch.setattr(logging.getLogger("contact-sync"), "propagate", False)
        with between_clients_and_services(bench):
            yield bench


@pytest.fixture(name="bench")
def _bench(whole_bench: Bench) -> Bench:
    """Three drifted members, every contact type, and a message about each run."""
    whole_bench.begin(notification_settings={"notify_on_success": True})
    return whole_bench
