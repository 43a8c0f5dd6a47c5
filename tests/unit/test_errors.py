"""Every error has a name and a remedy."""

import pytest
from contact_sync import errors
from contact_sync.errors import SyncError, remedy_for

NAMED = [
    one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, SyncError) and one is not SyncError
]


@pytest.mark.parametrize("error", NAMED)
def test_an_errors_remedy_is_found_by_its_name(error: type[SyncError]) -> None:
    assert error.__name__.endswith("Error")
    assert error.remedy == remedy_for(error.__name__)


def test_every_error_but_the_unspecific_has_a_remedy_of_its_own() -> None:
    without = {one.__name__ for one in NAMED if "remedy" not in vars(one)}
    assert {"ApiRefusedError"} == without


@pytest.mark.parametrize("name", ["Lambda.Unknown", "States.Timeout", "TRANSIENT", "SyncError"])
def test_any_other_error_gets_the_general_remedy(name: str) -> None:
    assert SyncError.remedy == remedy_for(name)


def test_only_errors_that_pass_by_themselves_are_transient() -> None:
    assert {"ThrottledError", "ServiceUnavailableError"} == {
        one.__name__ for one in errors.TRANSIENT
    }
