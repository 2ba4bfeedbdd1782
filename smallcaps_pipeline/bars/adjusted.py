"""Bars adjusted for splits, computed on reading: what is stored stays as it was traded.

Adjusted are prices (x basis of as_of / basis of the day) and volumes (the inverse) for splits that
were executed on or before `as_of`, by our own factors; a split of tomorrow is not seen. Dividends
are not taken out: a gap on an ex-date is a gap that was traded.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import polars as pl

from smallcaps_pipeline.schemas import BARS, SPLITS
from smallcaps_pipeline.sessions import trading_day
from smallcaps_pipeline.universe.splits import split_factors

ADJUSTED_PRICES: Final = ("open", "high", "low", "close", "vwap")


def adjusted_bars(
    bars: pl.DataFrame | pl.LazyFrame, splits: pl.DataFrame | None, *, as_of: date
) -> pl.LazyFrame:
    """Return bars up to `as_of`, on the price basis of that day.

    It sees nothing after `as_of`: later bars are left out, later splits are not applied. A
    1-for-10 reverse split on day d turns a close of 0.50 before d into 5.00 for any as_of >= d,
    and 1,000 shares into 100.

    Args:
        bars: Rows of `schemas.BARS`, as traded, any symbols and order; a scan of the lake's cells.
        splits: Rows of `schemas.SPLITS`; None = no split is known.
        as_of: Trading day (New York) whose price basis is wanted, included.

    Returns:
        Lazy rows of `schemas.BARS` in their order.

    Raises:
        SplitError: A split has no usable ratio.
    """
    known = SPLITS.empty() if splits is None else SPLITS.conform(splits, "splits")
    factors = split_factors(known.filter(pl.col("execution_date") <= as_of))
    now = factors.group_by("symbol").agg(basis_now=pl.col("basis").sort_by("date").last())
    dated = bars.lazy().with_columns(_day=trading_day(pl.col("timestamp")))
    rows = dated.filter(pl.col("_day") <= as_of)
    if factors.is_empty():  # a plain scan: predicates reach the files
        return BARS.conform(rows)
    # Which stretch between two splits a day lies in: the last split on or before it. Joined on the
    # stretch's bounds by days, so that the rows need no sort.
    stretches = _basis_by_day(rows, factors)
    price = (pl.col("basis_now") / pl.col("basis")).fill_null(1.0)
    return BARS.conform(
        rows.join(stretches, on=["symbol", "_day"], how="left", maintain_order="left")
        .join(now.lazy(), on="symbol", how="left", maintain_order="left")
        .with_columns(pl.col("basis").fill_null(1.0))
        .with_columns(
            pl.col(ADJUSTED_PRICES) * price,
            pl.col("volume") / price,
        )
    )


def _basis_by_day(rows: pl.LazyFrame, factors: pl.DataFrame) -> pl.LazyFrame:
    """Return `symbol`, `_day`, `basis` of each day that the rows hold."""
    days = rows.select("symbol", "_day").unique().sort("symbol", "_day")
    return days.join_asof(
        factors.lazy().sort("symbol", "date"),
        left_on="_day",
        right_on="date",
        by="symbol",
        strategy="backward",
        check_sortedness=False,  # both are sorted within each symbol
    ).select("symbol", "_day", "basis")
