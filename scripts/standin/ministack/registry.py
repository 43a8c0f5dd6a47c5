"""Which hooks there are, and how to leave one out."""

from collections.abc import Callable, Iterable

Install = Callable[[], None]

_hooks: dict[str, Install] = {}


def hook(install: Install) -> Install:
    """Register `install` under its own name; its docstring says which gap it closes."""
    _hooks[install.__name__] = install
    return install


def install_hooks(off: Iterable[str] = ()) -> None:
    """Install every registered hook but those in `off`; `all` stands for every one."""
    left_out = set(off)
    if left_out == {"all"}:
        return
    if unknown := left_out - _hooks.keys():
        raise SystemExit(f"unknown hooks: {', '.join(sorted(unknown))}")
    for name, install in _hooks.items():
        if name not in left_out:
            install()
