"""Saves both tables, and the stack's parameters and tags, to files: scripts/backup.sh."""

import os
import shutil
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path

from operate.aws import open_aws
from operate.backup_files import (
    check,
    has_contacts,
    lock_holder,
    table_names,
    told,
    write_backup,
)
from operate.console import OK, OperateError, note, out, warn
from operate.options import Parser, text
from operate.stacks import Stack, get_stack

DEFAULT = Path("backup")

EPILOG = """\
Writes at most 25 items a file: config-table-backup.json, state-table-backup.json,
state-table-backup-00002.json and so on; parameters.json and tags.json of the stack; and counts
the items again. The configuration table has the address book, so keep a backup confidential.
Lock, queue and time slots are left out. The folder appears once all is there, for its owner alone,
and its name goes to stdout. scripts/restore.sh writes the tables back; scripts/deploy.sh --restore
DIR deploys a stack that was deleted.

exit codes:
  0  the backup is complete
  1  there is none
  2  wrong options

examples:
  scripts/backup.sh --environment prod
  scripts/backup.sh --environment prod --output backup-before-upgrade
"""


def parser() -> Parser:
    """Return the options."""
    made = Parser("backup", "Save tables, parameters and tags of one environment.", EPILOG)
    meaning = "the folder to write to, empty or new (backup, or where that is used one beside it)"
    made.value("--output", text, "DIR", meaning)
    return made


def run(options: Namespace) -> int:
    """Back up; return the exit code."""
    output = folder_for(options.output)
    out(str(back_up(get_stack(open_aws(options), options.environment), output)))
    return OK


def folder_for(given: str | None) -> Path:
    """Return the folder for a backup: the one that is given, or a new one."""
    if given is None:
        new = Path(f"{DEFAULT}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
        return DEFAULT if _is_free(DEFAULT) else new
    folder = Path(given)
    if folder.exists() and not folder.is_dir():
        raise OperateError(f"{folder} is no folder")
    if not _is_free(folder):
        raise OperateError(
            f"{folder} holds something already, perhaps an earlier backup: name another with "
            "--output"
        )
    return folder


def back_up(stack: Stack, output: Path) -> Path:
    """Write a backup to the folder, which appears once all is there; return the folder."""
    os.umask(0o077)
    # Beside the whole backup, which it can be renamed to.
    partial = output.parent / f".backup.{os.getpid()}"
    try:
        partial.mkdir(parents=True)
        write_backup(stack, partial)
        if holder := lock_holder(stack):
            warn(f"execution {holder} is under way; the backup has part of what it does")
        note(told(check(partial, table_names(stack))))
        if has_contacts(partial):
            warn(f"{output} has the address book: keep it confidential, only you can read it")
        if output.exists():
            output.rmdir()
        partial.rename(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return output


def _is_free(folder: Path) -> bool:
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
