"""Rows as the provider sends them, and how each becomes a row of ours.

Belongs here: per endpoint, the field names and types of its JSON, which must be there, and the
expressions that make our columns of them.
Keep out: reading JSON (frames), paths and parameters (client), meanings of our columns (schemas).

Field names are the wire's, so they are as short as the provider's (`o h l c v`). Fields that are
not declared are left aside. An optional field gives null where it is absent.
"""

from smallcaps_pipeline.polygon.wire.market import (
    GROUPED_DAILY,
    MINUTE_BARS,
    QUOTES,
    SNAPSHOTS,
    TRADES,
)
from smallcaps_pipeline.polygon.wire.reference import (
    CONDITIONS,
    DIVIDENDS,
    EXCHANGES,
    FLOAT_SHARES,
    HOLIDAYS,
    MARKET_STATUS,
    NEWS,
    SHORT_INTEREST,
    SPLITS,
    TICKER_DETAILS,
    TICKER_EVENTS,
    TICKERS,
)
from smallcaps_pipeline.polygon.wire.rows import Envelope, Wire

__all__ = [
    "CONDITIONS",
    "DIVIDENDS",
    "EXCHANGES",
    "FLOAT_SHARES",
    "GROUPED_DAILY",
    "HOLIDAYS",
    "MARKET_STATUS",
    "MINUTE_BARS",
    "NEWS",
    "QUOTES",
    "SHORT_INTEREST",
    "SNAPSHOTS",
    "SPLITS",
    "TICKERS",
    "TICKER_DETAILS",
    "TICKER_EVENTS",
    "TRADES",
    "Envelope",
    "Wire",
]
