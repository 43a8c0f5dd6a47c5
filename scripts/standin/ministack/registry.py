"""The registry of hooks."""

from collections.abc import Callable, Iterable

Install = Callable[[], None]

_hooks: dict[str, Install] = {}


def hook(install: Install) -> Install:
    """Register `install` under its name; its docstring says which gap it closes."""
    _hooks[install.__name__] = install
    return install


def install_hooks(off: Iterable[str] = ()) -> None:
    """Install every registered hook except those in `off`; `all` skips every hook."""
    left_out = set(off)
    if left_out == {"all"}:
        return
    if unknown := left_out - _hooks.keys():
        raise SystemExit(f"unknown hooks: {', '.join(sorted(unknown))}")
    for name, install in _hooks.items():
        if name not in left_out:
            install()
