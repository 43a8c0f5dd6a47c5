"""Executions: alive or dead, and what they were asked."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from builders import EXECUTION_ARN, MACHINE_ARN, MANAGEMENT, MEMBER, make_request, make_trigger
from contact_sync.errors import AccessDeniedError
from contact_sync.executions import Execution, Executions

STARTED = datetime(2026, 1, 5, 10, 0, 0, 123_456, tzinfo=UTC)


def describe(
    status: str = "RUNNING", execution_input: Any = None, started: datetime = STARTED
) -> Execution:
    client: Any = boto3.client("stepfunctions")
    with Stubber(client) as stub:
        stub.add_response(
            "describe_execution",
            {
                "executionArn": f"{EXECUTION_ARN}:run-1",
                "stateMachineArn": MACHINE_ARN,
                "status": status,
                "startDate": started,
                "input": json.dumps({} if execution_input is None else execution_input),
            },
            {"executionArn": f"{EXECUTION_ARN}:run-1"},
        )
        return Executions(client, MACHINE_ARN, MANAGEMENT).describe("run-1")


def refused(code: str) -> Execution:
    client: Any = boto3.client("stepfunctions")
    with Stubber(client) as stub:
        stub.add_client_error("describe_execution", code)
        return Executions(client, MACHINE_ARN, MANAGEMENT).describe("run-1")


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
def test_alive_is_running_or_about_to_be(status: str, *, is_alive: bool) -> None:
    execution = describe(status)
    assert (status, is_alive) == (execution.status, execution.is_alive)


@pytest.mark.parametrize("hours", [0, 2, -8])
def test_the_start_is_as_the_state_machine_has_it(hours: int) -> None:
    started = STARTED.astimezone(timezone(timedelta(hours=hours)))
    assert "2026-01-05T10:00:00.123Z" == describe(started=started).started_at


def test_the_input_is_known() -> None:
    assert (
        make_request(account_ids=[MEMBER])
        == describe(execution_input={"account_ids": [MEMBER]}).request
    )


@pytest.mark.parametrize("wrong", [{"account_ids": ["x"]}, {"account_ids": [MANAGEMENT]}, []])
def test_a_wrong_input_asks_for_nothing(wrong: Any) -> None:
    execution = describe(execution_input=wrong)
    assert execution.request is None
    assert not execution.is_recovery


def test_a_recovery_is_known_by_its_input() -> None:
    trigger = make_trigger("recovery", execution_arn=f"{EXECUTION_ARN}:run-0")
    assert describe(execution_input={"trigger": trigger}).is_recovery
    assert not describe().is_recovery


def test_a_forgotten_execution_is_dead() -> None:
    execution = refused("ExecutionDoesNotExist")
    assert Execution("run-1", "FORGOTTEN", "", None) == execution
    assert not execution.is_alive


def test_an_execution_that_cannot_be_described_is_not_taken_for_dead() -> None:
    with pytest.raises(AccessDeniedError, match="describe execution run-1"):
        refused("AccessDeniedException")
