"""REST against flat files: which minutes differ, and how a sample is chosen."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallcaps_pipeline.bars.compare import compare_day, sample
from smallcaps_pipeline.schemas import BARS
from smallcaps_pipeline_tests.events.builders import Bar, bar, frame

DAY = date(2025, 10, 7)


def base() -> list[Bar]:
    return [bar(clock, 10.0, 100, transactions=5) for clock in ("09:30", "09:31", "09:32")]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, (3, 0, 0, 0, 0, 0)),
        ({"vwap": 9.0}, (3, 0, 0, 0, 0, 0)),  # files have none
        ({"close": 10.0 * (1 + 1e-12)}, (3, 0, 0, 0, 0, 0)),
        ({"close": 10.0001}, (3, 0, 0, 1, 0, 0)),
        ({"volume": 101.0}, (3, 0, 0, 0, 1, 0)),
        ({"transactions": 6}, (3, 0, 0, 0, 0, 1)),
        ({"transactions": None}, (3, 0, 0, 0, 0, 1)),
    ],
)
def test_differences_are_counted_by_kind(
    changed: dict[str, float], expected: tuple[int, ...]
) -> None:
    flat = base()
    flat[1] |= changed
    row = compare_day("AEMD", DAY, frame(base()), frame(flat)).row(0)
    assert row == ("AEMD", DAY, *expected)


def test_minutes_of_one_side_only() -> None:
    rest, flat = frame(base()[1:]), frame([*base()[:2], bar("10:00", 9.0)])
    assert compare_day("AEMD", DAY, rest, flat).row(0)[2:5] == (1, 1, 2)
    none = compare_day("AEMD", DAY, BARS.empty(), BARS.empty())
    assert none.row(0)[2:] == (0,) * 6


def test_sample_spreads_over_symbols_and_days() -> None:
    days = [DAY + timedelta(days=n) for n in range(30)]
    names = [f"S{n:02}" for n in range(50)]
    chosen = sample(names, days, 20)
    assert len({name for name, _ in chosen}) == len({day for _, day in chosen}) == 20
    assert sample(names[::-1], days[::-1], 20) == chosen
    assert sample([], days, 5) == sample(names, [], 5) == []


@given(st.integers(1, 7), st.integers(1, 7), st.integers(1, 60))
def test_sample_is_as_large_as_it_can_be(symbols: int, days: int, size: int) -> None:
    chosen = sample(
        [f"S{n}" for n in range(symbols)], [DAY + timedelta(days=n) for n in range(days)], size
    )
    assert len(set(chosen)) == len(chosen) == min(size, symbols * days)
    assert pl.Series([name for name, _ in chosen]).n_unique() == min(symbols, len(chosen))
