"""Shows a whole run of the contact sync on this machine, without an AWS account."""

import sys
from pathlib import Path

from lib.demo_options import parse_options
from standin.program import run

TESTS = Path(__file__).resolve().parents[1] / "tests"


def main() -> int:
    """Check the options, then run; return the exit code."""
    options = parse_options()
    if options is None:
        return 0
    sys.path.insert(0, str(TESTS))
    from lib.demo_run import run_demo  # noqa: PLC0415 - options are checked before rich is there

    return run(lambda: run_demo(options))


if __name__ == "__main__":
    sys.exit(main())
