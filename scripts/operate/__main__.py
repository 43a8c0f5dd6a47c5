"""Starts one command: parses its options, runs it, and turns each error into one line."""

import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from operate import aws, console
from operate.console import OperateError

# Each module has `parser()`, which returns the options, and `run(options)`, which returns the exit
# code. Only the requested module is imported.
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
    """Run the command named by the first argument; return the exit code."""
    name, *given = arguments
    if name not in COMMANDS:
        raise SystemExit(f"error: unknown command '{name}': use {', '.join(COMMANDS)}")
    command = importlib.import_module(f"operate.{name.replace('-', '_')}")
    options = command.parser().read(given)
    return _run(command.run, options)


def _run(run: Any, options: Any) -> int:
    try:
        return int(run(options))
    except OperateError as error:
        console.error(str(error))
        return error.exit_code
    except BrokenPipeError:
        raise
    except aws.FAILURES as error:
        console.error(aws.explain(error, getattr(options, "profile", None)))
        if os.environ.get("DEBUG"):
            traceback.print_exc()
        return console.FAILED
    except KeyboardInterrupt as interrupt:
        console.note("Interrupted.")
        return 128 + (interrupt.number if isinstance(interrupt, Terminated) else signal.SIGINT)


class Terminated(KeyboardInterrupt):
    """SIGTERM, or SIGHUP of a closed terminal: the program cleans up as after Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _terminate(number: int, _: object) -> NoReturn:
    raise Terminated(number)


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, _terminate)
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:
        # The reader closed the pipe; Python must not fail again when it flushes stdout on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(console.FAILED)
