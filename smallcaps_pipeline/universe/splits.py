"""Splits: our own factors, which put the prices of different days on one basis.

Belongs here: the price basis of a day, and the previous close on the day's own basis.
Keep out: dividends (prices are continued over splits only) and what a gap is used for (`activity`).

Stored prices are as traded. A split of `split_from` old for `split_to` new shares multiplies prices
from before its execution date by split_from / split_to, and volumes by the inverse: 1-for-10
(split_from 10, split_to 1) turns a close of 0.50 into 5.00. The *basis* of a day is the product of
these price factors over all splits executed on or before it, so that

    price on day d, as of day e   =  price  x basis(e) / basis(d)
    volume on day d, as of day e  =  volume x basis(d) / basis(e)
"""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.schemas import DAILY_BARS, PREVIOUS_CLOSE, SPLITS


class SplitError(ValueError):
    """A split has no usable ratio."""


def split_factors(splits: pl.DataFrame | None) -> pl.DataFrame:
    """Return the price basis from each split on.

    Args:
        splits: Rows of `schemas.SPLITS` in any order; None = no split is known. Several splits of
            one symbol and day count together.

    Returns:
        One row per symbol and execution date, sorted by both: `symbol`, `date`, `basis` (Float64).

    Raises:
        SplitError: split_from or split_to is not a positive number.
    """
    rows = SPLITS.empty() if splits is None else SPLITS.conform(splits, "splits")
    usable = pl.all_horizontal(
        (pl.col("split_from", "split_to") > 0) & pl.col("split_from", "split_to").is_finite()
    )
    wrong = rows.filter(~usable.fill_null(False))
    if wrong.height:
        raise SplitError(f"expected positive split_from and split_to, was {wrong.row(0)}")
    return (
        rows.unique()  # the provider may list a split twice
        .group_by("symbol", date="execution_date")
        .agg(factor=(pl.col("split_from") / pl.col("split_to")).sort().product())
        .sort("symbol", "date")
        .select("symbol", "date", basis=pl.col("factor").cum_prod().over("symbol"))
    )


def with_basis(rows: pl.DataFrame, splits: pl.DataFrame | None) -> pl.DataFrame:
    """Add `basis` (Float64, 1 before any split) to rows with `symbol` and `date`.

    Returns:
        The rows, sorted by symbol and date.
    """
    return (
        rows.sort("symbol", "date")
        .join_asof(
            split_factors(splits),
            on="date",
            by="symbol",
            strategy="backward",
            check_sortedness=False,  # sorted within each symbol, above
        )
        .with_columns(pl.col("basis").fill_null(1.0))
    )


def previous_close(
    daily_bars: pl.DataFrame,
    splits: pl.DataFrame | None = None,
    *,
    days: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return the last close before a day, on that day's price basis.

    It looks at bars strictly before the day, so it is known before the day begins. A day without a
    bar (a halt) is skipped: the previous close is the last there is, and `previous_date` says of
    when.

    Args:
        daily_bars: Rows of `schemas.DAILY_BARS`, prices as traded, any order.
        splits: Rows of `schemas.SPLITS`; None = no split is known.
        days: The symbols and days asked for (`symbol`, `date`); None = those of daily_bars.

    Returns:
        One row per symbol and day asked for, sorted: `schemas.PREVIOUS_CLOSE`. Null where the
        symbol has no bar before the day.
    """
    bars = DAILY_BARS.conform(daily_bars, "daily_bars").filter(pl.col("close") > 0)
    closes = with_basis(bars, splits).select(
        "symbol", "date", "close", close_basis="basis", previous_date="date"
    )
    asked = (bars if days is None else days).select("symbol", "date").unique()
    found = with_basis(asked, splits).join_asof(
        closes,
        on="date",
        by="symbol",
        strategy="backward",
        allow_exact_matches=False,
        check_sortedness=False,  # both sides are sorted within each symbol
    )
    return PREVIOUS_CLOSE.conform(
        found.with_columns(
            previous_close=pl.col("close") * (pl.col("basis") / pl.col("close_basis"))
        )
    )
