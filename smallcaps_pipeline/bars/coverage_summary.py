"""Coverage of the whole lake: what should be there and is, what is missing, what is suspect.

Belongs here: holding the days of each symbol against the exchange calendar and the symbols that
should be there; totals by symbol and by day. Keep out: the figures of one day (`coverage`).

Works through the symbols in chunks: in memory are a chunk's days, one row per symbol and one per
day, whatever the size of the universe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final

import polars as pl

from smallcaps_pipeline.bars.coverage import DayState
from smallcaps_pipeline.schemas import BAR_COVERAGE, DAY_COVERAGE, SUSPECTS, SYMBOL_COVERAGE
from smallcaps_pipeline.sessions import trading_days
from smallcaps_pipeline.settings import BarKpis
from smallcaps_pipeline.thresholds import at_least, at_most

ABSENT_AT_ONCE: Final = 200  # expected symbols without any bar, each with all its days
WORST: Final = 20  # shown of each defect
HALF, DOUBLE = 0.5, 2.0  # a day is odd beyond these multiples of the sessions around it
LIFE: Final = pl.Schema({"symbol": pl.String, "listed_from": pl.Date, "listed_to": pl.Date})


class Defect(StrEnum):
    """Why a symbol's day is suspect."""

    HOLES = "minutes missing in a liquid name"
    THIN = "far fewer bars than usual"
    VWAP = "vwap outside the bar"
    COPIES = "copies of a bar that differ"
    BAD = "bars that are bad input"


@dataclass(frozen=True)
class Expected:
    """What should be there.

    Attributes:
        symbols: Symbols that should have bars.
        first, last: Trading days looked at, both included.
        listed: `symbol`, `listed_from`, `listed_to` (both included; null = open), where known:
            outside of it a symbol is not expected.
    """

    symbols: frozenset[str]
    first: date
    last: date
    listed: pl.DataFrame = field(default_factory=LIFE.to_frame)


@dataclass(frozen=True)
class Coverage:
    """What is there of the bars.

    Attributes:
        by_symbol: `schemas.SYMBOL_COVERAGE`.
        by_day: `schemas.DAY_COVERAGE`.
        suspects: `schemas.SUSPECTS`, the worst of each defect first.
        expected: What it was held against.
    """

    by_symbol: pl.DataFrame
    by_day: pl.DataFrame
    suspects: pl.DataFrame
    expected: Expected

    @property
    def missing_symbols(self) -> list[str]:
        """Expected symbols without any bar in the days looked at."""
        none = (pl.col("days_with_bars") == 0) & (pl.col("days_expected") > 0)
        return self.by_symbol.filter(none & pl.col("is_expected"))["symbol"].to_list()

    @property
    def symbols_with_bars(self) -> list[str]:
        """Symbols with bars in the days looked at."""
        return self.by_symbol.filter(pl.col("days_with_bars") > 0)["symbol"].to_list()

    def totals(self) -> Mapping[str, int]:
        """Return the counts over all symbols."""
        names = [name for name, c in SYMBOL_COVERAGE.schema.items() if c == pl.Int64]
        return {name: int(self.by_symbol[name].sum()) for name in names}


def summarize(parts: Iterable[pl.DataFrame], expected: Expected, rules: BarKpis) -> Coverage:
    """Hold the days of all symbols against what should be there.

    Args:
        parts: Rows of `schemas.BAR_COVERAGE`, all days of a symbol in the same part.
        expected: Symbols and days that should be there.
        rules: Thresholds.
    """
    calendar = pl.DataFrame(
        {"date": trading_days(expected.first, expected.last)}, schema={"date": pl.Date}
    )
    seen: set[str] = set()
    symbols = [SYMBOL_COVERAGE.empty()]
    days, suspects = [_no_days()], [SUSPECTS.empty()]
    for part in parts:
        rows = part.filter(pl.col("date").is_between(expected.first, expected.last))
        wanted = sorted({*part["symbol"].unique()})
        seen.update(wanted)
        held = _held(rows, _should_be(wanted, expected, calendar))
        symbols.append(_by_symbol(held, wanted, expected))
        days = [_sum_days([*days, _by_day(held)])]
        suspects = [_worst(pl.concat([*suspects, *_suspects(rows)]))]
    absent = sorted(expected.symbols - seen)
    for start in range(0, len(absent), ABSENT_AT_ONCE):
        names = absent[start : start + ABSENT_AT_ONCE]
        held = _held(BAR_COVERAGE.empty(), _should_be(names, expected, calendar))
        symbols.append(_by_symbol(held, names, expected))
        days = [_sum_days([*days, _by_day(held)])]
    return Coverage(
        by_symbol=SYMBOL_COVERAGE.conform(pl.concat(symbols).sort("symbol")),
        by_day=_judged_days(calendar.join(days[0], on="date", how="left"), rules),
        suspects=suspects[0],
        expected=expected,
    )


def _should_be(symbols: list[str], expected: Expected, calendar: pl.DataFrame) -> pl.DataFrame:
    """Return the expected symbols and days among some symbols."""
    wanted = pl.DataFrame(
        {"symbol": [s for s in symbols if s in expected.symbols]}, schema={"symbol": pl.String}
    )
    lives = wanted.join(expected.listed, on="symbol", how="left", validate="1:1")
    inside = pl.col("date") >= pl.col("listed_from").fill_null(expected.first)
    inside &= pl.col("date") <= pl.col("listed_to").fill_null(expected.last)
    return lives.join(calendar, how="cross").filter(inside).select("symbol", "date", should=True)


def _held(rows: pl.DataFrame, should: pl.DataFrame) -> pl.DataFrame:
    """Join what is there and what should be."""
    # A day with bars at night or on a holiday only is no day that anybody expects.
    return (
        rows.filter(pl.col("rth_minutes") > 0)
        .join(should, on=["symbol", "date"], how="full", coalesce=True, validate="1:1")
        .with_columns(
            pl.col("should").fill_null(False),
            pl.col("state").fill_null(DayState.MISSING.value),
        )
    )


def _is(state: DayState) -> pl.Expr:
    return pl.col("state") == state


def _by_symbol(held: pl.DataFrame, symbols: list[str], expected: Expected) -> pl.DataFrame:
    missing = _is(DayState.MISSING) & pl.col("should")
    counted = held.group_by("symbol").agg(
        days_expected=pl.col("should").sum(),
        days_with_bars=_is(DayState.BARS).sum(),
        days_empty=_is(DayState.EMPTY).sum(),
        days_missing=missing.sum(),
        first_missing=pl.col("date").filter(missing).min(),
        last_missing=pl.col("date").filter(missing).max(),
        liquid_minutes=pl.col("rth_minutes").filter(pl.col("is_liquid") & _is(DayState.BARS)).sum(),
        thin_days=pl.col("is_thin").sum(),
        **{
            name: pl.col(name).sum()
            for name in (
                "bars",
                "hole_minutes",
                "vwap_outside",
                "duplicates",
                "conflicts",
                "bad_bars",
            )
        },
    )
    every = pl.DataFrame({"symbol": symbols}, schema={"symbol": pl.String})
    return SYMBOL_COVERAGE.conform(
        every.join(counted, on="symbol", how="left", validate="1:1").with_columns(
            pl.col(pl.UInt32, pl.Int64).cast(pl.Int64).fill_null(0),
            is_expected=pl.Series([s in expected.symbols for s in symbols], dtype=pl.Boolean),
        )
    )


def _by_day(held: pl.DataFrame) -> pl.DataFrame:
    return held.group_by("date").agg(
        symbols_expected=pl.col("should").sum().cast(pl.Int64),
        symbols_with_bars=_is(DayState.BARS).sum().cast(pl.Int64),
        symbols_empty=_is(DayState.EMPTY).sum().cast(pl.Int64),
        symbols_missing=(_is(DayState.MISSING) & pl.col("should")).sum().cast(pl.Int64),
        bars=pl.col("bars").sum(),
        volume=pl.col("volume").sum(),
        hole_minutes=pl.col("hole_minutes").sum(),
        thin_symbols=pl.col("is_thin").sum().cast(pl.Int64),
    )


def _no_days() -> pl.DataFrame:
    names = ["date", *_by_day_columns()]
    return DAY_COVERAGE.empty().select(names)


def _by_day_columns() -> list[str]:
    return [n for n in DAY_COVERAGE.columns if n not in ("date", "usual_symbols", "is_odd")]


def _sum_days(parts: list[pl.DataFrame]) -> pl.DataFrame:
    rows = pl.concat([part.select("date", *_by_day_columns()) for part in parts])
    return rows.group_by("date").agg(pl.col(_by_day_columns()).sum())


def _judged_days(days: pl.DataFrame, rules: BarKpis) -> pl.DataFrame:
    """Say which days hold far fewer or more symbols, or bars per symbol, than those around them.

    A file that was cut off loses symbols, a feed that failed loses bars of all of them; one symbol
    alone shows neither.
    """

    def usual(value: pl.Expr) -> pl.Expr:
        least = min(5, rules.usual_sessions)
        return value.rolling_median(rules.usual_sessions, min_samples=least, center=True)

    symbols = pl.col("symbols_with_bars").cast(pl.Float64)
    # Only days on which something was asked for count as usual.
    there = pl.when(symbols > 0).then(symbols)
    per_symbol = pl.when(symbols > 0).then(pl.col("bars") / symbols)
    rows = (
        days.sort("date")
        .with_columns(pl.col(_by_day_columns()).fill_null(0))
        .with_columns(usual_symbols=usual(there), _usual_bars=usual(per_symbol))
    )

    def is_off(value: pl.Expr, middle: pl.Expr) -> pl.Expr:
        return at_most(value, HALF * middle) | at_least(value, DOUBLE * middle)

    odd = is_off(there, pl.col("usual_symbols")) | is_off(per_symbol, pl.col("_usual_bars"))
    several = pl.col("usual_symbols") > 1  # one symbol is no market
    return DAY_COVERAGE.conform(rows.with_columns(is_odd=(odd & several).fill_null(False)))


def _suspects(rows: pl.DataFrame) -> list[pl.DataFrame]:
    figures = {
        Defect.HOLES: pl.col("hole_minutes").cast(pl.Float64),
        Defect.VWAP: pl.col("vwap_outside").cast(pl.Float64),
        Defect.COPIES: pl.col("conflicts").cast(pl.Float64),
        Defect.BAD: pl.col("bad_bars").cast(pl.Float64),
        # Orders like the others: the less there is, the worse.
        Defect.THIN: pl.when(pl.col("is_thin")).then(pl.col("usual_bars") / pl.col("bars")),
    }
    return [
        SUSPECTS.conform(
            rows.select("symbol", "date", defect=pl.lit(defect.value), figure=figure).filter(
                pl.col("figure") > 0
            )
        )
        for defect, figure in figures.items()
    ]


def _worst(suspects: pl.DataFrame) -> pl.DataFrame:
    return (
        suspects.sort("defect", "figure", "symbol", "date", descending=[False, True, False, False])
        .group_by("defect", maintain_order=True)
        .head(WORST)
        .select(SUSPECTS.schema.names())
    )
