"""What the remaining bash scripts say of the AWS CLI's errors, until they are Python as well."""

import shlex

import pytest
from support.cli import source


@pytest.mark.parametrize(
    ("told", "explained"),
    [
        ("An error (ExpiredToken) occurred: The token is old", "are expired or invalid"),
        ("Error when retrieving token from sso: Token has expired", "sign in again"),
        ("An error (UnrecognizedClientException) occurred", "sign in again"),
        ("User: x is not authorized to perform: states:StartExecution", "do not suffice"),
        ("Could not connect to the endpoint URL: x", "AWS cannot be reached"),
        ("warning: old\n\nAn error (Throttling) occurred\n", "An error (Throttling) occurred"),
        ("", "did not say why"),
    ],
)
def test_errors_are_one_line(told: str, explained: str) -> None:
    """What the AWS CLI says of an error becomes a line with what to do."""
    result = source(f"explain_aws_error {shlex.quote(told)}")

    (line,) = result.stdout.splitlines()
    assert explained in line


def test_the_cli_is_pinned_for_the_tests() -> None:
    """The environment that `ensure_aws_environment` makes is a group of pyproject.toml."""
    commands = 'ensure_environment() { printf "%s\\n" "$@"; }; ensure_aws_environment'

    folder, option, group = source(commands).stdout.splitlines()

    assert folder.endswith("/.build/aws")
    assert "--group" == option
    assert group.endswith("pyproject.toml:aws")
