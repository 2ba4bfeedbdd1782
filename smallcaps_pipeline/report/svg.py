"""Scales, ticks and paths: what a chart of our own needs to become SVG.

Belongs here: how numbers become coordinates and marks.
Keep out: what is drawn (`minute_chart`, `tape_chart`) and colours (`style`: marks carry classes,
so one chart is right in light and in dark, and under a policy that forbids styles in line).

Many marks of one kind are one path: 90 candles are four elements, and a chart weighs some 20 kB.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

NICE_STEPS: Final = (1, 2, 5, 10)  # not 2.5: half a cent does not show in cents
Point = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """A linear scale: from a range of values to a range of coordinates.

    Attributes:
        low, high: Values at the two ends; equal ones are drawn apart a little.
        start, end: Their coordinates; `start` > `end` for an axis that goes up.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the coordinate of a value."""
        return self.start + (value - self.low) / self.width * (self.end - self.start)

    @property
    def width(self) -> float:
        return (self.high - self.low) or 1.0

    def clamp(self, value: float) -> float:
        """Return the coordinate of a value, at the nearer end for one that lies outside."""
        return self(min(max(value, self.low), self.high))

    def ticks(self, about: int) -> list[float]:
        """Return round values within the scale, roughly `about` of them."""
        raw = self.width / max(about, 1)
        magnitude = 10.0 ** math.floor(math.log10(raw))
        step = next(nice * magnitude for nice in NICE_STEPS if nice * magnitude >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [n * step for n in range(first, last + 1)]


def padded(values: Iterable[float], share: float = 0.06) -> tuple[float, float]:
    """Return the range of values, wider by a share of it at both ends; (0, 1) of none."""
    there = list(values)
    if not there:
        return 0.0, 1.0
    low, high = min(there), max(there)
    margin = (high - low) * share or abs(high) * 0.002 or 0.5
    return low - margin, high + margin


def rounded(value: float) -> str:
    """Return a coordinate with one decimal, without a trailing .0."""
    return f"{value:.1f}".removesuffix(".0")


def line(points: Iterable[Point | None], kind: str, *, stepped: bool = False) -> str:
    """Return a line through points; None is a gap; `stepped` holds a value until the next."""
    path, pen_down, last = [], False, ""
    for point in points:
        if point is None:
            pen_down = False
            continue
        x, y = rounded(point[0]), rounded(point[1])
        if not pen_down:
            path.append(f"M{x} {y}")
        elif stepped:
            path.append(f"H{x}" if y == last else f"H{x}V{y}")
        else:
            path.append(f"L{x} {y}")
        pen_down, last = True, y
    return f'<path class="{kind}" d="{"".join(path)}"/>' if path else ""


def boxes(rectangles: Iterable[tuple[float, float, float, float]], kind: str) -> str:
    """Return rectangles (left, top, width, height) as one path."""
    path = "".join(
        f"M{rounded(x)} {rounded(y)}h{rounded(w)}v{rounded(h)}h{rounded(-w)}z"
        for x, y, w, h in rectangles
    )
    return f'<path class="{kind}" d="{path}"/>' if path else ""


def strokes(segments: Iterable[tuple[float, float, float]], kind: str) -> str:
    """Return vertical strokes (x, top, bottom) as one path."""
    path = "".join(f"M{rounded(x)} {rounded(a)}V{rounded(b)}" for x, a, b in segments)
    return f'<path class="{kind}" d="{path}"/>' if path else ""


def dots(points: Iterable[Point], kind: str) -> str:
    """Return dots as one path of strokes without length: the class's stroke width is their size."""
    path = "".join(f"M{rounded(x)} {rounded(y)}h0" for x, y in points)
    return f'<path class="{kind}" d="{path}"/>' if path else ""


def box(left: float, top: float, width: float, height: float, kind: str) -> str:
    """Return one rectangle."""
    return (
        f'<rect class="{kind}" x="{rounded(left)}" y="{rounded(top)}" '
        f'width="{rounded(max(width, 0))}" height="{rounded(max(height, 0))}"/>'
    )


def words(text: str, x: float, y: float, kind: str = "t", anchor: str = "start") -> str:
    """Return a text; x, y is the anchor on the base line."""
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{kind}" x="{rounded(x)}" y="{rounded(y)}"{where}>{escape(text)}</text>'


def rule(y: float, left: float, right: float, kind: str = "grid") -> str:
    """Return a horizontal line."""
    return f'<path class="{kind}" d="M{rounded(left)} {rounded(y)}H{rounded(right)}"/>'


def drawing(parts: Sequence[str], width: float, height: float, title: str, data: str = "") -> str:
    """Return a whole drawing, which scales with the width of its box; no script, no loads."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" '
        f'aria-label="{escape(title)}" preserveAspectRatio="xMidYMin" '
        f'viewBox="0 0 {rounded(width)} {rounded(height)}"{data}>'
        f"{''.join(parts)}</svg>"
    )
