"""Options that commands share, each defined once, and how all of them are read."""

import argparse
import re
from argparse import Action, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from contact_sync.contacts import ContactType

from operate.console import WRONG_OPTIONS, note

ENVIRONMENTS = ("dev", "staging", "prod")


class Parser(argparse.ArgumentParser):
    """Options of one command: a fault on stderr with the usage, exit code 2, no abbreviations."""

    def __init__(self, command: str, description: str, epilog: str) -> None:
        super().__init__(
            prog=f"scripts/{command}.sh",
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def read(self, arguments: Sequence[str]) -> Namespace:
        """Return the options; exit with 2 where one is unknown or wrong."""
        options, left = self.parse_known_intermixed_args(arguments)
        if left:
            self.error(f"unknown option: {left[0]}. All options are in --help")
        return options

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, then how the command is used."""
        told = re.sub(r"^argument |^the following arguments are required: ", "", message)
        if told != message and not message.startswith("argument"):
            told += " is required"
        note(f"error: {re.sub(r': expected .* arguments?$', ' needs a value', told)}\n")
        note(self.format_usage().rstrip())
        raise SystemExit(WRONG_OPTIONS)


def add_where(parser: Parser, *, required: bool = True) -> None:
    """Add the options that every command has: which environment, where, and signed in as whom."""
    parser.add_argument(
        "--environment",
        required=required,
        type=one_of("environment", ENVIRONMENTS),
        metavar="ENV",
        help="dev, staging or prod",
    )
    parser.add_argument(
        "--region", type=region, metavar="R", help="region of the stack (the profile's own)"
    )
    parser.add_argument("--profile", type=text, metavar="P", help="AWS profile to sign in with")


def add_yes(parser: Parser) -> None:
    """Add `--yes`, which the deployment guide also calls `--force`."""
    parser.add_argument("--yes", "--force", action="store_true", help="do not ask")


def add_json(parser: Parser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print one JSON document to stdout")


def add_list(parser: Parser, name: str, check: Callable[[str], str], **more: Any) -> None:
    """Add an option that takes several values, with commas or spaces, and can be repeated."""
    parser.add_argument(name, action=_Extend, nargs="+", default=[], type=check_all(check), **more)


class _Extend(Action):
    """Adds the values to those given before, each once."""

    def __call__(
        self, _: Any, namespace: Namespace, values: Any, option_string: str | None = None
    ) -> None:
        del option_string
        before = getattr(namespace, self.dest) or []
        given = [one for some in values for one in some]
        setattr(namespace, self.dest, list(dict.fromkeys([*before, *given])))


# What a value must look like; each message names the value and what is allowed.


def check_all(check: Callable[[str], str]) -> Callable[[str], list[str]]:
    """Return a check of values with commas between them."""

    def checked(given: str) -> list[str]:
        return [check(one) for one in given.split(",") if one] or [check(given)]

    return checked


def one_of(what: str, allowed: Sequence[str]) -> Callable[[str], str]:
    """Return a check that a value is one of those allowed."""

    def checked(given: str) -> str:
        if given not in allowed:
            names = f"{', '.join(allowed[:-1])} or {allowed[-1]}"
            raise ArgumentTypeError(f"unknown {what} '{given}': use {names}")
        return given

    return checked


def matching(what: str, pattern: str, expected: str) -> Callable[[str], str]:
    """Return a check that a value has the form that is expected."""

    def checked(given: str) -> str:
        if not re.fullmatch(pattern, given):
            raise ArgumentTypeError(f"invalid {what} '{given}': expected {expected}")
        return given

    return checked


def text(given: str) -> str:
    """Return the value; an empty one is none."""
    if not given:
        raise ArgumentTypeError("needs a value")
    return given


contact_type = one_of("contact type", [str(name) for name in ContactType])
account_id = matching("account ID", r"[0-9]{12}", "12 digits")
unit_id = matching(
    "organizational unit", r"ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}", "an ID such as ou-ab12-cdefgh34"
)
region = matching("region", r"[a-z]{2,}(-[a-z]+)+-[0-9]+", "one such as us-east-1")
execution_name = matching(
    "execution name", r"[0-9A-Za-z_-]{1,80}", "the name that resync.sh prints, or the console shows"
)
