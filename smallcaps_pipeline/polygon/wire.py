"""Rows as the provider sends them, and how each becomes a row of ours.

Belongs here: per endpoint, the field names and types of its JSON, which must be there, and the
expressions that make our columns of them.
Keep out: reading JSON (frames), paths and parameters (client), meanings of our columns (schemas).

Field names are the wire's, so they are as short as the provider's (`o h l c v`). Fields that are
not declared are left aside. An optional field gives null where it is absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

import polars as pl
import pyarrow as pa

from smallcaps_pipeline import schemas
from smallcaps_pipeline.schemas import UTC_NS, UTC_US, Table

TEXT, REAL, LONG, INT, FLAG = pa.string(), pa.float64(), pa.int64(), pa.int32(), pa.bool_()
INTS, TEXTS = pa.list_(INT), pa.list_(TEXT)


class Envelope(Enum):
    """How an endpoint wraps its rows."""

    AGGREGATES = auto()  # {results: [...]}, the key absent where there are none
    LIST = auto()  # {results: [...]}, the key always there
    OBJECT = auto()  # {results: {...}}: one row
    BARE_LIST = auto()  # [...]
    BARE_OBJECT = auto()  # {...}: one row


@dataclass(frozen=True)
class Wire:
    """One endpoint's rows.

    Attributes:
        table: What they become.
        fields: Name and type of each field that is read.
        required: Fields without which a row is broken.
        columns: Our columns that are not simply a field of the same name.
        envelope: How the rows are wrapped.
        explode: Our list column that becomes one row per element, if any.
    """

    table: Table
    fields: Mapping[str, Any]
    required: tuple[str, ...]
    columns: Mapping[str, pl.Expr] = field(default_factory=dict)
    envelope: Envelope = Envelope.LIST
    explode: str | None = None


def _ns(name: str) -> pl.Expr:
    return pl.col(name).cast(UTC_NS)  # integers all the way: 2^53 ns ended in 1970


def _date(name: str) -> pl.Expr:
    return pl.col(name).str.to_date("%Y-%m-%d")


def _instant(name: str) -> pl.Expr:
    return pl.col(name).str.to_datetime("%+", time_unit="us", time_zone="UTC")


def _null(dtype: Any) -> pl.Expr:
    return pl.lit(None, dtype)


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
        "timestamp": _ns("sip_timestamp"),
        "participant_timestamp": _ns("participant_timestamp"),
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
        "timestamp": _ns("sip_timestamp"),
        "participant_timestamp": _ns("participant_timestamp"),
    },
)

_TICKER_FIELDS = {
    "ticker": TEXT,
    "name": TEXT,
    "type": TEXT,
    "primary_exchange": TEXT,
    "active": FLAG,
    "delisted_utc": TEXT,
}
_TICKER_COLUMNS = {
    "symbol": pl.col("ticker"),
    "delisted_at": _instant("delisted_utc"),
    "float_shares": _null(pl.Float64),  # an endpoint of its own, and without history
}

# The list tells who is listed, not how big a company is: those columns are null.
TICKERS: Final = Wire(
    schemas.TICKER_DETAILS,
    _TICKER_FIELDS,
    ("ticker",),
    {
        **_TICKER_COLUMNS,
        "list_date": _null(pl.Date),
        "market_cap": _null(pl.Float64),
        "shares_outstanding": _null(pl.Float64),
        "round_lot": _null(pl.Float64),
    },
)

TICKER_DETAILS: Final = Wire(
    schemas.TICKER_DETAILS,
    {
        **_TICKER_FIELDS,
        "list_date": TEXT,
        "market_cap": REAL,
        "share_class_shares_outstanding": REAL,
        "round_lot": REAL,
    },
    ("ticker",),
    {
        **_TICKER_COLUMNS,
        "list_date": _date("list_date"),
        "shares_outstanding": pl.col("share_class_shares_outstanding"),
    },
    Envelope.OBJECT,
)

SHORT_INTEREST: Final = Wire(
    schemas.SHORT_INTEREST,
    {
        "ticker": TEXT,
        "settlement_date": TEXT,
        "short_interest": REAL,
        "avg_daily_volume": REAL,
        "days_to_cover": REAL,
    },
    ("ticker", "settlement_date"),
    {"symbol": pl.col("ticker"), "settlement_date": _date("settlement_date")},
)

FLOAT_SHARES: Final = Wire(
    schemas.FLOAT_SHARES,
    {"ticker": TEXT, "effective_date": TEXT, "free_float": REAL, "free_float_percent": REAL},
    ("ticker", "effective_date", "free_float"),
    {
        "symbol": pl.col("ticker"),
        "effective_date": _date("effective_date"),
        "float_shares": pl.col("free_float"),
        "float_pct": pl.col("free_float_percent"),
    },
)

SPLITS: Final = Wire(
    schemas.SPLITS,
    {"ticker": TEXT, "execution_date": TEXT, "split_from": REAL, "split_to": REAL},
    ("ticker", "execution_date", "split_from", "split_to"),
    {"symbol": pl.col("ticker"), "execution_date": _date("execution_date")},
)

DIVIDENDS: Final = Wire(
    schemas.DIVIDENDS,
    {"ticker": TEXT, "ex_dividend_date": TEXT, "cash_amount": REAL, "currency": TEXT, "id": TEXT},
    ("ticker", "ex_dividend_date", "cash_amount", "id"),
    {
        "symbol": pl.col("ticker"),
        "ex_dividend_date": _date("ex_dividend_date"),
        "dividend_id": pl.col("id"),
    },
)

NEWS: Final = Wire(
    schemas.NEWS,
    {"id": TEXT, "published_utc": TEXT, "title": TEXT, "tickers": TEXTS},
    ("id", "published_utc", "tickers"),
    {
        "symbol": pl.col("tickers"),
        "published_at": _instant("published_utc"),
        "news_id": pl.col("id"),
    },
    explode="symbol",
)


def _update_rule(name: str) -> pl.Expr:
    return pl.col("update_rules").struct.field("consolidated").struct.field(name)


_RULES = ("updates_high_low", "updates_open_close", "updates_volume")

CONDITIONS: Final = Wire(
    schemas.CONDITIONS,
    {
        "id": INT,
        "type": TEXT,
        "name": TEXT,
        "data_types": TEXTS,
        "update_rules": pa.struct({"consolidated": pa.struct(dict.fromkeys(_RULES, FLAG))}),
    },
    ("id", "type"),
    {"condition_id": pl.col("id"), **{rule: _update_rule(rule) for rule in _RULES}},
)

EXCHANGES: Final = Wire(
    schemas.EXCHANGES,
    {"id": INT, "type": TEXT, "name": TEXT, "mic": TEXT, "participant_id": TEXT},
    ("id", "type"),
    {"exchange_id": pl.col("id")},
)

HOLIDAYS: Final = Wire(
    schemas.HOLIDAYS,
    {
        "date": TEXT,
        "exchange": TEXT,
        "name": TEXT,
        "status": TEXT,
        "open": TEXT,
        "close": TEXT,
    },
    ("date", "exchange", "status"),
    {"date": _date("date"), "opens_at": _instant("open"), "closes_at": _instant("close")},
    Envelope.BARE_LIST,
)

MARKET_STATUS: Final = Wire(
    Table(
        "market_status",
        "the market now",
        {
            "market": schemas.Column(pl.String, "open, closed or extended-hours"),
            "server_at": schemas.Column(UTC_US, "the provider's clock"),
            "is_premarket": schemas.Column(pl.Boolean, "before 09:30 on a trading day"),
            "is_afterhours": schemas.Column(pl.Boolean, "after the close on a trading day"),
        },
    ),
    {"market": TEXT, "serverTime": TEXT, "earlyHours": FLAG, "afterHours": FLAG},
    ("market", "serverTime"),
    {
        "server_at": _instant("serverTime"),
        "is_premarket": pl.col("earlyHours"),
        "is_afterhours": pl.col("afterHours"),
    },
    Envelope.BARE_OBJECT,
)
