"""Writes the state of every account and contact type to files: scripts/report.sh."""

import json
import os
from argparse import ArgumentTypeError, Namespace
from datetime import UTC, datetime
from pathlib import Path

from operate.aws import open_aws
from operate.console import OK, OperateError, note, out
from operate.options import Parser, text
from operate.report.content import Report
from operate.report.csv_file import csv_text
from operate.report.page import page
from operate.report.reading import read_report
from operate.stacks import get_stack

DEFAULT_DAYS = 30
# The state table keeps runs for this long.
MOST_DAYS = 400

EPILOG = """\
Reads the state table and the configuration, and the names of accounts and OUs from Organizations.
The report has no contact values. Only their owner can read the files; they replace files of the
same name, and their names go to stdout.

exit codes:
  0  the report is written
  1  the report is not written
  2  wrong options

examples:
  scripts/report.sh --environment prod
  scripts/report.sh --environment prod --html state.html --csv state.csv --days 90
  scripts/report.sh --environment prod --json
"""


def parser() -> Parser:
    """Return the options."""
    made = Parser("report", "Report the state of every account and contact type.", EPILOG)
    made.json()
    made.value(
        "--html",
        text,
        "FILE",
        "write one self-contained page (default: contact-sync-ENV.html, without --csv and --json)",
    )
    made.value("--csv", text, "FILE", "write a CSV file with a row per account and contact type")
    meaning = "show the runs of the last N days, 1 to 400 (default: %(default)s)"
    made.value("--days", _days, "N", meaning, default=DEFAULT_DAYS)
    return made


def _days(given: str) -> int:
    if not (given.isdecimal() and 1 <= int(given) <= MOST_DAYS):
        raise ArgumentTypeError(f"invalid number '{given}': expected 1 to {MOST_DAYS} days")
    return int(given)


def run(options: Namespace) -> int:
    """Read the state once, and write it in each requested format; return the exit code."""
    aws = open_aws(options)
    stack = get_stack(aws, options.environment)
    report = read_report(aws, stack, options.environment, options.days, datetime.now(UTC))
    if options.json:
        out(json.dumps(report.document(), indent=2, ensure_ascii=False))
    html = options.html
    if not (html or options.csv or options.json):
        html = f"contact-sync-{options.environment}.html"
    if html:
        write(Path(html), page(report).encode())
    if options.csv:
        write(Path(options.csv), csv_text(report).encode("utf-8-sig"))
    _tell(report, [one for one in (html, options.csv) if one], quiet=options.json)
    return OK


def write(file: Path, content: bytes) -> None:
    """Write a file that only its owner can read, and that appears only when it is complete."""
    if file.exists() and not file.is_file():
        raise OperateError(f"cannot write {file}: it is no regular file")
    target = file.resolve()
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        partial.touch(mode=0o600)
        partial.write_bytes(content)
        partial.replace(target)
    except OSError as error:
        raise OperateError(f"cannot write {file}: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)


def _tell(report: Report, files: list[str], *, quiet: bool) -> None:
    note(report.summary)
    for file in files:
        if quiet:
            note(file)
        else:
            out(file)
