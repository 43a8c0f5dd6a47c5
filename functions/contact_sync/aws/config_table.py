"""Configuration table: the one item that operators edit."""

from typing import TYPE_CHECKING

from contact_sync.aws.clients import named_errors
from contact_sync.aws.items import from_item, to_item
from contact_sync.config import CONFIG_KEY, SyncConfig, parse_config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def load_config(client: "DynamoDBClient", table: str) -> SyncConfig:
    """Read and check the configuration item, strongly consistent, on every call."""
    with named_errors(f"read the configuration from {table}"):
        answer = client.get_item(
            TableName=table, Key=to_item({"config_key": CONFIG_KEY}), ConsistentRead=True
        )
    item = answer.get("Item")
    return parse_config(from_item(item) if item else None)
