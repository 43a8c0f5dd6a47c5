"""The demo's output: steps, progress, tables; plain lines if it is not a terminal."""

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

# No markup: messages contain literal brackets and colons.
_console = Console(highlight=False, markup=False, emoji=False)
_errors = Console(stderr=True, highlight=False, markup=False, emoji=False)


@dataclass(frozen=True)
class Snapshot:
    """An execution's progress: its state, and the run's accounts by result."""

    state: str
    total: int = 0
    results: tuple[tuple[str, int], ...] = ()

    @property
    def done(self) -> int:
        """The number of accounts that have a result."""
        return sum(count for _, count in self.results)

    @property
    def counts(self) -> str:
        """The results in words; important ones are always included."""
        return ", ".join(
            f"{count} {result}"
            for result, count in self.results
            if count or result in ("updated", "failed")
        )


class ProgressView(Protocol):
    """Shows snapshots for the duration of the `with` block."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def show(self, snapshot: Snapshot) -> None:
        """Show the execution's current progress."""


class BarView:
    """A progress bar, for terminals."""

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
        """Update the bar."""
        self._progress.update(
            self._task,
            description=snapshot.state,
            total=snapshot.total or None,
            completed=snapshot.done,
            counts=snapshot.counts,
        )


class LineView:
    """Occasional progress lines, for output that is not a terminal."""

    def __init__(self) -> None:
        self._shown = Snapshot("")
        self._shown_at = 0.0
        self._started_at: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, snapshot: Snapshot) -> None:
        """Print a line, unless the last one is recent."""
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
        if not snapshot.total / 10 <= snapshot.done < snapshot.total:  # too early to tell
            return done
        left = (now - self._started_at) / snapshot.done * (snapshot.total - snapshot.done)
        return f"{done}, about {left:.0f} s left"


def progress_view() -> ProgressView:
    """Return the view that fits the output."""
    return BarView() if _console.is_terminal else LineView()


def say(text: str) -> None:
    """Print a line without wrapping, so that it can be copied."""
    _console.print(text, soft_wrap=True)


def heading(text: str) -> None:
    """Print a heading."""
    _console.print()
    _console.print(text, style="bold")


def complain(text: str) -> None:
    """Print an error."""
    _errors.print(text, style="red", soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; columns whose names begin with `#` hold numbers."""
    grid = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in columns:
        is_number = name.startswith("#")
        grid.add_column(name.lstrip("#"), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(str(value) for value in row))
    _console.print(grid)
