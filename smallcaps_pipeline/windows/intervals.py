"""Algebra of half-open intervals: merge and subtract, for frames and for a handful of pairs.

Belongs here: what follows from "[start, end), touching is not overlap" alone.
Keep out: events, NBBO levels, what an interval is worth.

A frame of intervals has `window_start` and `window_end` (any ordered type, half-open) and the
columns that say whose time it is (`by`, for example symbol and kind). Intervals of different owners
never meet. An interval whose end is not after its start holds no instant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import polars as pl

Interval = tuple[datetime, datetime]

START, END = pl.col("window_start"), pl.col("window_end")


def label_overlaps(
    intervals: pl.DataFrame, *, by: Sequence[str], touching: bool = False
) -> pl.DataFrame:
    """Number the groups of intervals that hang together.

    Args:
        intervals: Rows in any order, every interval longer than nothing.
        by: Columns of the owner.
        touching: Whether an interval that starts where another ends hangs together with it.

    Returns:
        The rows sorted by owner, start and end, with `overlap_group` (UInt32, from 1, unique over
        all owners). The intervals of a group cover one stretch without a gap.
    """
    ends_before = END.cum_max().shift(1).over(by)
    apart = ends_before < START if touching else ends_before <= START
    ordered = intervals.sort(*by, "window_start", "window_end", maintain_order=True)
    return ordered.with_columns(overlap_group=apart.fill_null(value=True).cum_sum())


def merge_intervals(
    intervals: pl.DataFrame, *, by: Sequence[str], touching: bool = True
) -> pl.DataFrame:
    """Return the fewest intervals that cover the same time.

    Returns:
        `by`, window_start, window_end; sorted, of one owner never overlapping (and never touching
        where `touching` merges those too). Intervals without an instant are gone.
    """
    labelled = label_overlaps(intervals.filter(END > START), by=by, touching=touching)
    return (
        labelled.group_by("overlap_group", maintain_order=True)
        .agg(*(pl.col(name).first() for name in by), START.min(), END.max())
        .select(*by, "window_start", "window_end")
    )


def subtract_intervals(
    intervals: pl.DataFrame, taken: pl.DataFrame, *, by: Sequence[str]
) -> pl.DataFrame:
    """Take `taken` out of `intervals`; what remains of a row may be none, one or several rows.

    A sweep over the edges: between two neighbouring edges nothing changes, so a stretch remains
    where a row is open and no taken interval is.

    Args:
        intervals: Rows that do not overlap within an owner (touching rows stay apart); further
            columns pass through to each remainder.
        taken: Rows of the same owners, in any order, overlapping or not.
        by: Columns of the owner.

    Returns:
        The columns of `intervals`, sorted by owner and start.
    """
    rows = intervals.filter(END > START).with_row_index("row")
    edges = [
        *_edges(rows, by, column="wanted"),
        *_edges(merge_intervals(taken, by=by), by, column="taken"),
    ]
    stretches = (
        pl.concat(edges, how="diagonal")
        .group_by(*by, "window_start")
        .agg(pl.col("wanted").sum(), pl.col("taken").sum(), pl.col("row").max())
        .sort(*by, "window_start")
        .with_columns(
            pl.col("wanted", "taken").cum_sum().over(by),
            pl.col("row").forward_fill().over(by),
            START.shift(-1).over(by).alias("window_end"),
        )
        .filter((pl.col("wanted") > 0) & (pl.col("taken") == 0))
        .select("row", "window_start", "window_end")
    )
    kept = rows.drop("window_start", "window_end")
    return (
        stretches.join(kept, on="row", validate="m:1")
        .sort(*by, "window_start")
        .select(intervals.columns)
    )


def _edges(intervals: pl.DataFrame, by: Sequence[str], *, column: str) -> list[pl.DataFrame]:
    """Return one frame of starts (+1 in `column`) and one of ends (-1)."""
    row = [pl.col("row")] if "row" in intervals.columns else []
    return [
        intervals.select(*by, *row, START, pl.lit(1, pl.Int64).alias(column)),
        intervals.select(*by, END.alias("window_start"), pl.lit(-1, pl.Int64).alias(column)),
    ]


def uncovered(interval: Interval, taken: Iterable[Interval]) -> list[Interval]:
    """List what of one interval none of `taken` covers, in time order.

    The same subtraction for a few pairs, where a frame would cost more than the work.
    """
    start, end = interval
    remainder = []
    for taken_start, taken_end in sorted(taken):
        if taken_start >= taken_end:
            continue
        if start < min(taken_start, end):
            remainder.append((start, min(taken_start, end)))
        start = max(start, taken_end)
    if start < end:
        remainder.append((start, end))
    return remainder


def overlap(first: Interval, second: Interval) -> bool:
    """Say whether two intervals share an instant."""
    return max(first[0], second[0]) < min(first[1], second[1])
