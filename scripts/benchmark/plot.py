"""Draws time and cost over accounts, as an SVG of its own making."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT, MARGIN = 420, 300, 56
# Told apart by eyes that do not tell red from green, on white and on black.
COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
GREY = "#808080"

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One chart: marked points by name, and lines by the same names."""

    title: str
    unit: str
    points: Mapping[str, Points]
    lines: Mapping[str, Points]


def svg(panels: Sequence[Panel], caption: str) -> str:
    """Return the panels side by side, over a caption."""
    width, height = WIDTH * len(panels), HEIGHT + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' font-family="sans-serif" font-size="12" fill="{GREY}">',
        f"<title>{escape(caption)}</title>",
        *(_draw(panel, WIDTH * number) for number, panel in enumerate(panels)),
        _text(width / 2, height - 8, caption, "middle"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def decades(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten that enclose positive values; at least one apart."""
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return low, max(high, low + 1)


def _draw(panel: Panel, left: float) -> str:
    everything = [
        point
        for series in (*panel.points.values(), *panel.lines.values())
        for point in series
        if min(point) > 0
    ]
    scale = _Scale(everything, left)
    parts = [_text(left + WIDTH / 2, 20, f"{panel.title} ({panel.unit})", "middle")]
    parts += scale.grid()
    names = list(dict.fromkeys([*panel.lines, *panel.points]))
    for number, name in enumerate(names):
        color = COLORS[number % len(COLORS)]
        parts.append(_path([scale.at(point) for point in panel.lines.get(name, ())], color))
        parts += [_dot(*scale.at(point), color) for point in panel.points.get(name, ())]
        # Both axes grow to the upper right, so that the lower right is free.
        x, y = left + WIDTH - MARGIN / 2 - 8, HEIGHT - MARGIN - 10 - 15 * (len(names) - 1 - number)
        parts.append(_text(x, y, name, "end", color))
    return "\n".join(part for part in parts if part)


class _Scale:
    """Where a point goes; both axes are logarithmic."""

    def __init__(self, points: Points, left: float) -> None:
        self._x = decades([point[0] for point in points])
        self._y = decades([point[1] for point in points])
        self._left = left

    def at(self, point: tuple[float, float]) -> tuple[float, float]:
        """Return the place of a point."""
        x = (log10(point[0]) - self._x[0]) / (self._x[1] - self._x[0])
        y = (log10(point[1]) - self._y[0]) / (self._y[1] - self._y[0])
        across, up = WIDTH - 1.5 * MARGIN, HEIGHT - 1.5 * MARGIN
        return self._left + MARGIN + x * across, HEIGHT - MARGIN - y * up

    def grid(self) -> list[str]:
        """Return a labelled line at each power of ten."""
        parts = []
        low, high = 10.0 ** self._x[0], 10.0 ** self._y[0]
        for power in range(self._x[0], self._x[1] + 1):
            x, y = self.at((10.0**power, high))
            parts.append(_line(x, y, *self.at((10.0**power, 10.0 ** self._y[1]))))
            parts.append(_text(x, y + 16, f"{10**power:,}", "middle"))
        for power in range(self._y[0], self._y[1] + 1):
            x, y = self.at((low, 10.0**power))
            parts.append(_line(x, y, *self.at((10.0 ** self._x[1], 10.0**power))))
            parts.append(_text(x - 6, y + 4, f"{10.0**power:,g}", "end"))
        x, y = self.at((low, high))
        parts.append(_text(x + (WIDTH - 1.5 * MARGIN) / 2, y + 34, "accounts", "middle"))
        return parts


def _text(x: float, y: float, text: str, anchor: str, color: str = GREY) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}"'
    return f"<text {place}>{escape(text)}</text>"


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    place = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {place} stroke="{GREY}" stroke-opacity="0.3"/>'


def _path(places: Points, color: str) -> str:
    if not places:
        return ""
    route = " L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    return f'<path d="M{route}" fill="none" stroke="{color}" stroke-dasharray="4 3"/>'


def _dot(x: float, y: float, color: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"/>'
