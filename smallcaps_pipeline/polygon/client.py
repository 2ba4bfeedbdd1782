"""The provider's menu: one method per endpoint. Market data here, the rest in `reference`.

Belongs here: paths, parameters, and the promises of each method.
Keep out: HTTP (transport), paging (pages), JSON (frames), putting it together (connect).

All methods are keyword-only. Intervals are half-open [start, end); days are New York dates,
instants are aware datetimes, and an interval that is naive or empty is a ValueError. A method
returns everything or raises a `ProviderError`; an empty market is an empty frame with all columns.
Prices of bars are adjusted for splits as `settings.provider.adjusted` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    within,
)
from smallcaps_pipeline.polygon.errors import WrongAdjustment
from smallcaps_pipeline.polygon.frames import Page
from smallcaps_pipeline.polygon.once import each_once, without_copies
from smallcaps_pipeline.polygon.pages import fetch_page
from smallcaps_pipeline.polygon.reference import ReferenceEndpoints
from smallcaps_pipeline.polygon.transport import Request, Transport, path_of
from smallcaps_pipeline.sessions import new_york_time

# Symbols that a request for snapshots names at most: a URL is not to outgrow what servers take.
SNAPSHOT_SYMBOLS: Final = 250


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


class PolygonClient(ReferenceEndpoints):
    """One method per endpoint of the provider; threads may share a client.

    Args:
        transport: Sends one request.
        page_limit: Rows per page of bars, trades and quotes.
        adjusted: Whether prices of bars are to be adjusted for later splits.
    """

    def __init__(self, transport: Transport, *, page_limit: int, adjusted: bool) -> None:
        super().__init__(transport)
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
        return without_copies(pl.concat(pages).filter(inside), "timestamp")

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

    # snapshots --------------------------------------------------------------------------------

    def snapshots(self, *, symbols: Sequence[str] | None = None) -> pl.DataFrame:
        """Fetch how stocks stand now: today's bar, the last minute, the last trade and quote.

        The provider clears it at 03:30 New York time. Today's bar is null until regular hours have
        traded; before, the last minute's close or the last trade tells the price. What the plan
        does not include (last trade, last quote) is null.

        Args:
            symbols: Stocks to ask for; None asks for all, in one answer.

        Returns:
            Rows of the SNAPSHOTS table, sorted by symbol. A symbol that the provider does not know
            has no row: it says nothing about it.

        Raises:
            ValueError: `symbols` is empty, or one of them is no symbol.
            ProviderError: The snapshots cannot be had.
        """
        path = path_of("v2", "snapshot", "locale", "us", "markets", "stocks", "tickers")
        if symbols is None:
            return self._snapshots(Request.of(path, include_otc=False))
        if not symbols:
            raise ValueError("expected symbols, got none; None asks for all")
        named = sorted({checked_symbol(symbol) for symbol in symbols})
        groups = [named[i : i + SNAPSHOT_SYMBOLS] for i in range(0, len(named), SNAPSHOT_SYMBOLS)]
        parts = [
            self._snapshots(Request.of(path, tickers=",".join(group), include_otc=False))
            for group in groups
        ]
        return pl.concat(parts).filter(pl.col("symbol").is_in(named)).sort("symbol")

    def _snapshots(self, request: Request) -> pl.DataFrame:
        frame, _ = self._all(request, wire.SNAPSHOTS)
        return each_once(frame, wire.SNAPSHOTS.table, request)
