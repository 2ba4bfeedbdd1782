"""Small tables that several tests of windows/ share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from smallcaps_pipeline.schemas import QUOTES, STORED, TRADES
from smallcaps_pipeline.settings import load_settings

CONFIG = load_settings()
DAY = datetime(2025, 10, 7, tzinfo=UTC)


def at(clock: str) -> datetime:
    """Return the UTC instant "HH:MM" or "HH:MM:SS" of the day of the tests (a Tuesday)."""
    hour, minute, *second = map(int, clock.split(":"))
    return DAY.replace(hour=hour, minute=minute, second=second[0] if second else 0)


def event_id(symbol: str, timestamp: datetime) -> str:
    return f"{symbol}_{timestamp:%Y%m%d_%H%M%S}_volume_spike_up"


def manifest_row(
    symbol: str,
    timestamp: datetime,
    *,
    rank: int = 1,
    before: int = 3,
    after: int = 7,
    by_change: bool = True,
    max_hz: int | None = 5,
) -> dict[str, Any]:
    """Return what the plan reads of one manifest row; minutes before and after the event."""
    return {
        "symbol": symbol,
        "timestamp": timestamp,
        "event_id": event_id(symbol, timestamp),
        "rank": rank,
        "nbbo_by_change": by_change,
        "nbbo_max_hz": max_hz,
        "window_start": timestamp - timedelta(minutes=before),
        "window_end": timestamp + timedelta(minutes=after),
    }


def manifest(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema_overrides={"nbbo_max_hz": pl.Int64})


def stored_rows(*rows: tuple[str, str, str, str, str | None]) -> pl.DataFrame:
    """Return schemas.STORED from (symbol, kind, "HH:MM", "HH:MM", nbbo)."""
    return pl.DataFrame(
        [(symbol, kind, at(start), at(end), nbbo) for symbol, kind, start, end, nbbo in rows],
        schema=STORED.schema,
        orient="row",
    )


def spans(plan: pl.DataFrame, kind: str) -> list[tuple[str, str]]:
    """Return the intervals of a kind as ("HH:MM", "HH:MM"), in the plan's order."""
    return [
        (f"{row['window_start']:%H:%M}", f"{row['window_end']:%H:%M}")
        for row in plan.filter(pl.col("kind") == kind).to_dicts()
    ]


def trades(times_ns: Sequence[int], **columns: Any) -> pl.DataFrame:
    """Return schemas.TRADES with one print of 100 shares at $10 at each instant."""
    rows = pl.DataFrame({"timestamp": times_ns}, schema={"timestamp": pl.Int64})
    return TRADES.conform(
        rows.with_columns(
            pl.col("timestamp").cast(pl.Datetime("ns", "UTC")),
            participant_timestamp=pl.col("timestamp").cast(pl.Datetime("ns", "UTC")),
            price=pl.lit(10.0),
            size=pl.lit(100.0),
            exchange=pl.lit(12),
            conditions=pl.lit([], dtype=pl.List(pl.Int32)),
            correction=pl.lit(0),
            trade_id=pl.col("timestamp").cast(pl.String),
            sequence_number=pl.int_range(pl.len(), dtype=pl.Int64),
            tape=pl.lit(3),
        ).with_columns(**columns)
    )


def quotes(
    times_ns: Sequence[int],
    bids: Sequence[float | None],
    asks: Sequence[float | None],
    **columns: Any,
) -> pl.DataFrame:
    """Return schemas.QUOTES of size 1 by 1."""
    rows = pl.DataFrame(
        {"timestamp": times_ns, "bid_price": bids, "ask_price": asks},
        schema={"timestamp": pl.Int64, "bid_price": pl.Float64, "ask_price": pl.Float64},
    )
    return QUOTES.conform(
        rows.with_columns(
            pl.col("timestamp").cast(pl.Datetime("ns", "UTC")),
            participant_timestamp=pl.col("timestamp").cast(pl.Datetime("ns", "UTC")),
            bid_size=pl.lit(1.0),
            ask_size=pl.lit(1.0),
            bid_exchange=pl.lit(12),
            ask_exchange=pl.lit(11),
            conditions=pl.lit([1], dtype=pl.List(pl.Int32)),
            indicators=pl.lit([], dtype=pl.List(pl.Int32)),
            sequence_number=pl.int_range(pl.len(), dtype=pl.Int64),
            tape=pl.lit(3),
        ).with_columns(**columns)
    )


def ns(instant: datetime) -> int:
    """Return an instant of whole microseconds in ns since the epoch, in integers."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def cut(rows: pl.DataFrame, start: str, end: str) -> pl.DataFrame:
    """Return the rows of ["HH:MM", "HH:MM")."""
    time = pl.col("timestamp").to_physical()
    return rows.filter(time >= ns(at(start)), time < ns(at(end)))
