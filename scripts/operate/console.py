"""What the user sees: results on stdout; notes, warnings, errors and questions on stderr."""

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
    """Print the one JSON document that --json asks for."""
    out(json.dumps(value, indent=2, default=str))


def note(text: str) -> None:
    """Say what the command does."""
    print(text, file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Say what the user should look at; the command goes on."""
    note(f"warning: {text}")


def error(text: str) -> None:
    """Say why the command ends."""
    note(f"error: {text}")


def confirm(question: str, where: str, *, yes: bool) -> None:
    """Ask, unless `--yes` was given; raise unless the answer is yes. `where` is shown first."""
    if yes:
        return
    note(where)
    if _answer(f"{question} [y/N] ", "--yes").lower() not in YES:
        raise OperateError("not confirmed; nothing was done")


def confirm_name(question: str, where: str, name: str, *, given: str | None) -> None:
    """Ask for a name to be typed, unless `--confirm-name` gave it; raise if it is another."""
    if given is None:
        note(where)
        given = _answer(f"{question} Type {name}: ", f"--yes --confirm-name {name}")
    if given != name:
        raise OperateError(f"not confirmed: '{given}' is not {name}; nothing was done")


def ask(question: str, proposal: str) -> str | None:
    """Ask for words, for which Enter takes the proposal; return None without a terminal."""
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
    """One line that changes in a terminal; elsewhere one line for each change."""

    def __init__(self) -> None:
        self._shown = ""
        self._status: Status | None = None

    def show(self, text: str) -> None:
        """Show the text in place of what was shown before."""
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
        """Remove the line, before anything else is said; until then the cursor is hidden."""
        if self._status:
            self._status.stop()
        self._status, self._shown = None, ""
