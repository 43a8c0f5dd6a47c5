"""Writes a backup into the tables of a deployed stack: scripts/restore.sh."""

import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from operate.aws import FAILURES, open_aws
from operate.backup import DEFAULT
from operate.backup_files import (
    Json,
    check,
    check_origin,
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
Items that the backup does not have stay as they are. You can repeat the command.

exit codes:
  0  the whole backup is written
  1  nothing or only part of it is written
  2  wrong options

examples:
  scripts/restore.sh --environment prod
  scripts/restore.sh --environment prod --input backup-20260101T000000Z --yes
"""


def parser() -> Parser:
    """Return the options."""
    made = Parser("restore", "Write a backup into the tables of a deployed stack.", EPILOG)
    made.yes()
    made.value("--input", text, "DIR", "folder that backup.sh wrote (default: backup)")
    return made


def run(options: Namespace) -> int:
    """Restore; return the exit code."""
    folder = _folder(options.input)
    stack = get_stack(open_aws(options), options.environment)
    tables = table_names(stack)
    manifest = check(folder, tables)
    check_origin(folder, stack.parameters.get("OrganizationId"))
    note(told(manifest))
    if has_contacts(folder):
        note(f"{folder} includes the address book: keep it confidential")
    if holder := lock_holder(stack):
        # It would continue with what it has read, and overwrite restored items.
        raise OperateError(
            f"execution {holder} is in progress; nothing was written: wait or stop it, then restore"
        )
    question = "Overwrite the items with the same keys?"
    confirm(question, stack.aws.where(stack.name), yes=options.yes)
    try:
        # The configuration comes last, because runs need it to begin.
        for name in reversed(tables):
            _write(stack, folder, manifest[name])
    except (KeyboardInterrupt, *FAILURES):
        note("Not all of the backup is written; run this command again to write all of it.")
        raise
    out(f"restored: {folder}")
    return OK


def _folder(given: str | None) -> Path:
    """Return the backup to restore; raise if there are several and none is named."""
    others = sorted(str(path) for path in Path().glob(f"{DEFAULT}-*Z"))
    if given is None and others:
        named = ", ".join([str(DEFAULT), *others])
        raise OperateError(f"there are several backups here: choose one with --input: {named}")
    return Path(given) if given else DEFAULT


def _write(stack: Stack, folder: Path, entry: Json) -> None:
    for number, file in enumerate(entry["files"], 1):
        _write_file(stack.aws.client("dynamodb"), folder / file, entry["table"])
        if number % PROGRESS_FILES == 0:
            note(f"{number} of {len(entry['files'])} files written")


def _write_file(dynamodb: Any, file: Path, table: str) -> None:
    """Write the items of a file, and repeat those that DynamoDB leaves unprocessed."""
    left: Json = {table: requests_of(file, table)}
    for attempt in range(1, MOST_ATTEMPTS + 1):
        left = dynamodb.batch_write_item(RequestItems=left).get("UnprocessedItems", {})
        if not left:
            return
        time.sleep(attempt)
    raise OperateError(
        f"DynamoDB did not process all items of {file} in {MOST_ATTEMPTS} attempts: run this "
        "command again later"
    )
