"""The report as one self-contained page: no third-party script, request or contact value."""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import category

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from operate.report.checks import Result
from operate.report.content import Report
from operate.report.runs import moment
from operate.report.state import EQUAL, FAILING, LEFT, LEFT_ALONE, State

FOLDER = Path(__file__).parent / "templates"
# The page shows at most this many entries of a list; the JSON document has all.
MOST_LISTED = 300
# One letter per state keeps the page small; page.css and page.js use them. A cell without a letter
# is "i", a cell of an account that left is "l".
LETTERS = {
    State.FAILED: "f",
    State.CONTESTED: "c",
    State.NOT_COMPARED: "n",
    State.PUT_BACK: "p",
    State.SKIPPED: "s",
    State.EXCLUDED: "e",
    State.NOT_SET: "u",
    State.IN_SYNC: "i",
    State.KEPT: "k",
    State.OWN: "o",
    State.SOURCE: "m",
}
JOINERS, REPLACEMENT = "\u200c\u200d", "\N{REPLACEMENT CHARACTER}"
CHART_WIDTH, CHART_HEIGHT, CHART_GAP = 720, 96, 0.25


@dataclass(frozen=True)
class Bar:
    """A part of a stacked bar, or a column of the chart, in units of its SVG."""

    letter: str
    label: str
    x: float
    y: float
    width: float
    height: float


def page(report: Report) -> str:
    """Return the page."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "moment": moment,
        "number": _number,
        "plain": plain,
    }
    types = report.about.contact_types
    style = environment.get_template("page.css").render(types=types)
    script = (FOLDER / "page.js").read_text()
    return environment.get_template("page.html").render(
        report=report,
        about=report.about,
        style=Markup(style),  # noqa: S704 - from this repository, with the names of contact types
        script=Markup(script),  # noqa: S704 - from this repository
        style_hash=_hash(style),
        script_hash=_hash(script),
        tiles=_tiles(report),
        bars={name: list(_stacked(counts)) for name, counts in report.by_type.items()},
        columns=list(_columns(report.drift)),
        most_drifted=max((count for _, count in report.drift), default=0),
        drifted=len(report.drifted),
        drifts={account: _columns_of(report, types) for account, types in report.drifted.items()},
        chart=(CHART_WIDTH, CHART_HEIGHT),
        run_ids={run.name: f"r{number}" for number, run in enumerate(report.runs, 1)},
        names={one.id: one.name for one in report.accounts},
        letters=LETTERS,
        left=LEFT,
        units=sorted({one.unit for one in report.accounts if one.unit}),
        most_listed=MOST_LISTED,
        Result=Result,
        State=State,
    )


def plain(text: str) -> str:
    """Return the text with unprintable characters replaced, except spaces and joiners of scripts.

    Names in Japanese, Persian or Hindi, and some emoji, have them.
    """
    return "".join(
        one if one.isprintable() or one in JOINERS or category(one) == "Zs" else REPLACEMENT
        for one in text
    )


def _columns_of(report: Report, types: Sequence[str]) -> str:
    """Return the column numbers of the types; account and unit come before them."""
    return "".join(str(2 + report.about.contact_types.index(name)) for name in types)


@dataclass(frozen=True)
class Tile:
    """A number of the summary; `filter` lists its accounts."""

    label: str
    count: int
    letter: str
    filter: str


def _tiles(report: Report) -> list[Tile]:
    return [
        Tile("In sync", report.members_of(*EQUAL), "i", "in-sync"),
        Tile("Failing", report.members_of(*FAILING), "f", "failing"),
        Tile("Not compared yet", report.members_of(State.NOT_COMPARED), "n", "not-compared"),
        Tile("Left alone", report.members_of(*LEFT_ALONE), "s", "left-alone"),
    ]


def _stacked(counts: Counter[State]) -> Iterator[Bar]:
    """Yield the parts of a bar with width 100."""
    total, x = max(1, sum(counts.values())), 0.0
    for state in (State.IN_SYNC, *(one for one in State if one != State.IN_SYNC)):
        if counts[state]:
            width = 100 * counts[state] / total
            yield Bar(LETTERS[state], f"{_number(counts[state])} {state}", x, 0, width, 1)
            x += width


def _columns(drift: Sequence[tuple[str, int]]) -> Iterator[Bar]:
    """Yield a column of the chart per day; a day with drift is always visible."""
    most = max([1, *(count for _, count in drift)])
    step = CHART_WIDTH / max(1, len(drift))
    for number, (day, count) in enumerate(drift):
        height = max(3.0, CHART_HEIGHT * count / most) if count else 1.0
        yield Bar(
            "d" if count else "z",
            f"{day}: {_number(count)} drifted",
            round(step * (number + CHART_GAP / 2), 2),
            round(CHART_HEIGHT - height, 2),
            round(step * (1 - CHART_GAP), 2),
            round(height, 2),
        )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _number(value: int) -> str:
    return f"{value:,}"
