"""Serves the stand-in until interrupted: `python -m standin --port 4566 --speed 10`."""

import argparse
import os
import signal
from pathlib import Path

from standin.standin import LOOPBACK, Standin


def main() -> None:
    """Serve; end on Ctrl-C and on SIGTERM, which `docker stop` sends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    options = _parse()
    with Standin(
        accounts=options.accounts,
        speed=options.speed,
        host=options.host,
        ports=(options.port, options.organization_port),
        mock_config=options.mock_config,
    ) as standin:
        print(f"AWS on {standin.endpoint_url}", flush=True)
        print(
            f"Organizations and Account on http://{LOOPBACK}:{options.organization_port}",
            flush=True,
        )
        standin.wait()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m standin", description=__doc__)
    mock_config = os.environ.get("SFN_MOCK_CONFIG")
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on")
    parser.add_argument("--port", type=int, default=4566, help="port of all other AWS services")
    parser.add_argument(
        "--organization-port", type=int, default=5599, help="port of Organizations and Account"
    )
    parser.add_argument("--accounts", type=int, default=20, help="number of member accounts")
    parser.add_argument("--speed", type=float, default=1.0, help="speed relative to AWS")
    parser.add_argument(
        "--mock-config",
        type=Path,
        default=Path(mock_config) if mock_config else None,
        help="file with mocked tasks, in Step Functions Local's format (SFN_MOCK_CONFIG)",
    )
    return parser.parse_args()


def _end(*_: object) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
