"""Shows a whole run of the contact sync on this machine, without an AWS account."""

import signal
import sys
from pathlib import Path

from lib.demo_options import parse_options

TESTS = Path(__file__).resolve().parents[1] / "tests"


def main() -> int:
    """Run the demo and return the exit code."""
    options = parse_options()
    if options is None:
        return 0
    sys.path.insert(0, str(TESTS))
    from lib.demo_run import run_demo  # noqa: PLC0415 - options are checked before rich is there

    signal.signal(signal.SIGTERM, _end)
    try:
        return run_demo(options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 128 + signal.SIGINT


def _end(number: int, _: object) -> None:
    """Unwind, so that the stand-in is stopped, and exit as if killed by the signal."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
