"""All functions together stay within their share of the quota."""

from collections.abc import Iterator
from itertools import combinations

import pytest
from standin.organization import drifted_world
from standin.organization.quotas import DEFAULT_QUOTAS
from standin.standin import Standin
from support.machine import Machine

SHARE = 0.5
SPEED = 10.0
RATE, BURST = DEFAULT_QUOTAS["PutAlternateContact"]
# How much longer one call may take to arrive than another, in seconds of AWS.
ON_THE_WAY = 2.0


@pytest.fixture
def machine() -> Iterator[Machine]:
    with Standin(accounts=0, speed=SPEED, world=drifted_world(0)) as standin:
        parameters = {"Triggers": "DISABLED", "QuotaShare": str(SHARE)}
        stack = standin.deploy(environment="prod", parameters=parameters)
        yield Machine(standin, stack, recovers=False)


@pytest.mark.case("C")
def test_the_functions_stay_within_their_share_of_the_quota(machine: Machine) -> None:
    machine.reset(drifted_world(30, missing=0))

    assert "SUCCEEDED" == machine.run().status()

    calls = machine.writes()
    at = sorted(SPEED * one["time"] for one in calls if one["operation"] == "PutAlternateContact")
    assert 90 == len(at)
    for first, last in combinations(range(len(at)), 2):
        seconds = at[last] - at[first] + ON_THE_WAY
        assert last - first + 1 <= BURST + SHARE * RATE * seconds
