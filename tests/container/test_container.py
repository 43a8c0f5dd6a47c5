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
    test_a_contact_changed_event_syncs_only_what_changed,
    test_a_deleted_source_contact_is_deleted_where_we_wrote_it,
    test_a_dry_run_reports_the_drift_and_writes_nothing,
    test_a_full_resync_writes_what_differs_where_it_may_and_nothing_twice,
    test_an_aborted_run_is_recovered_and_followed_by_a_clean_one,
    test_no_contact_value_is_stored_anywhere,
    test_one_denied_account_fails_alone_and_is_named_everywhere,
    test_retry_config_is_obeyed_and_visible_in_the_history,
    test_services_that_refuse_once_stop_nothing,
)
from standin.machine import Machine, deployed
from standin.running import RunningStandin
from statemachine.test_paths import (
    _busy,
    _fresh,
    test_a_child_takes_only_the_tasks_that_are_asked_for,
    test_a_function_that_dies_for_good_is_recorded_by_the_child,
    test_a_lock_freed_meanwhile_is_taken,
    test_a_new_account_is_synced_once_it_is_active,
    test_a_second_execution_queues_and_the_first_does_another_round,
    test_a_throttled_account_is_tried_again_after_a_wait,
    test_an_account_that_left_is_forgotten,
    test_wrong_input_ends_before_anything_is_read,
)


@pytest.fixture(scope="module", name="machine")
def _machine(container_standin: RunningStandin) -> Machine:
    return deployed(container_standin, "ENABLED", "prod")


@pytest.fixture(scope="module", name="endpoint")
def _endpoint(container_standin: RunningStandin) -> RunningStandin:
    return container_standin
