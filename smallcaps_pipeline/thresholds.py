"""Comparisons of doubles: the one place that says when a threshold holds.

`a >= b` means a >= b - 1e-9 |b|, `a <= b` likewise, and `>` and `<` mean by more than that. So a
close of exactly 3 % above another passes a threshold of 3 % whatever the last bit of the division
says, and two implementations that round differently agree. A comparison with null is null; the
condition that uses it counts that as false. The functions take expressions, series and numbers;
compiled loops (`compiled`) take them as they stand here, with NaN for undefined.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar, overload

import polars as pl

TOLERANCE: Final = 1e-9

Operand = pl.Expr | float
Values = TypeVar("Values", pl.Expr, pl.Series)


@overload
def at_least(a: float, b: float) -> bool: ...
@overload
def at_least(a: Values, b: Operand) -> Values: ...
def at_least(a: Any, b: Any) -> Any:
    """Return a >= b."""
    return a >= b - TOLERANCE * abs(b)


@overload
def at_most(a: float, b: float) -> bool: ...
@overload
def at_most(a: Values, b: Operand) -> Values: ...
def at_most(a: Any, b: Any) -> Any:
    """Return a <= b."""
    return a <= b + TOLERANCE * abs(b)


@overload
def above(a: float, b: float) -> bool: ...
@overload
def above(a: Values, b: Operand) -> Values: ...
def above(a: Any, b: Any) -> Any:
    """Return a > b, by more than the tolerance."""
    return a > b + TOLERANCE * abs(b)


@overload
def below(a: float, b: float) -> bool: ...
@overload
def below(a: Values, b: Operand) -> Values: ...
def below(a: Any, b: Any) -> Any:
    """Return a < b, by more than the tolerance."""
    return a < b - TOLERANCE * abs(b)


def between(a: pl.Expr, low: Operand, high: Operand) -> pl.Expr:
    """Return low <= a <= high."""
    return at_least(a, low) & at_most(a, high)
