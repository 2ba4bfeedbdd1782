"""Rows of market data: bars, daily bars, trades, quotes, snapshots."""

from __future__ import annotations

from typing import Final

import polars as pl
import pyarrow as pa

from smallcaps_pipeline import schemas
from smallcaps_pipeline.polygon.wire.rows import (
    INT,
    INTS,
    LONG,
    REAL,
    TEXT,
    Envelope,
    Wire,
    ns,
)
from smallcaps_pipeline.schemas import UTC_NS, UTC_US

_BAR_FIELDS = {"t": LONG, "o": REAL, "h": REAL, "l": REAL, "c": REAL, "v": REAL, "vw": REAL}
_BAR_COLUMNS = {
    "open": pl.col("o"),
    "high": pl.col("h"),
    "low": pl.col("l"),
    "close": pl.col("c"),
    "volume": pl.col("v"),
    "vwap": pl.col("vw"),
    "transactions": pl.col("n"),
}

# `symbol` is a fact of the request: rows of a range do not carry it.
MINUTE_BARS: Final = Wire(
    schemas.BARS,
    {**_BAR_FIELDS, "n": LONG},
    ("t", "o", "h", "l", "c", "v"),
    {"timestamp": (pl.col("t") * 1000).cast(UTC_US), **_BAR_COLUMNS},
    Envelope.AGGREGATES,
)

# `t` is 16:00 New York here, not the start of the day.
GROUPED_DAILY: Final = Wire(
    schemas.DAILY_BARS,
    {"T": TEXT, **_BAR_FIELDS, "n": LONG},
    ("T", "t", "o", "h", "l", "c", "v"),
    {
        "symbol": pl.col("T"),
        "date": (pl.col("t") * 1000)
        .cast(UTC_US)
        .dt.convert_time_zone("America/New_York")
        .dt.date(),
        **_BAR_COLUMNS,
    },
    Envelope.AGGREGATES,
)

TRADES: Final = Wire(
    schemas.TRADES,
    {
        "sip_timestamp": LONG,
        "participant_timestamp": LONG,
        "price": REAL,
        "size": REAL,
        "decimal_size": TEXT,
        "exchange": INT,
        "conditions": INTS,
        "correction": INT,
        "id": TEXT,
        "sequence_number": LONG,
        "tape": INT,
    },
    ("sip_timestamp", "price", "size", "exchange", "id", "sequence_number"),
    {
        "timestamp": ns("sip_timestamp"),
        "participant_timestamp": ns("participant_timestamp"),
        # Since February 2026 a fractional size stands in the text, the number being rounded.
        "size": pl.coalesce(pl.col("decimal_size").cast(pl.Float64), "size"),
        "conditions": pl.col("conditions").fill_null(pl.lit([], pl.List(pl.Int32))),
        "correction": pl.col("correction").fill_null(0),
        "trade_id": pl.col("id"),
    },
)

QUOTES: Final = Wire(
    schemas.QUOTES,
    {
        "sip_timestamp": LONG,
        "participant_timestamp": LONG,
        "bid_price": REAL,
        "bid_size": REAL,
        "bid_exchange": INT,
        "ask_price": REAL,
        "ask_size": REAL,
        "ask_exchange": INT,
        "conditions": INTS,
        "indicators": INTS,
        "sequence_number": LONG,
        "tape": INT,
    },
    ("sip_timestamp", "sequence_number"),
    {
        "timestamp": ns("sip_timestamp"),
        "participant_timestamp": ns("participant_timestamp"),
    },
)


def _of(struct: str, field: str) -> pl.Expr:
    return pl.col(struct).struct.field(field)


def _traded(struct: str, field: str) -> pl.Expr:
    """Return a field of a bar that is all zeros while nothing has traded; null then."""
    return pl.when(_of(struct, "c") > 0).then(_of(struct, field))


_SNAPSHOT_BAR = dict.fromkeys(("o", "h", "l", "c", "v", "vw"), REAL)
_SNAPSHOT_COLUMNS = {
    f"{ours}_{name}": _traded(theirs, field)
    for ours, theirs in (("day", "day"), ("minute", "min"))
    for name, field in (
        ("open", "o"),
        ("high", "h"),
        ("low", "l"),
        ("close", "c"),
        ("volume", "v"),
        ("vwap", "vw"),
    )
}

SNAPSHOTS: Final = Wire(
    schemas.SNAPSHOTS,
    {
        "ticker": TEXT,
        "updated": LONG,
        "day": pa.struct(_SNAPSHOT_BAR),
        "min": pa.struct({**_SNAPSHOT_BAR, "av": REAL, "n": LONG, "t": LONG}),
        "prevDay": pa.struct(_SNAPSHOT_BAR),
        "lastTrade": pa.struct({"p": REAL, "s": REAL, "ds": TEXT, "t": LONG, "x": INT, "c": INTS}),
        "lastQuote": pa.struct({"p": REAL, "s": REAL, "P": REAL, "S": REAL, "t": LONG}),
    },
    ("ticker",),
    {
        "symbol": pl.col("ticker"),
        "updated_at": pl.when(pl.col("updated") > 0).then(pl.col("updated")).cast(UTC_NS),
        **_SNAPSHOT_COLUMNS,
        "minute": pl.when(_of("min", "t") > 0).then(_of("min", "t") * 1000).cast(UTC_US),
        "minute_transactions": _traded("min", "n"),
        "volume_so_far": _of("min", "av"),
        "previous_close": _traded("prevDay", "c"),
        "previous_volume": _traded("prevDay", "v"),
        "last_trade_at": _of("lastTrade", "t").cast(UTC_NS),
        "last_price": _of("lastTrade", "p"),
        "last_size": pl.coalesce(_of("lastTrade", "ds").cast(pl.Float64), _of("lastTrade", "s")),
        "last_exchange": _of("lastTrade", "x"),
        "last_conditions": _of("lastTrade", "c"),
        "last_quote_at": _of("lastQuote", "t").cast(UTC_NS),
        "bid_price": _of("lastQuote", "p"),
        "bid_size": _of("lastQuote", "s"),
        "ask_price": _of("lastQuote", "P"),
        "ask_size": _of("lastQuote", "S"),
    },
    results="tickers",
)
