"""Activity: how often and how hard each symbol moves, from daily bars.

Belongs here: the four figures of the ranking. Keep out: which stocks take part (`eligible`) and
their ranks (`rank`).

Decisions where days are missing:

- A *session* is a trading day on which the daily bars hold any symbol at all. A day that is missing
  altogether was not downloaded; it says nothing about a symbol and is left out (and counted).
- A symbol without a row on a session after its first one did not trade: volume and dollar volume 0.
  So a halt makes the return a volume day, and a stock that trades one day in three has the median
  dollar volume of such a stock, not of its best days.
- The previous close is the last there is, however old. The mean volume needs all its sessions since
  the symbol's first row; a new listing has volume days from its 21st session on.
- A comparison with an undefined figure does not hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import polars as pl

from smallcaps_pipeline.schemas import DAILY_BARS
from smallcaps_pipeline.sessions import shift_trading_day, trading_days
from smallcaps_pipeline.settings import Universe
from smallcaps_pipeline.thresholds import at_least
from smallcaps_pipeline.universe.splits import with_basis

PRICES = ("open", "high", "low", "close")


def look_back(as_of: date, settings: Universe) -> tuple[list[date], date]:
    """Return the trading days whose bars the ranking reads, and the first one that it counts.

    Counted are the last `sessions` trading days up to as_of, included; the `volume_mean_sessions`
    before them are read for the means and the first previous close.
    """
    counted_from = shift_trading_day(as_of, 1 - settings.sessions)
    read_from = shift_trading_day(counted_from, -settings.volume_mean_sessions)
    return trading_days(read_from, as_of), counted_from


def usable_bars(daily_bars: pl.DataFrame, days: Sequence[date]) -> tuple[pl.DataFrame, int]:
    """Return the bars of `days` that can be ranked, and how many were set aside as bad.

    A bar is bad if a price is not positive and finite, or volume not finite or below 0 (null
    included), or if it repeats the symbol and date of another: the one with the larger volume
    stays, then by greater close, open, high, low.
    """
    bars = DAILY_BARS.conform(daily_bars, "daily_bars").filter(pl.col("date").is_in(list(days)))
    good = pl.all_horizontal(
        *(pl.col(name).is_finite() & (pl.col(name) > 0) for name in PRICES),
        pl.col("volume").is_finite() & (pl.col("volume") >= 0),
    )
    usable = (
        bars.filter(good)
        .sort("volume", "close", "open", "high", "low", descending=True)
        .unique(["symbol", "date"], keep="first", maintain_order=True)
        .sort("symbol", "date")
    )
    return usable, bars.height - usable.height


def activity(
    bars: pl.DataFrame,
    sessions: Sequence[date],
    counted_from: date,
    splits: pl.DataFrame | None,
    settings: Universe,
) -> pl.DataFrame:
    """Count each symbol's days of large moves.

    Args:
        bars: Usable bars, one per symbol and date, prices as traded.
        sessions: The sessions of the look-back, ascending.
        counted_from: First session that counts; those before it serve means and previous closes.
        splits: Rows of `schemas.SPLITS`; None = no split is known.
        settings: Thresholds.

    Returns:
        One row per symbol, sorted: `symbol`, `gap_days`, `range_days`, `volume_days` (Int64),
        `median_dollar_volume` (USD per session).
    """
    grid = _grid(bars, sessions, splits)
    return (
        grid.with_columns(
            # The forward fill carries the last close over sessions without a row.
            previous=(pl.col("close") / pl.col("basis")).forward_fill().shift(1).over("symbol")
            * pl.col("basis"),
            mean_before=_mean_before(settings.volume_mean_sessions),
        )
        .filter(pl.col("date") >= counted_from)
        .group_by("symbol")
        .agg(
            gap_days=_days(_is_gap(settings)),
            range_days=_days(_is_wide(settings)),
            volume_days=_days(_is_busy(settings)),
            median_dollar_volume=(pl.col("close") * pl.col("volume")).fill_null(0.0).median(),
        )
        .sort("symbol")
    )


def _grid(
    bars: pl.DataFrame, sessions: Sequence[date], splits: pl.DataFrame | None
) -> pl.DataFrame:
    """Return one row per symbol and session from its first bar on, with volume on one basis."""
    days = pl.DataFrame({"date": sessions}, schema={"date": pl.Date})
    first = bars.group_by("symbol").agg(first_date=pl.col("date").min())
    cells = first.join(days, how="cross").filter(pl.col("date") >= pl.col("first_date"))
    rows = cells.join(bars, on=["symbol", "date"], how="left", validate="1:1")
    return with_basis(rows, splits).with_columns(
        pl.col("volume").fill_null(0.0),
        comparable_volume=pl.col("volume").fill_null(0.0) * pl.col("basis"),
        sessions_before=pl.int_range(pl.len()).over("symbol"),
    )


def _mean_before(sessions: int) -> pl.Expr:
    """Return the mean volume of the sessions before; null where the symbol has fewer of them.

    Added up anew for each row: a running sum keeps the rounding error of a large day behind.
    """
    before = pl.mean_horizontal(
        pl.col("comparable_volume").shift(number) for number in range(1, sessions + 1)
    )
    return pl.when(pl.col("sessions_before") >= sessions).then(before)


def _is_gap(settings: Universe) -> pl.Expr:
    gap = pl.col("open") / pl.col("previous") - 1
    return at_least(gap.abs(), settings.gap_pct / 100)


def _is_wide(settings: Universe) -> pl.Expr:
    day_range = (pl.col("high") - pl.col("low")) / pl.col("previous")
    return at_least(day_range, settings.range_pct / 100)


def _is_busy(settings: Universe) -> pl.Expr:
    volume = pl.col("comparable_volume")
    return (volume > 0) & at_least(volume, settings.volume_ratio * pl.col("mean_before"))


def _days(condition: pl.Expr) -> pl.Expr:
    return condition.fill_null(False).sum().cast(pl.Int64)
