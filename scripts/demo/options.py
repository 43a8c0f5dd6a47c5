"""The demo's options, checked before anything is installed."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]

DESCRIPTION = """\
Starts the local stand-in for AWS with an organization whose contacts have drifted, deploys the
template to it, runs the state machine, and shows what happened. The run obeys the request quotas
that AWS documents.
"""
EPILOGUE = """\
Member accounts are 100000000001, 100000000002 and so on. Exits with 0 where the execution
SUCCEEDED or the event starts none, 1 where it did not succeed, 2 where an option is wrong.
"""

LEAST_ACCOUNTS = 6  # two are not active, one is excluded, and two or three have faults
EVENT_KEYS = ("source", "detail-type", "detail")


@dataclass(frozen=True)
class Options:
    """The demo's options."""

    accounts: int
    speed: float
    execution_input: Any
    event: Json | None
    faults: bool
    keep: bool


def parse_options() -> Options | None:
    """Return the options, None if there is nothing to do; exit 2 if they are invalid."""
    parser = _parser()
    given = parser.parse_args()
    if given.check_options:
        return None
    return Options(
        accounts=given.accounts,
        speed=given.speed,
        execution_input=given.input,
        event=given.event,
        faults=given.faults,
        keep=given.keep,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="demo.sh", description=DESCRIPTION, epilog=EPILOGUE, allow_abbrev=False
    )
    add = parser.add_argument
    add(
        "--accounts",
        type=_accounts,
        default=30,
        metavar="N",
        help="members of the organization (%(default)s)",
    )
    add(
        "--speed",
        type=_speed,
        default=1.0,
        metavar="X",
        help="times AWS's own speed, for quotas and latency; only waits of the state machine are "
        "100 times as fast (%(default)g)",
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--input",
        type=_json,
        default={},
        metavar="JSON",
        help="execution input, such as '{\"dry_run\": true}' (everything is synced)",
    )
    start.add_argument(
        "--event",
        type=_event,
        metavar="FILE",
        help="sync once, change the contact that this EventBridge event is about, put the event "
        "on the bus, and follow the execution that a rule starts",
    )
    add(
        "--faults",
        action="store_true",
        help="throttle one account, deny another, and let a function die once",
    )
    add(
        "--keep",
        action="store_true",
        help="leave the stand-in running until Ctrl-C or SIGTERM, for every operating command, "
        "and serve the report; append '>demo.log &' to have it in the background",
    )
    add("--check-options", action="store_true", help="only check the options")
    return parser


def _accounts(text: str) -> int:
    if not text.isdecimal() or int(text) < LEAST_ACCOUNTS:
        raise argparse.ArgumentTypeError(f"must be a number from {LEAST_ACCOUNTS}")
    return int(text)


def _speed(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.1 <= number <= 1000:
        raise argparse.ArgumentTypeError("must be a number from 0.1 to 1000")
    return number


def _event(text: str) -> Json:
    try:
        event = _json_object(Path(text).read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"{text} cannot be read: {error}") from error
    if missing := [key for key in EVENT_KEYS if key not in event]:
        raise argparse.ArgumentTypeError(f"{text} is no event: it lacks {', '.join(missing)}")
    if not isinstance(event["detail"], dict):
        raise argparse.ArgumentTypeError(f"{text} is no event: its detail is not an object")
    return event


def _json_object(text: str) -> Json:
    value = _json(text)
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("must be a JSON object")
    return value


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"is not JSON: {error}") from error
