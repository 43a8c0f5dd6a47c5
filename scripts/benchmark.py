"""Measures runs of the contact sync against the quotas of the Account API."""

import sys
from pathlib import Path

from lib.benchmark_options import parse_options
from lib.program import run

REPOSITORY = Path(__file__).resolve().parents[1]


def main() -> int:
    """Check the options, then run; return the exit code."""
    options = parse_options()
    if options is None:
        return 0
    sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "functions")]
    from lib.benchmark_session import measure_all  # noqa: PLC0415 - once the options are checked

    return run(lambda: measure_all(options))


if __name__ == "__main__":
    sys.exit(main())
