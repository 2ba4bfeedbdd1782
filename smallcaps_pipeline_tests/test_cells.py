"""Cells of the date dimension: each trading day is in exactly one period of each cadence."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcaps_pipeline.cells import (
    Cadence,
    Period,
    period_from_key,
    period_key,
    period_of,
    periods_between,
)

CADENCES: tuple[Cadence, ...] = ("year", "quarter", "month", "week", "day")
dates = st.dates(date(2003, 1, 1), date(2035, 12, 31))


@pytest.mark.parametrize(
    ("cadence", "first", "last", "key"),
    [
        ("year", date(2025, 1, 1), date(2025, 12, 31), "2025"),
        ("quarter", date(2025, 10, 1), date(2025, 12, 31), "2025-10"),
        ("month", date(2025, 10, 1), date(2025, 10, 31), "2025-10"),
        ("week", date(2025, 10, 6), date(2025, 10, 12), "2025-10-06"),
        ("day", date(2025, 10, 7), date(2025, 10, 7), "2025-10-07"),
    ],
)
def test_period_of_a_tuesday(cadence: Cadence, first: date, last: date, key: str) -> None:
    assert period_of(date(2025, 10, 7), cadence) == Period(first, last, key)


@pytest.mark.parametrize(
    ("day", "cadence", "first", "last"),
    [
        (date(2024, 2, 29), "month", date(2024, 2, 1), date(2024, 2, 29)),
        (date(2025, 12, 31), "quarter", date(2025, 10, 1), date(2025, 12, 31)),
        (date(2025, 1, 1), "week", date(2024, 12, 30), date(2025, 1, 5)),
        (date(2025, 10, 12), "week", date(2025, 10, 6), date(2025, 10, 12)),
    ],
)
def test_ends_of_periods(day: date, cadence: Cadence, first: date, last: date) -> None:
    period = period_of(day, cadence)
    assert (period.first, period.last) == (first, last)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(dates, st.sampled_from(CADENCES))
def test_each_day_is_in_its_period_and_keys_lead_back(day: date, cadence: Cadence) -> None:
    period = period_of(day, cadence)
    assert period.first <= day <= period.last
    assert period_of(period.first, cadence) == period_of(period.last, cadence) == period
    assert period_from_key(period.key, cadence) == period
    key = pl.select(period_key(pl.lit(day), cadence)).item()
    assert key == period.key


@settings(max_examples=30, deadline=None, derandomize=True)
@given(dates, st.integers(0, 800), st.sampled_from(CADENCES))
def test_periods_between_cover_all_days_once(first: date, days: int, cadence: Cadence) -> None:
    last = first + timedelta(days=days)
    periods = periods_between(first, last, cadence)
    assert periods[0].first <= first
    assert periods[-1].last >= last
    for before, after in pairwise(periods):
        assert after.first == before.last + timedelta(days=1)


def test_no_days_no_periods() -> None:
    assert periods_between(date(2025, 1, 2), date(2025, 1, 1), "year") == []


@pytest.mark.parametrize(
    ("key", "cadence"),
    [
        ("2025-02", "quarter"),  # February begins no quarter
        ("2025-10-07", "week"),  # a Tuesday begins no week
        ("2025-10", "year"),
        ("2025", "day"),
        ("2025-13", "month"),
        ("x", "year"),
        ("2025-1", "month"),
        ("", "day"),
    ],
)
def test_key_of_another_cadence_is_an_error(key: str, cadence: Cadence) -> None:
    with pytest.raises(ValueError, match=r"was partitions\.date changed"):
        period_from_key(key, cadence)
