"""The files of a backup: items as BatchWriteItem requests, and the stack's parameters and tags.

Items keep DynamoDB's types in the files, so that nothing is converted. Lock, queue and time slots
are left out: they apply only to the running stack.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from contact_sync.aws.lock_table import LockTable

from operate.console import OperateError
from operate.stacks import Stack

Json = dict[str, Any]

ITEMS_A_FILE = 25  # what BatchWriteItem takes
MANIFEST = "manifest.json"
# For `deploy.sh --restore`; older backups do not have them.
PARAMETERS, TAGS = "parameters.json", "tags.json"
LOCK, SLOTS = {"S": "LOCK"}, {"S": "SLOTS"}


def table_names(stack: Stack) -> dict[str, str]:
    """Return the names of the configuration table and the state table."""
    return {"config": stack.output("ConfigTableName"), "state": stack.output("StateTableName")}


def read_table(stack: Stack, table: str) -> Iterator[Json]:
    """Yield the items of a table, except those of runs in progress."""
    pages = stack.aws.client("dynamodb").get_paginator("scan")
    for page in pages.paginate(TableName=table, ConsistentRead=True):
        yield from (item for item in page["Items"] if not _is_of_running(item))


def lock_holder(stack: Stack) -> str | None:
    """Return the execution that holds the lock, None if there is none."""
    client = stack.aws.client("dynamodb")
    return LockTable(client, stack.output("StateTableName")).read().holder


def write_backup(stack: Stack, folder: Path) -> None:
    """Write all files; the manifest last, without which a backup is incomplete."""
    packed = {
        name: pack(read_table(stack, table), folder, name, table)
        for name, table in table_names(stack).items()
    }
    _write(folder / PARAMETERS, stack.parameters)
    _write(folder / TAGS, stack.tags)
    created_at = datetime.now(UTC).isoformat(timespec="seconds")
    _write(folder / MANIFEST, {"created_at": created_at, "tables": packed})


def pack(items: Iterable[Json], folder: Path, name: str, table: str) -> Json:
    """Write a table's items to files; return the table's entry in the manifest."""
    left, count = iter(items), 0
    files: list[str] = []
    while some := list(islice(left, ITEMS_A_FILE)):
        number = f"-{len(files) + 1:05}" if files else ""
        files.append(f"{name}-table-backup{number}.json")
        _write(folder / files[-1], {table: [{"PutRequest": {"Item": item}} for item in some]})
        count += len(some)
    return {"table": table, "items": count, "files": files}


def check(folder: Path, tables: Mapping[str, str]) -> dict[str, Json]:
    """Return the manifest; raise unless every file is complete and for these tables."""
    try:
        manifest = json.loads(folder.joinpath(MANIFEST).read_bytes())["tables"]
        entries = {
            name: {part: manifest[name][part] for part in ("table", "items", "files")}
            for name in tables
        }
    except (FileNotFoundError, NotADirectoryError):
        raise OperateError(f"{folder} is not a backup: it has no {MANIFEST}") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise OperateError(f"{folder}/{MANIFEST} is damaged or cannot be read") from None
    for name, table in tables.items():
        entry = entries[name]
        if entry["table"] != table:
            raise OperateError(f"{folder} is a backup of {entry['table']}, not of {table}")
        found = sum(len(requests_of(folder / file, table)) for file in entry["files"])
        if found != entry["items"]:
            raise OperateError(
                f"{folder} is incomplete: {found} items of {table}, expected {entry['items']}"
            )
    return entries


def check_origin(folder: Path, organization: str | None) -> None:
    """Raise if the backup is of another organization, as far as older releases say of which."""
    try:
        origin = json.loads((folder / PARAMETERS).read_bytes())["OrganizationId"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if organization and origin != organization:
        raise OperateError(
            f"{folder} is a backup of organization {origin}, not of {organization}, so that its "
            "exclusions and overrides are for other accounts; nothing was changed"
        )


def has_contacts(folder: Path) -> bool:
    """Return whether the backup has the address book or replaced versions of it."""
    files = folder.glob("config-table-backup*.json")
    items = [
        request["PutRequest"]["Item"]["config_key"]["S"]
        for file in files
        for some in json.loads(file.read_bytes()).values()
        for request in some
    ]
    return any(key == "contacts" or key.startswith("replaced#contacts#") for key in items)


def requests_of(file: Path, table: str) -> list[Json]:
    """Return the requests in a file; raise unless BatchWriteItem would accept it."""
    try:
        content = json.loads(file.read_bytes())
        requests: list[Json] = content[table]
        items = [dict(request["PutRequest"]["Item"]) for request in requests]
    except OSError as error:
        raise OperateError(f"{file}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise OperateError(f"{file} is not a request to write items of {table}") from None
    if len(content) != 1 or not 1 <= len(items) <= ITEMS_A_FILE:
        raise OperateError(f"{file} is not a request to write 1 to {ITEMS_A_FILE} items of {table}")
    if any(_is_of_running(item) for item in items):
        raise OperateError(
            f"{file} has items of a running stack (lock, queue or time slots), which must not be "
            "restored: remove them"
        )
    return requests


def told(manifest: Mapping[str, Json]) -> str:
    """Return a line per table with the numbers of items and files."""
    return "\n".join(
        f"{entry['table']}: {entry['items']} items in {len(entry['files'])} files"
        for entry in manifest.values()
    )


def _write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=1, default=_refuse_binary) + "\n")


def _refuse_binary(_: object) -> NoReturn:
    # Version 1 of the AWS CLI would restore the base64 text, version 2 the bytes.
    raise OperateError("a table has binary values, which cannot be restored exactly")


def _is_of_running(item: Json) -> bool:
    """Return whether the item belongs to runs in progress: lock, queue or time slots."""
    return item.get("pk") in (LOCK, SLOTS)
