"""Counts of events by type, session, time of day and month: detected, chosen, judged.

Keep out: how they are shown (`page`).
"""

from __future__ import annotations

from typing import Final

import polars as pl

from smallcaps_pipeline.manifest.buckets import time_buckets
from smallcaps_pipeline.report.labels import ReviewLabel
from smallcaps_pipeline.sessions import Session
from smallcaps_pipeline.settings import Settings

DIMENSIONS: Final = {
    "event_type": "Type",
    "session": "Session",
    "time_bucket": "Time of day",
    "month": "Month",
}
_DAY_ORDER: Final = ("PM", "opening", "midday", "power_hour", "RTH", "AH")


def breakdown(
    events: pl.DataFrame,
    chosen: pl.DataFrame | None,
    labels: pl.DataFrame,
    dimension: str,
    settings: Settings,
) -> pl.DataFrame:
    """Count events by one dimension.

    Args:
        events: Rows of `schemas.EVENTS`.
        chosen: Rows with `event_id` of the manifest; None = no manifest.
        labels: `event_id`, `label` of judged events.
        dimension: A key of DIMENSIONS.
        settings: Where the buckets of the day end.

    Returns:
        One row per value: the dimension, `PM`, `RTH`, `AH` (detected, by session), `detected`,
        `chosen`, `good`, `bad`, `unsure`. Types by number, the day in its order, months without a
        gap.
    """
    keyed = events.select(
        "event_id",
        "session",
        "event_type",
        month=pl.col("date").str.head(7),
        time_bucket=time_buckets(events, settings.manifest),
    )
    taken = pl.Series(dtype=pl.String) if chosen is None else chosen["event_id"]
    marked = keyed.with_columns(is_chosen=pl.col("event_id").is_in(taken.implode())).join(
        labels, on="event_id", how="left"
    )
    by_session = ((pl.col("session") == s).sum().alias(s.value) for s in Session)
    by_label = ((pl.col("label") == said).sum().alias(said.value) for said in ReviewLabel)
    counted = marked.group_by(dimension).agg(
        *by_session, *by_label, detected=pl.len(), chosen=pl.col("is_chosen").sum()
    )
    counted = counted.with_columns(pl.exclude(dimension).cast(pl.Int64).fill_null(0))
    if dimension == "event_type":
        return counted.sort("detected", dimension, descending=[True, False])
    if dimension == "month":
        return _without_gaps(counted)
    place = {name: n for n, name in enumerate(_DAY_ORDER)}
    return counted.sort(pl.col(dimension).replace_strict(place, default=len(place)))


def _without_gaps(by_month: pl.DataFrame) -> pl.DataFrame:
    """Add the months between the first and the last in which nothing was detected."""
    dated = by_month.with_columns(first=(pl.col("month") + "-01").str.to_date())
    if dated.is_empty():
        return by_month
    first, last = pl.col("first").min(), pl.col("first").max()
    every = dated.select(first=pl.date_range(first, last, "1mo"))
    return (
        every.join(dated, on="first", how="left")
        .with_columns(month=pl.col("first").dt.strftime("%Y-%m"))
        .drop("first")
        .with_columns(pl.exclude("month").fill_null(0))
        .select(by_month.columns)
        .sort("month")
    )
