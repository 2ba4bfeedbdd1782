"""Counts of events by type, direction, session and month.

Keep out: what the counts should be (`kpis`) and how they look (`figures`).
"""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.schemas import EVENT_SUMMARY, EVENTS

SUMMARY_KEYS = EVENT_SUMMARY.key


def event_summary(events: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
    """Count events.

    Args:
        events: Rows of `schemas.EVENTS`.

    Returns:
        `schemas.EVENT_SUMMARY`, sorted by its key; combinations without an event have no row.
    """
    rows = EVENTS.conform(events.lazy(), where="event_summary")
    return (
        rows.with_columns(month=pl.col("date").str.head(7))
        .group_by(SUMMARY_KEYS)
        .agg(
            events=pl.len().cast(pl.Int64),
            symbols=pl.col("symbol").n_unique().cast(pl.Int64),
        )
        .sort(SUMMARY_KEYS)
        .collect(engine="streaming")  # of all shards there are
    )


def counts(events: pl.DataFrame, *keys: str) -> pl.DataFrame:
    """Count events by some keys: one row each with `events`, the most frequent first."""
    return (
        events.group_by(keys)
        .agg(events=pl.len().cast(pl.Int64))
        .sort("events", *keys, descending=[True, *(False for _ in keys)])
    )
