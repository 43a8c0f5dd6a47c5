"""The words after a `config` command: a file, IDs, or a command for the address book."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import NoReturn

from operate.options import account_id, unit_id

CONTACTS = ("show", "validate", "apply")

Wrong = Callable[[str], NoReturn]


def checked_words(command: str, words: list[str], wrong: Wrong) -> list[str]:
    """Return the file or the IDs; call `wrong` if they do not fit the command."""
    if command in ("show", "history") and words:
        wrong(f"unexpected: {words[0]}")
    if command in ("apply", "validate") and len(words) != 1:
        wrong(f"{command} needs one file")
    if command == "contacts":
        _check_contacts(words, wrong)
    if command == "explain":
        if len(words) != 1:
            wrong("explain needs the ID of one account")
        _check_ids(words, account_id, wrong)
    if command in ("exclude", "include"):
        words = [one for word in words for one in word.split(",") if one]
        if not words:
            wrong(f"{command} needs the ID of an account or organizational unit")
        _check_ids(words, _account_or_unit, wrong)
    return words


def _check_contacts(words: list[str], wrong: Wrong) -> None:
    wanted = 1 if words[:1] == ["show"] else len(("apply", "FILE"))
    if not words or words[0] not in CONTACTS or len(words) != wanted:
        wrong("contacts needs show, validate FILE or apply FILE")


def _check_ids(ids: list[str], check: Callable[[str], str], wrong: Wrong) -> None:
    for one in ids:
        try:
            check(one)
        except ArgumentTypeError as error:
            wrong(str(error))


def _account_or_unit(given: str) -> str:
    return (unit_id if given.startswith("ou-") else account_id)(given)
