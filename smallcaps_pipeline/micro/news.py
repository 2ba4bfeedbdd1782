"""How fresh the news was when an event's bar ended.

Keep out: what the news says.
"""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.micro.prices import NS_PER_S, nanoseconds

NS_PER_HOUR = 3600 * NS_PER_S


def news_latency(events: pl.DataFrame, news: pl.DataFrame | None, *, hours: int) -> pl.DataFrame:
    """Return per event the seconds from the last news item of its symbol to its bar's end.

    Args:
        events: As `slices.event_bounds` gives them.
        news: Rows of `schemas.NEWS`, any order; None = not known.
        hours: News older than this does not count; of exactly this age does.

    Returns:
        One row per event: event, news_latency_s (null where no item lies before the bar's end).
    """
    if news is None:
        return events.select("event", news_latency_s=pl.lit(None, dtype=pl.Float64))
    items = news.select("symbol", item_ns=nanoseconds(pl.col("published_at")))
    age = pl.col("bar_end_ns") - pl.col("item_ns")
    return (
        events.select("event", "symbol", "bar_end_ns")
        .sort("symbol", "bar_end_ns")
        .join_asof(
            items.drop_nulls().sort("symbol", "item_ns"),
            left_on="bar_end_ns",
            right_on="item_ns",
            by="symbol",
            strategy="backward",
            allow_exact_matches=False,  # at the bar's end it is not before it
            check_sortedness=False,  # both sorted within each symbol
        )
        .select("event", news_latency_s=pl.when(age <= hours * NS_PER_HOUR).then(age / NS_PER_S))
    )
