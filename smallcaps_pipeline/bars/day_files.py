"""Day files: the minute bars of the whole market by trading day, and cells of bars made from them.

    flat_file_days/date=2025-10-07.parquet       every symbol of the day, sorted by symbol
    bars_1m/symbol=AEMD/date=2025.parquet        the cells, as by REST but without vwap

A day's file is stored once, clean and sorted. Cells are made from the stored days: a cell is
rewritten once for all the days that it lacks, however many, so a backfill of a year costs each cell
one write; and a symbol that joins the universe later needs no download. Rejected: splitting each
download straight into the cells, which rewrites every cell of the market for every day.

A cell remembers by month which versions (ETags) it was made from. A day that the provider replaces
is a new version, and that month of the cell is made anew. Days that a cell has by REST stay as they
are: they were paid for, and have a vwap.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Final

import polars as pl

from smallcaps_pipeline.bars.clean import clean_bars
from smallcaps_pipeline.bars.update import (
    TABLE,
    BarUpdate,
    CellState,
    ReasonsByDay,
    StoredBars,
    stored_bars,
    write_cell,
)
from smallcaps_pipeline.cells import Period
from smallcaps_pipeline.lake import Lake, read_metadata, row_count
from smallcaps_pipeline.schemas import BARS, FLAT_FILE_DAYS
from smallcaps_pipeline.sessions import trading_day, trading_days

DAYS_TABLE: Final = FLAT_FILE_DAYS.name
OTHER_DAY: Final = "bar of another day than its file's"
# Exchanges' test symbols: no stock was ever traded under them.
TEST_SYMBOLS: Final = r"^(Z[A-Z]ZZT|Z(TST|TEST|EXIT|IEXT|XIET|BZX|VV)|[ACMNP]TEST)([./].*)?$"
ROWS_AT_ONCE: Final = 2_000_000  # bars read at once, about 150 MB
ROWS_PER_SYMBOL_DAY: Final = 250  # of an ordinary small cap, on the safe side
CHUNKS_KEPT: Final = 3
ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class StoredDay:
    """What was stored of a day's file.

    Attributes:
        rows: Bars in it.
        symbols: Symbols in it.
        set_aside: Bars set aside, by reason.
        test_bars: Bars of test symbols, left out.
        version: ETag of the file it was made from.
    """

    rows: int
    symbols: int
    set_aside: Mapping[str, int]
    test_bars: int
    version: str


def store_day(lake: Lake, day: date, bars: pl.DataFrame, *, version: str, source: str) -> StoredDay:
    """Clean a day's bars of the whole market and store them, sorted by symbol and minute.

    Args:
        lake: Where it is stored.
        day: Trading day of the file.
        bars: Its rows (`schemas.BARS`), any order.
        version: ETag of the file.
        source: Where it came from.
    """
    is_test = pl.col("symbol").str.contains(TEST_SYMBOLS).fill_null(False)
    real = bars.filter(~is_test)
    good, aside = clean_bars(real)
    own = trading_day(pl.col("timestamp")) == day
    strange = good.filter(~own)
    good = good.filter(own)
    reasons = pl.concat(
        [aside.select("symbol", "reason"), strange.select("symbol", reason=pl.lit(OTHER_DAY))]
    )
    by_symbol: dict[str, dict[str, int]] = {}
    counted = reasons.group_by("symbol", "reason").len().sort("symbol", "reason", nulls_last=True)
    for symbol, reason, count in counted.iter_rows():
        by_symbol.setdefault(symbol or "", {})[reason] = count
    stored = StoredDay(
        rows=good.height,
        symbols=good["symbol"].n_unique(),
        set_aside=dict(reasons["reason"].value_counts(sort=True).iter_rows()),
        test_bars=bars.height - real.height,
        version=version,
    )
    metadata = {
        "rows": stored.rows,
        "symbols": stored.symbols,
        "set_aside": by_symbol,
        "test_bars": stored.test_bars,
        "version": version,
        "source": source,
    }
    lake.write(FLAT_FILE_DAYS.conform(good), lake.day(DAYS_TABLE, str(day)), metadata=metadata)
    return stored


def stored_day(lake: Lake, day: date) -> StoredDay | None:
    """Read what was stored of a day's file; None where there is no sound file."""
    found = read_metadata(lake.day(DAYS_TABLE, str(day)))
    if found is None or "version" not in found:
        return None
    reasons: dict[str, int] = {}
    for by_reason in found["set_aside"].values():
        for reason, count in by_reason.items():
            reasons[reason] = reasons.get(reason, 0) + count
    return StoredDay(found["rows"], found["symbols"], reasons, found["test_bars"], found["version"])


@dataclass(frozen=True)
class DayFiles:
    """The stored days: their versions, and what was set aside in them.

    Attributes:
        lake: Where they lie.
        versions: ETag of each stored day, ascending.
        set_aside: Of each day, what was set aside by symbol and reason.
    """

    lake: Lake
    versions: Mapping[date, str]
    set_aside: Mapping[date, Mapping[str, Mapping[str, int]]] = field(repr=False)

    @classmethod
    def of(cls, lake: Lake, first: date, last: date) -> DayFiles:
        """Read what the days from `first` to `last`, both included, say of themselves."""
        versions, aside = {}, {}
        for day in trading_days(first, last):
            found = read_metadata(lake.day(DAYS_TABLE, str(day)))
            if found is not None and "version" in found:
                versions[day], aside[day] = found["version"], found["set_aside"]
        return cls(lake, versions, aside)

    def within(self, period: Period, through: date) -> list[date]:
        """List the stored days of a period up to a day, ascending."""
        return [day for day in self.versions if period.first <= day <= min(period.last, through)]

    def reasons(self, symbol: str, days: Iterable[date]) -> ReasonsByDay:
        """Return what was set aside of a symbol, by day and reason."""
        return {str(day): found for day in days if (found := self.set_aside[day].get(symbol))}

    def scan(self, days: Sequence[date], symbols: Sequence[str]) -> pl.DataFrame:
        """Read the bars of some symbols and days, sorted by symbol and minute."""
        files = [self.lake.day(DAYS_TABLE, str(day)) for day in days]
        wanted = pl.col("symbol").is_in(list(symbols))
        span = pl.col("symbol").is_between(pl.lit(min(symbols)), pl.lit(max(symbols)))
        rows = self.lake.scan(files, FLAT_FILE_DAYS).filter(span & wanted).collect()
        return rows.sort("symbol", "timestamp")


@dataclass(frozen=True)
class Need:
    """What a cell lacks.

    Attributes:
        stored: What the cell's file says of itself; None without one.
        own: The stored days of its period that it takes from day files.
        days: Those of them to be taken in now.
        rest_to: Last day that it has by REST; None without.
    """

    stored: StoredBars | None
    own: tuple[date, ...]
    days: tuple[date, ...]
    rest_to: date | None = None


def needed_days(file: Path, period: Period, days: DayFiles, through: date) -> Need:
    """Say which days a cell lacks: new ones, and all of a month in which one was replaced."""
    stored, there = stored_bars(file), tuple(days.within(period, through))
    if stored is None:
        return Need(None, there, there)
    if stored.is_users:
        return Need(stored, (), ())
    rest_to = stored.rest_to if stored.versions else stored.complete_to
    own = tuple(day for day in there if rest_to is None or day > rest_to)
    lacking: list[date] = []
    for month, of_month in _by_month(own).items():
        before = stored.versions.get(month)
        taken = [day for day in of_month if day <= stored.complete_to]
        if before == _digest(of_month, days.versions):
            continue
        grown = before == _digest(taken, days.versions) if before else not taken
        lacking += [day for day in of_month if day not in taken] if grown else of_month
    return Need(stored, own, tuple(lacking), rest_to)


class Splitter:
    """Hands out the bars of one cell after another, reading many cells' days at once.

    Cells that lack the same days are read together, as many as memory allows; threads may share
    it. Bars come as they are stored: clean, sorted.

    Args:
        days: The stored days.
        needs: What each cell lacks, by (symbol, period key), in the order of asking.
        rows_at_once: Bars in memory at once, about.
    """

    def __init__(
        self,
        days: DayFiles,
        needs: Mapping[tuple[str, str], Need],
        *,
        rows_at_once: int = ROWS_AT_ONCE,
    ) -> None:
        self._days = days
        self._chunk_of: dict[tuple[str, tuple[date, ...]], int] = {}
        self._chunks: list[tuple[tuple[date, ...], list[str]]] = []
        self._loaded: OrderedDict[int, dict[str, pl.DataFrame]] = OrderedDict()
        self._handed_out: set[tuple[str, tuple[date, ...]]] = set()
        self._lock = Lock()
        alike: dict[tuple[date, ...], list[str]] = {}
        for (symbol, _), need in needs.items():
            if need.days:
                alike.setdefault(need.days, []).append(symbol)
        for wanted, symbols in alike.items():
            size = max(1, rows_at_once // (ROWS_PER_SYMBOL_DAY * len(wanted)))
            for start in range(0, len(symbols), size):
                chunk = symbols[start : start + size]
                self._chunk_of.update(((symbol, wanted), len(self._chunks)) for symbol in chunk)
                self._chunks.append((wanted, chunk))

    def bars(self, symbol: str, days: tuple[date, ...]) -> pl.DataFrame:
        """Return the bars (`schemas.BARS`) of a symbol on the days that one of its cells lacks."""
        number = self._chunk_of[symbol, days]
        with self._lock:
            if (symbol, days) in self._handed_out:  # it is no longer in memory
                return self._days.scan(days, [symbol])
            self._handed_out.add((symbol, days))
            if number not in self._loaded:
                rows = self._days.scan(*self._chunks[number])
                parts = rows.partition_by("symbol", as_dict=True, maintain_order=True)
                self._loaded[number] = {str(key[0]): part for key, part in parts.items()}
                while len(self._loaded) > CHUNKS_KEPT:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(number)
            found = self._loaded[number].pop(symbol, None)
            return BARS.empty() if found is None else found


def update_from_days(
    lake: Lake,
    splitter: Splitter,
    days: DayFiles,
    symbol: str,
    period: Period,
    need: Need,
    *,
    source_name: str,
) -> BarUpdate:
    """Bring one cell up to date from the stored days.

    Args:
        lake: Where the cell lies.
        splitter: Hands out the bars of the days it lacks.
        days: The stored days.
        symbol: Ticker.
        period: The cell's stretch of days.
        need: What it lacks.
        source_name: Written into the file: where its bars came from.
    """
    file = lake.cell(TABLE, symbol, period.key)
    if not need.days:
        if need.stored is None:
            return BarUpdate(CellState.NO_INPUT, 0, 0, {}, file)
        return BarUpdate(CellState.CURRENT, row_count(file), 0, {}, file)
    fresh = splitter.bars(symbol, need.days)
    good, rows_before = fresh, 0
    if need.stored is not None:
        before = lake.read(file, BARS)
        good, rows_before = _with_days(before, fresh, need), len(before)
    new_reasons = days.reasons(symbol, need.days)
    write_cell(lake, good, symbol, period, _known(need, days, period, new_reasons, source_name))
    total: dict[str, int] = {}
    for by_reason in new_reasons.values():
        for reason, count in by_reason.items():
            total[reason] = total.get(reason, 0) + count
    return BarUpdate(CellState.WRITTEN, len(good), len(good) - rows_before, total, file)


def _with_days(before: pl.DataFrame, fresh: pl.DataFrame, need: Need) -> pl.DataFrame:
    """Return the bars of a cell with some of its days replaced, sorted."""
    if need.stored is not None and need.days[0] > need.stored.complete_to:
        return pl.concat([before, fresh])  # the daily case: nothing to replace or to sort
    taken = trading_day(pl.col("timestamp")).is_in(list(need.days))
    return pl.concat([before.filter(~taken), fresh]).sort("timestamp")


@cache
def _trading_days(first: date, last: date) -> list[date]:
    """List trading days; asked for once per cell of a run, always the same."""
    return trading_days(first, last)


def _known(
    need: Need, days: DayFiles, period: Period, reasons: ReasonsByDay, source_name: str
) -> StoredBars:
    """Return what a cell's file says of itself once the days that it lacked are in it."""
    stored, last = need.stored, need.own[-1]
    new = {str(day) for day in need.days}
    before = {} if stored is None else stored.set_aside
    since = need.rest_to or period.first - ONE_DAY
    expected = [day for day in _trading_days(period.first, last) if day > since]
    absent = {*expected, *(() if stored is None else stored.absent)} - set(need.own)
    return StoredBars(
        source=source_name,
        complete_to=last if stored is None else max(last, stored.complete_to),
        set_aside={**{day: why for day, why in before.items() if day not in new}, **reasons},
        versions={m: _digest(own, days.versions) for m, own in _by_month(need.own).items()},
        absent=tuple(sorted(absent)),
        rest_to=need.rest_to,
    )


def _by_month(days: Iterable[date]) -> dict[str, list[date]]:
    months: dict[str, list[date]] = {}
    for day in days:
        months.setdefault(f"{day:%Y-%m}", []).append(day)
    return months


def _digest(days: Iterable[date], versions: Mapping[date, str]) -> str:
    text = "\n".join(f"{day} {versions[day]}" for day in days)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
