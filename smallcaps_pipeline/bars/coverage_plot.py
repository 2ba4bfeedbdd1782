"""The picture of coverage: a strip of days per month, each coloured by what is there.

Static SVG, small enough for Dagster's event log: one rectangle per run of days of one colour.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby
from typing import Final

import polars as pl

CELL, ROW, LEFT, TOP = 9, 14, 64, 40
MONTHS_SHOWN: Final = 60  # the latest
COLOURS: Final = {
    "all there": "#2e7d5b",
    "some missing": "#e0a030",
    "most missing": "#c0392b",
    "odd size": "#6a3fa0",
    "nothing": "#d9d9d9",
}
MOST: Final = 0.5


def coverage_svg(by_day: pl.DataFrame) -> str:
    """Draw the trading days of `schemas.DAY_COVERAGE`, a row per month, days from left to right."""
    months = _months(by_day)
    width = LEFT + 23 * CELL + 330
    height = TOP + ROW * max(len(months), 1) + 10
    rows = "".join(_row(TOP + ROW * n, label, kinds) for n, (label, kinds) in enumerate(months))
    legend = "".join(
        f'<rect x="{LEFT + 24 * CELL + 12}" y="{TOP + 18 * n}" width="10" height="10" '
        f'fill="{colour}"/><text x="{LEFT + 24 * CELL + 28}" y="{TOP + 9 + 18 * n}">'
        f"{escape(kind)}</text>"
        for n, (kind, colour) in enumerate(COLOURS.items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="Coverage of bars" '
        f'width="{width}" height="{max(height, TOP + 100)}" font-family="sans-serif" '
        f'font-size="11"><text x="0" y="18" font-size="14" font-weight="600">Bars by trading day: '
        f"share of the expected symbols</text>{rows}{legend}</svg>"
    )


def day_kinds(by_day: pl.DataFrame) -> pl.DataFrame:
    """Return `date` and `kind`, one of the legend's, of each trading day."""
    missing = pl.col("symbols_missing") / pl.col("symbols_expected")
    nothing = (pl.col("symbols_with_bars") == 0) & (pl.col("symbols_empty") == 0)
    kind = (
        pl.when(nothing)
        .then(pl.lit("nothing"))
        .when((pl.col("symbols_missing") > 0) & (missing > MOST))
        .then(pl.lit("most missing"))
        .when(pl.col("symbols_missing") > 0)
        .then(pl.lit("some missing"))
        .when(pl.col("is_odd"))
        .then(pl.lit("odd size"))
        .otherwise(pl.lit("all there"))
    )
    return by_day.sort("date").select("date", kind=kind)


def _months(by_day: pl.DataFrame) -> list[tuple[str, list[str]]]:
    kinds = day_kinds(by_day).with_columns(month=pl.col("date").dt.strftime("%Y-%m"))
    grouped = kinds.group_by("month", maintain_order=True).agg("kind")
    return list(grouped.tail(MONTHS_SHOWN).iter_rows())


def _row(top: int, label: str, kinds: list[str]) -> str:
    return f'<text x="0" y="{top + 9}">{escape(label)}</text>' + "".join(_runs(top, kinds))


def _runs(top: int, kinds: list[str]) -> Iterator[str]:
    place = 0
    for kind, run in groupby(kinds):
        days = len(list(run))
        yield (
            f'<rect x="{LEFT + CELL * place}" y="{top}" width="{CELL * days - 1}" height="10" '
            f'fill="{COLOURS[kind]}"/>'
        )
        place += days
