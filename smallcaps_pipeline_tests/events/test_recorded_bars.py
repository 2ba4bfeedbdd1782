"""Recorded bars: the code finds what the plain reference finds.

The recordings lie beside the project and are no part of it; without them these tests are skipped.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from smallcaps_pipeline_tests.events.agreement import differences

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "realdata" / "bars"

SAMPLE = [
    ("BAER", "2025-05-22", "a thin small cap"),
    ("GRI", "2025-05-21", "a violent small cap"),
    ("AMC", "2025-05-20", "a liquid one with a closing cross in the 16:00 bar"),
    ("GOOG", "2015-12-24", "an early close"),
]


def read(file: Path) -> pl.DataFrame:
    return pl.read_parquet(file, hive_partitioning=False)


@pytest.mark.parametrize(("symbol", "day", "reason"), SAMPLE)
def test_sample(symbol: str, day: str, reason: str) -> None:
    file = RECORDED / f"symbol={symbol}" / f"date={day}.parquet"
    if not file.exists():
        pytest.skip(f"no recorded bars of {symbol} on {day}")
    assert differences(read(file)) == [], reason


@pytest.mark.slow
@pytest.mark.parametrize(("basis", "keep"), [("day", "best"), ("so_far", "first")])
def test_all(basis: str, keep: str) -> None:
    files = sorted(RECORDED.glob("symbol=*/*.parquet"))
    if not files:
        pytest.skip("no recorded bars beside the project")
    for file in files:
        assert differences(read(file), basis=basis, keep=keep) == [], file  # type: ignore[arg-type]
