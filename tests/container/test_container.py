"""Tests of other suites, run against the stand-in in a container.

Tests that inspect a local process, or take minutes, are left out.
"""

import os
import subprocess
import sys

import pytest
from container.test_mock_config import (  # noqa: F401 - imported tests are collected here
    _machine_arn,
    test_a_case_takes_its_path,
    test_the_case_with_a_distributed_map,
)
from standin.running import RunningStandin
from support.stack import ROOT

SYNC = "tests/e2e/test_sync.py"
PATHS = "tests/statemachine/test_paths.py"
TESTS = {
    "the deployed product": [
        f"{SYNC}::test_a_deleted_source_contact_is_deleted_where_we_wrote_it",
        f"{SYNC}::test_a_full_run_writes_only_contacts_in_scope_that_differ",
        f"{SYNC}::test_no_contact_value_is_stored_anywhere",
        f"{SYNC}::test_only_a_denied_account_fails_and_every_report_names_it",
        f"{SYNC}::test_retry_config_determines_the_attempts_and_waits",
        f"{SYNC}::test_services_that_refuse_once_stop_nothing",
    ],
    "the machine": [
        f"{PATHS}::test_a_situation[{situation}]"
        for situation in (
            "success",
            "dry run",
            "text",
            "account joined, ready a minute later",
            "account left",
            "second run is queued",
            "change, and the source differs after it",
            "attempt is repeated",
            "function dies",
        )
    ],
}


@pytest.fixture(scope="module", name="endpoint")
def _endpoint(container_standin: RunningStandin) -> RunningStandin:
    return container_standin


@pytest.mark.parametrize("which", TESTS)
def test_other_suites_pass_in_the_container(container_standin: RunningStandin, which: str) -> None:
    tests = TESTS[which]
    standin = {
        "STANDIN_URL": container_standin.endpoint_url,
        "STANDIN_ORGANIZATION_URL": container_standin.organization_url,
    }

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    ended = subprocess.run(
        command, cwd=ROOT, env=os.environ | standin, check=False, capture_output=True, text=True
    )

    assert f"{len(tests)} passed in" in ended.stdout, ended.stdout[-5_000:] + ended.stderr
