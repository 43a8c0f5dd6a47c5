"""Writes the input of the security scan: each stack as CloudFormation resolves it.

Conditions, mappings and references are resolved, because scanners guess or ignore what they cannot
resolve.
"""

import json
import sys
from pathlib import Path

from support.stack import Stack, expand, forwarding_template, source_template


def main() -> None:
    """Write a template for each stack into the folder of the first argument."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, stack in stacks().items():
        folder.joinpath(f"{name}.json").write_text(json.dumps(stack.deployed(), indent=1))


def stacks() -> dict[str, Stack]:
    """Return each environment's stack and the forwarding stack, with all optional resources."""
    expanded = expand(source_template())
    address = {"NotificationEmail": "admin@example.com"}
    everything = {**address, "CreateTrail": "true"}
    return {
        **{name: Stack(expanded, name, **everything) for name in ("dev", "staging", "prod")},
        "forwarding": Stack(forwarding_template(), HomeRegion="eu-west-1", Kind="Both", **address),
    }


if __name__ == "__main__":
    main()
