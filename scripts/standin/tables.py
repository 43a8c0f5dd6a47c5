"""The configuration and state tables of a deployed stack."""

import json
from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from standin.stack import Execution, Stack

Json = dict[str, Any]

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class Tables:
    """Reads and writes the items of one stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._dynamodb = stack.client("dynamodb")

    def configure(self, **changes: Any) -> None:
        """Write the default configuration item with these changes; None removes a key."""
        item = {**json.loads(self.stack.outputs["DefaultConfiguration"]), **changes}
        self.put_config({key: value for key, value in item.items() if value is not None})

    def put_config(self, item: Mapping[str, Any] | None) -> None:
        """Write the configuration item unchanged; None deletes it."""
        table = self.stack.outputs["ConfigTableName"]
        if item is None:
            key = _typed({"config_key": "default"})
            self._dynamodb.delete_item(TableName=table, Key=key)
        else:
            self._dynamodb.put_item(TableName=table, Item=_typed(item))

    def items(self) -> list[Json]:
        """Return every item of the state table."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self.stack.outputs["StateTableName"], ConsistentRead=True
        )
        return [
            {name: _deserialize(value) for name, value in item.items()}
            for page in pages
            for item in page["Items"]
        ]

    def put(self, item: Mapping[str, Any]) -> None:
        """Write one item of the state table."""
        self._dynamodb.put_item(TableName=self.stack.outputs["StateTableName"], Item=_typed(item))

    def delete(self, pk: str, sk: str) -> None:
        """Delete one item of the state table."""
        self._dynamodb.delete_item(
            TableName=self.stack.outputs["StateTableName"], Key=_typed({"pk": pk, "sk": sk})
        )

    def run_item(self, execution: Execution) -> Json:
        """Return the item of a run, empty if there is none."""
        end = f"#{execution.name}"
        runs = (item for item in self.items() if item["pk"] == "RUN")
        return next((item for item in runs if item["sk"].endswith(end)), {})


def _typed(item: Mapping[str, Any]) -> Json:
    return {name: _serialize(value) for name, value in item.items()}
