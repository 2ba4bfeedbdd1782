"""What an event must be to be a candidate: asked for, high enough in score, liquid, group's best.

Belongs here: the stages asked, score, liquidity and group, as expressions over candidates.
Keep out: caps, quotas and floors (`limits`). A comparison with null does not hold.
"""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.sessions import Session
from smallcaps_pipeline.settings import Manifest, Profile
from smallcaps_pipeline.thresholds import at_least, at_most

FLUSH = "flush"  # falls in wide bars by nature: it has a range limit of its own


def is_asked(settings: Manifest) -> pl.Expr:
    """Return whether the event lies in the trading days (both included) and types asked for."""
    asked = [pl.lit(True)]
    if settings.from_date is not None:
        asked.append(pl.col("date") >= settings.from_date.isoformat())
    if settings.to_date is not None:
        asked.append(pl.col("date") <= settings.to_date.isoformat())
    if settings.event_types is not None:
        asked.append(pl.col("event_type").is_in(list(settings.event_types)))
    return pl.all_horizontal(asked)


def has_score(profile: Profile, asked: pl.Expr) -> pl.Expr:
    """Return whether score reaches the profile's percentile of the events asked for.

    The percentile is interpolated linearly between the two scores next to it.
    """
    if profile.min_score_percentile is None:
        return pl.lit(True)
    threshold = (
        pl.col("score")
        .filter(asked)
        .quantile(profile.min_score_percentile / 100, interpolation="linear")
    )
    return at_least(pl.col("score"), threshold)


def is_liquid(profile: Profile, settings: Manifest) -> pl.Expr:
    """Return whether bar and day trade enough, in a bar that is not too wide to be traded."""
    so_far = pl.col("session").replace_strict(
        {str(name): value for name, value in settings.min_dollar_volume_so_far.items()},
        default=None,
        return_dtype=pl.Float64,
    )
    rules = [at_least(pl.col("dollar_volume_so_far"), so_far)]
    if profile.min_dollar_volume_bar is not None:
        rules.append(at_least(pl.col("dollar_volume"), profile.min_dollar_volume_bar))
    if profile.max_bar_range_pct is not None:
        rules.append(_is_narrow(profile.max_bar_range_pct, settings.flush_max_bar_range_pct))
    if profile.extended_hours_min_spike_x is not None:
        spikes = at_least(pl.col("spike_x"), profile.extended_hours_min_spike_x)
        rules.append((pl.col("session") == Session.RTH) | spikes)
    return pl.all_horizontal(rule.fill_null(False) for rule in rules)


def _is_narrow(limit_pct: float, flush_limit_pct: float) -> pl.Expr:
    limit = (
        pl.when(pl.col("event_type") == FLUSH)
        .then(max(limit_pct, flush_limit_pct) / 100)
        .otherwise(limit_pct / 100)
    )
    return at_most((pl.col("high") - pl.col("low")) / pl.col("close"), limit)


def represents_group(kept: pl.Expr) -> pl.Expr:
    """Return whether the event stands for its group: what is kept, else the best by rank.

    The rows must be sorted by rank.
    """
    group = "event_group_id"
    return kept | (~kept.any().over(group) & pl.col(group).is_first_distinct())
