"""The bench that every case starts from, new for each test."""

import io
import logging
from collections.abc import Iterator
from unittest import mock

import botocore.client
import pytest
from cases.bench import TYPES, Bench, Clock
from moto import mock_aws
from moto_stack import Cloud
from standin.organization import OrganizationClient, OrganizationServer
from template.stack import Stack, expand, source_template


@pytest.fixture(scope="session", name="stack")
def _stack() -> Stack:
    return Stack(expand(source_template()))


@pytest.fixture(scope="module", name="whole_bench")
def _whole_bench(stack: Stack) -> Iterator[Bench]:
    clock = Clock()
    with (
        pytest.MonkeyPatch.context() as patch,
        OrganizationServer({}, clock=lambda: clock.seconds) as server,
        mock_aws(),
    ):
        patch.setenv("AWS_ENDPOINT_URL_ACCOUNT", server.url)
        patch.setenv("AWS_ENDPOINT_URL_ORGANIZATIONS", server.url)
        patch.setenv("QUOTA_SHARE", "1000000")  # nothing is paced
        # Else pytest would keep every line of every case.
        patch.setattr(logging.getLogger("contact-sync"), "propagate", False)
        patch.setattr("botocore.endpoint.time.sleep", lambda _: None)
        bench = Bench(Cloud(OrganizationClient(server.url)), clock, stack)
        patch.setattr(logging.getLogger("contact-sync").handlers[0], "stream", io.StringIO())
        patch.setenv("STATE_MACHINE_ARN", bench.machine_arn)

        def call(client: object, operation: str, request: dict[str, object]) -> object:
            return bench.api_call(client, operation, request)

        with mock.patch.object(botocore.client.BaseClient, "_make_api_call", call):
            yield bench
        clock.take_back()


@pytest.fixture(name="bench")
def _bench(whole_bench: Bench) -> Bench:
    """Three drifted members, every contact type, and a message about each run."""
    whole_bench.reset(TYPES, notification_settings={"notify_on_success": True})
    return whole_bench
