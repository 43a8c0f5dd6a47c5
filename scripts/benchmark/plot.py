"""Draws the benchmark's charts as SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT, MARGIN = 460, 310, 56
COLUMNS = 2
# Distinguishable with red-green color blindness, on white and on black; text is never colored.
COLORS = ("#0072b2", "#d98c00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
STYLE = """\
<style>
text { fill: #24292f } .grid { stroke: #8c959f; stroke-opacity: 0.35 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } }
</style>"""
LABEL_WIDTH, LABEL_HEIGHT = 40, 12
# Seconds between the ticks of a linear axis.
STEPS, MOST_STEPS = (10, 30, 60, 120, 300, 600), 7

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One chart: measured points, computed points, and lines, by name.

    Both axes are logarithmic, or linear from zero to the ends in `linear`.
    """

    title: str
    points: Mapping[str, Points] = field(default_factory=dict)
    computed: Mapping[str, Points] = field(default_factory=dict)
    lines: Mapping[str, Points] = field(default_factory=dict)
    dashed: Mapping[str, Points] = field(default_factory=dict)
    across: str = "accounts"
    linear: tuple[float, float] | None = None

    @property
    def names(self) -> list[str]:
        """Return the distinct names of everything drawn."""
        parts = (self.lines, self.dashed, self.points, self.computed)
        return list(dict.fromkeys(name for part in parts for name in part))


def svg(panels: Sequence[Panel], caption: str) -> str:
    """Return the panels, two per row, above a caption."""
    columns, rows = min(COLUMNS, len(panels)), ceil(len(panels) / COLUMNS)
    width, height = WIDTH * columns, HEIGHT * rows + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        ' font-family="sans-serif" font-size="12">',
        f"<title>{escape(caption)}</title>",
        STYLE,
    ]
    for number, panel in enumerate(panels):
        row, column = divmod(number, COLUMNS)
        parts += [
            f'<g transform="translate({WIDTH * column} {HEIGHT * row})">',
            *_draw(panel),
            "</g>",
        ]
    parts += [_text(width / 2, height - 8, caption, "middle"), "</svg>"]
    return "\n".join(parts) + "\n"


def decades(values: Sequence[float]) -> tuple[int, int]:
    """Return the exponents of ten that enclose positive values, at least one apart."""
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return low, max(high, low + 1)


def label(value: float) -> str:
    """Return a value with three digits, or with all digits before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _draw(panel: Panel) -> list[str]:
    scale = _Linear(*panel.linear) if panel.linear else _Logarithmic(panel)
    parts = [_text(WIDTH / 2, 20, panel.title, "middle"), *scale.grid(panel.across)]
    dots: list[tuple[tuple[float, float], str, str]] = []
    for number, name in enumerate(panel.names):
        color = COLORS[number % len(COLORS)]
        for lines, dashes in ((panel.lines, ""), (panel.dashed, ' stroke-dasharray="4 3"')):
            if name in lines:
                parts.append(_path([scale.at(point) for point in lines[name]], color, dashes))
        dots += [(point, color, color) for point in panel.points.get(name, ())]
        dots += [(point, color, "none") for point in panel.computed.get(name, ())]
        # Growing figures leave the upper left free; shares of a quota leave the area above it free.
        y = MARGIN / 2 + 16 + 15 * number
        parts.append(f'<rect x="{MARGIN + 10}" y="{y - 9}" width="9" height="9" fill="{color}"/>')
        parts.append(_text(MARGIN + 24, y, name, "start"))
    labels: list[tuple[float, float]] = []
    for point, color, fill in sorted(dots, key=lambda dot: -dot[0][1]):
        x, y = scale.at(point)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{color}"/>')
        parts.append(_text(*_free_place(x + 7, y + 4, labels), label(point[1]), "start"))
    return parts


def _free_place(x: float, y: float, labels: list[tuple[float, float]]) -> tuple[float, float]:
    """Return and reserve the place for a label, further down if the place is taken."""
    while any(abs(x - a) < LABEL_WIDTH and abs(y - b) < LABEL_HEIGHT for a, b in labels):
        y += 1
    labels.append((x, y))
    return x, y


class _Scale:
    """Positions points as shares of the chart's width and height, from its lower left."""

    def share(self, point: tuple[float, float]) -> tuple[float, float]:
        raise NotImplementedError

    def ticks(self) -> tuple[Sequence[float], Sequence[float]]:
        raise NotImplementedError

    def at(self, point: tuple[float, float]) -> tuple[float, float]:
        """Return the position of a point."""
        x, y = self.share(point)
        across, up = WIDTH - 1.5 * MARGIN, HEIGHT - 1.5 * MARGIN
        return MARGIN + x * across, HEIGHT - MARGIN - y * up

    def grid(self, across: str) -> list[str]:
        """Return a labeled line at each tick."""
        xs, ys = self.ticks()
        parts = []
        for tick in xs:
            x, y = self.at((tick, ys[0]))
            parts.append(_line(x, y, *self.at((tick, ys[-1]))))
            parts.append(_text(x, y + 16, f"{tick:,g}", "middle"))
        for tick in ys:
            x, y = self.at((xs[0], tick))
            parts.append(_line(x, y, *self.at((xs[-1], tick))))
            parts.append(_text(x - 6, y + 4, f"{tick:,g}", "end"))
        parts.append(_text(WIDTH / 2, HEIGHT - MARGIN + 34, across, "middle"))
        return parts


class _Logarithmic(_Scale):
    def __init__(self, panel: Panel) -> None:
        parts = (panel.points, panel.computed, panel.lines, panel.dashed)
        drawn = [point for part in parts for series in part.values() for point in series]
        self._x = decades([x for x, y in drawn if x > 0])
        self._y = decades([y for x, y in drawn if y > 0])

    def share(self, point: tuple[float, float]) -> tuple[float, float]:
        (left, right), (bottom, top) = self._x, self._y
        x = (log10(max(point[0], 10.0**left)) - left) / (right - left)
        y = (log10(max(point[1], 10.0**bottom)) - bottom) / (top - bottom)
        return x, y

    def ticks(self) -> tuple[Sequence[float], Sequence[float]]:
        xs, ys = ([10.0**power for power in range(a, b + 1)] for a, b in (self._x, self._y))
        return xs, ys


class _Linear(_Scale):
    def __init__(self, right: float, top: float) -> None:
        self._step = next((one for one in STEPS if right / one <= MOST_STEPS), STEPS[-1])
        self._right, self._top = ceil(right / self._step) * self._step, top

    def share(self, point: tuple[float, float]) -> tuple[float, float]:
        return point[0] / self._right, point[1] / self._top

    def ticks(self) -> tuple[Sequence[float], Sequence[float]]:
        xs = [float(x) for x in range(0, self._right + 1, self._step)]
        return xs, [self._top * part / 4 for part in range(5)]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    place = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {place} class="grid"/>'


def _path(places: Points, color: str, dashes: str) -> str:
    route = " L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    return f'<path d="M{route}" fill="none" stroke="{color}" stroke-width="1.5"{dashes}/>'
