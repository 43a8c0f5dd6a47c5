"""What configuration and request share: strict models, and their faults without the input."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from contact_sync.contacts import ContactType
from contact_sync.errors import listed

# The longest key of ours has half as many.
MOST_CHARACTERS = 60


class StrictModel(BaseModel):
    """Unknown keys and wrong types are faults; a fault never repeats the input."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        hide_input_in_errors=True,
        defer_build=True,  # each action needs few of the models, and building them is slow
    )


def _contact_type(value: object) -> object:
    return next((name for name in ContactType if name == value), value)


AccountId = Annotated[str, Field(pattern=r"^[0-9]{12}$")]
OrganizationalUnitId = Annotated[str, Field(pattern=r"^ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}$")]
# Strict mode takes no plain string for an enum, and JSON has nothing else.
ContactTypeName = Annotated[ContactType, BeforeValidator(_contact_type)]


def faults(error: ValidationError) -> str:
    """Name each fault by its place, for example `contact_types.0: Input should be ...`."""
    return listed(
        [
            f"{'.'.join(_shown(part) for part in fault['loc']) or 'input'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False, include_context=False)
        ],
        "; ",
    )


def _shown(part: object) -> str:
    """Return a step of a fault's place; an unknown key is free text, which terminals would obey."""
    text = str(part)
    shown = "".join(c if c.isprintable() else "?" for c in text[:MOST_CHARACTERS])
    return shown if len(text) <= MOST_CHARACTERS else f"{shown}..."
