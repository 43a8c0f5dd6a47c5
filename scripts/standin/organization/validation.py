"""The request rules of a service, read from its botocore model."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.loaders import create_loader
from botocore.model import ServiceModel, Shape, StringShape, StructureShape

from standin.organization.errors import ApiError

_TYPES: dict[str, type] = {"structure": dict, "string": str, "integer": int}


@dataclass(frozen=True, slots=True)
class Violation:
    """One violated rule. The message repeats the value, as AWS's message may."""

    field: str
    rule: str
    message: str


class ServiceRules:
    """Checks requests of one service and knows its errors."""

    def __init__(self, service: str) -> None:
        self._model = _load_model(service)

    def paths(self, operations: Iterable[str]) -> dict[str, str]:
        """Return the URI path of each operation, mapped to the operation."""
        return {self._model.operation_model(name).http["requestUri"]: name for name in operations}

    def error_status(self, code: str, default: int) -> int:
        """Return the HTTP status of an error in the model."""
        if code not in self._model.shape_names:
            return default
        return int(
            self._model.shape_for(code).metadata.get("error", {}).get("httpStatusCode", default)
        )

    def has_error(self, operation: str, code: str) -> bool:
        """Return whether the operation has this error in the model."""
        shapes = self._model.operation_model(operation).error_shapes
        return any(shape.name == code for shape in shapes)

    def violations(self, operation: str, params: Mapping[str, Any]) -> list[Violation]:
        """Return every rule of the model that the request violates.

        Raises ApiError (SerializationException) if a value has the wrong type.
        """
        shape = self._model.operation_model(operation).input_shape
        return [] if shape is None else list(_violations(shape, params, ""))


@cache
def _load_model(service: str) -> ServiceModel:
    return ServiceModel(create_loader().load_service_model(service, "service-2"))


def _violations(shape: Shape, value: Any, field: str) -> Iterator[Violation]:
    _check_type(shape, value, field)
    if isinstance(shape, StructureShape):
        yield from _structure_violations(shape, value, field)
    elif isinstance(shape, StringShape):
        yield from _string_violations(shape, value, field)
    else:
        yield from _range_violations(shape, value, value, field)


def _check_type(shape: Shape, value: Any, field: str) -> None:
    if not isinstance(value, _TYPES[shape.type_name]) or isinstance(value, bool):
        raise ApiError("SerializationException", f"{field or 'body'} is not a {shape.type_name}")


def _structure_violations(
    shape: StructureShape, value: Mapping[str, Any], field: str
) -> Iterator[Violation]:
    for name, member in shape.members.items():
        path = f"{field}.{name}" if field else name
        if value.get(name) is not None:
            yield from _violations(member, value[name], path)
        elif name in shape.required_members:
            yield violation(path, "required", None, "Member must not be null")


def _string_violations(shape: StringShape, value: str, field: str) -> Iterator[Violation]:
    yield from _range_violations(shape, len(value), value, field)
    pattern = shape.metadata.get("pattern")
    # The services match the whole string, with the ASCII meaning of \w, \d and \s.
    if pattern and not re.fullmatch(pattern, value, re.ASCII):
        text = f"Member must satisfy regular expression pattern: {pattern}"
        yield violation(field, "pattern", value, text)
    if shape.enum and value not in shape.enum:
        text = f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        yield violation(field, "enum", value, text)


def _range_violations(shape: Shape, size: int, value: Any, field: str) -> Iterator[Violation]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    noun = "length" if isinstance(value, str) else "value"
    if low is not None and size < low:
        text = f"Member must have {noun} greater than or equal to {low}"
        yield violation(field, f"min {noun}", value, text)
    if high is not None and size > high:
        text = f"Member must have {noun} less than or equal to {high}"
        yield violation(field, f"max {noun}", value, text)


def violation(field: str, rule: str, value: Any, text: str) -> Violation:
    """Return a violation with AWS's wording."""
    shown = "null" if value is None else f"'{value}'"
    return Violation(
        field, rule, f"Value {shown} at '{field}' failed to satisfy constraint: {text}"
    )
