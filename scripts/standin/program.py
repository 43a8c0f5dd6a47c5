"""Runs the programs that start a stand-in, and makes sure that it never outlives them."""

import signal
import sys
from collections.abc import Callable


def run(program: Callable[[], int]) -> int:
    """Run the program and return its exit code; unwind if a signal ends it."""
    signal.signal(signal.SIGTERM, _end)
    try:
        return program()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 128 + signal.SIGINT


def _end(number: int, _: object) -> None:
    """Unwind to stop the stand-in, and exit as if killed by the signal."""
    raise SystemExit(128 + number)
