"""Coverage of a lake: the first pass over all cells, and the pass of a day on which some grew.

uv run python benchmarks/bar_coverage.py [--symbols 300]

floor    read the same files, nothing else
first    coverage of every cell
again    coverage where nothing changed
summary  missing, odd and suspect days of the whole lake
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from smallcaps_pipeline.bars.coverage_files import (
    coverage_parts,
    symbols_with_cells,
    update_coverage,
)
from smallcaps_pipeline.bars.coverage_summary import Expected, summarize
from smallcaps_pipeline.bars.update import StoredBars, write_cell
from smallcaps_pipeline.cells import period_of
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.schemas import BARS
from smallcaps_pipeline.sessions import trading_days
from smallcaps_pipeline.settings import load_settings

YEAR = period_of(date(2024, 6, 3), "year")
BARS_A_DAY = 170
DIFFERENT = 5  # cells with content of their own; the others are copies under other symbols


def a_year(seed: int, symbol: str) -> pl.DataFrame:
    """Return a year of bars of a symbol."""
    rng = np.random.default_rng(seed)
    parts = []
    for day in trading_days(YEAR.first, YEAR.last):
        minutes = np.sort(rng.choice(960, BARS_A_DAY, replace=False))
        start = datetime.combine(day, datetime.min.time(), ZoneInfo("America/New_York"))
        opens = start + timedelta(hours=4)
        parts.append(pl.Series(int(opens.timestamp() * 1e6) + minutes * 60_000_000))
    times = pl.concat(parts).cast(pl.Datetime("us", "UTC"))
    price = np.round(5 + np.cumsum(rng.normal(0, 0.01, len(times))), 2).clip(1)
    return BARS.conform(
        pl.DataFrame(
            {
                "symbol": [symbol] * len(times),
                "timestamp": times,
                **dict.fromkeys(("open", "high", "low", "close", "vwap"), price),
                "volume": rng.integers(1, 9_999, len(times)).astype(float),
                "transactions": rng.integers(1, 99, len(times)),
            }
        )
    )


def measure(name: str, step: Callable[[], object]) -> float:
    """Run a step; print and return its CPU seconds."""
    start, busy = time.perf_counter(), time.process_time()
    step()
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    print(f"{name:8}{seconds:8.2f} s {busy:8.2f} s of CPU")
    return busy


def main() -> None:
    """Make a lake, measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--symbols", type=int, default=300)
    count = parser.parse_args().symbols
    rules = load_settings().kpis.bars
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        years = [a_year(seed, "X") for seed in range(DIFFERENT)]
        for n in range(count):
            symbol = f"S{n:05}"
            bars = years[n % DIFFERENT].with_columns(symbol=pl.lit(symbol))
            write_cell(lake, bars, symbol, YEAR, StoredBars("benchmark", YEAR.last))
        cells = list(symbols_with_cells(lake))
        print(f"{count} cells of {len(years[0]):,} bars")

        def cover() -> None:
            for symbol, files in cells:
                update_coverage(lake, symbol, files, cadence="year", rules=rules)

        least = measure(
            "floor", lambda: [lake.read(file, BARS) for _, own in cells for _, file in own]
        )
        first = measure("first", cover)
        measure("again", cover)
        expected = Expected(frozenset(symbol for symbol, _ in cells), YEAR.first, YEAR.last)
        measure("summary", lambda: summarize(coverage_parts(lake), expected, rules))
        print(f"first / floor: {first / least:.1f}; {first / count * 1e3:.1f} ms of CPU a cell")


if __name__ == "__main__":
    main()
