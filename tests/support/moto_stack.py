"""The template's resources that the functions use, created in moto."""

import importlib
import json
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
from standin.organization import OrganizationClient
from support.stack import source_template

STATE_TABLE, CONFIG_TABLE, BUCKET, SECRET = "state", "config", "runs-bucket", "digest-key"
CONTEXT = SimpleNamespace(
    function_name="function",
    memory_limit_in_mb=256,
    invoked_function_arn="arn:aws:lambda:us-east-1:999999999999:function:function",
    aws_request_id="request-1",
)
SCHEMA = ("AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema")
Invoke = Callable[[dict[str, Any]], dict[str, Any]]


def create_state_table() -> Any:
    """Create the state table; return a client."""
    return _create_table(STATE_TABLE, "StateTable")


def create_config_table() -> Any:
    """Create the configuration table; return a client."""
    return _create_table(CONFIG_TABLE, "ConfigTable")


def empty(client: Any, table: str) -> None:
    """Delete every item of the table."""
    names = [
        key["AttributeName"] for key in client.describe_table(TableName=table)["Table"]["KeySchema"]
    ]
    for page in client.get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            client.delete_item(TableName=table, Key={name: item[name] for name in names})


def create_bucket() -> Any:
    """Create the runs bucket; return a client."""
    client: Any = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    return client


def create_secret(value: str) -> Any:
    """Create the digest key; return a client."""
    client: Any = boto3.client("secretsmanager")
    client.create_secret(Name=SECRET, SecretString=value)
    return client


def create_state_machine() -> tuple[Any, str]:
    """Create a state machine that only waits; return a client and its ARN."""
    client: Any = boto3.client("stepfunctions")
    state = {"Type": "Wait", "Seconds": 9, "End": True}
    machine = client.create_state_machine(
        name="contact-sync",
        definition=json.dumps({"StartAt": "Stay", "States": {"Stay": state}}),
        roleArn="arn:aws:iam::999999999999:role/contact-sync",
    )
    return client, machine["stateMachineArn"]


class Cloud:
    """Clients for the resources that the functions use, and the functions themselves."""

    def __init__(self, organization: OrganizationClient) -> None:
        self.organization = organization
        self.dynamodb = create_state_table()
        create_config_table()
        self.s3 = create_bucket()
        create_secret("digest key of the tests")
        self.stepfunctions, self.machine_arn = create_state_machine()

    def start_execution(self, name: str, execution_input: str = "{}") -> str:
        """Start an execution that runs until it is stopped; return its ARN."""
        answer = self.stepfunctions.start_execution(
            stateMachineArn=self.machine_arn, name=name, input=execution_input
        )
        return str(answer["executionArn"])

    def load(self, function: str) -> Invoke:
        """Load a function's code again; return its handler."""
        module: ModuleType = importlib.import_module(f"{function}.handler")
        handler = importlib.reload(module).lambda_handler

        def invoke(event: dict[str, Any]) -> dict[str, Any]:
            answer: dict[str, Any] = handler(event, CONTEXT)
            return answer

        return invoke


def _create_table(name: str, logical_id: str) -> Any:
    """Create the template's table under another name, without its key; return a client."""
    properties = source_template()["Resources"][logical_id]["Properties"]
    schema = {key: properties[key] for key in SCHEMA if key in properties}
    client: Any = boto3.client("dynamodb")
    client.create_table(TableName=name, **schema)
    return client
