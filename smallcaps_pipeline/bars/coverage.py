"""Coverage: what a cell of bars holds day by day, read from its content, not from its name.

Belongs here: the figures of a symbol and day, and what is usual for a symbol. Keep out: which
symbols should be there (`coverage_summary`) and files (`coverage_files`).

Gaps are no proof of a defect: thin names fall silent twenty times a day, and a halt lasts five
minutes or more. A *hole* is therefore a gap too short for a halt in a name that usually trades in
nearly every minute of RTH: the provider is known to lose such minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from typing import Final

import polars as pl

from smallcaps_pipeline.bars.clean import clean_bars, trusted_vwap
from smallcaps_pipeline.bars.soundness import Reason
from smallcaps_pipeline.bars.update import ReasonsByDay
from smallcaps_pipeline.schemas import BAR_COVERAGE
from smallcaps_pipeline.sessions import (
    RTH_OPEN_MINUTE,
    Session,
    add_sessions,
    calendar,
    trading_day,
)
from smallcaps_pipeline.settings import BarKpis
from smallcaps_pipeline.thresholds import at_least, below

COPIES: Final = {Reason.DUPLICATE.value: "duplicates", Reason.CONFLICT.value: "conflicts"}
BAD: Final = "bad_bars"  # all other reasons
ASIDE: Final = ("duplicates", "conflicts", BAD)
COUNTS: Final = (
    "bars",
    "pm_bars",
    "rth_bars",
    "ah_bars",
    "outside_bars",
    "short_gap_minutes",
    "longest_gap_minutes",
    "vwap_outside",
)
USUAL_LEAST: Final = 5  # sessions that a usual needs


class DayState(StrEnum):
    """What is known of a symbol and day."""

    BARS = "bars"
    EMPTY = "empty"
    MISSING = "missing"


def cover_cell(
    bars: pl.DataFrame,
    *,
    symbol: str,
    asked: Sequence[date],
    source: str,
    set_aside: ReasonsByDay,
    rules: BarKpis,
) -> pl.DataFrame:
    """Return the figures of one cell's days; `add_usual` completes them.

    Args:
        bars: What the cell's file holds (`schemas.BARS`), bad bars and copies included.
        symbol: The cell's symbol; bars of another one are bad.
        asked: Trading days that the provider was asked for.
        source: Where the bars came from.
        set_aside: What was set aside when they were taken in, by day and reason.
        rules: What a gap must last to be a possible halt.

    Returns:
        Rows of `schemas.BAR_COVERAGE` by date: every day asked for and every day with bars. What
        rests on other days (`usual_bars`, `is_liquid`, `hole_minutes`, `is_thin`) is null yet.
    """
    own = pl.col("symbol").eq_missing(pl.lit(symbol))
    strange = bars.filter(~own)
    good, aside = clean_bars(bars.filter(own))
    days = _days_of(good, rules)
    lost = pl.concat(
        [
            _aside_in_file(aside, asked),
            _counted_aside(strange["timestamp"], BAD, asked),
            _aside_before(set_aside, asked),
        ]
    )
    lost = lost.group_by("date").agg(pl.col(ASIDE).sum())
    every = pl.DataFrame({"date": list(asked)}, schema={"date": pl.Date})
    rows = (
        pl.concat([every, days.select("date"), lost.select("date")])
        .unique()
        .join(days, on="date", how="left", validate="1:1")
        .join(lost, on="date", how="left", validate="1:1")
        .join(_rth_minutes(), on="date", how="left", validate="m:1")
        .with_columns(pl.col("rth_minutes").fill_null(0))
        .with_columns(longest_gap_minutes=pl.coalesce("longest_gap_minutes", "rth_minutes"))
        .with_columns(
            pl.col(*COUNTS, *ASIDE).fill_null(0),
            pl.col("volume", "dollar_volume").fill_null(0.0),
            symbol=pl.lit(symbol),
            source=pl.lit(source),
        )
        .with_columns(state=_state(asked), **_not_yet())
    )
    return BAR_COVERAGE.conform(rows.sort("date"))


def add_usual(days: pl.DataFrame, rules: BarKpis) -> pl.DataFrame:
    """Say of each day of one symbol whether the symbol is liquid around it, and the day thin.

    The usual is the median over `usual_sessions` sessions around the day, itself included; both
    sides count, for this judges data and decides nothing. With fewer than five it is null.

    Args:
        days: Rows of `schemas.BAR_COVERAGE` of one symbol, by date.
        rules: The thresholds.
    """
    counts = (pl.col("state") != DayState.MISSING) & (pl.col("rth_minutes") > 0)
    usual = days.filter(counts).select(
        "date",
        usual_bars=_median_around(pl.col("bars").cast(pl.Float64), rules),
        usual_share=_median_around(pl.col("rth_bars") / pl.col("rth_minutes"), rules),
    )
    liquid = at_least(pl.col("usual_share"), rules.liquid_rth_pct / 100).fill_null(False)
    enough = at_least(pl.col("usual_bars"), float(rules.usual_min_bars))
    thin = enough & below(pl.col("bars"), rules.thin_pct / 100 * pl.col("usual_bars"))
    rows = days.drop("usual_bars").join(usual, on="date", how="left", validate="1:1")
    # A day that has no bars at all is empty or missing, which is said elsewhere.
    has_bars = pl.col("state") == DayState.BARS
    return BAR_COVERAGE.conform(
        rows.with_columns(is_liquid=liquid, is_thin=(thin & has_bars).fill_null(False))
        .with_columns(
            hole_minutes=pl.when(pl.col("is_liquid") & has_bars)
            .then(pl.col("short_gap_minutes"))
            .otherwise(0)
        )
        .sort("date")
    )


def _days_of(good: pl.DataFrame, rules: BarKpis) -> pl.DataFrame:
    """Return the figures of the good bars of one symbol by day."""
    session, in_session = pl.col("session"), pl.col("session").is_not_null()
    outside = pl.col("vwap").is_not_null() & trusted_vwap().is_null()
    # Clean bars of one symbol are sorted by time, and so by day.
    labelled = add_sessions(good.lazy()).with_columns(pl.col("date").set_sorted()).collect()
    days = labelled.group_by("date", maintain_order=True).agg(
        bars=in_session.sum(),
        pm_bars=(session == Session.PM).sum(),
        rth_bars=(session == Session.RTH).sum(),
        ah_bars=(session == Session.AH).sum(),
        outside_bars=session.is_null().sum(),
        first_at=pl.col("timestamp").min(),
        last_at=pl.col("timestamp").max(),
        volume=pl.col("volume").filter(in_session).sum(),
        dollar_volume=(pl.col("close") * pl.col("volume")).filter(in_session).sum(),
        vwap_outside=outside.sum(),
    )
    gaps = _rth_gaps(labelled, rules.halt_minutes)
    return days.join(gaps, on="date", how="left", validate="1:1").with_columns(
        pl.col(pl.UInt32).cast(pl.Int64)
    )


def _rth_gaps(labelled: pl.DataFrame, halt_minutes: int) -> pl.DataFrame:
    """Measure the stretches of RTH without a bar, those before the first and after the last too."""
    rth = labelled.filter(pl.col("session") == Session.RTH).select("date", "minute", "close_minute")
    before = pl.col("minute").shift(1).over("date").fill_null(RTH_OPEN_MINUTE - 1)
    inner = rth.with_columns(gap=pl.col("minute") - before - 1).select("date", "gap")
    tail = rth.group_by("date").agg(
        gap=(pl.col("close_minute") - pl.col("minute").max() - 1).first()
    )
    gap = pl.col("gap")
    return (
        pl.concat([inner, tail])
        .group_by("date")
        .agg(
            short_gap_minutes=gap.filter(gap < halt_minutes).sum().cast(pl.Int64),
            longest_gap_minutes=gap.max().cast(pl.Int64),
        )
    )


def _aside_in_file(aside: pl.DataFrame, asked: Sequence[date]) -> pl.DataFrame:
    parts = [
        _counted_aside(part["timestamp"], COPIES.get(str(reason), BAD), asked)
        for (reason,), part in aside.partition_by("reason", as_dict=True).items()
    ]
    return pl.concat(parts) if parts else _no_aside()


def _counted_aside(timestamps: pl.Series, name: str, asked: Sequence[date]) -> pl.DataFrame:
    """Count rows by trading day under one of `ASIDE`; those without a time on the first day."""
    day = trading_day(pl.col("timestamp"))
    if asked:
        day = day.fill_null(asked[0])
    counted = (
        timestamps.alias("timestamp").to_frame().group_by(date=day).agg(pl.len().cast(pl.Int64))
    )
    return _as_aside(counted, name)


def _aside_before(set_aside: ReasonsByDay, asked: Sequence[date]) -> pl.DataFrame:
    """Return what was set aside before the file was written."""
    rows: list[pl.DataFrame] = []
    for text, by_reason in set_aside.items():
        day = date.fromisoformat(text) if text[:1].isdigit() else next(iter(asked), None)
        for reason, count in by_reason.items():
            counted = pl.DataFrame(
                {"date": [day], "len": [count]}, schema={"date": pl.Date, "len": pl.Int64}
            )
            rows.append(_as_aside(counted, COPIES.get(reason, BAD)))
    return pl.concat(rows) if rows else _no_aside()


def _as_aside(counted: pl.DataFrame, name: str) -> pl.DataFrame:
    zero = pl.lit(0, pl.Int64)
    counts = ((pl.col("len") if one == name else zero).alias(one) for one in ASIDE)
    return counted.filter(pl.col("date").is_not_null()).select("date", *counts)


def _no_aside() -> pl.DataFrame:
    return pl.DataFrame(schema={"date": pl.Date, **dict.fromkeys(ASIDE, pl.Int64)})


def _rth_minutes() -> pl.DataFrame:
    return calendar().select(
        "date", rth_minutes=(pl.col("close_minute") - RTH_OPEN_MINUTE).cast(pl.Int64)
    )


def _state(asked: Sequence[date]) -> pl.Expr:
    is_asked = pl.col("date").is_in(pl.Series(list(asked), dtype=pl.Date).implode())
    return (
        pl.when(pl.col("bars") + pl.col("outside_bars") > 0)
        .then(pl.lit(DayState.BARS.value))
        .when(is_asked)
        .then(pl.lit(DayState.EMPTY.value))
        .otherwise(pl.lit(DayState.MISSING.value))
    )


def _not_yet() -> dict[str, pl.Expr]:
    return {
        "usual_bars": pl.lit(None, pl.Float64),
        "is_liquid": pl.lit(None, pl.Boolean),
        "hole_minutes": pl.lit(None, pl.Int64),
        "is_thin": pl.lit(None, pl.Boolean),
    }


def _median_around(value: pl.Expr, rules: BarKpis) -> pl.Expr:
    return value.rolling_median(
        rules.usual_sessions, min_samples=min(USUAL_LEAST, rules.usual_sessions), center=True
    )
