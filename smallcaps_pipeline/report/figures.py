"""Pictures of counts: rows of bars and histograms as HTML, small static SVG for metadata.

Belongs here: how counts become a picture.
Keep out: an event's own charts (`minute_chart`, `tape_chart`), and the page (`page`).

Boxes of HTML fit any width, keep their text readable on a phone, and follow light and dark. The
SVGs need neither script nor style sheet and weigh a few kB: each is stored in Dagster's event log.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

import polars as pl

from smallcaps_pipeline.report.style import FONT, INK, UP
from smallcaps_pipeline.report.text import number, short

MOST_BINS: Final = 40
FEWEST_BINS: Final = 8
LEADS: Final = (((1, 1.5, 2, 3, 4, 5, 7), 0.7), ((1, 2, 5), 2.0), ((1, 3), 3.5))  # by decades shown
SVG_ROW: Final = 22
SVG_LABELS: Final = 170
SVG_BARS: Final = 300
SVG_VALUES: Final = 80
Segment = tuple[float, str]  # value, class


def bar(segments: Sequence[Segment], full: float) -> str:
    """Return a bar of segments; `full` is the value as wide as its box."""
    parts = "".join(
        f'<i class="{kind}" style="width:{value / (full or 1) * 100:.2f}%"></i>'
        for value, kind in segments
        if value
    )
    return f'<div class="track">{parts}</div>'


def bar_rows(rows: Sequence[tuple[str, Sequence[Segment], str]]) -> str:
    """Return rows of (label, segments, text behind), drawn to one scale."""
    full = max((sum(value for value, _ in segments) for _, segments, _ in rows), default=0)
    cells = "".join(
        f'<span>{escape(label)}</span>{bar(segments, full)}<span class="n">{escape(text)}</span>'
        for label, segments, text in rows
    )
    return f'<div class="bars">{cells}</div>'


def histogram(
    values: pl.Series, unit: str, *, of: str = "events", logarithmic: bool = False
) -> str:
    """Return how often values occur, in bins; with `logarithmic` of their decimal logarithm."""
    shown = values.drop_nulls()
    if logarithmic:
        shown = shown.filter(shown > 0).log10()
    if shown.is_empty():
        return '<p class="note">No values yet.</p>'
    low, width, counts = bins_of(shown, min(MOST_BINS, max(FEWEST_BINS, len(shown) // 5)))
    most = max(counts)

    def value(place: float) -> float:
        at = low + place * width
        return 10**at if logarithmic else at

    columns = "".join(
        f'<i style="height:{count / most * 100:.1f}%" title="{short(value(n))} to '
        f'{short(value(n + 1))} {escape(unit)}: {count:,} {of}"></i>'
        for n, count in enumerate(counts)
    )
    ticks = "".join(
        f'<span style="left:{share * 100:.1f}%">{text}</span>'
        for share, text in _ticks(low, low + width * len(counts), logarithmic=logarithmic)
    )
    return (
        f'<div class="hist"><div class="columns">{columns}</div><div class="ticks">{ticks}</div>'
        f'<p class="note">{escape(unit)}; median {short(float(values.drop_nulls().median()))}, '  # type: ignore[arg-type]
        f"{len(shown):,} {of}</p></div>"
    )


def bins_of(values: pl.Series, bins: int) -> tuple[float, float, list[int]]:
    """Count values in bins of equal width: (lower end, width, counts); all in one where equal."""
    low, high = float(values.to_numpy().min()), float(values.to_numpy().max())
    if high <= low:
        return low - 0.5, 1.0, [len(values)]
    width = (high - low) / bins
    index = ((values - low) / width).floor().clip(0, bins - 1).cast(pl.Int64)
    counted = dict(index.value_counts().iter_rows())
    return low, width, [counted.get(n, 0) for n in range(bins)]


def _ticks(low: float, high: float, *, logarithmic: bool) -> list[tuple[float, str]]:
    """Return (share of the width, text) of a few round values."""
    if not logarithmic:
        return [(n / 4, short(low + (high - low) * n / 4)) for n in range(5)]
    decades = range(math.floor(low), math.ceil(high) + 1)
    leads = next((some for some, widest in LEADS if high - low < widest), (1,))
    marks = [lead * 10.0**decade for decade in decades for lead in leads]
    return [
        ((math.log10(mark) - low) / (high - low), short(mark))
        for mark in marks
        if low <= math.log10(mark) <= high
    ]


def bar_chart_svg(
    labels: Sequence[str], values: Sequence[float], title: str, *, unit: str = ""
) -> str:
    """Return a horizontal bar chart as a static SVG string (UTF-8, no script, no loads).

    Args:
        labels: One per bar, from top to bottom.
        values: Not negative, one per label.
        title: Above the bars, and what a screen reader says.
        unit: Behind each value.
    """
    if len(labels) != len(values):
        raise ValueError(f"{len(labels)} labels for {len(values)} values")
    width, height = SVG_LABELS + SVG_BARS + SVG_VALUES, 34 + SVG_ROW * len(labels)
    full = max(values, default=0) or 1
    rows = "".join(
        _svg_bar(34 + SVG_ROW * index, label, value, value / full, unit)
        for index, (label, value) in enumerate(zip(labels, values, strict=True))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title)}" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family=\'{FONT}\' font-size="12" fill="{INK}">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
        f'<text x="0" y="18" font-size="14" font-weight="600">{escape(title)}</text>'
        f"{rows}</svg>"
    )


def _svg_bar(top: int, label: str, value: float, share: float, unit: str) -> str:
    length, middle = round(share * SVG_BARS, 1), top + 12
    return (
        f'<text x="{SVG_LABELS - 8}" y="{middle}" text-anchor="end">{escape(label)}</text>'
        f'<rect x="{SVG_LABELS}" y="{top + 1}" width="{length}" height="14" fill="{UP}"/>'
        f'<text x="{SVG_LABELS + length + 6}" y="{middle}">{escape(number(value, unit))}</text>'
    )
