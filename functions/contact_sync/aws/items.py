"""DynamoDB items as plain Python values."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


def to_item(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values in DynamoDB's typed form."""
    return {name: _serializer.serialize(value) for name, value in values.items()}


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the item's values; whole numbers come as int, others as float."""
    return {name: _plain(_deserializer.deserialize(value)) for name, value in item.items()}


def update_of(values: Mapping[str, Any], removed: Sequence[str] = ()) -> dict[str, Any]:
    """Return UpdateItem's expression that sets the values and removes the named attributes."""
    expression = "SET " + ", ".join(f"#{name} = :{name}" for name in values)
    if removed:
        expression += " REMOVE " + ", ".join(f"#{name}" for name in removed)
    return {
        "UpdateExpression": expression,
        "ExpressionAttributeNames": {f"#{name}": name for name in [*values, *removed]},
        "ExpressionAttributeValues": to_item({f":{name}": v for name, v in values.items()}),
    }


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case dict():
            return {name: _plain(part) for name, part in value.items()}
        case list():
            return [_plain(part) for part in value]
        case set():  # in one order, as a configuration's version and digest depend on it
            return sorted(_plain(part) for part in value)
        case _:
            return value
