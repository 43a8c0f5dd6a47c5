"""Nothing of one test, and nothing of another stand-in, reaches what a test looks at.

Once a full resync was seen to write to an excluded account. The function of a run that an earlier
test had aborted still waited for a slow answer; it went on in the next test's organization.
"""

import threading
import time
from collections.abc import Iterator

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from standin.errors import StandinError
from standin.organization import OrganizationClient, OrganizationServer, drifted_world
from standin.standin import Standin, _free_ports
from support.machine import Machine
from support.machine import machine as started

MEMBER = "100000000001"
CONTACT = {
    "Name": "Example Team",
    "Title": "Example",
    "EmailAddress": "example@example.com",
    "PhoneNumber": "+1 202-555-0100",
}
PUT = {"AccountId": MEMBER, "AlternateContactType": "BILLING", **CONTACT}


def account_client(url: str) -> object:
    config = Config(retries={"total_max_attempts": 1}, proxies={})
    return boto3.client("account", endpoint_url=url, region_name="us-east-1", config=config)


def test_a_call_that_began_before_a_reset_ends_in_the_world_that_is_gone() -> None:
    begins, may_end = threading.Event(), threading.Event()

    def sleep(_: float) -> None:
        begins.set()
        may_end.wait(10)

    world = drifted_world(1, missing=0)
    with OrganizationServer(world, sleep=sleep) as server:
        organization = OrganizationClient(server.url)
        organization.add_fault({"operation": "PutAlternateContact", "error": "slow", "delay": 1})
        client = account_client(server.url)
        late = threading.Thread(target=lambda: client.put_alternate_contact(**PUT))
        late.start()
        begins.wait(10)

        organization.reset(world)
        may_end.set()
        late.join()

        assert world["contacts"][MEMBER] == organization.contacts(MEMBER)
        assert [] == organization.calls()


@pytest.mark.parametrize("path", ["/i-0b", "/i-0b/"])
def test_a_call_that_is_meant_for_another_organization_is_refused(
    capfd: pytest.CaptureFixture[str], path: str
) -> None:
    world = drifted_world(1, missing=0)
    with OrganizationServer(world, instance="0a") as server:
        organization = OrganizationClient(server.url)

        with pytest.raises(ClientError, match="MisdirectedRequestException"):
            account_client(f"{server.url}{path}").put_alternate_contact(**PUT)

        assert "is meant for another organization" in capfd.readouterr().err
        assert world["contacts"][MEMBER] == organization.contacts(MEMBER)
        assert [] == organization.calls()
        account_client(f"{server.url}/i-0a").put_alternate_contact(**PUT)
        assert CONTACT == OrganizationClient(f"{server.url}/i-0a").contacts(MEMBER)["BILLING"]


def test_two_stand_ins_never_take_each_others_servers_for_their_own() -> None:
    ports = _free_ports()
    with (
        Standin(accounts=1, ports=ports),
        pytest.raises(StandinError, match="ended by itself"),
        Standin(accounts=2, ports=ports),
    ):
        pass


@pytest.fixture(scope="module", name="machine")
def _machine() -> Iterator[Machine]:
    with started(triggers="DISABLED") as running:
        yield running


def test_a_reset_waits_for_the_functions_of_stopped_executions(machine: Machine) -> None:
    world = drifted_world(1, missing=0)
    machine.reset(world)
    slow = {"operation": "PutAlternateContact", "error": "slow", "delay": 3, "times": 1}
    machine.organization.add_fault(slow)
    execution = machine.stack.start()
    while machine.organization.faults()[0]["times"]:
        assert "RUNNING" == execution.status()
    execution.stop()

    machine.reset(world)
    time.sleep(4)

    assert [] == machine.writes()
    assert world["contacts"][MEMBER] == machine.organization.contacts(MEMBER)


def test_a_reset_waits_for_the_executions_that_run(machine: Machine) -> None:
    machine.reset(drifted_world(1))
    slow = {"operation": "DescribeOrganization", "error": "slow", "delay": 2, "times": 1}
    machine.organization.add_fault(slow)
    execution = machine.stack.start()

    machine.reset(drifted_world(1))

    assert "SUCCEEDED" == execution.status()
