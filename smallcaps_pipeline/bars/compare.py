"""The same bars by REST and from flat files: where do they differ.

Belongs here: the choice of a sample and the comparison of one symbol and day. Keep out: fetching.

Both are the provider's, unadjusted, and should be equal but for the vwap, which files lack. Minutes
that only one of them has are the provider's known holes; other prices or volumes are a correction
that has reached only one of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from itertools import islice
from math import gcd, lcm
from typing import TypeVar

import polars as pl

from smallcaps_pipeline.bars.clean import PRICES
from smallcaps_pipeline.schemas import BAR_COMPARISON
from smallcaps_pipeline.thresholds import TOLERANCE

Item = TypeVar("Item")


def sample(symbols: Sequence[str], days: Sequence[date], size: int) -> list[tuple[str, date]]:
    """Choose symbol-days, spread over both, the same ones for the same input.

    Walks along the diagonals of the shuffled symbols x days, so that a small sample has many of
    each; all diagonals together pass every pair once.

    Args:
        symbols: To choose from, any order.
        days: To choose from, any order.
        size: How many at most.
    """
    names, dates = _shuffled(sorted(symbols)), _shuffled(sorted(days))
    if not names or not dates:
        return []
    around = lcm(len(names), len(dates))  # steps after which a diagonal closes
    diagonals = (
        (names[step % len(names)], dates[(step + shift) % len(dates)])
        for shift in range(gcd(len(names), len(dates)))
        for step in range(around)
    )
    return list(islice(diagonals, size))


def compare_day(symbol: str, day: date, rest: pl.DataFrame, flat: pl.DataFrame) -> pl.DataFrame:
    """Return how the two differ on one symbol and day.

    Args:
        symbol: Ticker.
        day: Trading day.
        rest: Its clean bars by REST (`schemas.BARS`).
        flat: Its clean bars from the day file.

    Returns:
        One row of `schemas.BAR_COMPARISON`. Numbers are equal within 1e-9 relative.
    """
    both = rest.join(flat, on="timestamp", how="full", suffix="_flat", coalesce=True)
    in_rest, in_flat = pl.col("symbol").is_not_null(), pl.col("symbol_flat").is_not_null()
    shared = in_rest & in_flat
    counted = both.select(
        bars_both=shared.sum(),
        bars_rest_only=(in_rest & ~in_flat).sum(),
        bars_flat_only=(in_flat & ~in_rest).sum(),
        prices_differ=(shared & pl.any_horizontal(_differ(name) for name in PRICES)).sum(),
        volumes_differ=(shared & _differ("volume")).sum(),
        transactions_differ=(
            shared & pl.col("transactions").ne_missing(pl.col("transactions_flat"))
        ).sum(),
    )
    return BAR_COMPARISON.conform(
        counted.with_columns(pl.lit(symbol).alias("symbol"), pl.lit(day).alias("date"))
    )


def _differ(name: str) -> pl.Expr:
    one, other = pl.col(name), pl.col(f"{name}_flat")
    return (one - other).abs() > TOLERANCE * pl.max_horizontal(one.abs(), other.abs())


def _shuffled(items: Sequence[Item]) -> list[Item]:
    return sorted(items, key=lambda item: hashlib.blake2b(str(item).encode()).digest())
