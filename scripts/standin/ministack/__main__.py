"""Starts MiniStack with our hooks; `STANDIN_HOOKS_OFF` lists the hooks to skip."""

import os
import sys

from ministack.app import main as serve

from standin.ministack import (  # noqa: F401  imported for the hooks they register
    changesets,
    cloudformation,
    demands,
    distributed_map,
    evaluations,
    events,
    executions,
    expressions,
    faults,
    functions,
    identity,
    in_flight,
    integrations,
    latency,
    mocks,
    monitoring,
    recording,
    tasks,
    usage,
)
from standin.ministack.registry import install_hooks


def main() -> None:
    """Install the hooks, then serve."""
    install_hooks(off=os.environ.get("STANDIN_HOOKS_OFF", "").split())
    # Hide this package from functions: they must see only their own zip.
    sys.path.pop(0)
    serve()


if __name__ == "__main__":
    main()
