"""Measures runs of the contact sync against the quotas of the Account API."""

import sys

from standin.program import run

from benchmark.options import parse_options


def main() -> int:
    """Check the options, then run; return the exit code."""
    options = parse_options()
    if options is None:
        return 0
    from benchmark.session import measure_all  # noqa: PLC0415 - options first

    return run(lambda: measure_all(options))


if __name__ == "__main__":
    sys.exit(main())
