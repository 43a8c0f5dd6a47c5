"""Executions of this machine: alive or dead, how they ended, and whether they were dry runs."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from contact_sync.aws.executions import Execution, Executions
from contact_sync.errors import AccessDeniedError, ThrottledError
from support.builders import EXECUTION_ARN, MACHINE_ARN

STARTED = datetime(2026, 1, 5, 10, 0, 0, 123_456, tzinfo=UTC)


def describe(**answer: Any) -> Execution:
    client: Any = boto3.client("stepfunctions")
    described = {
        "executionArn": f"{EXECUTION_ARN}:run-1",
        "stateMachineArn": MACHINE_ARN,
        "status": "RUNNING",
        "startDate": STARTED,
        "input": "{}",
        **answer,
    }
    with Stubber(client) as stub:
        stub.add_response(
            "describe_execution", described, {"executionArn": f"{EXECUTION_ARN}:run-1"}
        )
        return Executions(client, MACHINE_ARN).describe("run-1")


def refused(code: str) -> Execution:
    client: Any = boto3.client("stepfunctions")
    with Stubber(client) as stub:
        stub.add_client_error("describe_execution", code)
        return Executions(client, MACHINE_ARN).describe("run-1")


@pytest.mark.rule(7)
@pytest.mark.parametrize(
    ("status", "is_alive"),
    [
        ("RUNNING", True),
        ("PENDING_REDRIVE", True),
        ("SUCCEEDED", False),
        ("FAILED", False),
        ("TIMED_OUT", False),
        ("ABORTED", False),
    ],
)
def test_an_execution_that_runs_or_is_about_to_is_alive(status: str, *, is_alive: bool) -> None:
    execution = describe(status=status)
    assert (status, is_alive) == (execution.status, execution.is_alive)


@pytest.mark.parametrize("hours", [0, 2, -8])
def test_the_start_time_has_the_format_of_the_state_machine(hours: int) -> None:
    started = STARTED.astimezone(timezone(timedelta(hours=hours)))
    assert "2026-01-05T10:00:00.123Z" == describe(startDate=started).started_at


def test_an_execution_that_ended_has_its_error() -> None:
    ended = describe(status="FAILED", error="PartialSyncError", cause="3 accounts failed")
    assert "PartialSyncError" == ended.error
    assert describe().error is None


def test_a_redrive_is_recognized_by_its_time() -> None:
    redriven = describe(redriveDate=STARTED, redriveCount=1, redriveStatus="NOT_REDRIVABLE")
    assert STARTED == redriven.redriven_at
    assert describe().redriven_at is None


@pytest.mark.parametrize(
    ("execution_input", "is_dry_run"),
    [
        ({"dry_run": True}, True),
        ({"dry_run": False}, False),
        ({}, False),
        ([], False),
        ("dry_run", False),
        # Refused for its type, but certainly not intended to write.
        ({"dry_run": "yes"}, True),
    ],
)
def test_a_dry_run_is_recognized_by_its_input(execution_input: Any, *, is_dry_run: bool) -> None:
    assert is_dry_run == describe(input=json.dumps(execution_input)).is_dry_run


def test_an_unknown_execution_is_neither_alive_nor_dry() -> None:
    """Whether it is dead depends on its age: DescribeExecution is eventually consistent."""
    execution = refused("ExecutionDoesNotExist")
    assert ("UNKNOWN", None, False, False) == (
        execution.status,
        execution.started_at,
        execution.is_alive,
        execution.is_dry_run,
    )


@pytest.mark.parametrize(
    ("code", "error"),
    [("AccessDeniedException", AccessDeniedError), ("ThrottlingException", ThrottledError)],
)
def test_an_execution_that_cannot_be_described_is_an_error(
    code: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match="describe execution run-1"):
        refused(code)
