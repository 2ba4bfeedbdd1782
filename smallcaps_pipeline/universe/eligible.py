"""Eligible stocks: type, exchange, listed on the date, price and market cap within the limits.

Belongs here: each reason to leave a stock out, and what is unknown. Keep out: the ranking.

A fact that is not known passes and is counted: old records of the provider leave type and exchange
blank, and a filter on them would drop real stocks without a word. A symbol that has bars but no
record at all is left out, for nothing says that it is a stock.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum

import polars as pl

from smallcaps_pipeline.schemas import TICKER_DETAILS
from smallcaps_pipeline.settings import Universe
from smallcaps_pipeline.thresholds import between


class Reason(StrEnum):
    """Why a symbol is not in the universe; the first that holds is counted."""

    NO_DETAILS = "no details"
    TYPE = "type"
    EXCHANGE = "exchange"
    NOT_LISTED = "not listed on the date"
    NO_BARS = "no daily bars"
    PRICE = "price"
    MARKET_CAP = "market cap"
    BEYOND_SIZE = "rank beyond the size"


class Unknown(StrEnum):
    """A fact that was not known of a stock that passed."""

    TYPE = "type"
    EXCHANGE = "exchange"
    LISTING = "listing"
    MARKET_CAP = "market cap"


def judge(
    last_close: pl.DataFrame, details: pl.DataFrame, as_of: date, settings: Universe
) -> pl.DataFrame:
    """Say of each symbol whether it takes part.

    Args:
        last_close: `symbol` and `close`, the last one on or before as_of, as traded.
        details: Rows of `schemas.TICKER_DETAILS`, one per symbol.
        as_of: Date of the universe.
        settings: Types, exchanges, limits (both ends included).

    Returns:
        One row per symbol of either frame, sorted: `symbol`, `reason` (null = takes part), and a
        Boolean for each fact of `Unknown`, named by its value.
    """
    facts = TICKER_DETAILS.conform(details, "ticker_details").with_columns(has_details=True)
    rows = last_close.select("symbol", "close").join(
        facts, on="symbol", how="full", coalesce=True, validate="1:1"
    )
    return rows.select("symbol", reason=_reason(as_of, settings), **_unknown(as_of)).sort("symbol")


def _reason(as_of: date, settings: Universe) -> pl.Expr:
    capped = between(
        pl.col("market_cap"),
        _or_infinite(settings.min_market_cap, below=True),
        _or_infinite(settings.max_market_cap, below=False),
    )
    keeps = {
        Reason.NO_DETAILS: pl.col("has_details").fill_null(False),
        Reason.TYPE: pl.col("type").is_in(list(settings.types)),
        Reason.EXCHANGE: pl.col("primary_exchange").is_in(list(settings.exchanges)),
        Reason.NOT_LISTED: _is_listed(as_of),
        Reason.NO_BARS: pl.col("close").is_not_null(),
        Reason.PRICE: between(pl.col("close"), settings.min_price, settings.max_price),
        Reason.MARKET_CAP: capped,
    }
    return pl.coalesce(  # null, and so unknown, passes
        pl.when(~keep).then(pl.lit(reason.value)) for reason, keep in keeps.items()
    )


def _is_listed(as_of: date) -> pl.Expr:
    """Return whether a stock was listed on as_of; null where that cannot be told.

    `delisted_at` names the last day on which it traded (UTC date), so it still counts on that day.
    A stock that is inactive without such a date is out from the day of its record on.
    """
    first, last = pl.col("list_date"), pl.col("delisted_at").dt.date()
    gone = pl.when(last.is_null() & ~pl.col("active")).then(pl.col("as_of") <= as_of)
    return (
        pl.when((first > as_of) | (last < as_of) | gone)
        .then(False)
        .when(first.is_not_null() & (last.is_not_null() | pl.col("active")))
        .then(True)
    )


def _unknown(as_of: date) -> dict[str, pl.Expr]:
    return {
        Unknown.TYPE.value: pl.col("type").is_null(),
        Unknown.EXCHANGE.value: pl.col("primary_exchange").is_null(),
        Unknown.LISTING.value: _is_listed(as_of).is_null(),
        Unknown.MARKET_CAP.value: pl.col("market_cap").is_null(),
    }


def _or_infinite(limit: float | None, *, below: bool) -> float:
    """Return the limit; without one, a number beyond all market caps (infinity times 0 is NaN)."""
    if limit is not None:
        return limit
    return 0.0 if below else 1e300
