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
Writes the tables in files of at most 25 items (config-table-backup.json, state-table-backup.json,
state-table-backup-00002.json and so on), the stack's parameters.json and tags.json, and checks the
number of items. The configuration table includes the address book: keep a backup confidential.
Lock, queue and time slots are left out. The folder appears only when it is complete, and only its
owner can read it; its name goes to stdout. scripts/restore.sh writes the tables back;
scripts/deploy.sh --restore DIR deploys a deleted stack again.

exit codes:
  0  the backup is complete
  1  there is no complete backup
  2  wrong options

examples:
  scripts/backup.sh --environment prod
  scripts/backup.sh --environment prod --output backup-before-upgrade
"""


def parser() -> Parser:
    """Return the options."""
    made = Parser("backup", "Save tables, parameters and tags of one environment.", EPILOG)
    meaning = "new or empty folder for the backup (default: backup, or a new folder if that exists)"
    made.value("--output", text, "DIR", meaning)
    return made


def run(options: Namespace) -> int:
    """Back up; return the exit code."""
    output = folder_for(options.output)
    out(str(back_up(get_stack(open_aws(options), options.environment), output)))
    return OK


def folder_for(given: str | None) -> Path:
    """Return the given folder for a backup, or a new one."""
    if given is None:
        new = Path(f"{DEFAULT}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
        return DEFAULT if _is_free(DEFAULT) else new
    folder = Path(given)
    if folder.exists() and not folder.is_dir():
        raise OperateError(f"{folder} is not a folder: name another with --output")
    if not _is_free(folder):
        raise OperateError(
            f"{folder} is not empty, and may have an earlier backup: name another with --output"
        )
    return folder


def back_up(stack: Stack, output: Path) -> Path:
    """Write a backup to the folder, which appears only when it is complete; return the folder."""
    os.umask(0o077)
    # On the same file system, so that it can be renamed.
    target = output.resolve()
    partial = target.parent / f".backup.{os.getpid()}"
    try:
        partial.mkdir(parents=True)
        write_backup(stack, partial)
        if holder := lock_holder(stack):
            warn(f"execution {holder} is in progress: the backup has only part of its results")
        note(told(check(partial, table_names(stack))))
        if has_contacts(partial):
            warn(f"{output} includes the address book: keep it confidential; only you can read it")
        if target.exists():
            target.rmdir()
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return output


def _is_free(folder: Path) -> bool:
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
