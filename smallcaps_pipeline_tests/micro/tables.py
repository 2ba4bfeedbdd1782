"""Small tapes and books written by hand, in New York wall-clock time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from smallcaps_pipeline.schemas import MANIFEST, QUOTES, TRADES
from smallcaps_pipeline.sessions import NEW_YORK_TZ

DAY = "2025-10-07"  # a Tuesday, New York = UTC - 4


def ns(clock: str, day: str = DAY) -> int:
    """Return New York wall-clock time `HH:MM:SS[.fraction]` as ns since 1970."""
    whole, _, fraction = clock.partition(".")
    local = datetime.fromisoformat(f"{day}T{whole}").replace(tzinfo=NEW_YORK_TZ)
    return int(local.timestamp()) * 10**9 + int(fraction.ljust(9, "0") or 0)


def at(clock: str, day: str = DAY) -> datetime:
    """Return New York wall-clock time as a UTC instant."""
    return datetime.fromtimestamp(ns(clock, day) / 1e9, tz=UTC)


def trades(*rows: tuple[Any, ...], day: str = DAY, symbol: str | None = "AEMD") -> pl.DataFrame:
    """Make a tape of rows (clock, price[, size[, conditions[, correction]]]), numbered in order."""
    full = [(*row, *(100, [], 0)[len(row) - 2 :]) for row in rows]
    return _complete(
        TRADES,
        symbol,
        timestamp=[ns(row[0], day) for row in full],
        price=[row[1] for row in full],
        size=[row[2] for row in full],
        conditions=[row[3] for row in full],
        correction=[row[4] for row in full],
        sequence_number=list(range(1, len(full) + 1)),
        exchange=[4] * len(full),
        trade_id=[str(number) for number in range(len(full))],
    )


def quotes(*rows: tuple[Any, ...], day: str = DAY, symbol: str | None = "AEMD") -> pl.DataFrame:
    """Make a book of rows (clock, bid, ask[, indicators]), numbered in order."""
    return _complete(
        QUOTES,
        symbol,
        timestamp=[ns(row[0], day) for row in rows],
        bid_price=[row[1] for row in rows],
        ask_price=[row[2] for row in rows],
        indicators=[row[3] if len(row) > 3 else [] for row in rows],
        sequence_number=list(range(1, len(rows) + 1)),
    )


def event(
    clock: str = "10:03",
    *,
    before: int = 3,
    after: int = 7,
    direction: str = "up",
    close: float = 10.0,
    day: str = DAY,
    symbol: str = "AEMD",
) -> pl.DataFrame:
    """Make one manifest row whose bar starts at `clock`; the window in minutes around it."""
    start = at(f"{clock}:00", day)
    values: dict[str, Any] = {
        "event_id": f"{symbol}_{start:%Y%m%d_%H%M%S}_volume_spike_{direction}",
        "symbol": symbol,
        "date": day,
        "timestamp": start,
        "event_type": "volume_spike",
        "direction": direction,
        "session": "RTH",
        "profile": "core",
        "close": close,
        "window_start": start - timedelta(minutes=before),
        "window_end": start + timedelta(minutes=after),
    }
    row = {name: [values.get(name)] for name in MANIFEST.columns}
    return pl.DataFrame(row, schema=MANIFEST.schema)


def _complete(table: Any, symbol: str | None, **given: list[Any]) -> pl.DataFrame:
    length = len(given["timestamp"])
    frame = pl.DataFrame(
        {name: given.get(name, [None] * length) for name in table.columns},
        schema={**table.schema, "timestamp": pl.Int64},
    ).with_columns(pl.col("timestamp").cast(pl.Datetime("ns")).dt.replace_time_zone("UTC"))
    return frame if symbol is None else frame.with_columns(symbol=pl.lit(symbol))
