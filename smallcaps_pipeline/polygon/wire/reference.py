"""Rows of reference data: tickers, corporate actions, news, codes, the market's hours."""

from __future__ import annotations

from typing import Final

import polars as pl
import pyarrow as pa

from smallcaps_pipeline import schemas
from smallcaps_pipeline.polygon.wire.rows import (
    FLAG,
    INT,
    REAL,
    TEXT,
    TEXTS,
    Envelope,
    Wire,
    date_of,
    instant_of,
    null,
)
from smallcaps_pipeline.schemas import UTC_US, Table

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
    "delisted_at": instant_of("delisted_utc"),
    "float_shares": null(pl.Float64),  # an endpoint of its own, and without history
}

# The list tells who is listed, not how big a company is: those columns are null.
TICKERS: Final = Wire(
    schemas.TICKER_DETAILS,
    _TICKER_FIELDS,
    ("ticker",),
    {
        **_TICKER_COLUMNS,
        "list_date": null(pl.Date),
        "market_cap": null(pl.Float64),
        "shares_outstanding": null(pl.Float64),
        "round_lot": null(pl.Float64),
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
        "list_date": date_of("list_date"),
        "shares_outstanding": pl.col("share_class_shares_outstanding"),
    },
    Envelope.OBJECT,
)


def _of_events(*path: str) -> pl.Expr:
    """Return a field of each ticker change of a company, as a list."""
    value = pl.element()
    for name in path:
        value = value.struct.field(name)
    return pl.col("events").list.eval(value)


# One company with its events; no other type of event is asked for.
TICKER_EVENTS: Final = Wire(
    schemas.TICKER_EVENTS,
    {
        "events": pa.list_(
            pa.struct({"date": TEXT, "type": TEXT, "ticker_change": pa.struct({"ticker": TEXT})})
        ),
        "name": TEXT,
        "cik": TEXT,
        "composite_figi": TEXT,
    },
    ("events",),
    {
        "date": _of_events("date").list.eval(pl.element().str.to_date("%Y-%m-%d")),
        "ticker": _of_events("ticker_change", "ticker"),
    },
    Envelope.OBJECT,
    explode=("date", "ticker"),
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
    {"symbol": pl.col("ticker"), "settlement_date": date_of("settlement_date")},
)

FLOAT_SHARES: Final = Wire(
    schemas.FLOAT_SHARES,
    {"ticker": TEXT, "effective_date": TEXT, "free_float": REAL, "free_float_percent": REAL},
    ("ticker", "effective_date", "free_float"),
    {
        "symbol": pl.col("ticker"),
        "effective_date": date_of("effective_date"),
        "float_shares": pl.col("free_float"),
        "float_pct": pl.col("free_float_percent"),
    },
)

SPLITS: Final = Wire(
    schemas.SPLITS,
    {"ticker": TEXT, "execution_date": TEXT, "split_from": REAL, "split_to": REAL},
    ("ticker", "execution_date", "split_from", "split_to"),
    {"symbol": pl.col("ticker"), "execution_date": date_of("execution_date")},
)

DIVIDENDS: Final = Wire(
    schemas.DIVIDENDS,
    {
        "ticker": TEXT,
        "declaration_date": TEXT,
        "ex_dividend_date": TEXT,
        "pay_date": TEXT,
        "cash_amount": REAL,
        "currency": TEXT,
        "id": TEXT,
    },
    ("ticker", "ex_dividend_date", "cash_amount", "id"),
    {
        "symbol": pl.col("ticker"),
        **{name: date_of(name) for name in ("declaration_date", "ex_dividend_date", "pay_date")},
        "dividend_id": pl.col("id"),
    },
)

NEWS: Final = Wire(
    schemas.NEWS,
    {"id": TEXT, "published_utc": TEXT, "title": TEXT, "tickers": TEXTS},
    ("id", "published_utc", "tickers"),
    {
        "symbol": pl.col("tickers"),
        "published_at": instant_of("published_utc"),
        "news_id": pl.col("id"),
    },
    explode=("symbol",),
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
    {"date": date_of("date"), "opens_at": instant_of("open"), "closes_at": instant_of("close")},
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
        "server_at": instant_of("serverTime"),
        "is_premarket": pl.col("earlyHours"),
        "is_afterhours": pl.col("afterHours"),
    },
    Envelope.BARE_OBJECT,
)
