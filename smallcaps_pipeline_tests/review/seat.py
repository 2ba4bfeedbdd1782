"""A lake with a few events, their bars and ticks, and a desk before it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.report.journal import Journal
from smallcaps_pipeline.report.sample import draw_sample
from smallcaps_pipeline.review import Desk
from smallcaps_pipeline.schemas import BARS, QUOTES, TRADES
from smallcaps_pipeline.settings import load_settings
from smallcaps_pipeline.windows import Kind
from smallcaps_pipeline.windows.files import Fetched, store
from smallcaps_pipeline.windows.stored import Part
from smallcaps_pipeline_tests.report.tables import (
    bars_around,
    event_row,
    events_of,
    manifest_of,
    ticks_around,
)

NOW = datetime(2025, 11, 28, 15, 0, tzinfo=UTC)
SYMBOLS = ("AEMD", "BAER", "GRI", "NERV", "WOLF")
WITHOUT_WINDOW = "WOLF"
SHARED: dict[str, Any] = {
    "vwap_at_event": 9.8,
    "drop_from_high": 0.01,
    "change_5m": 0.04,
    "dollar_volume_so_far": 1.2e6,
}


def make_lake(root: Path) -> tuple[Lake, pl.DataFrame]:
    """Write bars of five events, and the windows of four; return the lake and the sample."""
    lake = Lake(root)
    rows = [event_row(symbol, "10:30", **SHARED) for symbol in SYMBOLS]
    manifest = manifest_of(events_of(*rows))
    for row in manifest.rows(named=True):
        bars = BARS.conform(bars_around(row))
        lake.write(bars, lake.cell(BARS.name, row["symbol"], "2025"))
        if row["symbol"] != WITHOUT_WINDOW:
            _store_window(lake, row)
    return lake, draw_sample(manifest)


def take_seat(lake: Lake, sample: pl.DataFrame, reviewer: str = "anna") -> Desk:
    times = iter(NOW + timedelta(seconds=n) for n in range(10_000))
    settings = load_settings()
    journal = Journal(lake, reviewer)
    return Desk(lake, sample, journal, settings, clock=lambda: next(times), banner="Made up.")


def _store_window(lake: Lake, row: dict[str, Any]) -> None:
    window = (row["window_start"], row["window_end"])
    for kind, table, ticks in zip(Kind, (TRADES, QUOTES), ticks_around(row), strict=True):
        label = None if kind == Kind.TRADES else "change@5Hz"
        fetched = Fetched(
            symbol=row["symbol"],
            kind=kind,
            part=Part(*window, label),
            merged=window,
            events_merged=(row["event_id"],),
            frame=table.conform(ticks),
            fetched=len(ticks),
            pages=1,
            source="test",
        )
        store(fetched, lake)
