"""Duplicates and groups of events (SPEC §4).

Duplicates are like events (same type and direction) of one symbol and day within a few minutes;
a group is a chain of any events of a symbol and day, each soon after the one before.
"""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.events.kernels import greedy_windows
from smallcaps_pipeline.settings import Duplicates
from smallcaps_pipeline.thresholds import above

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
    numbers = greedy_windows(
        ordered.select(pl.struct(SERIES).rle_id()).to_series().to_numpy(),
        ordered["timestamp"].dt.epoch("s").to_numpy() // 60,
        settings.window_minutes,
    )
    windowed = ordered.with_columns(pl.Series("_window", numbers))
    if settings.keep == "first":
        stays = pl.col("_window").is_first_distinct()
    else:
        best = pl.col("score").max().over("_window")
        earliest_best = (pl.col("score") == best) & (
            (pl.col("score") == best).cum_sum().over("_window") == 1
        )
        stays = earliest_best | above(pl.col("score"), settings.near_best_pct / 100 * best)
    return windowed.filter(stays).drop("_window")


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
