"""Duplicates and groups of events (SPEC §4).

Duplicates are like events (same type and direction) of one symbol and day within a few minutes;
a group is a chain of any events of a symbol and day, each soon after the one before.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from smallcaps_pipeline.compiled import Array, above, compiled, read_only
from smallcaps_pipeline.settings import Duplicates

SERIES = ("symbol", "date", "event_type", "direction")


def drop_duplicates(events: pl.DataFrame, settings: Duplicates) -> pl.DataFrame:
    """Keep of each window of like events the best, and those nearly as good.

    A window opens at the first event not yet in one and holds all events less than
    `window_minutes` after it. `keep: best` looks ahead by as much; `keep: first` keeps the first
    of a window and nothing else.

    Args:
        events: Rows with `symbol`, `date`, `event_type`, `direction`, `timestamp`, `score`.
        settings: The section `events.duplicates`.

    Returns:
        The rows that stay, sorted by symbol, date, type, direction and time.
    """
    ordered = events.sort(*SERIES, "timestamp")
    stays = np.zeros(len(ordered), np.bool_)
    mark_kept(
        read_only(ordered.select(pl.struct(SERIES).rle_id()).to_series().to_numpy()),
        ordered["timestamp"].dt.epoch("s").to_numpy() // 60,
        read_only(ordered["score"].to_numpy()),
        settings.window_minutes,
        settings.keep == "first",
        settings.near_best_pct / 100,
        stays,
    )
    return ordered.filter(pl.Series(stays))


@compiled
def mark_kept(
    series: Array,
    clock: Array,
    score: Array,
    minutes: int,
    first_only: bool,
    near_best: float,
    stays: Array,
) -> None:
    """Mark the rows that stay of each window of like events.

    Args:
        series: A number per series; rows of one series stand together, by time.
        clock: Minutes; a window holds the rows less than `minutes` after the row that opened it.
        score: What makes a row better than another.
        minutes: Length of a window.
        first_only: Keep the row that opened the window, and nothing else.
        near_best: Keep what is above this share of the best score.
        stays: Filled in.
    """
    begin = 0
    while begin < series.size:
        end, best = begin, begin
        while (
            end < series.size
            and series[end] == series[begin]
            and clock[end] - clock[begin] < minutes
        ):
            if score[end] > score[best]:  # the earliest of equals
                best = end
            end += 1
        for row in range(begin, end):
            stays[row] = not first_only and above(score[row], near_best * score[best])
        stays[begin if first_only else best] = True
        begin = end


def group_id(group_minutes: int) -> pl.Expr:
    """Return the id of each event's group: symbol and UTC minute of the group's first event.

    An event less than `group_minutes` after the one before it, of any type, belongs to that one's
    group. Expects events sorted by symbol and timestamp.
    """
    time = pl.col("timestamp")
    same_day = (pl.col("symbol") == pl.col("symbol").shift(1)) & (
        pl.col("date") == pl.col("date").shift(1)
    )
    soon = time - time.shift(1) < pl.duration(minutes=group_minutes)
    starts = ~(same_day & soon).fill_null(False)
    first = pl.when(starts).then(time).forward_fill()
    return pl.format("{}_{}", pl.col("symbol"), first.dt.strftime("%Y%m%dT%H%M"))
