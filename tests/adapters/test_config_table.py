"""The configuration is read from its table each time."""

from typing import Any

import pytest
from contact_sync.aws.config_table import load_book, load_config
from contact_sync.aws.items import to_item
from contact_sync.config import RetryConfig
from contact_sync.errors import ApiRefusedError, InvalidConfigError
from support.builders import ALTERNATE_FIELDS, make_config
from support.moto_stack import CONFIG_TABLE


def put(client: Any, **changes: Any) -> None:
    client.put_item(TableName=CONFIG_TABLE, Item=to_item(make_config(**changes)))


def test_the_item_is_read_each_time(config_table: Any) -> None:
    put(config_table, retry_config={"max_attempts": 5, "base_delay": 1, "max_delay": 8})
    expected = RetryConfig(max_attempts=5, base_delay=1, max_delay=8)
    assert expected == load_config(config_table, CONFIG_TABLE).retry_config
    put(config_table)
    assert RetryConfig() == load_config(config_table, CONFIG_TABLE).retry_config


def test_string_sets_are_lists(config_table: Any) -> None:
    item = {"config_key": {"S": "default"}, "contact_types": {"SS": ["security", "billing"]}}
    config_table.put_item(TableName=CONFIG_TABLE, Item=item)
    assert ["billing", "security"] == load_config(config_table, CONFIG_TABLE).ordered_types


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("excluded_accounts", {"L": [{"N": "100000000001"}]}),
        ("excluded_accounts", {"NS": ["100000000001"]}),
        ("excluded_accounts", {"NULL": True}),
        ("excluded_accounts", {"B": b"100000000001"}),
        ("retry_config", {"M": {"max_attempts": {"N": "2.5"}}}),
        ("retry_config", {"M": {"max_attempts": {"S": "2"}}}),
    ],
)
def test_a_wrong_type_in_the_table_is_refused(
    attribute: str, value: dict[str, Any], config_table: Any
) -> None:
    item = {**to_item(make_config()), attribute: value}
    config_table.put_item(TableName=CONFIG_TABLE, Item=item)
    with pytest.raises(InvalidConfigError, match=attribute):
        load_config(config_table, CONFIG_TABLE)


def test_the_address_book_is_read_with_its_version(config_table: Any) -> None:
    assert ({}, None) == load_book(config_table, CONFIG_TABLE)
    item = {"config_key": "contacts", "version": "v1", "contacts": {"payments": ALTERNATE_FIELDS}}
    config_table.put_item(TableName=CONFIG_TABLE, Item=to_item(item))
    assert ({"payments": ALTERNATE_FIELDS}, "v1") == load_book(config_table, CONFIG_TABLE)


def test_a_table_that_cannot_be_read_never_means_defaults(config_table: Any) -> None:
    with pytest.raises(ApiRefusedError, match="read the configuration from nowhere"):
        load_config(config_table, "nowhere")
