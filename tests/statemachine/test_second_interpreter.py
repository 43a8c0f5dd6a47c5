"""The ways through the machine, on an interpreter that shares no code with the other one's."""

from collections.abc import Iterator

import pytest
from standin.organization import OrganizationClient, OrganizationServer, drifted_world
from support import asl
from support.machine import Machine
from support.ways import TOO_LARGE, WAYS

from statemachine import second_interpreter


@pytest.fixture(scope="module", name="machine")
def _machine() -> Iterator[Machine]:
    with (
        OrganizationServer(drifted_world(0), speed=1000) as server,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("AWS_ENDPOINT_URL_ACCOUNT", server.url)
        environment.setenv("AWS_ENDPOINT_URL_ORGANIZATIONS", server.url)
        environment.setenv("QUOTA_SHARE", "1000")
        environment.setenv("STATE_MACHINE_ARN", second_interpreter.ARN)
        environment.setattr("botocore.endpoint.time.sleep", lambda _: None)
        with second_interpreter.second_machine(OrganizationClient(server.url)) as machine:
            yield machine


HERE = [way for way in WAYS if way != TOO_LARGE]
taken: set[str] = set()


@pytest.mark.parametrize("way", HERE)
def test_a_way(machine: Machine, way: str) -> None:
    WAYS[way].take(machine)
    taken.add(way)


def test_no_other_way_is_left_out(machine: Machine) -> None:
    if taken != set(HERE):
        pytest.skip("looks at what all ways have left: needs them in one process (loadfile)")
    states = asl.states(asl.load())
    wanted = {edge for name, state in states.items() for edge in asl.edges(name, state)}

    assert set() == wanted - machine.standin.taken()
    assert set() == machine.standin.taken() - wanted
