"""The provider's menu: one method per endpoint.

Belongs here: paths, parameters, and the promises of each method.
Keep out: HTTP (transport), paging (pages), JSON (frames), putting it together (connect).

All methods are keyword-only. Intervals are half-open [start, end); days are New York dates,
instants are aware datetimes, and an interval that is naive or empty is a ValueError. A method
returns everything or raises a `ProviderError`; an empty market is an empty frame with all columns.
Prices of bars are adjusted for splits as `settings.provider.adjusted` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from types import TracebackType
from typing import Final, Self

import polars as pl

from smallcaps_pipeline import schemas
from smallcaps_pipeline.polygon import wire
from smallcaps_pipeline.polygon.asked import (
    checked_symbol,
    minute_after_last,
    nanoseconds,
    require_inside,
    require_order,
    rfc3339,
    within,
)
from smallcaps_pipeline.polygon.errors import WrongAdjustment
from smallcaps_pipeline.polygon.frames import Page
from smallcaps_pipeline.polygon.once import each_once
from smallcaps_pipeline.polygon.pages import fetch_page, follow
from smallcaps_pipeline.polygon.transport import Request, Transport, path_of
from smallcaps_pipeline.sessions import new_york_time

# Most rows per page that each endpoint gives (the vendor's text; its schema says one more).
TICKERS_LIMIT: Final = 1_000
NEWS_LIMIT: Final = 1_000
CONDITIONS_LIMIT: Final = 1_000
CORPORATE_LIMIT: Final = 5_000  # splits, dividends, float
SHORT_INTEREST_LIMIT: Final = 50_000


@dataclass(frozen=True)
class Ticks:
    """Trades or quotes of an interval, whole.

    Attributes:
        frame: Rows of the TRADES or QUOTES table, each once, sorted by SIP timestamp, then
            sequence number.
        pages: Requests that it took.
    """

    frame: pl.DataFrame
    pages: int


class PolygonClient:
    """One method per endpoint of the provider; threads may share a client.

    Args:
        transport: Sends one request.
        page_limit: Rows per page of bars, trades and quotes.
        adjusted: Whether prices of bars are to be adjusted for later splits.
    """

    def __init__(self, transport: Transport, *, page_limit: int, adjusted: bool) -> None:
        self._transport = transport
        self._page_limit = page_limit
        self._adjusted = adjusted

    def __repr__(self) -> str:
        return f"PolygonClient({self._transport!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close connections and the budget's file."""
        self._transport.close()

    # bars -------------------------------------------------------------------------------------

    def bars(self, *, symbol: str, start: date, end: date) -> pl.DataFrame:
        """Fetch 1-minute bars of New York days [start, end), nights included.

        Returns:
            Rows of the BARS table, sorted by timestamp. A minute without a trade has no row, and
            a missing row is no proof that nobody traded. Equal copies of a row are one row; rows
            of one minute that differ all stay, for `bars.clean_bars` to choose and count.

        Raises:
            WrongAdjustment: The provider's prices are adjusted otherwise than asked.
            ProviderError: The bars cannot be had.
        """
        require_order(start, end)
        pages = [page.frame for page in self._bar_pages(symbol, start, end)]
        # How the provider will cut the day once trading goes on overnight is not known.
        inside = within("timestamp", new_york_time(start, time()), new_york_time(end, time()))
        bars = pl.concat(pages).filter(inside).unique(maintain_order=True)
        return bars.sort("timestamp", maintain_order=True)

    def _bar_pages(self, symbol: str, start: date, end: date) -> Iterator[Page]:
        """Yield pages, each asked for by a request that states everything anew.

        The cursor in a bars page's next_url is not followed: it holds no `adjusted`, and the
        provider's default is true. Pages go on from the minute after the last bar instead, so a
        year of a thin symbol is still one request.
        """
        last = end - timedelta(days=1)  # the provider includes both ends
        first, reached = str(start), None
        while True:
            request = self._bars_request(symbol, first, last)
            page = fetch_page(self._transport, request, wire.MINUTE_BARS, {"symbol": symbol})
            self._check_adjusted(page, request)
            yield page
            if page.next_url is None:
                return
            reached = minute_after_last(page, request, reached)
            if reached >= new_york_time(end, time()):
                return
            first = str(nanoseconds(reached) // 1_000_000)

    def _bars_request(self, symbol: str, first: str, last: date) -> Request:
        ticker = path_of("v2", "aggs", "ticker", checked_symbol(symbol))
        return Request.of(
            f"{ticker}/range/1/minute/{first}/{last}",
            adjusted=self._adjusted,
            sort="asc",
            limit=self._page_limit,
        )

    def grouped_daily(self, *, day: date) -> pl.DataFrame:
        """Fetch the daily bar of every stock, OTC aside, in one call.

        Returns:
            Rows of the DAILY_BARS table, sorted by symbol; none where the exchange was closed.

        Raises:
            OutsideRequest: Rows are of another day.
            ProviderError: The bars cannot be had.
        """
        path = path_of("v2", "aggs", "grouped", "locale", "us", "market", "stocks", str(day))
        request = Request.of(path, adjusted=self._adjusted, include_otc=False)
        page = fetch_page(self._transport, request, wire.GROUPED_DAILY, {})
        self._check_adjusted(page, request)
        require_inside(page.frame, pl.col("date") == day, request)
        return each_once(page.frame, schemas.DAILY_BARS, request, by=("symbol",))

    def _check_adjusted(self, page: Page, request: Request) -> None:
        if page.frame.height and page.adjusted is not self._adjusted:
            problem = f"expected prices with adjusted={self._adjusted}, got {page.adjusted}"
            raise WrongAdjustment(problem, request.url)

    # ticks ------------------------------------------------------------------------------------

    def trades(self, *, symbol: str, start: datetime, end: datetime) -> Ticks:
        """Fetch the trades with a SIP timestamp in [start, end), all conditions and corrections.

        Raises:
            ValueError: `start` or `end` has no time zone, or `end` is before `start`.
            ProviderError: The trades cannot be had whole.
        """
        return self._ticks("trades", symbol, start, end, wire.TRADES)

    def quotes(self, *, symbol: str, start: datetime, end: datetime) -> Ticks:
        """Fetch the NBBO updates with a SIP timestamp in [start, end).

        Sizes are the provider's raw numbers: round lots before 2025-11-03, shares from that day.

        Raises:
            ValueError: `start` or `end` has no time zone, or `end` is before `start`.
            ProviderError: The quotes cannot be had whole.
        """
        return self._ticks("quotes", symbol, start, end, wire.QUOTES)

    def last_quote_before(self, *, symbol: str, before: datetime) -> pl.DataFrame:
        """Fetch the NBBO in force before an instant: its last update strictly before it.

        Returns:
            One row of the QUOTES table, or none. It may be one-sided, and of an earlier day.
        """
        request = Request.of(
            path_of("v3", "quotes", checked_symbol(symbol)),
            timestamp__lt=nanoseconds(before),
            order="desc",
            sort="timestamp",
            limit=1,
        )
        page = fetch_page(self._transport, request, wire.QUOTES, {})
        require_inside(page.frame, pl.col("timestamp") < before.astimezone(UTC), request)
        return page.frame.sort("timestamp", "sequence_number").tail(1)

    def _ticks(
        self,
        kind: str,
        symbol: str,
        start: datetime,
        end: datetime,
        rows: wire.Wire,
    ) -> Ticks:
        require_order(start, end)
        # Newest first and 1,000 rows a page are the provider's defaults.
        request = Request.of(
            path_of("v3", kind, checked_symbol(symbol)),
            timestamp__gte=nanoseconds(start),
            timestamp__lt=nanoseconds(end),
            order="asc",
            sort="timestamp",
            limit=self._page_limit,
        )
        frame, pages = self._all(request, rows)
        require_inside(frame, within("timestamp", start, end), request)
        by = ("timestamp", "sequence_number")
        return Ticks(each_once(frame, rows.table, request, by=by), pages)

    # reference --------------------------------------------------------------------------------

    def tickers(self, *, as_of: date, active: bool = True) -> pl.DataFrame:
        """Fetch the stocks that were listed (`active`), or no longer listed, on a date.

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
            Rows of the DIVIDENDS table, sorted by symbol, then ex-date.
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

    def news(self, *, symbol: str, start: datetime, end: datetime) -> pl.DataFrame:
        """Fetch news that name a symbol, published in [start, end).

        Returns:
            Rows of the NEWS table for this symbol, sorted by publication, then id.
        """
        require_order(start, end)
        request = Request.of(
            path_of("v2", "reference", "news"),
            ticker=checked_symbol(symbol),
            published_utc__gte=rfc3339(start),
            published_utc__lt=rfc3339(end),
            order="asc",
            sort="published_utc",
            limit=NEWS_LIMIT,
        )
        frame, _ = self._all(request, wire.NEWS)
        require_inside(frame, within("published_at", start, end), request)
        return each_once(frame.filter(pl.col("symbol") == symbol), schemas.NEWS, request)

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
