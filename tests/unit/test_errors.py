"""Every error has a name, a remedy and a next command."""

import pytest
from contact_sync import errors
from contact_sync.errors import SyncError, error_class, is_named, listed

NAMED = [
    one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, SyncError) and one is not SyncError
]
OF_THE_PLATFORM = ["Lambda.Unknown", "States.Timeout", "TRANSIENT", "SyncError", "Sequence", ""]


@pytest.mark.parametrize("error", NAMED)
def test_an_error_is_found_by_its_name(error: type[SyncError]) -> None:
    assert error.__name__.endswith("Error")
    assert error is error_class(error.__name__)
    assert is_named(error.__name__)


@pytest.mark.parametrize("name", OF_THE_PLATFORM)
def test_any_other_error_gets_the_general_remedy_and_is_not_ours(name: str) -> None:
    assert SyncError is error_class(name)
    assert not is_named(name)
    assert not is_named(None)


def test_every_error_that_operators_see_has_its_remedy_but_the_unspecific() -> None:
    without = {one.__name__ for one in NAMED if "remedy" not in vars(one)}
    assert {"ApiRefusedError", "RepeatAccountError"} == without


@pytest.mark.parametrize("error", [SyncError, *NAMED])
def test_a_command_can_be_filled_in(error: type[SyncError]) -> None:
    command = error.command.format(environment="prod", sync_id="run-1")
    assert command.startswith(("bash scripts/", "aws organizations "))
    assert "{" not in command


@pytest.mark.parametrize(
    ("count", "end"), [(1, "n0"), (20, "n19"), (21, "n19, and 1 more"), (50, "n19, and 30 more")]
)
def test_of_very_many_names_the_first_are_listed(count: int, end: str) -> None:
    assert listed([f"n{n}" for n in range(count)]).endswith(end)
