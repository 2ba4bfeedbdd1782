"""Prices as integers, so that comparisons are exact.

In double precision a trade at the midpoint of 10.01 and 10.02 can land on either side of it: about
a quarter of such trades would get a false side. In units of $0.000001 every price of the tape is
an integer, and 2 x price is compared with bid + ask without a division.

Keep out: which prices count (`conditions`) and which quotes are valid (`quotes_in_force`).
"""

from __future__ import annotations

from typing import Final

import polars as pl

from smallcaps_pipeline.compiled import read_only
from smallcaps_pipeline.micro import kernels

MICRO_DOLLARS: Final = 1_000_000  # units of $0.000001 in a dollar
MICRO_SHARES: Final = 1_000_000  # units of 0.000001 shares in a share
BPS: Final = 10_000
NS_PER_S: Final = 1_000_000_000
NS_PER_MINUTE: Final = 60 * NS_PER_S


def micro_dollars(price: pl.Expr) -> pl.Expr:
    """Return a price (USD) in units of $0.000001 (Int64); null for null, NaN and infinity.

    Halves round away from zero, as on paper, not to the even neighbour.
    """
    return price.cast(pl.Float64).map_batches(_as_micro, return_dtype=pl.Int64, is_elementwise=True)


def _as_micro(dollars: pl.Series) -> pl.Series:
    """Take the compiled loop: a fifth of the time of the same as expressions."""
    return known(pl.Series(dollars.name, kernels.micro_of(read_only(dollars.to_numpy()))))


def micro_shares(size: pl.Expr) -> pl.Expr:
    """Return a size in units of 0.000001 shares (Int64), the finest that the tape knows.

    Sums of them are exact, whatever their order and however the rows are split.
    """
    return micro_dollars(size)


def known(whole: pl.Series) -> pl.Series:
    """Return the integers of a kernel with null for `kernels.NONE`."""
    missing = whole == kernels.NONE
    return whole.set(missing, None) if missing.any() else whole


def array_of(whole: pl.Series) -> kernels.Array:
    """Return integers for a kernel, `kernels.NONE` for null."""
    return read_only(whole.cast(pl.Int64).fill_null(kernels.NONE).to_numpy())


def nanoseconds(timestamp: pl.Expr) -> pl.Expr:
    """Return an aware timestamp of any precision as ns since 1970 UTC (Int64)."""
    return timestamp.dt.epoch("ns")


def in_turn(values: pl.Expr) -> pl.Expr:
    """Return the sum, added up one after the other; null where there is nothing to add.

    polars adds in strides that depend on where a group's rows lie in memory. An event's figures
    must not change in their last bits with what else is described in the same call.
    """
    return values.drop_nulls().cum_sum().last()
