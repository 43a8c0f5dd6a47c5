"""Writes a backup into the tables of a deployed stack: scripts/restore.sh."""

import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from operate.aws import open_aws
from operate.backup import DEFAULT
from operate.backup_files import (
    Json,
    check,
    has_contacts,
    lock_holder,
    requests_of,
    table_names,
    told,
)
from operate.console import OK, OperateError, confirm, note, out
from operate.options import Parser, text
from operate.stacks import Stack, get_stack

MOST_ATTEMPTS = 8
PROGRESS_FILES = 100

EPILOG = """\
What the tables have besides stays. It can be repeated.

exit codes:
  0  all of the backup is written
  1  it is not, or not all
  2  wrong options

examples:
  scripts/restore.sh --environment prod
  scripts/restore.sh --environment prod --input backup-20260101T000000Z --yes
"""


def parser() -> Parser:
    """Return the options."""
    made = Parser("restore", "Write a backup into the tables of a deployed stack.", EPILOG)
    made.yes()
    made.value("--input", text, "DIR", "the folder that backup.sh wrote (backup)")
    return made


def run(options: Namespace) -> int:
    """Restore; return the exit code."""
    folder = _folder(options.input)
    stack = get_stack(open_aws(options), options.environment)
    tables = table_names(stack)
    manifest = check(folder, tables)
    note(told(manifest))
    if has_contacts(folder):
        note(f"{folder} has the address book: keep it confidential")
    if holder := lock_holder(stack):
        # It would go on with what it read before, and write over what is restored.
        raise OperateError(
            f"execution {holder} is under way; nothing was written: wait for its end, or stop it"
        )
    question = "Write this over the items of the same keys?"
    confirm(question, stack.aws.where(stack.name), yes=options.yes)
    try:
        # The configuration comes last: it lets runs begin.
        for name in reversed(tables):
            _write(stack, folder, manifest[name])
    except KeyboardInterrupt:
        note("Part of the backup is written; run this again to write all of it.")
        raise
    out(f"restored: {folder}")
    return OK


def _folder(given: str | None) -> Path:
    """Return the backup to restore; raise where it is not clear which one is meant."""
    others = sorted(str(path) for path in Path().glob(f"{DEFAULT}-*Z"))
    if given is None and others:
        named = ", ".join([str(DEFAULT), *others])
        raise OperateError(f"there are several backups here: name one with --input: {named}")
    return Path(given) if given else DEFAULT


def _write(stack: Stack, folder: Path, entry: Json) -> None:
    for number, file in enumerate(entry["files"], 1):
        _write_file(stack.aws.client("dynamodb"), folder / file, entry["table"])
        if number % PROGRESS_FILES == 0:
            note(f"{number} of {len(entry['files'])} files written")


def _write_file(dynamodb: Any, file: Path, table: str) -> None:
    """Write the items of a file; DynamoDB answers with those that it was too busy for."""
    left: Json = {table: requests_of(file, table)}
    for attempt in range(1, MOST_ATTEMPTS + 1):
        left = dynamodb.batch_write_item(RequestItems=left).get("UnprocessedItems", {})
        if not left:
            return
        time.sleep(attempt)
    raise OperateError(
        f"DynamoDB left items of {file} unwritten {MOST_ATTEMPTS} times: restore again later"
    )
