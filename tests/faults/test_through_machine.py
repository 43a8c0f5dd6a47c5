"""The same cases through the deployed machine; no contact value stays behind from any of them."""

from collections.abc import Iterator

import pytest
from faults.cases import Case
from faults.seeds import check, faulty
from faults.through_machine import Deployed, MachineTrial
from standin.machine import machine as started


@pytest.fixture(scope="module")
def deployed() -> Iterator[Deployed]:
    with started(triggers="ENABLED", environment="prod", speed=1_000.0) as machine:
        yield Deployed(machine)


@pytest.fixture(scope="module")
def values() -> set[str]:
    """Return every contact value that the cases used."""
    return set()


@faulty(cases=50)
def test_the_invariants_hold_through_the_machine(
    deployed: Deployed, values: set[str], number: int
) -> None:
    def run(case: Case) -> None:
        trial = MachineTrial(deployed, case)
        trial.run()
        values.update(trial.values)

    check(number, run)


def test_no_contact_value_is_stored_anywhere(deployed: Deployed, values: set[str]) -> None:
    assert values
    assert [] == deployed.machine.standin.search(values)
