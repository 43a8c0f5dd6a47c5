"""Turns scans of the tables into files that BatchWriteItem takes as they are, and checks them.

Started by backup.sh and restore.sh. A page is the answer of one Scan. An item keeps DynamoDB's own
types from the page to the file, so nothing is converted on the way. What is wrong goes to standard
error, with keys at most, never an item.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

Json = dict[str, Any]

ITEMS_A_FILE = 25  # what BatchWriteItem takes
MANIFEST = "manifest.json"
# Who holds the lock and what is queued behind it would be untrue anywhere but in the running stack.
LOCK = {"S": "LOCK"}
SHOWN_KEYS = 5
_KEYS = ("config_key", "pk", "sk")


class BackupError(Exception):
    """What is there is no complete backup, or the tables do not agree with it."""


def items_of(pages: Path) -> Iterator[Json]:
    """Yield the items of all pages in a folder, without the lock."""
    for page in sorted(pages.iterdir()):
        yield from (item for item in json.loads(page.read_bytes())["Items"] if not _is_lock(item))


def pack_all(pages: Path, backup: Path, tables: dict[str, str]) -> None:
    """Write the files of all tables, and then the manifest, without which there is no backup."""
    packed = {name: pack(pages / name, backup, name, table) for name, table in tables.items()}
    manifest = {"created_at": datetime.now(UTC).isoformat(timespec="seconds"), "tables": packed}
    backup.joinpath(MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def pack(pages: Path, backup: Path, name: str, table: str) -> Json:
    """Write the table's items to files, and return what the manifest says of the table."""
    left = items_of(pages)
    files: list[str] = []
    count = 0
    while some := list(islice(left, ITEMS_A_FILE)):
        if any(_has_binary({"M": item}) for item in some):
            # Version 1 of the AWS CLI would write the base64 text, version 2 the bytes.
            raise BackupError(f"{table} has binary values, which cannot be restored exactly")
        number = f"-{len(files) + 1:05}" if files else ""
        files.append(f"{name}-table-backup{number}.json")
        requests = [{"PutRequest": {"Item": item}} for item in some]
        backup.joinpath(files[-1]).write_text(json.dumps({table: requests}, indent=1) + "\n")
        count += len(some)
    return {"table": table, "items": count, "files": files}


def check(backup: Path, tables: dict[str, str]) -> Json:
    """Return the manifest; raise unless every file is there, whole, and for these tables."""
    manifest = _manifest(backup, tables)
    for name, table in tables.items():
        entry = manifest[name]
        if entry["table"] != table:
            raise BackupError(f"{backup} is a backup of {entry['table']}, not of {table}")
        found = sum(len(_requests(backup / file, table)) for file in entry["files"])
        if found != entry["items"]:
            raise BackupError(f"{backup}: {found} items of {table}, but it had {entry['items']}")
    return manifest


def backed_up(backup: Path, entry: Json) -> Iterator[Json]:
    """Yield the items of one table in a backup that was checked."""
    for file in entry["files"]:
        for request in _requests(backup / file, entry["table"]):
            yield request["PutRequest"]["Item"]


def compare(pages: Path, backup: Path, entry: Json) -> int:
    """Raise unless the table has every item of the backup; return how many others it has."""
    held = {_key(item): item for item in items_of(pages)}
    count, missing, different = 0, [], []
    for item in backed_up(backup, entry):
        count += 1
        now = held.get(_key(item))
        if now is None:
            missing.append(_key(item))
        elif _normal({"M": now}) != _normal({"M": item}):
            different.append(_key(item))
    if missing or different:
        raise BackupError(
            f"{entry['table']} does not agree with the backup: of {count} items "
            f"{len(missing)} are missing and {len(different)} differ: {_some(missing + different)}"
        )
    return len(held) - count


def _manifest(backup: Path, names: Iterable[str]) -> Json:
    try:
        tables = json.loads(backup.joinpath(MANIFEST).read_bytes())["tables"]
        wanted = ("table", "items", "files")
        return {name: {part: tables[name][part] for part in wanted} for name in names}
    except (FileNotFoundError, NotADirectoryError):
        raise BackupError(f"{backup} holds no backup: it has no {MANIFEST}") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise BackupError(f"{backup}/{MANIFEST} is not readable") from None


def _requests(file: Path, table: str) -> list[Json]:
    try:
        content = json.loads(file.read_bytes())
        requests: list[Json] = content[table]
        items = [request["PutRequest"]["Item"] for request in requests]
    except OSError as error:
        raise BackupError(f"{file}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise BackupError(f"{file} is no request to write items of {table}") from None
    if len(content) != 1 or not 1 <= len(items) <= ITEMS_A_FILE:
        raise BackupError(f"{file} is no request to write 1 to {ITEMS_A_FILE} items of {table}")
    if any(_is_lock(item) for item in items):
        raise BackupError(f"{file} has the lock, which must not be restored")
    return requests


def _is_lock(item: Json) -> bool:
    return item.get("pk") == LOCK


def _has_binary(value: Json) -> bool:
    """Tell whether an attribute value has bytes anywhere in it."""
    ((kind, content),) = value.items()
    if kind not in ("L", "M"):
        return kind in ("B", "BS")
    return any(_has_binary(part) for part in (content if kind == "L" else content.values()))


def _key(item: Json) -> str:
    return " ".join(item[name]["S"] for name in _KEYS if name in item)


def _normal(value: Json) -> Json:
    """Return an attribute value with its sets in one order, which DynamoDB does not keep."""
    ((kind, content),) = value.items()
    if kind == "L":
        return {kind: [_normal(part) for part in content]}
    if kind == "M":
        return {kind: {name: _normal(part) for name, part in content.items()}}
    return {kind: sorted(content) if kind in ("SS", "NS") else content}


def _some(keys: list[str]) -> str:
    shown = ", ".join(keys[:SHOWN_KEYS])
    return shown if len(keys) <= SHOWN_KEYS else f"{shown}, ..."


def _count(number: int) -> str:
    return "1 item" if number == 1 else f"{number} items"


def _next_key(arguments: argparse.Namespace) -> None:
    """Print where the next page begins, nothing if the page is the last one."""
    if key := json.loads(arguments.page.read_bytes()).get("LastEvaluatedKey"):
        print(json.dumps(key))


def _pack(arguments: argparse.Namespace) -> None:
    pack_all(arguments.pages, arguments.backup, arguments.tables)
    _check(arguments)


def _check(arguments: argparse.Namespace) -> None:
    for entry in check(arguments.backup, arguments.tables).values():
        print(f"{entry['table']}: {_count(entry['items'])} in {len(entry['files'])} files")


def _files(arguments: argparse.Namespace) -> None:
    """Print the files in the order of their restoration: the configuration lets runs begin."""
    manifest = check(arguments.backup, arguments.tables)
    for name in reversed(arguments.tables):
        for file in manifest[name]["files"]:
            print(arguments.backup / file)


def _compare(arguments: argparse.Namespace) -> None:
    for name, entry in check(arguments.backup, arguments.tables).items():
        others = compare(arguments.pages / name, arguments.backup, entry)
        more = f"; {_count(others)} more that the backup does not have" if others else ""
        print(f"{entry['table']}: {_count(entry['items'])} as in the backup{more}")


def _arguments(values: Iterable[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)

    def add(name: str, does: Callable[[argparse.Namespace], None], *paths: str) -> None:
        command = commands.add_parser(name)
        command.set_defaults(does=does)
        for path in paths:
            command.add_argument(path, type=Path)
        if "backup" in paths:
            command.add_argument("config")
            command.add_argument("state")

    add("next-key", _next_key, "page")
    add("pack", _pack, "pages", "backup")
    add("check", _check, "backup")
    add("files", _files, "backup")
    add("compare", _compare, "pages", "backup")
    arguments = parser.parse_args(list(values))
    if "backup" in arguments:
        arguments.tables = {"config": arguments.config, "state": arguments.state}
    return arguments


def main() -> None:
    """Do what the arguments say; exit with 1 and what is wrong."""
    arguments = _arguments(sys.argv[1:])
    try:
        arguments.does(arguments)
    except BackupError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
