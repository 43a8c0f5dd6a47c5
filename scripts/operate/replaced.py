"""Replaced items, which the configuration table keeps with the time and the caller."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from contact_sync.aws.items import from_item, to_item
from contact_sync.config import CONFIG_KEY, parse_config, version_of
from contact_sync.errors import InvalidConfigError

from operate.aws import Aws, pages

KEPT_FOR = timedelta(days=90)
PREFIX = "replaced#"


def replaced(item: Mapping[str, Any], caller: str) -> dict[str, Any]:
    """Return the item that keeps an item replaced by the caller, in DynamoDB's typed form."""
    now = datetime.now(UTC)
    values = to_item(
        {
            "config_key": f"{PREFIX}{item['config_key']['S']}#{now.isoformat()}",
            "replaced_at": now.isoformat(timespec="seconds"),
            "replaced_by": caller,
            "expires_at": int((now + KEPT_FOR).timestamp()),
        }
    )
    return {**values, "item": {"M": dict(item)}}


def history(aws: Aws, table: str) -> list[str]:
    """Return a line per replaced item, newest first: time, kind, version and caller."""
    found = [
        from_item(item)
        for item in pages(aws.client("dynamodb"), "scan", "Items", TableName=table)
        if item["config_key"]["S"].startswith(PREFIX)
    ]
    found.sort(key=lambda one: one["config_key"].rpartition("#")[2], reverse=True)
    return [
        f"{one['replaced_at']}  {_told(one['item'])}  replaced by {one['replaced_by']}"
        for one in found
    ]


def version(item: Mapping[str, Any]) -> str:
    """Return the version that a run records for the item."""
    if item["config_key"] != CONFIG_KEY:
        return str(item.get("version", "unknown"))
    try:
        return version_of(parse_config(item))
    except InvalidConfigError:
        return "invalid"


def _told(item: Mapping[str, Any]) -> str:
    kind = "configuration" if item["config_key"] == CONFIG_KEY else "contacts"
    return f"{kind} {version(item)}"
