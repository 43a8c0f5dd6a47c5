"""Records what CloudFormation calls to create, update and delete resources of each type.

    pip download --no-deps --dest .build/handlers localstack-core==2026.3.0
    python -m zipfile -e .build/handlers/localstack_core-*.whl .build/handlers
    export PYTHONPATH=tests:functions AWS_DEFAULT_REGION=us-east-1
    python -m permissions.handlers .build/handlers

LocalStack's wheel contains CloudFormation's schemas with the permissions of their handlers, which
cfn-lint's copies lack.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from support.stack import Stack, expand, forwarding_template, source_template

FIXTURE = Path(__file__).with_name("handlers.json")
# No stack operation lists all resources of a type.
HANDLERS = ("create", "read", "update", "delete")


def main() -> None:
    """Write the fixture, from the folder of the first argument."""
    folder = Path(sys.argv[1])
    [wheel] = folder.glob("localstack_core-*.whl")
    name, version, *_ = wheel.name.split("-")
    found = {
        "source": f"{name.replace('_', '-')} {version}",
        "read": f"{datetime.now(UTC):%Y-%m-%d}",
        "types": dict(sorted(permissions_of(folder.rglob("*.schema.json")))),
    }
    FIXTURE.write_text(json.dumps(found, indent=2) + "\n")


def permissions_of(schemas: Iterable[Path]) -> Iterator[tuple[str, list[str]]]:
    """Yield each type of the stacks that has handlers in the schemas, with their permissions."""
    wanted = types()
    for path in schemas:
        schema: dict[str, Any] = json.loads(path.read_text())
        handlers = schema.get("handlers", {})
        called = {one for name in HANDLERS for one in handlers.get(name, {}).get("permissions", [])}
        if schema["typeName"] in wanted and called:
            yield schema["typeName"], sorted(called)


def stacks(partition: str) -> Iterator[Stack]:
    """Yield each environment's stack and the forwarding stack, with all optional resources."""
    email = {"NotificationEmail": "admin@example.com"}
    expanded = expand(source_template())
    for name in ("dev", "staging", "prod"):
        yield Stack(expanded, name, partition, **email, CreateTrail="true")
    home = {"HomeRegion": "eu-west-1", "Kind": "Both"}
    yield Stack(forwarding_template(), "prod", partition, **email, **home)


def types() -> set[str]:
    """Return the types of the stacks' resources."""
    return {
        each["Type"] for stack in stacks("aws") for each in stack.deployed()["Resources"].values()
    }


if __name__ == "__main__":
    main()
