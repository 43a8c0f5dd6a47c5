"""Starts one command: reads its options, runs it, and turns every error into one plain line."""

import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from botocore.exceptions import BotoCoreError, ClientError
from contact_sync.errors import SyncError

from operate import aws, console
from operate.console import OperateError

# The module of each has `parser()`, which makes its options, and `run(options)`, which returns the
# exit code; only the one that is asked for is imported.
COMMANDS = (
    "backup",
    "config",
    "deploy",
    "redrive-dlq",
    "report",
    "restore",
    "resync",
    "rollback",
    "validate",
)


def main(arguments: Sequence[str]) -> int:
    """Run the command that the first argument names; return the exit code."""
    name, *given = arguments
    if name not in COMMANDS:
        raise SystemExit(f"error: unknown command '{name}': use {', '.join(COMMANDS)}")
    command = importlib.import_module(f"operate.{name.replace('-', '_')}")
    options = command.parser().read(given)
    return _told(command.run, options)


def _told(run: Any, options: Any) -> int:
    try:
        return int(run(options))
    except OperateError as error:
        console.error(str(error))
        return error.exit_code
    except (ClientError, BotoCoreError, SyncError) as error:
        console.error(aws.explain(error, getattr(options, "profile", None)))
        _trace()
        return console.FAILED
    except KeyboardInterrupt as interrupt:
        console.note("Interrupted.")
        return 128 + (interrupt.number if isinstance(interrupt, Terminated) else signal.SIGINT)


class Terminated(KeyboardInterrupt):
    """The program was told to end; it unwinds as after Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _terminate(number: int, _: object) -> NoReturn:
    raise Terminated(number)


def _trace() -> None:
    """Show where an error came from, if DEBUG asks for it."""
    if os.environ.get("DEBUG"):
        traceback.print_exc()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminate)
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:
        # Whoever read our output has enough; Python must not fail again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(console.FAILED)
