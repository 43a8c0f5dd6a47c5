"""Configuration table: the items that operators edit."""

from typing import TYPE_CHECKING, Any

from contact_sync.address_book import CONTACTS_KEY, parse_book
from contact_sync.aws.clients import named_errors
from contact_sync.aws.items import from_item, to_item
from contact_sync.config import CONFIG_KEY, SyncConfig, parse_config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def load_config(client: "DynamoDBClient", table: str) -> SyncConfig:
    """Read and check the configuration item, strongly consistent, on every call."""
    return parse_config(_item(client, table, CONFIG_KEY))


def load_book(client: "DynamoDBClient", table: str) -> tuple[dict[str, dict[str, str]], str | None]:
    """Read the address book and its version, strongly consistent, on every call."""
    item = _item(client, table, CONTACTS_KEY)
    version = (item or {}).get("version")
    return parse_book(item), str(version) if version else None


def _item(client: "DynamoDBClient", table: str, key: str) -> dict[str, Any] | None:
    with named_errors(f"read the configuration from {table}"):
        answer = client.get_item(
            TableName=table, Key=to_item({"config_key": key}), ConsistentRead=True
        )
    item = answer.get("Item")
    return from_item(item) if item else None
