"""Checks and changes the configuration item, by the same rules as the run's own.

Started by config.sh and validate.sh with the functions on Python's path. Reads the item from
standard input, as the table holds it (`null` where there is none); what is shown goes to standard
output, what is wrong to standard error.
"""

import argparse
import difflib
import json
import sys
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

from contact_sync.aws.items import from_item, to_item
from contact_sync.config import CONFIG_KEY, SyncConfig, parse_config
from contact_sync.errors import InvalidConfigError

Json = dict[str, Any]

ACCOUNTS, UNITS = "excluded_accounts", "excluded_organizational_units"
REQUEST_FILE, UNITS_FILE = "request.json", "units"


class InvalidFileError(Exception):
    """The file holds no configuration."""


def read_file(path: Path) -> Json:
    """Return the configuration item in a file, in DynamoDB's typed form; raise if it is broken."""
    try:
        values = json.loads(
            path.read_bytes(),
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_without_duplicates,
        )
    except OSError as error:
        raise InvalidFileError(str(error.strerror)) from None
    except json.JSONDecodeError as error:
        raise InvalidFileError(f"no JSON: {error}") from None
    except UnicodeDecodeError:
        raise InvalidFileError("no JSON: not in UTF-8") from None
    if not isinstance(values, dict):
        raise InvalidFileError("no JSON object")
    if values.setdefault("config_key", CONFIG_KEY) != CONFIG_KEY:
        raise InvalidFileError(f"config_key: only `{CONFIG_KEY}` is ever read")
    try:
        item = to_item(values)
    except ArithmeticError:
        raise InvalidFileError("a number has more digits than DynamoDB keeps") from None
    parse_config(from_item(item))
    return item


def with_exclusions(item: Json, ids: Iterable[str], *, excluded: bool) -> Json:
    """Return the item with these accounts and organizational units excluded, or no longer."""
    values = from_item(item)
    changed = dict(item)
    for name, some in _by_list(ids).items():
        before = list(values.get(name, []))
        after = [one for one in before if one not in some]
        if excluded:
            after = before + [one for one in some if one not in before]
        if after != before:
            changed |= to_item({name: after})
    return changed


def shown(item: Json | None) -> str:
    """Return the item as a file of it looks, its keys in one order."""
    if item is None:
        return ""
    values = from_item(item)
    order = ["config_key", *SyncConfig.model_fields]
    names = [name for name in order if name in values]
    names += sorted(values.keys() - set(order))
    return json.dumps({name: values[name] for name in names}, indent=2, default=str) + "\n"


def difference(old: Json | None, new: Json, table: str) -> str:
    """Return what writing the new item would change."""
    before, after = (shown(one).splitlines(keepends=True) for one in (old, new))
    return "".join(difflib.unified_diff(before, after, f"{table} now", f"{table} then"))


def request(table: str, old: Json | None, new: Json) -> Json:
    """Return the PutItem that writes the new item, only if the table still holds the old one."""
    if old is None:
        unchanged = {"ConditionExpression": "attribute_not_exists(config_key)"}
        return {"TableName": table, "Item": new, **unchanged}
    names = dict(enumerate(sorted(old.keys() | SyncConfig.model_fields.keys())))
    terms = [
        f"#n{n} = :v{n}" if name in old else f"attribute_not_exists(#n{n})"
        for n, name in names.items()
    ]
    return {
        "TableName": table,
        "Item": new,
        "ConditionExpression": " AND ".join(terms),
        "ExpressionAttributeNames": {f"#n{n}": name for n, name in names.items()},
        "ExpressionAttributeValues": {
            f":v{n}": old[name] for n, name in names.items() if name in old
        },
    }


def _by_list(ids: Iterable[str]) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {ACCOUNTS: [], UNITS: []}
    for one in dict.fromkeys(ids):
        lists[UNITS if one.startswith("ou-") else ACCOUNTS].append(one)
    return lists


def _without_duplicates(pairs: list[tuple[str, Any]]) -> Json:
    # JSON's readers keep the last of them; which one was meant, nobody knows.
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InvalidFileError(f"more than once: {', '.join(twice)}")
    return values


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidFileError(f"{name} is no JSON")


def _show(item: Json | None) -> None:
    sys.stdout.write(shown(item))
    parse_config(from_item(item) if item else None)


def _plan(arguments: argparse.Namespace, item: Json | None) -> None:
    """Show the difference, and leave the request and the units to look up in the folder."""
    if arguments.command == "apply":
        new = read_file(arguments.file)
    else:
        parse_config(from_item(item) if item else None)
        excluded = arguments.command == "exclude"
        new = with_exclusions(item or {}, arguments.ids, excluded=excluded)
    if shown(item) == shown(new):
        return
    config = parse_config(from_item(new))
    sys.stdout.write(difference(item, new, arguments.table))
    folder: Path = arguments.folder
    folder.joinpath(UNITS_FILE).write_text(
        "".join(f"{unit}\n" for unit in dict.fromkeys(config.excluded_organizational_units))
    )
    folder.joinpath(REQUEST_FILE).write_text(json.dumps(request(arguments.table, item, new)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("show")
    commands.add_parser("validate").add_argument("file", type=Path)
    for name in ("apply", "exclude", "include"):
        command = commands.add_parser(name)
        command.add_argument("table")
        command.add_argument("folder", type=Path)
        if name == "apply":
            command.add_argument("file", type=Path)
        else:
            command.add_argument("ids", nargs="+")
    return parser.parse_args()


def _stored() -> Json | None:
    item: Mapping[str, Any] | None = json.load(sys.stdin)
    return dict(item) if item else None


def main() -> None:
    """Do what the arguments say; exit with 1 and the faults where something is broken."""
    arguments = _arguments()
    try:
        if arguments.command == "validate":
            read_file(arguments.file)
        elif arguments.command == "show":
            _show(_stored())
        else:
            _plan(arguments, _stored())
    except InvalidFileError as error:
        sys.exit(f"error: {arguments.file}: {error}")
    except InvalidConfigError as error:
        where = f"{arguments.file}: " if "file" in arguments else ""
        sys.exit(f"error: {where}{error}")


if __name__ == "__main__":
    main()
