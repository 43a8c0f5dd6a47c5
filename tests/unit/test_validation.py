"""Faults in operators' words: by their place, with the allowed values, never with secrets."""

from enum import StrEnum
from typing import Annotated, Any

import pytest
from contact_sync.accounts import ACCOUNT_ID, AccountId
from contact_sync.contacts import ContactType
from contact_sync.validation import ContactTypeName, StrictModel, choices, faults
from pydantic import Field, TypeAdapter, ValidationError
from support.builders import ARABIC_DIGITS, WIDE_DIGITS


class Color(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(StrictModel):
    failure_threshold: Annotated[int, Field(ge=1, le=9)] = 1
    note: Annotated[str, Field(max_length=3)] | None = None


class Example(StrictModel):
    contact_types: Annotated[list[ContactTypeName], Field(min_length=1)] | None = None
    excluded_accounts: list[AccountId] = Field(default_factory=list)
    color: choices(Color, "color") = Color.RED  # type: ignore[valid-type] # built at run time
    inner: Inner | None = None
    inners: list[Inner] = Field(default_factory=list)


def named(content: Any) -> str:
    """Return the faults of the content."""
    with pytest.raises(ValidationError) as caught:
        Example.model_validate(content)
    return faults(caught.value, Example, content)


@pytest.mark.parametrize("content", [None, [], "everything", 1, True])
def test_what_is_no_object_is_called_so(content: Any) -> None:
    assert "expected an object, in braces, for example {}" == named(content)


def contact_type() -> TypeAdapter[Any]:
    """Make the choice within a test, where its mutants are alive."""
    return TypeAdapter(choices(ContactType, "contact type"))


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("SECURITY", "unknown contact type 'SECURITY'"),
        ("\x1b[2Jred", "unknown contact type '?[2Jred'"),
        (1, "expected a contact type, in quotes"),
        (["billing"], "expected a contact type, in quotes"),
    ],
)
def test_an_unknown_choice_is_named_with_those_that_are_allowed(value: Any, fault: str) -> None:
    with pytest.raises(ValidationError) as caught:
        contact_type().validate_python(value)
    (found,) = caught.value.errors()
    assert "choice" == found["type"]
    assert f"{fault}: use primary, billing, operations or security" == found["msg"]


def test_an_unknown_choice_is_named_by_its_place() -> None:
    expected = "contact_types.1: unknown contact type 'fax': use primary, "
    assert named({"contact_types": ["billing", "fax"]}).startswith(expected)


def test_a_choice_is_its_enums_member_and_its_value_when_stored() -> None:
    chosen = contact_type().validate_python("billing")
    assert ContactType.BILLING is chosen
    assert str is type(contact_type().dump_python(chosen))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (
            {"exclude_accounts": []},
            "exclude_accounts: unknown key: did you mean excluded_accounts?",
        ),
        (
            {"excludedAccounts": []},
            "excludedAccounts: unknown key: did you mean excluded_accounts?",
        ),
        (
            {"_": "a comment"},
            "_: unknown key: use color, contact_types, excluded_accounts, inner, inners",
        ),
        (
            {"inner": {"failure_treshold": 2}},
            "inner.failure_treshold: unknown key: did you mean failure_threshold?",
        ),
        ({"inner": {"color": "red"}}, "inner.color: unknown key: use failure_threshold, note"),
        ({"inners": [{}, {"x": 1}]}, "inners.1.x: unknown key: use failure_threshold, note"),
    ],
)
def test_an_unknown_key_comes_with_the_nearest_or_all_known_ones_of_its_place(
    content: dict[str, Any], fault: str
) -> None:
    assert fault == named(content)


@pytest.mark.rule(15)
@pytest.mark.parametrize(
    ("content", "place"),
    [
        ({"contact_types": None}, "contact_types"),
        ({"contact_types": None, "color": None}, "contact_types, color"),
        ({"inner": {"note": None}}, "inner.note"),
    ],
)
def test_null_is_refused_because_it_would_mean_everything(
    content: dict[str, Any], place: str
) -> None:
    assert f"{place}: must not be null; omit an optional key instead" == named(content)


@pytest.mark.parametrize(
    "content",
    [
        {"contact_types": {"L": [{"S": "security"}]}},
        {"contact_types": {"SS": ["security"]}},
        {"color": {"S": "red"}, "inner": {"M": {"failure_threshold": {"N": "1"}}}},
        {"contact_types": {"NULL": True}},
        {"contact_types": [{"S": "security"}]},
        {"inner": {"failure_threshold": {"N": "1"}}},
    ],
)
def test_dynamodb_json_is_recognized(content: dict[str, Any]) -> None:
    assert (
        f"{next(iter(content))}: this is DynamoDB JSON, with a type for each value; "
        'use plain JSON, for example {"contact_types": ["security"]}'
    ) == named(content)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"inner": {"failure_threshold": "2"}}, "inner.failure_threshold: expected a whole number"),
        ({"inner": {"failure_threshold": 1.5}}, "inner.failure_threshold: expected a whole number"),
        ({"inner": {"failure_threshold": True}}, "failure_threshold: expected a whole number"),
        ({"inner": {"failure_threshold": 0}}, "inner.failure_threshold: must be at least 1"),
        ({"inner": {"failure_threshold": 10}}, "inner.failure_threshold: must be at most 9"),
        ({"inner": {"note": "long"}}, "inner.note: must have at most 3 characters"),
        ({"inner": []}, "inner: expected an object, in braces"),
        ({"contact_types": "billing"}, "contact_types: expected a list, in brackets"),
        ({"contact_types": []}, "must not be empty; omit an optional key to include all"),
        ({"excluded_accounts": [100000000001]}, "excluded_accounts.0: expected text, in quotes"),
        ({"excluded_accounts": ["1"]}, "expected an account ID: 12 digits, in quotes"),
    ],
)
def test_a_wrong_value_is_named_by_what_is_expected_instead(
    content: dict[str, Any], fault: str
) -> None:
    assert named(content).endswith(fault)


@pytest.mark.parametrize("other", [{}, {"S": 1, "N": 2}, {"failure_threshold": 1}])
def test_an_object_is_not_taken_for_dynamodb_json(other: dict[str, Any]) -> None:
    assert "DynamoDB" not in named({"inner": other, "x": 1})


def test_every_fault_is_named() -> None:
    found = named({"color": "green", "x": 1, "inner": {"note": "long"}}).split("; ")
    assert ["color", "inner.note", "x"] == sorted(one.partition(":")[0] for one in found)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("\x1b[2Jno\nte\x07", "?[2Jno?te?: "),
        ("\u202eeton", "?eton: "),
        ("k" * 60, f"{'k' * 60}: "),
        ("k" * 61, f"{'k' * 60}...: "),
    ],
)
@pytest.mark.parametrize("value", [1, None, {"S": "x"}])
def test_an_unknown_key_is_shown_as_harmless_text(key: str, expected: str, value: Any) -> None:
    assert named({key: value}).startswith(expected)


def test_a_value_is_repeated_by_neither_the_faults_nor_the_error() -> None:
    content = {"excluded_accounts": ["trials@example.com"]}
    with pytest.raises(ValidationError) as caught:
        Example.model_validate(content)
    shown = f"{faults(caught.value, Example, content)} {caught.value} {caught.value!r}"
    assert "trials@example.com" not in shown


@pytest.mark.parametrize(
    "account_id",
    [
        "",
        "10000000001",
        "1000000000011",
        " 10000000001",
        "100000000001\n",
        "10000000000a",
        ARABIC_DIGITS,
        WIDE_DIGITS,
        100000000001,
    ],
)
def test_what_is_no_account_id_is_refused(account_id: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Annotated[str, ACCOUNT_ID]).validate_python(account_id)


def test_a_model_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Example().color = "blue"  # type: ignore[misc]
