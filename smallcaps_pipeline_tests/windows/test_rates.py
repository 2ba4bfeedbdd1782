"""What windows are expected to hold: learnt by symbol and session, worked by hand.

14:00 UTC of the day is 10:00 in New York (RTH), 12:00 is 08:00 (PM).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.schemas import WINDOW_FILES
from smallcaps_pipeline.windows import (
    Kind,
    Rates,
    fetch_quotes,
    fetch_trades,
    plan_windows,
    stored_figures,
    windows_index,
)
from smallcaps_pipeline_tests.windows.fake_source import FakeSource, tape
from smallcaps_pipeline_tests.windows.make import CONFIG, at, cut, manifest, manifest_row


def fetched(symbol: str, clock: str, minutes: int, rows: int, **more: Any) -> dict[str, Any]:
    """Return what is read of one stored window."""
    row = {
        "symbol": symbol,
        "kind": "trades",
        "nbbo": None,
        "window_start": at(clock),
        "window_end": at(clock) + timedelta(minutes=minutes),
        "fetched": rows,
        "bytes": 10 * rows,
        "rows": rows,
        "extended": False,
    }
    return row | more


def index(*rows: dict[str, Any]) -> pl.DataFrame:
    nulls = dict.fromkeys(WINDOW_FILES.columns)
    return pl.DataFrame([nulls | row for row in rows], schema=WINDOW_FILES.schema)


THERE = index(
    fetched("A", "14:00", 10, 1_000),
    fetched("A", "15:00", 10, 3_000),  # A in RTH: 4,000 rows in 20 minutes
    fetched("A", "12:00", 9, 90),  # A in PM: fewer than 10 minutes
    fetched("B", "12:00", 10, 500),  # PM of A and B: 590 rows in 19 minutes
)


@pytest.mark.parametrize(
    ("symbol", "clock", "per_minute", "why"),
    [
        ("A", "14:30", 4_000 / 20, "its symbol and session"),
        ("A", "12:30", 4_090 / 29, "its symbol: too little of its session"),
        ("B", "14:30", 500 / 10, "its symbol"),
        ("C", "12:30", 590 / 19, "its session"),
        ("C", "14:30", 4_000 / 20, "its session"),
        ("C", "21:30", 4_590 / 39, "all: nothing of AH is stored"),
        ("C", "03:30", 4_590 / 39, "all: outside the sessions"),
    ],
)
def test_expected_rows_are_those_of_the_nearest_kin(
    symbol: str, clock: str, per_minute: float, why: str
) -> None:
    table = manifest(manifest_row(symbol, at(clock)))
    rates = Rates(THERE, CONFIG.windows)
    trades, quotes = plan_windows(table, settings=CONFIG, rates=rates).to_dicts()
    assert trades["bytes_expected"] == pytest.approx(10 * per_minute * 10), why
    assert trades["requests_expected"] == 1
    assert quotes["bytes_expected"] == 900 * 10 * 11  # nothing is known of quotes: settings


def test_requests_follow_what_is_expected() -> None:
    there = index(fetched("A", "14:00", 10, 120_000))  # 2.4 pages of 50,000
    plan = plan_windows(
        manifest(manifest_row("A", at("14:30"))),
        settings=CONFIG,
        rates=Rates(there, CONFIG.windows),
    )
    assert plan.filter(pl.col("kind") == "trades")["requests_expected"].to_list() == [3.0]
    assert plan["requests_min"].to_list() == [1, 2]


def test_quotes_are_learnt_as_they_come_and_as_they_are_stored(tmp_path: Path) -> None:
    """Requests follow the rows that come, bytes what the reduction leaves of them."""
    lake, tapes = Lake(tmp_path), {"A": tape(1)}
    more: dict[str, Any] = {"settings": CONFIG, "profile": "core", "workers": 1}
    plan = plan_windows(manifest(manifest_row("A", at("14:00"))), settings=CONFIG)
    for step in (fetch_trades, fetch_quotes):
        step(plan, FakeSource(tapes), lake, **more)
    there = windows_index(lake, [Kind.QUOTES])
    came = cut(tapes["A"][1], "13:57", "14:07").height
    assert there["fetched"].to_list() == [came]
    assert there["rows"][0] < came
    assert there["bytes"].to_list() == [Path(there["file"][0]).stat().st_size]
    later = plan_windows(
        manifest(manifest_row("A", at("14:30"))),
        settings=CONFIG,
        rates=Rates(there, CONFIG.windows),
    )
    expected = later.filter(pl.col("kind") == "quotes")["bytes_expected"][0]
    assert expected == pytest.approx(there["bytes"][0])


def test_figures_of_all_that_is_stored() -> None:
    """Sizes 90 x 10, 500 x 10, 1,000 x 10, 3,000 x 10: p99 at 2.97 of 3 between the last two."""
    found = stored_figures(THERE.with_columns(extended=pl.Series([True, False, False, False])))
    assert (found.windows, found.rows, found.bytes) == (4, 4_590, 45_900)
    assert found.bytes_p99 == pytest.approx(10_000 + 0.97 * 20_000)
    assert found.extended_pct == 25.0
    nothing = stored_figures(WINDOW_FILES.empty())
    assert (nothing.windows, nothing.bytes_p99, nothing.extended_pct) == (0, 0.0, 0.0)
