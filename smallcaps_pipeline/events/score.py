"""The score of an event: a weighted sum of five parts, each in [0, 1] (SPEC §4)."""

from __future__ import annotations

import math

import polars as pl

from smallcaps_pipeline.events.direction import IS_UP
from smallcaps_pipeline.settings import Score


def score(settings: Score) -> pl.Expr:
    """Return the score of event rows, with the figures of `scan`; an undefined part counts 0.

    Args:
        settings: The section `events.score`.
    """
    opened, closed = pl.col("open"), pl.col("close")
    run = pl.when(IS_UP).then(pl.col("run_green")).otherwise(pl.col("run_red"))
    moved = pl.col("change_5m").fill_null(closed / opened - 1)
    full_move, full_distance = settings.full_change_pct / 100, settings.full_vwap_distance_pct / 100
    parts = {
        "volume_spike_magnitude": pl.col("spike_x").log1p() / math.log1p(settings.full_spike_x),
        "price_change_magnitude": moved.abs() / full_move,
        "volume_confirm": pl.col("volume_confirm"),
        "consecutive_bars": run / settings.full_run,
        "distance_from_vwap": (closed / pl.col("vwap_rth") - 1).abs() / full_distance,
    }
    weights = settings.weights.model_dump()
    return pl.sum_horizontal(
        weights[name] * part.clip(0.0, 1.0).fill_null(0.0) for name, part in parts.items()
    )
