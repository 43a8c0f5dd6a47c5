"""The machine alone, with its tasks mocked by mock_config.json.

The machine runs in a stand-in, or at any endpoint compatible with Step Functions Local that was
started with the same file: `SFN_ENDPOINT_URL=http://127.0.0.1:8083`. Such an endpoint must support
JSONata; the case with a Distributed Map, which Step Functions Local lacks, is skipped there.
"""

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from contact_sync import errors
from standin.running import RunningStandin
from standin.standin import Execution, Standin
from support import asl
from support.mocked import CASES, MACHINE, MOCK_CONFIG, RESPONSES
from support.situations import END, FAILURE, LOCK, PLAN, PUBLISH, RECORD, RELEASE, START

BUCKET = "runs-bucket"
STATES = asl.states(asl.load())
SERVICE_ERRORS = ("DynamoDB.", "SNS.")

# case -> its states, and its error
EXPECTED: dict[str, tuple[str, str | None]] = {
    "RequestRefused": (f"CheckRequest {RECORD} {FAILURE}", "InvalidRequestError"),
    "DeletionConfirmed": (
        f"{START} {LOCK} {PLAN} ConfirmDeletion {PLAN} {RECORD} {RELEASE} {PUBLISH} {END}",
        None,
    ),
    "NotPublished": (
        f"{START} {LOCK} {PLAN} {RECORD} {RELEASE} {FAILURE}",
        "SNS.AuthorizationErrorException",
    ),
    "ChangeRepeated": (
        f"{START} {LOCK} Settle {PLAN} {RECORD} {RELEASE} {PUBLISH}"
        f" AwaitSource CheckSource IsSourceSettled RepeatChange {END}",
        None,
    ),
    "AccountLeft": (f"{START} MarkLeft", None),
}
MAP_CASE = "ThreeAccountsUpdated"


class Endpoint(RunningStandin):
    """Any Step Functions endpoint; a stand-in has more APIs."""

    def client(self, service: str, region: str = "us-east-1") -> Any:
        make: Any = boto3.client
        return make(service, endpoint_url=self.endpoint_url, region_name=region)


@pytest.fixture(scope="module", name="endpoint")
def _endpoint() -> Iterator[RunningStandin]:
    if url := os.environ.get("SFN_ENDPOINT_URL"):
        yield Endpoint(url, url)
    else:
        with Standin(accounts=0, speed=1000, mock_config=MOCK_CONFIG) as standin:
            yield standin


@pytest.fixture(scope="module", name="machine_arn")
def _machine_arn(endpoint: RunningStandin) -> Iterator[str]:
    """Create the machine from the real definition, with placeholders filled in."""
    client = endpoint.client("stepfunctions")
    answer = client.create_state_machine(
        name=MACHINE,
        definition=re.sub(r"\$\{(\w+)\}", _placeholder, asl.DEFINITION.read_text()),
        roleArn="arn:aws:iam::999999999999:role/any",
    )
    yield str(answer["stateMachineArn"])
    client.delete_state_machine(stateMachineArn=answer["stateMachineArn"])


def _placeholder(match: re.Match[str]) -> str:
    if match[1].endswith("FunctionArn"):
        return f"arn:aws:lambda:us-east-1:999999999999:function:{match[1]}"
    return {"RunsBucketName": BUCKET, "Partition": "aws"}.get(match[1], match[1])


def start(endpoint: RunningStandin, machine_arn: str, case: str) -> Execution:
    answer = endpoint.client("stepfunctions").start_execution(
        stateMachineArn=f"{machine_arn}#{case}", input="{}"
    )
    return Execution(endpoint, answer["executionArn"])


@pytest.mark.parametrize("case", EXPECTED)
def test_a_case_takes_its_path(endpoint: RunningStandin, machine_arn: str, case: str) -> None:
    states, error = EXPECTED[case]

    execution = start(endpoint, machine_arn, case)
    outcome = execution.wait(120)

    assert states.split() == execution.states()
    assert (error, "FAILED" if error else "SUCCEEDED") == (outcome.error, outcome.status)


def test_the_case_with_a_distributed_map(endpoint: RunningStandin, machine_arn: str) -> None:
    """Its children's tasks are mocked by the same test case; their manifest is a real object."""
    if isinstance(endpoint, Endpoint):
        pytest.skip("a Distributed Map reads S3, which SFN_ENDPOINT_URL need not have")
    plan = RESPONSES["Plan"]["0"]["Return"]["Payload"]
    accounts = ["100000000001", "100000000002", "100000000003"]
    manifest = [{"account_id": one, "contact_set": 0} for one in accounts]
    s3 = endpoint.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=plan["manifest_key"], Body=json.dumps(manifest))

    execution = start(endpoint, machine_arn, MAP_CASE)

    assert "SUCCEEDED" == execution.wait(120).status
    children = execution.children()
    assert set(accounts) == {child.input()["account_id"] for child in children}
    assert {"1"} == {child.describe()["output"] for child in children}
    repeated = "SyncAlternateContacts MayRepeat WaitBeforeAttempt RepeatAttempt".split()
    assert repeated == children[0].states()[:4]


def test_each_case_is_run() -> None:
    assert set(CASES) == {*EXPECTED, MAP_CASE}


def test_each_mocked_state_is_a_task_of_the_machine() -> None:
    mocked = {state for case in CASES.values() for state in case}
    assert not [state for state in mocked if STATES.get(state, {}).get("Type") != "Task"]


def test_each_response_is_used_and_each_used_one_exists() -> None:
    assert set(RESPONSES) == {name for case in CASES.values() for name in case.values()}


def test_each_error_is_one_of_the_product_or_of_a_service() -> None:
    ours = {name for name, one in vars(errors).items() if isinstance(one, type)}
    thrown = {
        attempt["Throw"]["Error"]
        for response in RESPONSES.values()
        for attempt in response.values()
        if "Throw" in attempt
    }
    assert not [name for name in thrown if name not in ours and not name.startswith(SERVICE_ERRORS)]
