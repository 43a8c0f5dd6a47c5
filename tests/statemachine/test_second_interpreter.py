"""The paths through the machine, in an interpreter that shares no code with MiniStack's."""

from collections.abc import Iterator

import pytest
from standin.organization import OrganizationClient, OrganizationServer, drifted_world
from support import asl
from support.machine import Machine
from support.situations import SITUATIONS, TOO_LARGE

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


HERE = [situation for situation in SITUATIONS if situation != TOO_LARGE]
taken: set[str] = set()


@pytest.mark.parametrize("situation", HERE)
def test_a_situation(machine: Machine, situation: str) -> None:
    SITUATIONS[situation].take(machine)
    taken.add(situation)


def test_every_transition_was_taken(machine: Machine) -> None:
    if taken != set(HERE):
        pytest.skip("needs the executions of all situations, in one process (loadfile)")
    states = asl.states(asl.load())
    wanted = {edge for name, state in states.items() for edge in asl.edges(name, state)}

    assert set() == wanted - machine.standin.taken()
    assert set() == machine.standin.taken() - wanted
