"""What the demo shows in the terminal: steps, progress, tables; plain lines where it is none."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

PLAIN_INTERVAL_SECONDS = 2.0

# Of what is shown nothing is markup: messages have brackets and colons of their own.
_console = Console(highlight=False, markup=False, emoji=False)
_errors = Console(stderr=True, highlight=False, markup=False, emoji=False)


@dataclass(frozen=True)
class Snapshot:
    """Where an execution is: its state, and the accounts of the run by result."""

    state: str
    total: int = 0
    results: tuple[tuple[str, int], ...] = ()

    @property
    def done(self) -> int:
        """The accounts that have a result."""
        return sum(count for _, count in self.results)

    @property
    def counts(self) -> str:
        """The results in words, always with those that matter."""
        return ", ".join(
            f"{count} {result}"
            for result, count in self.results
            if count or result in ("updated", "failed")
        )


class ProgressView(Protocol):
    """Shows snapshots for as long as the `with` block lasts."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def show(self, snapshot: Snapshot) -> None:
        """Show where the execution is now."""


class BarView:
    """A bar that moves, in a terminal."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[counts]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=_console,
        )
        self._task = self._progress.add_task("starting", total=None, counts="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, snapshot: Snapshot) -> None:
        """Move the bar."""
        self._progress.update(
            self._task,
            description=snapshot.state,
            total=snapshot.total or None,
            completed=snapshot.done,
            counts=snapshot.counts,
        )


class LineView:
    """A line now and then, where nobody watches a terminal."""

    def __init__(self) -> None:
        self._shown = Snapshot("")
        self._shown_at = 0.0
        self._started_at: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, snapshot: Snapshot) -> None:
        """Print a line, unless there was one just now."""
        now = time.monotonic()
        if snapshot.total and self._started_at is None:
            self._started_at = now
        ends = snapshot.done == snapshot.total != self._shown.done
        if ends or now - self._shown_at >= PLAIN_INTERVAL_SECONDS:
            if snapshot != self._shown:
                say(f"  {snapshot.state}{self._accounts(snapshot, now)}")
            self._shown, self._shown_at = snapshot, now

    def _accounts(self, snapshot: Snapshot, now: float) -> str:
        if not snapshot.total or self._started_at is None:
            return ""
        done = f": {snapshot.done} of {snapshot.total} accounts: {snapshot.counts}"
        if not snapshot.total / 10 <= snapshot.done < snapshot.total:  # too few say nothing
            return done
        left = (now - self._started_at) / snapshot.done * (snapshot.total - snapshot.done)
        return f"{done}, about {left:.0f} s left"


def progress_view() -> ProgressView:
    """Return the view that fits what the output goes to."""
    return BarView() if _console.is_terminal else LineView()


def say(text: str) -> None:
    """Print a line, however long: what is printed may be copied."""
    _console.print(text, soft_wrap=True)


def heading(text: str) -> None:
    """Print what the next lines are about."""
    _console.print()
    _console.print(text, style="bold")


def complain(text: str) -> None:
    """Print an error."""
    _errors.print(text, style="red", soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; columns whose name begins with `#` hold numbers."""
    grid = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in columns:
        is_number = name.startswith("#")
        grid.add_column(name.lstrip("#"), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(str(value) for value in row))
    _console.print(grid)
