"""Comparisons of doubles: the one place that says when a threshold holds.

`a >= b` means a >= b - 1e-9 |b|, `a <= b` likewise, and `>` and `<` mean by more than that. So a
close of exactly 3 % above another passes a threshold of 3 % whatever the last bit of the division
says, and two implementations that round differently agree. A comparison with null is null; the
condition that uses it counts that as false.
"""

from __future__ import annotations

from typing import Final

import polars as pl

TOLERANCE: Final = 1e-9

Operand = pl.Expr | float


def at_least(a: pl.Expr, b: Operand) -> pl.Expr:
    """Return a >= b."""
    return a >= b - _slack(b)


def at_most(a: pl.Expr, b: Operand) -> pl.Expr:
    """Return a <= b."""
    return a <= b + _slack(b)


def above(a: pl.Expr, b: Operand) -> pl.Expr:
    """Return a > b, by more than the tolerance."""
    return a > b + _slack(b)


def below(a: pl.Expr, b: Operand) -> pl.Expr:
    """Return a < b, by more than the tolerance."""
    return a < b - _slack(b)


def between(a: pl.Expr, low: Operand, high: Operand) -> pl.Expr:
    """Return low <= a <= high."""
    return at_least(a, low) & at_most(a, high)


def _slack(b: Operand) -> Operand:
    return TOLERANCE * (b.abs() if isinstance(b, pl.Expr) else abs(b))
