"""Serves only the organization: `python -m standin.organization --port 5599`."""

import argparse
import json
from pathlib import Path
from typing import Any

from standin.organization.server import OrganizationServer
from standin.organization.worlds import drifted_world


def main() -> None:
    """Serve until interrupted."""
    options = _parse()
    server = OrganizationServer(
        _world(options),
        host=options.host,
        port=options.port,
        speed=options.speed,
        instance=options.instance,
    )
    with server:
        print(f"serving Organizations and Account Management on {server.url}", flush=True)
        try:
            server.wait()
        except KeyboardInterrupt:
            print("stopped")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m standin.organization", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, required=True, help="0 selects a free port")
    parser.add_argument("--accounts", type=int, default=60, help="members in the generated world")
    parser.add_argument("--seed", type=int, default=1, help="seed of the generated world")
    parser.add_argument(
        "--drift",
        type=float,
        default=1.0,
        help="share of members whose contacts differ from the management account's",
    )
    parser.add_argument("--latency", type=float, default=0.08, help="seconds per call")
    parser.add_argument(
        "--world", type=Path, help="JSON file with a world, instead of a generated one"
    )
    parser.add_argument("--speed", type=float, default=1.0, help="speed relative to AWS")
    parser.add_argument("--instance", default="", help="refuse calls of other /i-INSTANCE paths")
    return parser.parse_args()


def _world(options: argparse.Namespace) -> dict[str, Any]:
    if options.world is None:
        latency = {"default": options.latency}
        return drifted_world(options.accounts, options.seed, drift=options.drift, latency=latency)
    world: dict[str, Any] = json.loads(options.world.read_text())
    return world


if __name__ == "__main__":
    main()
