"""Confidence intervals, against published tables and by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallcaps_pipeline.report.intervals import (
    lead_interval,
    median_interval,
    rank_correlation_interval,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("good", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe (1998), table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (70, 100, 0.6042, 0.7811),  # by hand: (0.7 + 0.0192 +- 0.0918) / 1.0384
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson(good: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(good, n, 0.95) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 300), st.integers(1, 300))
def test_wilson_holds_the_share_and_is_symmetric(good: int, n: int) -> None:
    good = min(good, n)
    low, high = wilson_interval(good, n, 0.95)
    assert 0 <= low <= good / n + 1e-12
    assert good / n - 1e-12 <= high <= 1
    assert wilson_interval(n - good, n, 0.95) == pytest.approx((1 - high, 1 - low))


def test_median_of_a_hundred_lies_between_the_40th_and_61st() -> None:
    """The ranks that tables of the binomial give for n = 100 at 95 %."""
    assert median_interval(list(range(1, 101)), 0.95) == (40, 61)
    assert median_interval(list(range(100, 0, -1)), 0.95) == (40, 61)
    assert median_interval([1.0, 2.0, 3.0], 0.95) is None  # three values bound no median at 95 %
    assert median_interval([], 0.95) is None


def test_rank_correlation_by_hand() -> None:
    """R = 0.5, n = 28: atanh 0.5493, spread 1.96 x sqrt(1.125 / 25) = 0.4158."""
    found = rank_correlation_interval(0.5, 28, 0.95)
    assert found == pytest.approx((0.1327, 0.7465), abs=2e-4)
    assert rank_correlation_interval(0.5, 3, 0.95) is None
    assert rank_correlation_interval(1.0, 28, 0.95) is None


def test_lead_by_hand() -> None:
    """40 % against 20 % of 100: 0.2 +- 1.96 x sqrt((0.6 - 0.04) / 100) = 0.1467."""
    assert lead_interval(0.4, 0.2, 100, 0.95) == pytest.approx((0.0533, 0.3467), abs=1e-4)
    assert lead_interval(0.4, 0.2, 0, 0.95) is None
