"""What a source of market data must offer to be served with the provider's wire format.

Belongs here: the protocol that the simulated and the recorded market fulfil, and its tables.
Keep out: JSON and HTTP (`wire`, the routes), and how the data come to be.

Frames carry our own column names; `wire` renames them. A column that is null in every row is left
out on the wire, as the provider leaves out what it does not know.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Final, Protocol

import polars as pl

from smallcaps_pipeline.schemas import F64, I32, I64, QUOTES, STR, TRADES, UTC_NS, Column, Table

WIRE_TRADES: Final = Table(
    "wire_trades",
    "one print of one symbol-day, sorted by SIP timestamp, then sequence number",
    {
        **TRADES.columns,
        "trf_id": Column(I32, "reporting facility of an off-exchange print; null on exchange"),
        "trf_timestamp": Column(UTC_NS, "when the facility had it; null on exchange"),
        "decimal_size": Column(STR, "size with its fraction; null before fractions were printed"),
    },
    TRADES.key,
)
WIRE_QUOTES: Final = Table(
    "wire_quotes",
    "one NBBO update of one symbol-day, sorted by SIP timestamp, then sequence number",
    QUOTES.columns,
    QUOTES.key,
)
TICKERS: Final = Table(
    "tickers",
    "one listed or once listed name",
    {
        "symbol": Column(STR, "ticker"),
        "name": Column(STR, "company; null where not known"),
        "type": Column(STR, "provider's ticker type; null where not known"),
        "primary_exchange": Column(STR, "MIC; null where not known"),
        "cik": Column(STR, "registrant number; null where not known"),
        "list_date": Column(pl.Date, "first listing; null where not known"),
        "delisted_date": Column(pl.Date, "first day without trading; null while listed"),
        "shares_outstanding": Column(F64, "shares; null where not known"),
    },
    ("symbol",),
)
SHORT_INTEREST: Final = Table(
    "short_interest",
    "one symbol and settlement date",
    {
        "symbol": Column(STR, "ticker"),
        "settlement_date": Column(pl.Date, "settlement date"),
        "short_interest": Column(I64, "shares sold short"),
        "avg_daily_volume": Column(I64, "shares per day"),
        "days_to_cover": Column(F64, "short interest / average daily volume"),
    },
    ("symbol", "settlement_date"),
)
FLOATS: Final = Table(
    "floats",
    "one symbol, latest value",
    {
        "symbol": Column(STR, "ticker"),
        "effective_date": Column(pl.Date, "date of the value"),
        "free_float": Column(I64, "shares"),
        "free_float_percent": Column(F64, "percent of the shares outstanding"),
    },
    ("symbol",),
)

TICKER_CHANGES: Final = Table(
    "ticker_changes",
    "one symbol of a company that has had several",
    {
        "symbol": Column(STR, "the company's symbol today, or its last one"),
        "date": Column(pl.Date, "first day under `ticker`"),
        "ticker": Column(STR, "its symbol from that day on"),
    },
    ("symbol", "date"),
)


class MarketSource(Protocol):
    """A market that can be asked for what the provider's endpoints give.

    A symbol or day that is not there gives an empty frame of the full schema, as an unknown ticker
    does on the wire; only `details` of an unknown ticker is an error there, so it can be None.
    """

    @property
    def description(self) -> str:
        """Say in one sentence what these data are, and that they are not the provider's."""

    @property
    def first(self) -> date:
        """Return the first trading day that may have data."""

    @property
    def last(self) -> date:
        """Return the last trading day that may have data: the emulator's today."""

    def days(self, symbol: str, first: date, last: date) -> list[date]:
        """List the days from `first` to `last`, both included, that hold data of a symbol."""

    def tick_days(self, symbol: str, first: date, last: date) -> list[date]:
        """List those of `days` that may hold trades or quotes."""

    def bars(self, symbol: str, day: date) -> pl.DataFrame:
        """Return the minute bars of a symbol-day (`schemas.BARS`), prices as traded, by time."""

    def daily_bars(self, first: date, last: date, symbol: str | None = None) -> pl.DataFrame:
        """Return daily bars (`schemas.DAILY_BARS`), both days included, by date and symbol."""

    def trades(self, symbol: str, day: date) -> pl.DataFrame:
        """Return the prints of a symbol-day (`WIRE_TRADES`), in tape order."""

    def quotes(self, symbol: str, day: date) -> pl.DataFrame:
        """Return the NBBO updates of a symbol-day (`WIRE_QUOTES`), in tape order."""

    def tickers(self) -> pl.DataFrame:
        """Return every name, listed or not (`TICKERS`), by symbol."""

    def last_close(self, symbol: str, day: date) -> float | None:
        """Return the last close on or before a day, USD as traded; None without one."""

    def splits(self) -> pl.DataFrame:
        """Return the splits (`schemas.SPLITS`), by symbol and date."""

    def ticker_changes(self) -> pl.DataFrame:
        """Return the symbols of renamed companies (`TICKER_CHANGES`), by symbol and date."""

    def dividends(self) -> pl.DataFrame:
        """Return the dividends (`schemas.DIVIDENDS`), by symbol and ex-date."""

    def short_interest(self) -> pl.DataFrame:
        """Return the short interest (`SHORT_INTEREST`), by symbol and date."""

    def floats(self) -> pl.DataFrame:
        """Return the latest floats (`FLOATS`), by symbol."""

    def news(self, first: datetime, last: datetime, symbol: str | None = None) -> pl.DataFrame:
        """Return news (`schemas.NEWS`) published from `first` to `last`, both UTC and included."""
