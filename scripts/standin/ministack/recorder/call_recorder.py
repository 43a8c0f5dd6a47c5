"""Records each AWS call of a function before it is sent: caller, operation and resource.

botocore loads this module into every client of a process whose environment names it. Records
only the names that identify a resource, no other content of a request.
"""

import json
import os
from typing import Any

# Parameters whose text identifies the resource.
IDENTIFIERS = frozenset(
    {
        "AccountId",
        "Bucket",
        "IndexName",
        "Key",
        "OrganizationalUnitId",
        "ParentId",
        "Prefix",
        "SecretId",
        "TableName",
        "executionArn",
    }
)


def initialize_client_plugin(client: Any) -> None:
    """Record the client's calls if it belongs to a function, not to MiniStack."""
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        client.meta.events.register_first("before-parameter-build", _record)


def _record(params: Any, model: Any, **_: Any) -> None:
    call = {
        "function": os.environ["AWS_LAMBDA_FUNCTION_NAME"],
        "service": model.service_model.service_name,
        "operation": model.name,
        "parameters": _identifiers(params),
    }
    line = json.dumps(call).encode() + b"\n"
    # A single appending write keeps lines of several processes intact.
    file = os.open(os.environ["STANDIN_CALLS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line)
    finally:
        os.close(file)


def _identifiers(value: Any) -> Any:
    """Return the structure of the parameters; keep text only where it identifies a resource."""
    if isinstance(value, list):
        return [_identifiers(item) for item in value]
    if not isinstance(value, dict):
        return None
    return {
        name: item if name in IDENTIFIERS and isinstance(item, str) else _identifiers(item)
        for name, item in value.items()
    }
