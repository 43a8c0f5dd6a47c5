"""One deployed environment in process, for the operating commands."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from moto import mock_aws
from standin.organization import OrganizationClient, OrganizationServer
from standin.organization.worlds import MANAGEMENT_ACCOUNT_ID, drifted_world
from support.aws import FakeAws, FakeStacks
from support.moto_stack import (
    CONFIG_TABLE,
    STATE_TABLE,
    create_config_table,
    create_state_machine,
    create_state_table,
    empty,
)

STACK = "aws-contact-sync-dev"
PRINCIPAL = f"arn:aws:sts::{MANAGEMENT_ACCOUNT_ID}:assumed-role/Operator/jane"

_serialize, _deserialize = TypeSerializer().serialize, TypeDeserializer().deserialize


@dataclass
class Deployed:
    """The environment `dev` in us-east-1: its stack, tables, topic, queue and machine.

    `aws` sets answers, `stacks` CloudFormation's stacks, `organization` the accounts.
    """

    aws: FakeAws
    stacks: FakeStacks
    organization: OrganizationClient
    dynamodb: Any
    sqs: Any
    machine_arn: str
    topic_arn: str
    queue_url: str

    def reset(self, accounts: int = 3) -> None:
        """Start over with drifted members, the default configuration, and no answers set."""
        caller = {"Account": MANAGEMENT_ACCOUNT_ID, "Arn": PRINCIPAL}
        self.stacks.clear()
        self.aws.reset({**self.stacks.answers(), "sts.GetCallerIdentity": caller})
        self.organization.reset(drifted_world(accounts))
        for table in (STATE_TABLE, CONFIG_TABLE):
            empty(self.dynamodb, table)
        self.sqs.delete_queue(QueueUrl=self.queue_url)
        self.sqs.create_queue(QueueName=f"{STACK}-dlq")
        self.configure({"contact_types": ["primary", "billing", "operations", "security"]})
        self._put_stack()
        self.aws.forget()

    def change_world(self, **settings: Any) -> None:
        """Change settings of the organization's world."""
        self.organization.reset({**self.organization.world(), **settings})

    @property
    def stack(self) -> dict[str, Any]:
        """The stack as DescribeStacks returns it; changes to it take effect."""
        return self.stacks.stacks["us-east-1", STACK]

    def _put_stack(self) -> None:
        self.stacks.put(
            STACK,
            parameters={
                "Environment": "dev",
                "ManagementAccountId": MANAGEMENT_ACCOUNT_ID,
                "OrganizationId": "o-exampleorg1",
                "Triggers": "ENABLED",
            },
            outputs={
                "ConfigTableName": CONFIG_TABLE,
                "StateTableName": STATE_TABLE,
                "StateMachineArn": self.machine_arn,
                "NotificationTopicArn": self.topic_arn,
                "DeadLetterQueueUrl": self.queue_url,
                "RunsBucketName": "runs-bucket",
                "DashboardUrl": "https://console.aws.amazon.com/cloudwatch/home",
                "DefaultConfiguration": json.dumps({"config_key": "default"}),
            },
        )

    def put(self, table: str, item: dict[str, Any]) -> None:
        """Put an item of plain values."""
        typed = {name: _serialize(value) for name, value in item.items()}
        self.dynamodb.put_item(TableName=table, Item=typed)

    def configure(self, item: dict[str, Any] | None) -> None:
        """Put the configuration item; None deletes it."""
        key = {"config_key": "default"}
        if item is None:
            self.dynamodb.delete_item(TableName=CONFIG_TABLE, Key={"config_key": {"S": "default"}})
        else:
            self.put(CONFIG_TABLE, key | item)

    def configuration(self) -> dict[str, Any] | None:
        """Return the configuration item as plain values."""
        answer = self.dynamodb.get_item(
            TableName=CONFIG_TABLE, Key={"config_key": {"S": "default"}}
        )
        if "Item" not in answer:
            return None
        return {name: _deserialize(value) for name, value in answer["Item"].items()}


@contextmanager
def deployed(server: OrganizationServer) -> Iterator[Deployed]:
    """Deploy the environment; `reset` prepares it for a test."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_ENDPOINT_URL_ACCOUNT", server.url)
        patch.setenv("AWS_ENDPOINT_URL_ORGANIZATIONS", server.url)
        dynamodb = create_state_table()
        create_config_table()
        sns: Any = boto3.client("sns")
        sqs: Any = boto3.client("sqs")
        _, machine = create_state_machine()
        found = Deployed(
            aws=FakeAws(),
            stacks=FakeStacks(),
            organization=OrganizationClient(server.url),
            dynamodb=dynamodb,
            sqs=sqs,
            machine_arn=machine,
            topic_arn=sns.create_topic(Name=f"{STACK}-notifications")["TopicArn"],
            queue_url=sqs.create_queue(QueueName=f"{STACK}-dlq")["QueueUrl"],
        )
        with found.aws.running():
            yield found
