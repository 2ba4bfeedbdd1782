"""Prices as integers, so that comparisons are exact.

In double precision a trade at the midpoint of 10.01 and 10.02 can land on either side of it: about
a quarter of such trades would get a false side. In units of $0.000001 every price of the tape is
an integer, and 2 x price is compared with bid + ask without a division.

Keep out: which prices count (`conditions`) and which quotes are valid (`quotes_in_force`).
"""

from __future__ import annotations

from typing import Final

import polars as pl

MICRO_DOLLARS: Final = 1_000_000  # units of $0.000001 in a dollar
BPS: Final = 10_000
NS_PER_S: Final = 1_000_000_000
NS_PER_MINUTE: Final = 60 * NS_PER_S


def micro_dollars(price: pl.Expr) -> pl.Expr:
    """Return a price (USD) in units of $0.000001 (Int64); null for null, NaN and infinity.

    Halves round away from zero, as on paper, not to the even neighbour.
    """
    given = pl.when(price.is_finite()).then(price)
    return (given * MICRO_DOLLARS).round(0, mode="half_away_from_zero").cast(pl.Int64)


def nanoseconds(timestamp: pl.Expr) -> pl.Expr:
    """Return an aware timestamp of any precision as ns since 1970 UTC (Int64)."""
    return timestamp.dt.epoch("ns")
