"""The graph on recorded data beside the project: real bars, real trades, real quotes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from smallcaps_pipeline.cells import period_of
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.partitions import Cell
from smallcaps_pipeline.emulator import RecordedMarket
from smallcaps_pipeline.emulator.codes import VENUE_LETTERS
from smallcaps_pipeline.events import detect_events
from smallcaps_pipeline.schemas import BARS, EVENTS, MANIFEST, TRADES
from smallcaps_pipeline.windows import Kind, batch_names, read_interval, stored_windows
from smallcaps_pipeline_tests.defs.chain import Chain, chain_in

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "realdata"
pytestmark = pytest.mark.skipif(
    not (FOLDER / "bars").is_dir(), reason=f"no recorded data in {FOLDER}"
)
OVERLAY = """
provider: {calls_per_minute: null, calls_per_second: null, retries: 1, retry_wait_s: 0.01}
manifest:
  from_date: 2013-10-01
  to_date: 2013-10-31
  profiles:
    core:
      min_score_percentile: null
      min_dollar_volume_bar: null
      max_per_symbol: 2
"""


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    market, last = RecordedMarket(FOLDER), date(2025, 12, 31)
    with chain_in(tmp_path, market, overlay=OVERLAY, key="any", last=last) as made:
        yield made


def recorded_bars(symbol: str, year: int) -> pl.DataFrame:
    files = sorted((FOLDER / "bars" / f"symbol={symbol}").glob(f"date={year}-*.parquet"))
    return pl.concat(BARS.conform(pl.read_parquet(f, hive_partitioning=False)) for f in files)


def detect(chain: Chain, year: int, *symbols: str) -> pl.DataFrame:
    """Bring in the bars of a year and detect, through the jobs; return the events."""
    cells = [Cell(symbol, period_of(date(year, 1, 2), "year")) for symbol in symbols]
    for job in (jobs.BARS, jobs.EVENTS):
        chain.launcher.run_cells(job, cells, chain.grid, 200)
    files = [chain.lake.cell(EVENTS.name, symbol, str(year)) for symbol in symbols]
    return chain.lake.scan(files, EVENTS).collect()


@pytest.mark.parametrize(("symbol", "year"), [("AMC", 2022), ("BAER", 2025)])
def test_events_of_recorded_bars_come_through_the_graph(
    chain: Chain, symbol: str, year: int
) -> None:
    found = detect(chain, year, symbol)
    assert found.height > 10
    assert found.equals(detect_events(recorded_bars(symbol, year)))


def test_windows_of_recorded_ticks_hold_the_rows_of_the_recording(chain: Chain) -> None:
    events = detect(chain, 2013, "AIG", "BAC", "IBM")
    assert events.height > 0
    chain.launcher.run(jobs.MANIFEST, partition="core")
    manifest = chain.lake.read(chain.lake.profile(MANIFEST.name, "core"), MANIFEST)
    assert set(manifest["symbol"]) <= {"AIG", "BAC", "IBM"}
    for batch in batch_names(chain.lake):
        chain.launcher.run(jobs.DOWNLOAD, partition=batch)
    rows = 0
    for window in stored_windows(chain.lake, Kind.TRADES):
        expected = recorded_trades(window.symbol, window.start, window.end)
        found = read_interval(chain.lake, window.symbol, Kind.TRADES, window.interval)
        assert found.height == expected.height == window.rows
        columns = ["timestamp", "price", "size", "exchange"]
        assert found.select(columns).equals(expected.select(columns))
        rows += found.height
    assert rows > 1_000
    check_quotes(chain)


def check_quotes(chain: Chain) -> None:
    """Every stored quote is one of the recording; at most one stands before its window."""
    quotes = 0
    for window in stored_windows(chain.lake, Kind.QUOTES):
        found = read_interval(chain.lake, window.symbol, Kind.QUOTES, window.interval)
        columns = ["timestamp", "bid_price", "ask_price"]
        there = recorded_ticks("quotes", window.symbol, window.start).with_columns(
            pl.col("bid_price", "ask_price").fill_null(0.0)
        )
        assert found.join(there, on=columns, how="anti").is_empty()
        assert found.filter(pl.col("timestamp") < window.start).height <= 1
        assert found.filter(pl.col("timestamp") >= window.end).is_empty()
        quotes += found.height
    assert quotes > 100


def recorded_ticks(kind: str, symbol: str, day: datetime) -> pl.DataFrame:
    file = FOLDER / kind / f"symbol={symbol}" / f"date={day:%Y-%m-%d}.parquet"
    if not file.exists():
        frame = pl.read_parquet(next((FOLDER / kind).rglob("*.parquet"))).clear()
    else:
        frame = pl.read_parquet(file, hive_partitioning=False)
    return frame.with_columns(timestamp=pl.col("sip_timestamp").cast(pl.Datetime("ns", "UTC")))


def recorded_trades(symbol: str, start: datetime, end: datetime) -> pl.DataFrame:
    """Return the recorded prints of [start, end) in the order of the file."""
    ticks = recorded_ticks("trades", symbol, start).sort("timestamp", maintain_order=True)
    time = pl.col("timestamp")
    inside = ticks.filter(time >= start.astimezone(UTC), time < end.astimezone(UTC))
    venue = pl.col("exchange").replace_strict(VENUE_LETTERS, default=None, return_dtype=pl.Int32)
    return inside.with_columns(pl.col("size").cast(TRADES.columns["size"].dtype), exchange=venue)
