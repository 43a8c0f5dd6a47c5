"""What the programs that start a stand-in have in common: it never outlives them."""

import signal
import sys
from collections.abc import Callable


def run(program: Callable[[], int]) -> int:
    """Run the program and return its exit code; unwind where a signal ends it."""
    signal.signal(signal.SIGTERM, _end)
    try:
        return program()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 128 + signal.SIGINT


def _end(number: int, _: object) -> None:
    """Unwind, so that the stand-in is stopped, and exit as if killed by the signal."""
    raise SystemExit(128 + number)
