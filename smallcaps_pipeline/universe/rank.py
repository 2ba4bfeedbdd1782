"""Ranks the universe: the stocks that move most often and hardest come first.

Belongs here: ranks, tiers and what is reported about a ranking. Keep out: the four figures
(`activity`) and who takes part (`eligible`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from smallcaps_pipeline.schemas import UNIVERSE
from smallcaps_pipeline.settings import Settings, load_settings
from smallcaps_pipeline.settings import Universe as UniverseSettings
from smallcaps_pipeline.universe.activity import activity, look_back, usable_bars
from smallcaps_pipeline.universe.eligible import Reason, Unknown, judge

FIGURES: Final = ("gap_days", "range_days", "volume_days", "median_dollar_volume")


@dataclass(frozen=True)
class RankedUniverse:
    """The universe of a date, and what it rests on.

    Attributes:
        frame: One row per symbol, by universe_rank (`schemas.UNIVERSE`).
        left_out: Symbols that are not in it, by the first reason that held.
        unknown: Symbols in it of which a fact was not known, by fact.
        missing_sessions: Trading days of the look-back without any daily bar.
        bars_set_aside: Daily bars of the look-back that were bad or repeated another.
    """

    frame: pl.DataFrame
    left_out: Mapping[Reason, int]
    unknown: Mapping[Unknown, int]
    missing_sessions: int
    bars_set_aside: int


def rank_universe(
    daily_bars: pl.DataFrame | pl.LazyFrame,
    details: pl.DataFrame,
    *,
    as_of: date,
    splits: pl.DataFrame | None = None,
    settings: Settings | None = None,
) -> RankedUniverse:
    """Rank the stocks by how often and how hard they move.

    Args:
        daily_bars: Rows of `schemas.DAILY_BARS`, prices as traded, any order. Read are the
            `sessions` trading days up to as_of, included, and the `volume_mean_sessions` before
            them; nothing after as_of.
        details: Rows of `schemas.TICKER_DETAILS`, one per symbol.
        as_of: Date of the ranking, New York; on a day when the exchange is closed the trading day
            before it is the last session.
        splits: Rows of `schemas.SPLITS`; None = no split is known.
        settings: None takes `load_settings()`.

    Returns:
        The universe. A stock's percentile in a figure is its average rank, ascending, divided by
        the number of eligible stocks: the highest has 1, ties share the mean of their ranks.

    Raises:
        CalendarRangeError: The look-back leaves the exchange calendar.
        SplitError: A split has no usable ratio.
    """
    chosen = (settings or load_settings()).universe
    days, counted_from = look_back(as_of, chosen)
    bars, bars_set_aside = usable_bars(daily_bars.lazy().collect(), days)
    last_close = bars.group_by("symbol").agg(pl.col("close").sort_by("date").last())
    judged = judge(last_close, details, as_of, chosen)
    eligible = judged.filter(pl.col("reason").is_null())

    sessions = bars["date"].unique().sort().to_list()
    playing = bars.join(eligible, on="symbol", how="semi", maintain_order="left")
    figures = activity(playing, sessions, counted_from, splits, chosen)
    ranked = _ranked(figures, as_of, chosen)
    kept = ranked.head(chosen.size)
    return RankedUniverse(
        frame=kept,
        left_out=_left_out(judged, ranked.height - kept.height),
        unknown=_unknown(judged.join(kept, on="symbol", how="semi")),
        missing_sessions=len(days) - len(sessions),
        bars_set_aside=bars_set_aside,
    )


def _ranked(figures: pl.DataFrame, as_of: date, settings: UniverseSettings) -> pl.DataFrame:
    """Order by the mean percentile of the four figures, ties by symbol."""
    # Average ranks are whole halves, so their sum is exact and equal means are equal numbers.
    rank_sum = pl.sum_horizontal(pl.col(name).rank("average") for name in FIGURES)
    first, second = settings.tiers
    rank = pl.col("universe_rank")
    return UNIVERSE.conform(
        figures.with_columns(mean_percentile=rank_sum / (len(FIGURES) * pl.len()))
        .sort("mean_percentile", "symbol", descending=[True, False])
        .with_columns(universe_rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
        .with_columns(
            tier=pl.when(rank <= first).then(1).when(rank <= second).then(2).otherwise(3),
            as_of=pl.lit(as_of, pl.Date),
        )
    )


def _left_out(judged: pl.DataFrame, beyond_size: int) -> dict[Reason, int]:
    counts = dict(judged.group_by("reason").len().iter_rows())
    counts[Reason.BEYOND_SIZE.value] = beyond_size
    return {reason: counts.get(reason.value, 0) for reason in Reason}


def _unknown(kept: pl.DataFrame) -> dict[Unknown, int]:
    return {fact: int(kept[fact.value].sum()) for fact in Unknown}
