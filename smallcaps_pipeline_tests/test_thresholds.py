"""Comparisons within 1e-9, also of negative numbers and of zero, and with null."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from smallcaps_pipeline.thresholds import above, at_least, at_most, below, between

WITHIN, BEYOND = 5e-10, 2e-9


@pytest.mark.parametrize(
    ("compare", "a", "b", "holds"),
    [
        (at_least, 100.0, 100.0, True),
        (at_least, 100.0 * (1 - WITHIN), 100.0, True),
        (at_least, 100.0 * (1 - BEYOND), 100.0, False),
        (at_least, -100.0 * (1 + WITHIN), -100.0, True),
        (at_least, -100.0 * (1 + BEYOND), -100.0, False),
        (at_least, -1e-12, 0.0, False),  # the tolerance is relative: none around zero
        (at_most, 100.0 * (1 + WITHIN), 100.0, True),
        (at_most, 100.0 * (1 + BEYOND), 100.0, False),
        (at_most, -0.035 * (1 - WITHIN), -0.035, True),
        (at_most, -0.035 * (1 - BEYOND), -0.035, False),
        (above, 100.0, 100.0, False),
        (above, 100.0 * (1 + WITHIN), 100.0, False),
        (above, 100.0 * (1 + BEYOND), 100.0, True),
        (above, -100.0 * (1 - BEYOND), -100.0, True),
        (above, 1e-12, 0.0, True),
        (below, 100.0, 100.0, False),
        (below, 100.0 * (1 - WITHIN), 100.0, False),
        (below, 100.0 * (1 - BEYOND), 100.0, True),
        (below, -100.0 * (1 + BEYOND), -100.0, True),
    ],
)
def test_tolerance(
    compare: Callable[[pl.Expr, pl.Expr | float], pl.Expr], a: float, b: float, holds: bool
) -> None:
    frame = pl.DataFrame({"a": [a], "b": [b]})
    assert frame.select(compare(pl.col("a"), pl.col("b"))).item() == holds
    assert frame.select(compare(pl.col("a"), b)).item() == holds


@pytest.mark.parametrize("compare", [at_least, at_most, above, below])
def test_null_is_neither_true_nor_false(
    compare: Callable[[pl.Expr, pl.Expr | float], pl.Expr],
) -> None:
    frame = pl.DataFrame({"a": [None, 1.0], "b": [1.0, None]}, schema={"a": float, "b": float})
    found = frame.select(compare(pl.col("a"), pl.col("b"))).to_series()
    assert found.to_list() == [None, None]


def test_half_a_percent_is_half_a_percent() -> None:
    """2.01 / 2 - 1 is 0.004999999999999893 in doubles: a plain >= would miss the threshold."""
    assert 2.01 / 2 - 1 < 0.005
    frame = pl.DataFrame({"before": [2.0], "close": [2.01]})
    change = pl.col("close") / pl.col("before") - 1
    assert frame.select(at_least(change, 0.005)).item()


def test_between_holds_both_ends() -> None:
    frame = pl.DataFrame({"a": [1 - BEYOND, 1 - WITHIN, 1.5, 2 * (1 + WITHIN), 2 * (1 + BEYOND)]})
    assert frame.select(between(pl.col("a"), 1.0, 2.0)).to_series().to_list() == [
        False,
        True,
        True,
        True,
        False,
    ]
