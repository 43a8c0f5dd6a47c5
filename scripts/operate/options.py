"""Options that commands share, and the parser of all commands."""

import argparse
import re
from argparse import Action, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from contact_sync.accounts import EXECUTION_NAME
from contact_sync.contacts import ContactType

from operate.console import WRONG_OPTIONS, note

ENVIRONMENTS = ("dev", "staging", "prod")


class Parser(argparse.ArgumentParser):
    """Options of one command; every command has --environment, --region and --profile.

    A wrong option prints the error and the usage to stderr, and exits with 2. Options cannot be
    abbreviated.
    """

    def __init__(self, command: str, description: str, epilog: str, **environment: Any) -> None:
        super().__init__(
            prog=f"scripts/{command}.sh",
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        named = one_of("environment", ENVIRONMENTS)
        needed = {"required": True} | environment
        self.value("--environment", named, "ENV", "dev, staging or prod", **needed)
        self.value("--region", region, "R", "region of the stack (default: the profile's)")
        self.value("--profile", text, "P", "AWS profile to sign in with")

    def value(
        self, name: str, check: Callable[[str], Any], shown: str, meaning: str, **more: Any
    ) -> None:
        """Add an option with a value."""
        self.add_argument(name, type=check, metavar=shown, help=meaning, **more)

    def values(self, name: str, check: Callable[[str], str], shown: str, meaning: str) -> None:
        """Add a repeatable option that takes values separated by commas or spaces."""
        more: Any = {"action": _Extend, "nargs": "+", "default": []}
        self.value(name, check_all(check), shown, meaning, **more)

    def flag(self, *names: str, meaning: str) -> None:
        """Add an option without a value."""
        self.add_argument(*names, action="store_true", help=meaning)

    def yes(self) -> None:
        """Add `--yes`, which the deployment guide also calls `--force`."""
        self.flag("--yes", "--force", meaning="do not ask")

    def json(self) -> None:
        """Add `--json`."""
        self.flag("--json", meaning="print one JSON document to stdout")

    def read(self, arguments: Sequence[str]) -> Namespace:
        """Return the options; exit with 2 if one is unknown or wrong."""
        options, left = self.parse_known_intermixed_args(arguments)
        if left:
            self.error(f"unknown option: {left[0]}. --help lists all options")
        return options

    def error(self, message: str) -> NoReturn:
        """Print what is wrong, then the usage, and exit."""
        told = re.sub(r"^argument |^the following arguments are required: ", "", message)
        if told != message and not message.startswith("argument"):
            told += " is required"
        note(f"error: {re.sub(r': expected .* arguments?$', ' needs a value', told)}\n")
        note(self.format_usage().rstrip())
        raise SystemExit(WRONG_OPTIONS)


class _Extend(Action):
    """Adds the values to those given before, each once."""

    def __call__(
        self, _: Any, namespace: Namespace, values: Any, option_string: str | None = None
    ) -> None:
        del option_string
        before = getattr(namespace, self.dest) or []
        given = [one for some in values for one in some]
        setattr(namespace, self.dest, list(dict.fromkeys([*before, *given])))


# Checks of values; each message names the value and what is allowed.


def check_all(check: Callable[[str], str]) -> Callable[[str], list[str]]:
    """Return a check of comma-separated values."""

    def checked(given: str) -> list[str]:
        return [check(one.strip()) for one in given.split(",") if one.strip()] or [check(given)]

    return checked


def one_of(what: str, allowed: Sequence[str]) -> Callable[[str], str]:
    """Return a check that a value is one of the allowed ones."""

    def checked(given: str) -> str:
        if given not in allowed:
            names = f"{', '.join(allowed[:-1])} or {allowed[-1]}"
            raise ArgumentTypeError(f"unknown {what} '{given}': use {names}")
        return given

    return checked


def matching(what: str, pattern: str, expected: str) -> Callable[[str], str]:
    """Return a check that a value matches the pattern."""

    def checked(given: str) -> str:
        if not re.fullmatch(pattern, given):
            raise ArgumentTypeError(f"invalid {what} '{given}': expected {expected}")
        return given

    return checked


def text(given: str) -> str:
    """Return the value, which must not be empty."""
    if not given:
        raise ArgumentTypeError("needs a value")
    return given


contact_type = one_of("contact type", [str(name) for name in ContactType])
account_id = matching("account ID", r"[0-9]{12}", "12 digits")
unit_id = matching(
    "organizational unit", r"ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}", "an ID such as ou-ab12-cdefgh34"
)
region = matching("region", r"[a-z]{2,}(-[a-z]+)+-[0-9]+", "one such as us-east-1")


def execution_name(given: str) -> str:
    """Return the execution's name, also from its ARN, which messages show."""
    name = given.rpartition(":")[2] if given.startswith("arn:") else given
    expected = "the name or ARN that resync.sh prints, or a message or the console shows"
    return matching("execution name", EXECUTION_NAME.regex, expected)(name)
