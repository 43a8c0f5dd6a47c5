"""What configuration and request share: strict models, and faults in words for operators."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from contact_sync.accounts import ACCOUNT_ID, EXECUTION_NAME, ORGANIZATIONAL_UNIT_ID, Pattern
from contact_sync.contacts import ContactType
from contact_sync.errors import listed

# The longest key of ours has half as many.
MAX_SHOWN_CHARACTERS = 60
DYNAMODB_TYPES = frozenset({"S", "N", "B", "M", "L", "BOOL", "NULL", "SS", "NS"})
FAULTS = {
    "bool_type": "expected true or false",
    "dict_type": "expected an object, in braces",
    "int_type": "expected a whole number",
    "list_type": "expected a list, in brackets",
    "model_type": "expected an object, in braces",
    "model_attributes_type": "expected an object, in braces",
    "string_type": "expected text, in quotes",
    "missing": "is required",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must not be empty; omit an optional key to include all",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "null": "must not be null; omit an optional key instead",
}


class StrictModel(BaseModel):
    """Unknown keys, null and wrong types are faults; the only value named is an unknown choice."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        hide_input_in_errors=True,
        defer_build=True,  # each action needs few of the models, and building them is slow
    )

    @model_validator(mode="before")
    @classmethod
    def _has_no_null(cls, content: Any) -> Any:
        """Refuse null, which looks like "none" but would mean "all"."""
        null = (
            [key for key, value in content.items() if value is None]
            if isinstance(content, dict)
            else []
        )
        if null:
            raise PydanticCustomError(
                "null", "{keys}", {"keys": listed([_shown(key) for key in null])}
            )
        return content


def choices(enum: Any, what: str) -> Any:
    """Return a type that takes the enum's values; a fault names the allowed ones."""
    names = [str(one) for one in enum]
    allowed = f"{', '.join(names[:-1])} or {names[-1]}"

    def find(value: Any) -> Any:
        is_text = isinstance(value, str)
        if is_text and value in names:
            return enum(value)
        shown = f"unknown {what} '{_shown(value)}'" if is_text else f"expected a {what}, in quotes"
        raise PydanticCustomError(
            "choice", "{shown}: use {allowed}", {"shown": shown, "allowed": allowed}
        )

    return Annotated[enum, PlainValidator(find), PlainSerializer(str)]


# `source`, `own`, or the name of a contact in the address book, which messages and logs repeat.
CONTACT_NAME = Pattern(r"^[a-z0-9][a-z0-9_-]{0,63}$")
ContactName = Annotated[str, CONTACT_NAME]
ContactTypeName = choices(ContactType, "contact type")
WANTED_PATTERNS = {
    ACCOUNT_ID.regex: "expected an account ID: 12 digits, in quotes",
    ORGANIZATIONAL_UNIT_ID.regex: (
        "expected the ID of an organizational unit, such as ou-ab12-34cd56ef"
    ),
    EXECUTION_NAME.regex: "expected the name or the ARN of an execution",
    CONTACT_NAME.regex: (
        "expected source, own or a contact name: lowercase letters, digits, - and _"
    ),
}


def faults(error: ValidationError, model: type[BaseModel], content: Any) -> str:
    """Name each fault by its place, with the allowed values; the input is not repeated."""
    if not isinstance(content, Mapping):
        return "expected an object, in braces, for example {}"
    if typed := dynamodb_json_in(content):
        return typed
    return listed([_fault(fault, model) for fault in error.errors()], "; ")


def dynamodb_json_in(content: Mapping[str, Any]) -> str | None:
    """Return the fault of content in DynamoDB JSON, None if it is plain."""
    typed = [_shown(key) for key, value in content.items() if _has_dynamodb_json(value)]
    return (
        f"{typed[0]}: this is DynamoDB JSON, with a type for each value; use plain JSON, for "
        'example {"contact_types": ["security"]}'
        if typed
        else None
    )


def _fault(fault: Any, model: type[BaseModel]) -> str:
    steps = [_shown(part) for part in fault["loc"]]
    if fault["type"] == "null":
        steps.append(fault["msg"])
    reason = _reason(fault, model)
    return f"{'.'.join(steps)}: {reason}" if steps else reason


def _reason(fault: Any, model: type[BaseModel]) -> str:
    kind = fault["type"]
    if kind == "extra_forbidden":
        return _unknown_key(fault["loc"], model)
    if kind == "string_pattern_mismatch":
        return WANTED_PATTERNS[fault["ctx"]["pattern"]]
    if kind in FAULTS:
        return FAULTS[kind].format(**fault.get("ctx", {}))
    return str(fault["msg"]).removeprefix("Value error, ")


def _unknown_key(place: tuple[object, ...], model: type[BaseModel]) -> str:
    """Suggest the nearest key of the model that has the unknown key."""
    import difflib  # noqa: PLC0415 - only a fault needs it; each cold start would wait for it

    for step in place[:-1]:
        annotation = (
            model.model_fields[str(step)].annotation if str(step) in model.model_fields else None
        )
        parts = [annotation, *getattr(annotation, "__args__", ())]
        model = next((p for p in parts if isinstance(p, type) and issubclass(p, BaseModel)), model)
    known = sorted(model.model_fields)
    near = difflib.get_close_matches(str(place[-1])[:MAX_SHOWN_CHARACTERS], known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"use {', '.join(known)}"
    return f"unknown key: {hint}"


def _has_dynamodb_json(value: Any) -> bool:
    """Return whether the value, or one inside it, has a type around it, as in DynamoDB JSON."""
    if isinstance(value, Mapping):
        is_typed = len(value) == 1 and set(value) <= DYNAMODB_TYPES
        return is_typed or any(_has_dynamodb_json(part) for part in value.values())
    return isinstance(value, list) and any(_has_dynamodb_json(part) for part in value)


def _shown(part: object) -> str:
    """Return a part of the input without control characters, which terminals would obey."""
    text = str(part)
    shown = "".join(c if c.isprintable() else "?" for c in text[:MAX_SHOWN_CHARACTERS])
    return shown if len(text) <= MAX_SHOWN_CHARACTERS else f"{shown}..."
