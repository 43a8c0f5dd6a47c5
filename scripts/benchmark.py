"""Measures runs of the contact sync against the quotas of the Account API."""

import signal
import sys
from pathlib import Path

from lib.benchmark_options import parse_options

TESTS = Path(__file__).resolve().parents[1] / "tests"


def main() -> int:
    """Measure and return the exit code."""
    options = parse_options()
    if options is None:
        return 0
    sys.path.insert(0, str(TESTS))
    from lib.benchmark_session import measure_all  # noqa: PLC0415 - once the options are checked

    signal.signal(signal.SIGTERM, _end)
    try:
        return measure_all(options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 128 + signal.SIGINT


def _end(number: int, _: object) -> None:
    """Unwind, so that the stand-in is stopped, and exit as if killed by the signal."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
