"""Tests of the product's and the machine's public face, with the stand-in in a container.

They are those of tests/e2e, tests/statemachine and test_mock_config.py; only where they run is
another. Those that look at a process of this machine, or take minutes, are left out.
"""

# ruff: noqa: F401 - imported tests and fixtures are collected here

import pytest
from container.test_mock_config import (
    _machine_arn,
    test_a_case_takes_its_way,
    test_the_case_with_a_distributed_map,
)
from e2e.test_sync import (
    test_a_deleted_source_contact_is_deleted_where_we_wrote_it,
    test_a_full_resync_writes_what_differs_where_it_may_and_nothing_twice,
    test_no_contact_value_is_stored_anywhere,
    test_one_denied_account_fails_alone_and_is_named_everywhere,
    test_retry_config_is_obeyed_and_visible_in_the_history,
    test_services_that_refuse_once_stop_nothing,
)
from standin.running import RunningStandin
from statemachine.ways import WAYS
from support.machine import Machine, deployed

HERE = (
    "good path",
    "dry run",
    "text",
    "account joined, ready a minute later",
    "account left",
    "second run is queued",
    "change, and the source differs after it",
    "attempt is repeated",
    "function dies",
)


@pytest.fixture(scope="module", name="machine")
def _machine(container_standin: RunningStandin) -> Machine:
    return deployed(container_standin, "ENABLED", "prod")


@pytest.fixture(scope="module", name="endpoint")
def _endpoint(container_standin: RunningStandin) -> RunningStandin:
    return container_standin


@pytest.mark.parametrize("way", HERE)
def test_a_way(machine: Machine, way: str) -> None:
    WAYS[way].take(machine)
