"""Tapes and books that bite: everything the specification makes a difference between."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import strategies as st

from smallcaps_pipeline_tests.micro.tables import ns, quotes, trades

CODES: list[list[int] | None] = [
    *([], [], [], None, [14], [14, 41], [9999]),  # regular, not known, sweeps, a code yet unknown
    *([37], [14, 37], [12], [12, 37], [13], [2], [10], [22], [32], [38], [53]),
    *([15], [16], [17], [18], [28], [19], [8]),
]
TICK = 10**8  # ns: tenths of a second, so that many rows share an instant


def tapes(day: str, opening: str, seconds: int) -> st.SearchStrategy[pl.DataFrame]:
    """Make tapes of up to 60 prints within `seconds` from `opening`, New York time."""
    trade = st.tuples(
        _times(seconds),
        st.one_of(st.integers(92_000, 106_000), st.sampled_from([100_000, 100_100, 100_050])),
        st.sampled_from([1.0, 50.0, 99.5, 100.0, 0.0015, 999.999, 1000.0, 1000.25, 2500.0]),
        st.sampled_from(CODES),
        st.sampled_from([0, 0, 0, 0, 0, 0, None, 1, 7, 8, 10, 11, 12]),
    )
    return _few_or_many(trade, 60).map(lambda rows: _tape(rows, day, opening))


def books(day: str, opening: str, seconds: int) -> st.SearchStrategy[pl.DataFrame]:
    """Make books: one-sided, empty, crossed and locked quotes among good ones; or no quote."""
    quote = st.tuples(
        _times(seconds),
        st.integers(95_000, 102_000),
        st.one_of(st.integers(0, 400), st.integers(-50, 50)),
        st.sampled_from(["", "", "", "", "no bid", "no ask", "nothing", "null"]),
        st.sampled_from([[], [], [], [17], [18], [1], None]),
    )
    return _few_or_many(quote, 40).map(lambda rows: _book(rows, day, opening))


def _times(seconds: int) -> st.SearchStrategy[int]:
    """Any tick; bursts of 20 s; and the minute, where bars and windows begin and end."""
    return st.one_of(
        st.integers(0, seconds * 10),
        st.integers(0, seconds // 20).map(lambda number: number * 200),
        st.integers(0, seconds // 60).map(lambda number: number * 600),
    )


def _few_or_many(row: st.SearchStrategy[Any], most: int) -> st.SearchStrategy[list[Any]]:
    return st.one_of(st.lists(row, max_size=most), st.lists(row, min_size=most // 2, max_size=most))


def _tape(rows: list[Any], day: str, opening: str) -> pl.DataFrame:
    made = trades(*((opening, p / 10_000, *rest) for _, p, *rest in rows), day=day)
    return _at(made, [tick for tick, *_ in rows], day, opening)


def _book(rows: list[Any], day: str, opening: str) -> pl.DataFrame:
    made = quotes(*((opening, *_sides(b, gap, kind), i) for _, b, gap, kind, i in rows), day=day)
    return _at(made, [tick for tick, *_ in rows], day, opening)


def _sides(bid: int, gap: int, kind: str) -> tuple[float | None, float | None]:
    low, high = bid / 10_000, (bid + gap) / 10_000
    empty = {
        "no bid": (0.0, high),
        "no ask": (low, 0.0),
        "nothing": (0.0, 0.0),
        "null": (None, high),
    }
    return empty.get(kind, (low, high))


def _at(frame: pl.DataFrame, ticks: list[int], day: str, opening: str) -> pl.DataFrame:
    at = pl.Series([ns(opening, day) + tick * TICK for tick in ticks], dtype=pl.Int64)
    instants = at.cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")
    return frame.with_columns(timestamp=instants)
