"""The provider's menu, reference data: who is listed, corporate actions, codes, the market's hours.

Belongs here: paths, parameters, and the promises of each method.
Keep out: market data (client), HTTP (transport), paging (pages), JSON (frames).

What is public when: a fact must not be used before the day on which it could be known. News carry
their publication, dividends their declaration. Short interest is keyed by its settlement date and
published days later; details of a ticker are matched by the period that a filing reports on;
the float is known as of today only. Whoever joins these to bars dates them first.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

import polars as pl

from smallcaps_pipeline import schemas
from smallcaps_pipeline.polygon import wire
from smallcaps_pipeline.polygon.asked import (
    checked_symbol,
    require_inside,
    require_order,
    rfc3339,
    within,
)
from smallcaps_pipeline.polygon.once import each_once
from smallcaps_pipeline.polygon.pages import follow
from smallcaps_pipeline.polygon.transport import Request, Transport, path_of

# Most rows per page that each endpoint gives (the vendor's text; its schema says one more).
TICKERS_LIMIT: Final = 1_000
NEWS_LIMIT: Final = 1_000
CONDITIONS_LIMIT: Final = 1_000
CORPORATE_LIMIT: Final = 5_000  # splits, dividends, float
SHORT_INTEREST_LIMIT: Final = 50_000


class ReferenceEndpoints:
    """Reference data of the provider; intervals and errors as in `client`.

    Args:
        transport: Sends one request.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def tickers(self, *, as_of: date, active: bool = True) -> pl.DataFrame:
        """Fetch the stocks that were listed (`active`), or no longer listed, on a date.

        A stock stands under the symbol that it had on that date, as bars and ticks do.

        No filter by type or exchange is sent: the provider leaves both blank on old records and
        would drop real stocks without a word.

        Returns:
            Rows of the TICKER_DETAILS table, sorted by symbol; size and listing date are null.
        """
        request = Request.of(
            path_of("v3", "reference", "tickers"),
            market="stocks",
            date=str(as_of),
            active=active,
            sort="ticker",
            order="asc",
            limit=TICKERS_LIMIT,
        )
        frame, _ = self._all(request, wire.TICKERS, as_of=as_of)
        return each_once(frame, wire.TICKERS.table, request)

    def ticker_details(self, *, symbol: str, as_of: date) -> pl.DataFrame:
        """Fetch what a stock was on a date within its listing.

        The provider matches `as_of` with the period that a filing reports on, not with its filing
        date: shares and market cap may have become public weeks after `as_of`.

        Returns:
            One row of the TICKER_DETAILS table; `float_shares` is null.

        Raises:
            NotFound: The symbol is unknown, or was not listed on that date.
        """
        path = path_of("v3", "reference", "tickers", checked_symbol(symbol))
        request = Request.of(path, date=str(as_of))
        return self._all(request, wire.TICKER_DETAILS, as_of=as_of)[0]

    def ticker_events(self, *, symbol: str) -> pl.DataFrame:
        """Fetch the symbols that a company has had, and since when.

        Bars and ticks are keyed by the symbol of their day, so a renamed stock is asked for under
        each of them in turn. The path is experimental at the provider.

        Args:
            symbol: The company's symbol today (or its last one).

        Returns:
            Rows of the TICKER_EVENTS table, sorted by date.

        Raises:
            NotFound: The symbol is unknown.
        """
        path = path_of("vX", "reference", "tickers", checked_symbol(symbol), "events")
        request = Request.of(path, types="ticker_change")
        frame, _ = self._all(request, wire.TICKER_EVENTS, symbol=symbol)
        return each_once(frame, wire.TICKER_EVENTS.table, request, by=("date",))

    def short_interest(self, *, start: date, end: date, symbol: str | None = None) -> pl.DataFrame:
        """Fetch short interest of settlement dates [start, end); published days later.

        Returns:
            Rows of the SHORT_INTEREST table, sorted by symbol, then settlement date.
        """
        require_order(start, end)
        request = Request.of(
            path_of("stocks", "v1", "short-interest"),
            ticker=symbol,
            settlement_date__gte=str(start),
            settlement_date__lt=str(end),
            limit=SHORT_INTEREST_LIMIT,
        )
        return self._dated(request, wire.SHORT_INTEREST, "settlement_date", start, end)

    def float_shares(self, *, symbol: str | None = None) -> pl.DataFrame:
        """Fetch the free float as known today; the provider keeps no history of it.

        Returns:
            Rows of the FLOAT_SHARES table, sorted by symbol.
        """
        request = Request.of(path_of("stocks", "vX", "float"), ticker=symbol, limit=CORPORATE_LIMIT)
        frame, _ = self._all(request, wire.FLOAT_SHARES)
        return each_once(frame, wire.FLOAT_SHARES.table, request)

    def splits(self, *, start: date, end: date, symbol: str | None = None) -> pl.DataFrame:
        """Fetch splits with an execution date in [start, end).

        Returns:
            Rows of the SPLITS table, sorted by symbol, then execution date.
        """
        require_order(start, end)
        request = Request.of(
            path_of("stocks", "v1", "splits"),
            ticker=symbol,
            execution_date__gte=str(start),
            execution_date__lt=str(end),
            sort="execution_date.asc",
            limit=CORPORATE_LIMIT,
        )
        return self._dated(request, wire.SPLITS, "execution_date", start, end)

    def dividends(self, *, start: date, end: date, symbol: str | None = None) -> pl.DataFrame:
        """Fetch cash dividends with an ex-date in [start, end).

        Returns:
            Rows of the DIVIDENDS table, sorted by symbol, then ex-date. Each was public from its
            declaration date on, where that is known.
        """
        require_order(start, end)
        request = Request.of(
            path_of("stocks", "v1", "dividends"),
            ticker=symbol,
            ex_dividend_date__gte=str(start),
            ex_dividend_date__lt=str(end),
            limit=CORPORATE_LIMIT,
        )
        return self._dated(request, wire.DIVIDENDS, "ex_dividend_date", start, end)

    def news(self, *, start: datetime, end: datetime, symbol: str | None = None) -> pl.DataFrame:
        """Fetch news published in [start, end), those that name a symbol or all.

        Returns:
            Rows of the NEWS table (for this symbol), sorted by publication, then id, then symbol.
        """
        require_order(start, end)
        request = Request.of(
            path_of("v2", "reference", "news"),
            ticker=None if symbol is None else checked_symbol(symbol),
            published_utc__gte=rfc3339(start),
            published_utc__lt=rfc3339(end),
            order="asc",
            sort="published_utc",
            limit=NEWS_LIMIT,
        )
        frame, _ = self._all(request, wire.NEWS)
        require_inside(frame, within("published_at", start, end), request)
        asked = frame if symbol is None else frame.filter(pl.col("symbol") == symbol)
        return each_once(asked, schemas.NEWS, request, by=("published_at", "news_id", "symbol"))

    def conditions(self) -> pl.DataFrame:
        """Fetch the condition codes of stock trades and quotes, rows of the CONDITIONS table."""
        request = Request.of(
            path_of("v3", "reference", "conditions"), asset_class="stocks", limit=CONDITIONS_LIMIT
        )
        frame, _ = self._all(request, wire.CONDITIONS)
        return each_once(frame, wire.CONDITIONS.table, request, by=("condition_id", "type"))

    def exchanges(self) -> pl.DataFrame:
        """Fetch the venues, rows of the EXCHANGES table; several may share an id."""
        request = Request.of(
            path_of("v3", "reference", "exchanges"), asset_class="stocks", locale="us"
        )
        frame, _ = self._all(request, wire.EXCHANGES)
        return each_once(frame, wire.EXCHANGES.table, request)

    def market_status(self) -> pl.DataFrame:
        """Fetch whether the market is open: one row with `market` and `server_at`."""
        request = Request.of(path_of("v1", "marketstatus", "now"))
        return self._all(request, wire.MARKET_STATUS)[0]

    def upcoming_holidays(self) -> pl.DataFrame:
        """Fetch the coming closed and short days, rows of the HOLIDAYS table by date.

        It looks forward only; the past stands in `sessions.calendar`.
        """
        request = Request.of(path_of("v1", "marketstatus", "upcoming"))
        frame, _ = self._all(request, wire.HOLIDAYS)
        return each_once(frame, wire.HOLIDAYS.table, request)

    def _dated(
        self, request: Request, rows: wire.Wire, day: str, start: date, end: date
    ) -> pl.DataFrame:
        frame, _ = self._all(request, rows)
        require_inside(frame, pl.col(day).is_between(start, end, closed="left"), request)
        return each_once(frame, rows.table, request, by=("symbol", day))

    def _all(self, request: Request, rows: wire.Wire, **facts: object) -> tuple[pl.DataFrame, int]:
        """Return the rows of every page, and how many pages there were."""
        pages = [page.frame for page in follow(self._transport, request, rows, facts)]
        return pl.concat(pages), len(pages)
