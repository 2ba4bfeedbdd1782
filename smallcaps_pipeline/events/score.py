"""The score of an event: a weighted sum of five parts, each in [0, 1] (SPEC §4)."""

from __future__ import annotations

import math

import polars as pl

from smallcaps_pipeline.events.direction import IS_UP
from smallcaps_pipeline.events.features import (
    CLOSE,
    DAY_START,
    OPEN,
    ROW,
    RUN_GREEN,
    RUN_RED,
    SPIKE_X,
    VWAP_DISTANCE,
    change,
)
from smallcaps_pipeline.settings import Score
from smallcaps_pipeline.thresholds import at_least

CHANGE_5M = change(5)  # a column of the event row, whatever price_momentum looks back on


def score(settings: Score) -> pl.Expr:
    """Return the score of event rows, which have `direction`; a part that is undefined counts 0.

    Args:
        settings: The section `events.score`.
    """
    run = pl.when(IS_UP).then(RUN_GREEN).otherwise(RUN_RED)
    moved = CHANGE_5M.fill_null(CLOSE / OPEN - 1)
    full_move, full_distance = settings.full_change_pct / 100, settings.full_vwap_distance_pct / 100
    parts = {
        "volume_spike_magnitude": SPIKE_X.log1p() / math.log1p(settings.full_spike_x),
        "price_change_magnitude": moved.abs() / full_move,
        "volume_confirm": pl.col("volume_confirm"),
        "consecutive_bars": run / settings.full_run,
        "distance_from_vwap": VWAP_DISTANCE.abs() / full_distance,
    }
    weights = settings.weights.model_dump()
    return pl.sum_horizontal(
        weights[name] * part.clip(0.0, 1.0).fill_null(0.0) for name, part in parts.items()
    )


def volume_confirm(settings: Score) -> pl.Expr:
    """Return the share of the day's last bars, this one included, with a high spike_x.

    At the start of the day there are fewer bars; then it is the share of those there are.
    """
    confirmed = at_least(SPIKE_X, settings.confirm_spike_x).fill_null(False).cast(pl.Float64)
    looked_at = range(settings.confirm_bars)
    in_day = [back <= ROW - DAY_START for back in looked_at]
    shares = [
        pl.when(there).then(confirmed.shift(back)).otherwise(0.0)
        for back, there in zip(looked_at, in_day, strict=True)
    ]
    return (pl.sum_horizontal(shares) / pl.sum_horizontal(in_day)).alias("volume_confirm")
