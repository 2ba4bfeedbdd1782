"""Candidates: the events by rank, with the few columns that choosing needs.

Belongs here: what is known of an event before any profile looks at it. Keep out: filters and caps.
Choosing reads 15 of the events' columns; the others are read for the chosen rows only, so a
million events fit into a laptop's memory.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from smallcaps_pipeline.manifest.buckets import time_buckets
from smallcaps_pipeline.manifest.filters import is_asked
from smallcaps_pipeline.manifest.rank import by_rank, rank_score
from smallcaps_pipeline.schemas import EVENTS
from smallcaps_pipeline.sessions import Session
from smallcaps_pipeline.settings import Manifest

NEEDED: Final = (
    "event_id",
    "symbol",
    "date",
    "timestamp",
    "event_type",
    "direction",
    "session",
    "spike_x",
    "high",
    "low",
    "close",
    "dollar_volume",
    "dollar_volume_so_far",
    "score",
    "event_group_id",
)
REMAINING: Final = tuple(name for name in EVENTS.columns if name not in NEEDED)


def read_candidates(events: pl.LazyFrame, held: pl.DataFrame, settings: Manifest) -> pl.DataFrame:
    """Return one row per distinct event, by rank.

    Args:
        events: Rows of EVENTS in any order.
        held: The held events, see `held.read_held`.
        settings: Priorities, dates and types asked for, time buckets.

    Returns:
        The columns of `NEEDED` and those of held, with `row` (position by rank), `rank_score`,
        `is_asked`, `time_bucket`, and what caps and quotas count by: `month`, `year`, `weekday`
        (Monday, ...), `quota_session` (AH counts with PM). An event without a group is its own.
    """
    rows = distinct(events.select(NEEDED).collect(), NEEDED)
    rows = rows.with_columns(
        pl.coalesce("event_group_id", "event_id").alias("event_group_id"),
        rank_score=rank_score(settings),
        is_asked=is_asked(settings),
        time_bucket=time_buckets(rows, settings),
        year=pl.col("date").str.head(4),
        month=pl.col("date").str.head(7),
        weekday=pl.col("date").str.to_date().dt.strftime("%A"),
        quota_session=_quota_session(),
    )
    rows = rows.join(held, on="event_id", how="left", validate="1:1")
    return by_rank(rows.with_columns(pl.col("is_held").fill_null(False))).with_row_index("row")


def full_rows(events: pl.LazyFrame, chosen: pl.DataFrame) -> pl.DataFrame:
    """Return `chosen` (with the columns of `NEEDED`) with the events' other columns added."""
    ids = chosen.lazy().select("event_id")
    rows = events.join(ids, on="event_id", how="semi").select(*NEEDED, *REMAINING).collect()
    others = distinct(rows, (*NEEDED, *REMAINING)).select("event_id", *REMAINING)
    return chosen.join(others, on="event_id", how="left", maintain_order="left", validate="1:1")


def distinct(rows: pl.DataFrame, order: tuple[str, ...]) -> pl.DataFrame:
    """Return one row per event_id: of copies that differ, the first in the order of `order`.

    The order starts with `NEEDED` for candidates and full rows alike, so both take one copy.
    """
    if rows["event_id"].n_unique() == rows.height:
        return rows
    return rows.sort(order).unique("event_id", keep="first", maintain_order=True)


def _quota_session() -> pl.Expr:
    extended = pl.col("session").is_in([Session.PM.value, Session.AH.value])
    return pl.when(extended).then(pl.lit(Session.PM.value)).otherwise("session")
