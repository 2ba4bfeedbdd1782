"""The estimate: a plan of two windows, added up by hand."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from smallcaps_pipeline.schemas import PLAN
from smallcaps_pipeline.windows import Kind, estimate, plan_windows
from smallcaps_pipeline_tests.windows.make import CONFIG, at, manifest, manifest_row, stored_rows

# A: 10 minutes; B: 120 minutes, 108,000 quotes expected = 3 pages and the quote before
TABLE = manifest(
    manifest_row("A", at("14:00"), rank=1),
    manifest_row("B", at("14:00"), rank=2, before=30, after=90),
)


def test_requests_hours_and_bytes_by_kind() -> None:
    found = estimate(plan_windows(TABLE, settings=CONFIG), calls_per_minute=5, calls_per_second=80)
    assert (found.windows, found.events) == (2, 2)
    assert (found.total.intervals, found.total.requests_min) == (4, 6)
    assert found.total.requests_expected == 1 + 2 + 1 + 4
    assert found.by_kind[Kind.TRADES].requests_expected == 2
    assert found.by_kind[Kind.QUOTES].requests_expected == 6
    assert found.total.hours_min == pytest.approx(6 / 300)  # 5 a minute are 300 an hour
    assert found.total.hours_expected == pytest.approx(8 / 300)
    assert found.by_kind[Kind.TRADES].bytes_expected == 130 * 120 * 12
    assert found.by_kind[Kind.QUOTES].bytes_expected == 130 * 900 * 11
    assert found.per_symbol.select("symbol", "windows", "requests_expected").rows() == [
        ("B", 1, 5.0),
        ("A", 1, 3.0),
    ]


@pytest.mark.parametrize(
    ("per_minute", "per_second", "hours"),
    [(5, None, 8 / 300), (None, 80, 8 / 288_000), (6_000, 1, 8 / 3_600), (None, None, None)],
)
def test_the_tighter_limit_holds(
    per_minute: int | None, per_second: int | None, hours: float | None
) -> None:
    found = estimate(
        plan_windows(TABLE, settings=CONFIG),
        calls_per_minute=per_minute,
        calls_per_second=per_second,
    ).total.hours_expected
    assert found == (None if hours is None else pytest.approx(hours))


def test_quotes_that_are_fetched_once_more_are_said() -> None:
    coarse = stored_rows(("A", "quotes", "13:57", "14:02", "change@1Hz"))
    found = estimate(plan_windows(TABLE, stored=coarse, settings=CONFIG))
    assert found.refetched == timedelta(minutes=5)
    assert found.refetched_intervals == 1


def test_a_remainder_in_several_intervals_is_one_window() -> None:
    hole = stored_rows(("A", "trades", "14:00", "14:01", None))
    found = estimate(plan_windows(TABLE, stored=hole, settings=CONFIG))
    assert found.windows == 2
    assert found.by_kind[Kind.TRADES].intervals == 3


def test_nothing_to_fetch_costs_nothing() -> None:
    found = estimate(PLAN.empty(), calls_per_minute=5)
    assert (found.windows, found.events, found.total.requests_min) == (0, 0, 0)
    assert found.total.hours_expected == 0.0
    assert found.per_symbol.schema["windows"] == pl.Int64
