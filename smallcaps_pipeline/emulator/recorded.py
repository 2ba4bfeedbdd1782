"""A folder of recorded bars, trades and quotes as a source of the emulator.

Belongs here: files → the tables of `source`, and what is not known said as not known.
Keep out: guesses. Condition masks of other vendors are left out, since the provider's codes cannot
be told from them; so are venue clocks, reporting facilities, company facts.

The folder holds bars/symbol=X/date=D.parquet (`schemas.BARS`), and, where there are any,
trades/... (sip_timestamp ns, price, size in shares, exchange letter) and quotes/... (sip_timestamp
ns, bid_ and ask_ price, size in shares, exchange letter). Row order is tape order: it becomes the
trade id and the sequence number. Days without a file are empty. The last day of the folder is the
emulator's today.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

import polars as pl

from smallcaps_pipeline import sessions
from smallcaps_pipeline.emulator.codes import VENUE_LETTERS
from smallcaps_pipeline.emulator.quotes import SHARES_FROM
from smallcaps_pipeline.emulator.source import (
    FLOATS,
    SHORT_INTEREST,
    TICKER_CHANGES,
    TICKERS,
    WIRE_QUOTES,
    WIRE_TRADES,
)
from smallcaps_pipeline.schemas import (
    BARS,
    DAILY_BARS,
    DIVIDENDS,
    I32,
    I64,
    NEWS,
    SPLITS,
    STR,
    UTC_NS,
)

_ROUND_LOT: Final = 100  # shares
_KEPT: Final = 4  # symbol-days of trades, and as many of quotes


class RecordedMarket:
    """Recorded data of a folder, read file by file when they are asked for.

    Args:
        folder: Where bars/, trades/ and quotes/ lie.

    Raises:
        ValueError: The folder holds no bars.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bar_days = _found_days(folder / "bars")
        if not self._bar_days:
            raise ValueError(
                f"{folder}: expected bars/symbol=X/date=YYYY-MM-DD.parquet, found none"
            )
        self._tick_days = _united(_found_days(folder / "trades"), _found_days(folder / "quotes"))
        every = [day for days in _united(self._bar_days, self._tick_days).values() for day in days]
        self._first, self._last = min(every), max(every)
        self.trades = lru_cache(maxsize=_KEPT)(self._read_trades)
        self.quotes = lru_cache(maxsize=_KEPT)(self._read_quotes)

    @property
    def description(self) -> str:
        return (
            f"Recorded data of {len(self._bar_days)} symbols, {self._first} to {self._last}, "
            "served by a loopback emulator. Trade conditions, venue clocks and company facts are "
            "not known and are left out."
        )

    @property
    def first(self) -> date:
        return self._first

    @property
    def last(self) -> date:
        return self._last

    def days(self, symbol: str, first: date, last: date) -> list[date]:
        return [day for day in self._bar_days.get(symbol, []) if first <= day <= last]

    def tick_days(self, symbol: str, first: date, last: date) -> list[date]:
        return [day for day in self._tick_days.get(symbol, []) if first <= day <= last]

    def bars(self, symbol: str, day: date) -> pl.DataFrame:
        if day not in self._bar_days.get(symbol, []):
            return BARS.empty()
        path = self._path("bars", symbol, day)
        return BARS.conform(pl.read_parquet(path, hive_partitioning=False), str(path)).sort(
            "timestamp", maintain_order=True
        )

    def daily_bars(self, first: date, last: date, symbol: str | None = None) -> pl.DataFrame:
        """Return daily bars aggregated from the minutes.

        Prices are those of regular hours (of all minutes on a day without any), volume is that of
        the whole day; vwap and transactions are null where a minute's are.
        """
        symbols = self._bar_days if symbol is None else [symbol]
        bars = [self.bars(one, day) for one in symbols for day in self.days(one, first, last)]
        return _daily(pl.concat(bars)) if bars else DAILY_BARS.empty()

    def tickers(self) -> pl.DataFrame:
        return TICKERS.conform(
            pl.DataFrame({"symbol": sorted(self._bar_days)}, schema={"symbol": STR}).with_columns(
                pl.lit(None, column.dtype).alias(name)
                for name, column in TICKERS.columns.items()
                if name != "symbol"
            )
        )

    def last_close(self, symbol: str, day: date) -> float | None:
        days = self.days(symbol, self._first, day)
        if not days:
            return None
        return float(self.daily_bars(days[-1], days[-1], symbol)["close"].item())

    def splits(self) -> pl.DataFrame:
        return SPLITS.empty()

    def ticker_changes(self) -> pl.DataFrame:
        return TICKER_CHANGES.empty()

    def dividends(self) -> pl.DataFrame:
        return DIVIDENDS.empty()

    def short_interest(self) -> pl.DataFrame:
        return SHORT_INTEREST.empty()

    def floats(self) -> pl.DataFrame:
        return FLOATS.empty()

    def news(self, first: datetime, last: datetime, symbol: str | None = None) -> pl.DataFrame:
        return NEWS.empty()

    def _path(self, kind: str, symbol: str, day: date) -> Path:
        return self._folder / kind / f"symbol={symbol}" / f"date={day}.parquet"

    def _read_trades(self, symbol: str, day: date) -> pl.DataFrame:
        path = self._path("trades", symbol, day)
        if not path.exists():
            return WIRE_TRADES.empty()
        rows = _in_tape_order(path).with_columns(
            exchange=_venue("exchange"),
            trade_id=pl.col("sequence_number").cast(STR),
            trf_id=pl.lit(None, I32),
            trf_timestamp=pl.lit(None, UTC_NS),
            decimal_size=pl.lit(None, STR),
            conditions=pl.lit(None, pl.List(I32)),
            correction=pl.lit(None, I32),
        )
        return WIRE_TRADES.conform(rows, str(path))

    def _read_quotes(self, symbol: str, day: date) -> pl.DataFrame:
        """Read quotes; sizes in the provider's unit of the day, a missing side as 0."""
        path = self._path("quotes", symbol, day)
        if not path.exists():
            return WIRE_QUOTES.empty()
        unit = 1 if day >= SHARES_FROM else _ROUND_LOT
        rows = _in_tape_order(path).with_columns(
            pl.col("bid_price", "ask_price").fill_null(0.0),
            (pl.col("bid_size", "ask_size").fill_null(0) // unit),
            bid_exchange=_venue("bid_exchange"),
            ask_exchange=_venue("ask_exchange"),
            conditions=pl.lit(None, pl.List(I32)),
            indicators=pl.lit(None, pl.List(I32)),
        )
        return WIRE_QUOTES.conform(rows, str(path))


def _found_days(folder: Path) -> dict[str, list[date]]:
    """List symbols and their days by the names of files; nothing is read."""
    found: dict[str, list[date]] = {}
    for path in sorted(folder.glob("symbol=*/date=*.parquet")):
        symbol = path.parent.name.removeprefix("symbol=")
        found.setdefault(symbol, []).append(date.fromisoformat(path.stem.removeprefix("date=")))
    return found


def _united(one: dict[str, list[date]], other: dict[str, list[date]]) -> dict[str, list[date]]:
    symbols = sorted({*one, *other})
    return {name: sorted({*one.get(name, []), *other.get(name, [])}) for name in symbols}


def _in_tape_order(path: Path) -> pl.DataFrame:
    """Read a file of ticks; its row order is kept and numbered from 1."""
    rows = pl.read_parquet(path, hive_partitioning=False).sort("sip_timestamp", maintain_order=True)
    return rows.with_row_index("sequence_number", offset=1).with_columns(
        pl.col("sequence_number").cast(I64),
        timestamp=pl.col("sip_timestamp").cast(UTC_NS),
        participant_timestamp=pl.lit(None, UTC_NS),
        tape=pl.lit(None, I32),
    )


def _venue(column: str) -> pl.Expr:
    """Turn participant letters into the provider's ids; a letter not in the table gives null."""
    return pl.col(column).replace_strict(VENUE_LETTERS, default=None, return_dtype=I32)


def _daily(bars: pl.DataFrame) -> pl.DataFrame:
    marked = sessions.add_sessions(bars.lazy()).with_columns(
        regular=pl.col("session").eq_missing(pl.lit(sessions.Session.RTH.value)),
        value=pl.col("vwap") * pl.col("volume"),
    )
    counts = pl.col("regular") | ~pl.col("regular").any()
    daily = (
        marked.sort("symbol", "timestamp")
        .group_by("symbol", "date")
        .agg(
            open=pl.col("open").filter(counts).first(),
            high=pl.col("high").filter(counts).max(),
            low=pl.col("low").filter(counts).min(),
            close=pl.col("close").filter(counts).last(),
            volume=pl.col("volume").sum(),
            vwap=pl.when(pl.col("value").null_count() == 0, pl.col("volume").sum() > 0).then(
                pl.col("value").sum() / pl.col("volume").sum()
            ),
            transactions=pl.when(pl.col("transactions").null_count() == 0).then(
                pl.col("transactions").sum()
            ),
        )
    )
    return DAILY_BARS.conform(daily.collect()).sort("date", "symbol")
