"""The local stand-in for AWS: MiniStack with our hooks, and a strict organization beside it."""

import importlib
from typing import Any

# Imported on demand: the servers of this package run as `python -m standin.<server>`
# in interpreters that lack the client's libraries.
_EXPORTS = ("Execution", "Message", "Outcome", "Stack", "Standin", "StandinError")

__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("standin.standin"), name)
