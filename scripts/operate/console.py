"""Output: results on stdout; notes, warnings, errors and questions on stderr."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.text import Text

OK, FAILED, WRONG_OPTIONS = 0, 1, 2
YES = ("y", "yes")


class OperateError(Exception):
    """Ends a command: what is wrong, where, and what to type next."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def out(text: str) -> None:
    """Print a result."""
    print(text, flush=True)


def out_json(value: Any) -> None:
    """Print the JSON document of --json."""
    out(json.dumps(value, indent=2, default=str))


def note(text: str) -> None:
    """Print what the command does."""
    print(text, file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Print what the user should check; the command continues."""
    note(f"warning: {text}")


def error(text: str) -> None:
    """Print why the command ends."""
    note(f"error: {text}")


def confirm(question: str, where: str, *, yes: bool) -> None:
    """Show `where` and ask, unless `--yes` was given; raise unless the answer is yes."""
    if yes:
        return
    note(where)
    if _answer(f"{question} [y/N] ", "--yes").lower() not in YES:
        raise OperateError("not confirmed; nothing was changed")


def confirm_name(question: str, where: str, name: str, *, given: str | None) -> None:
    """Ask the user to type a name, unless `--confirm-name` gave it; raise if it differs."""
    if given is None:
        note(where)
        given = _answer(f"{question} Type {name}: ", f"--yes --confirm-name {name}")
    if given != name:
        raise OperateError(f"not confirmed: '{given}' is not {name}; nothing was changed")


def ask(question: str, proposal: str) -> str | None:
    """Ask for text; Enter accepts the proposal. Return None without a terminal."""
    if not sys.stdin.isatty():
        return None
    print(f"{question} [{proposal}] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() or proposal


def _answer(question: str, otherwise: str) -> str:
    print(question, end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not (answer and sys.stdin.isatty()):
        note("")
    if not answer:
        raise OperateError(f"not confirmed: no answer. Without a terminal, add {otherwise}")
    return answer.strip()


class Progress:
    """A status line, updated in place in a terminal; elsewhere, a new line for each update."""

    def __init__(self) -> None:
        self._shown = ""
        self._status: Status | None = None

    def show(self, text: str) -> None:
        """Show the text instead of the previous one."""
        if not text or text == self._shown:
            return
        self._shown = text
        console = Console(stderr=True)
        if not console.is_terminal:
            note(text)
        elif self._status:
            self._status.update(Text(text))
        else:
            self._status = console.status(Text(text))
            self._status.start()

    def clear(self) -> None:
        """Remove the line and show the cursor again; call this before other output."""
        if self._status:
            self._status.stop()
        self._status, self._shown = None, ""
