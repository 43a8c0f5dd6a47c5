"""Demonstrates a run of the contact sync on this machine, without an AWS account."""

import sys

from standin.program import run

from demo.options import parse_options


def main() -> int:
    """Check the options, then run; return the exit code."""
    options = parse_options()
    if options is None:
        return 0
    from demo.run import run_demo  # noqa: PLC0415 - options first

    return run(lambda: run_demo(options))


if __name__ == "__main__":
    sys.exit(main())
