"""The news that were out before some events, from the files of their days."""

from __future__ import annotations

from datetime import date

import polars as pl

from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.schemas import NEWS
from smallcaps_pipeline.sessions import previous_trading_day


def news_around(lake: Lake, events: pl.DataFrame) -> pl.DataFrame | None:
    """Return the news of the events' trading days and those before; None where no day is there."""
    days = {date.fromisoformat(day) for day in events["date"].unique()}
    days |= {previous_trading_day(day) for day in days}
    files = [file for day in sorted(days) if (file := lake.day(NEWS.name, str(day))).exists()]
    if not files:
        return None
    symbols = events["symbol"].unique().implode()
    return lake.scan(files, NEWS).filter(pl.col("symbol").is_in(symbols)).collect()


def known_latency(lake: Lake, events: pl.DataFrame) -> pl.Expr:
    """Return `news_latency_s` of the days whose news were fetched, null on the others.

    On a day whose news were not fetched, that of the day before is not the last.
    """
    return pl.when(pl.col("date").is_in(days_with_news(lake, events))).then("news_latency_s")


def days_with_news(lake: Lake, events: pl.DataFrame) -> list[str]:
    """List those of the events' trading days whose news were fetched."""
    return [day for day in events["date"].unique() if lake.day(NEWS.name, day).exists()]
