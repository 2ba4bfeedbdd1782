"""The simulated small-cap market as a source of the emulator.

Belongs here: `SimulatedMarket`, which puts roster, daily path, prints, tape and quotes together.
Keep out: how any of them is drawn, and the wire.

The data of a (seed, symbol, day) are the same whatever else was asked for, in every process; the
constructor's dates only cut them. Trades and NBBO come first, bars are aggregated from the trades.
A symbol-day takes a few milliseconds to draw, so few are kept.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

import polars as pl

from smallcaps_pipeline import sessions
from smallcaps_pipeline.emulator.aggregate import DailyRow, daily_bar, minute_bars
from smallcaps_pipeline.emulator.curve import grid_of
from smallcaps_pipeline.emulator.daily_path import (
    PRICE_UNITS,
    REVERSE_SPLIT_FROM,
    DailyPath,
    calendar_days,
    day_numbers,
    draw_path,
)
from smallcaps_pipeline.emulator.episodes import news_minute
from smallcaps_pipeline.emulator.prints import DrawnDay, draw_day
from smallcaps_pipeline.emulator.quotes import draw_quotes
from smallcaps_pipeline.emulator.roster import Company, Listing, listings, roster
from smallcaps_pipeline.emulator.seeding import stable_number, stable_rng
from smallcaps_pipeline.emulator.source import (
    FLOATS,
    SHORT_INTEREST,
    TICKER_CHANGES,
    TICKERS,
    WIRE_QUOTES,
    WIRE_TRADES,
)
from smallcaps_pipeline.emulator.tape import draw_tape
from smallcaps_pipeline.schemas import BARS, DAILY_BARS, DIVIDENDS, NEWS, SPLITS

_KEPT_TICKS: Final = 48  # symbol-days of prints kept, at most 2 MB each
_KEPT_FRAMES: Final = 16  # symbol-days of trades, and as many of quotes
_DELISTED_AT: Final = 2 / 3  # of the trading days from first to last
_RENAMED_AT: Final = 1 / 3
_PUBLISHED_AFTER: Final = 7  # trading days from a settlement date to its short interest
_NEWS_LEAD_S: Final = 40  # news comes out this long before the minute that it moves

_HEADLINES: Final = (
    "{name} announces topline results",
    "{name} enters supply agreement",
    "{name} prices registered direct offering",
    "{name} reports quarterly results",
)


class SimulatedMarket:
    """A made-up small-cap market, deterministic per seed, symbol and day.

    Args:
        seed: Two markets with one seed are the same.
        symbols: Small caps; four names that a universe should not keep come on top.
        first: First day with data.
        last: Last day with data, included; the emulator's today.

    Raises:
        ValueError: `first` is after `last`, or no trading day lies between them.
        CalendarRangeError: A date is beyond the exchange calendar.
    """

    def __init__(
        self,
        seed: int = 7,
        symbols: int = 24,
        first: date = date(2025, 1, 2),
        last: date = date(2025, 12, 31),
    ) -> None:
        days = sessions.trading_days(first, last)
        if not days:
            raise ValueError(f"no trading day lies between {first} and {last}")
        self._seed = seed
        self._first, self._last = days[0], days[-1]
        self._days = days
        renamed_on, delisted_on = (
            days[int((len(days) - 1) * part)] for part in (_RENAMED_AT, _DELISTED_AT)
        )
        self.companies = roster(seed, symbols, delisted_on=delisted_on, renamed_on=renamed_on)
        self._listings = listings(self.companies)
        self._paths = lru_cache(maxsize=None)(self._draw_path)
        self._daily = lru_cache(maxsize=None)(self._draw_daily)
        self._ticks = lru_cache(maxsize=_KEPT_TICKS)(self._draw_ticks)
        self.trades = lru_cache(maxsize=_KEPT_FRAMES)(self._draw_trades)
        self.quotes = lru_cache(maxsize=_KEPT_FRAMES)(self._draw_quotes)

    @property
    def description(self) -> str:
        return (
            f"Simulated market: {len(self.companies)} made-up names, seed {self._seed}, "
            f"{self._first} to {self._last}. No price here was ever paid."
        )

    @property
    def first(self) -> date:
        return self._first

    @property
    def last(self) -> date:
        return self._last

    def days(self, symbol: str, first: date, last: date) -> list[date]:
        listing = self._listings.get(symbol)
        if listing is None:
            return []
        since = max(first, listing.first or date.min)
        until = min(last, (listing.end or date.max) - timedelta(days=1))
        return self._days[bisect_left(self._days, since) : bisect_right(self._days, until)]

    def tick_days(self, symbol: str, first: date, last: date) -> list[date]:
        return self.days(symbol, first, last)

    def bars(self, symbol: str, day: date) -> pl.DataFrame:
        drawn = self._ticks(symbol, day)
        return BARS.empty() if drawn is None else minute_bars(symbol, drawn.prints)

    def daily_bars(self, first: date, last: date, symbol: str | None = None) -> pl.DataFrame:
        symbols = sorted(self._listings) if symbol is None else [symbol]
        rows = [
            row
            for one in symbols
            for day in self.days(one, first, last)
            if (row := self._daily(one, day)) is not None
        ]
        frame = pl.DataFrame(rows, schema=DAILY_BARS.schema, orient="row")
        return frame.sort("date", "symbol")

    def tickers(self) -> pl.DataFrame:
        rows = [
            {
                "symbol": listing.symbol,
                "name": listing.company.name,
                "type": listing.company.type,
                "primary_exchange": listing.company.exchange,
                "cik": listing.company.cik,
                "list_date": listing.listed_from,
                "delisted_date": listing.end,
                "shares_outstanding": float(listing.company.shares_outstanding),
            }
            for listing in self._listings.values()
        ]
        return pl.DataFrame(rows, schema=TICKERS.schema).sort("symbol")

    def last_close(self, symbol: str, day: date) -> float | None:
        days = self.days(symbol, self._first, day)
        return (
            int(self._path_of(symbol).close[day_numbers()[days[-1]]]) / PRICE_UNITS
            if days
            else None
        )

    def splits(self) -> pl.DataFrame:
        rows = [
            (one.symbol, calendar_days()[at], float(REVERSE_SPLIT_FROM), 1.0)
            for one in self.companies
            for at in self._paths(one).split_days.tolist()
            if calendar_days()[at] <= self._last
        ]
        frame = pl.DataFrame(rows, schema=SPLITS.schema, orient="row")
        return frame.sort("symbol", "execution_date")

    def ticker_changes(self) -> pl.DataFrame:
        rows = [
            (listing.company.symbol, listing.listed_from, listing.symbol)
            for listing in self._listings.values()
            if listing.company.former_symbol is not None
        ]
        frame = pl.DataFrame(rows, schema=TICKER_CHANGES.schema, orient="row")
        return frame.sort("symbol", "date")

    def dividends(self) -> pl.DataFrame:
        rows = [
            row
            for listing in self._listings.values()
            if listing.company.quarterly_dividend
            for row in self._dividends(listing)
        ]
        frame = pl.DataFrame(rows, schema=DIVIDENDS.schema, orient="row")
        return frame.sort("symbol", "ex_dividend_date")

    def short_interest(self) -> pl.DataFrame:
        rows = [
            self._short_interest(listing, settled)
            for listing in self._listings.values()
            for settled in self._settlement_dates()
            if listing.holds(settled)
        ]
        return pl.DataFrame(rows, schema=SHORT_INTEREST.schema, orient="row").sort(
            "symbol", "settlement_date"
        )

    def floats(self) -> pl.DataFrame:
        rows = [
            (
                one.symbol,
                self._first,  # a simulated float never changes
                one.float_shares,
                round(100.0 * one.float_shares / one.shares_outstanding, 2),
            )
            for one in self.companies
            if one.delisted_date is None
        ]
        return pl.DataFrame(rows, schema=FLOATS.schema, orient="row").sort("symbol")

    def news(self, first: datetime, last: datetime, symbol: str | None = None) -> pl.DataFrame:
        symbols = sorted(self._listings) if symbol is None else [symbol]
        rows = [row for one in symbols for row in self._news(one, first, last)]
        frame = pl.DataFrame(rows, schema=NEWS.schema, orient="row")
        return frame.sort("published_at", "symbol")

    def _path_of(self, symbol: str) -> DailyPath:
        return self._paths(self._listings[symbol].company)

    def _draw_path(self, company: Company) -> DailyPath:
        return draw_path(self._seed, company)

    def _draw_ticks(self, symbol: str, day: date) -> DrawnDay | None:
        if not self.days(symbol, day, day):
            return None
        company = self._listings[symbol].company
        return draw_day(self._seed, company, self._paths(company).plan(day), day)

    def _draw_daily(self, symbol: str, day: date) -> DailyRow | None:
        drawn = self._ticks(symbol, day)
        return None if drawn is None else daily_bar(symbol, drawn.prints)

    def _draw_trades(self, symbol: str, day: date) -> pl.DataFrame:
        drawn = self._ticks(symbol, day)
        if drawn is None:
            return WIRE_TRADES.empty()
        return draw_tape(self._seed, self._listings[symbol].company, drawn.prints)

    def _draw_quotes(self, symbol: str, day: date) -> pl.DataFrame:
        drawn = self._ticks(symbol, day)
        if drawn is None:
            return WIRE_QUOTES.empty()
        return draw_quotes(self._seed, self._listings[symbol].company, drawn)

    def _settlement_dates(self) -> list[date]:
        """List the trading days on or before each 15th and month's end, from a year before.

        Those that were published by the last day only: it takes FINRA seven trading days.
        """
        start = max(self._first - timedelta(days=365), sessions.FIRST_DATE + timedelta(days=31))
        months = (self._last.year - start.year) * 12 + self._last.month - start.month
        nominal = []
        for month in range(start.month - 1, start.month + months):
            year, at = start.year + month // 12, month % 12
            following = date(year + (at == 11), (at + 1) % 12 + 1, 1)
            nominal += [date(year, at + 1, 15), following - timedelta(days=1)]
        settled = {sessions.shift_trading_day(day, 0) for day in nominal}
        published = sessions.shift_trading_day(self._last, -_PUBLISHED_AFTER)
        return sorted(day for day in settled if day <= published)

    def _dividends(
        self, listing: Listing
    ) -> Iterator[tuple[str, date, date, date, float, str, str]]:
        """Yield the quarterly dividends that go ex by the source's last day, over a year back."""
        company = listing.company
        start = max(self._first - timedelta(days=365), sessions.FIRST_DATE)
        for day in sessions.trading_days(start, self._last):
            after = sessions.shift_trading_day(day, 1)
            if day.month % 3 == 2 and day.day <= 15 < after.day and listing.holds(day):
                number = stable_number(self._seed, company.symbol, day.isoformat(), "dividend")
                declared, paid = day - timedelta(days=14), day + timedelta(days=21)
                amount = company.quarterly_dividend
                yield listing.symbol, declared, day, paid, amount, "USD", f"E{number:032x}"

    def _short_interest(self, listing: Listing, settled: date) -> tuple[str, date, int, int, float]:
        company = listing.company
        rng = stable_rng(self._seed, company.symbol, settled.isoformat(), "short interest")
        volume = max(int(company.quiet_dollars / company.level * rng.uniform(1.5, 2.5)), 1)
        short = min(int(volume * company.days_to_cover), int(0.35 * company.float_shares))
        return listing.symbol, settled, short, volume, round(short / volume, 2)

    def _news(
        self, symbol: str, first: datetime, last: datetime
    ) -> Iterator[tuple[str, datetime, str, str]]:
        company = self._listings[symbol].company if symbol in self._listings else None
        if company is None:
            return
        margin = timedelta(days=1)  # a UTC instant's trading day is at most a day away
        for day in self.days(symbol, first.date() - margin, last.date() + margin):
            plan = self._paths(company).plan(day)
            rng = stable_rng(self._seed, company.symbol, day.isoformat(), "prints")
            minute = news_minute(rng, plan.kind)  # the first draw of the day's prints
            if minute is None:
                continue
            seconds = grid_of(day).start_ns // 10**9 + minute * 60 - _NEWS_LEAD_S
            published = datetime.fromtimestamp(seconds, UTC)
            if first <= published <= last:
                number = stable_number(self._seed, company.symbol, day.isoformat(), "news")
                title = _HEADLINES[number % len(_HEADLINES)]
                yield symbol, published, f"{number:032x}", title.format(name=company.name)
