"""Faults are named by their place, never by the input."""

import pytest
from contact_sync.validation import ContactTypeName, StrictModel, faults
from pydantic import Field, ValidationError


class Example(StrictModel):
    types: list[ContactTypeName] = Field(default_factory=list)
    note: str = ""


def fault_of(values: object) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Example.model_validate(values)
    return caught.value


def test_a_fault_is_named_by_its_place() -> None:
    assert faults(fault_of({"types": ["billing", "x"]})).startswith("types.1: Input should be ")


def test_a_fault_of_the_whole_is_called_input() -> None:
    assert faults(fault_of("nothing")).startswith("input: ")


def test_faults_are_joined() -> None:
    assert 2 == len(faults(fault_of({"note": 1, "other": 2})).split("; "))


def test_faults_are_parted_by_a_semicolon() -> None:
    first, second = faults(fault_of({"note": 1, "other": 2})).split("; ")
    assert (first.startswith("note: "), second.startswith("other: ")) == (True, True)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("\x1b[2Jno\nte\x07", "?[2Jno?te?: "),
        ("\u202eeton", "?eton: "),
        ("k" * 60, f"{'k' * 60}: "),
        ("k" * 61, f"{'k' * 60}...: "),
    ],
)
def test_an_unknown_key_is_shown_as_harmless_text(key: str, expected: str) -> None:
    assert faults(fault_of({key: 1})).startswith(expected)


def test_of_very_many_faults_the_first_are_named() -> None:
    named = faults(fault_of({f"key-{n}": 1 for n in range(25)})).split("; ")
    assert [f"key-{n}" for n in range(20)] == [one.partition(":")[0] for one in named[:-1]]
    assert "and 5 more" == named[-1]


def test_the_input_is_repeated_by_neither_the_faults_nor_the_error() -> None:
    error = fault_of({"types": ["trials@example.com"]})
    assert "trials@example.com" not in f"{faults(error)} {error} {error!r}"


def test_a_model_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Example().note = "other"  # type: ignore[misc]
