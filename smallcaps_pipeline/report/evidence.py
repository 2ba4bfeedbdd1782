"""What report and review read of the lake: bars and ticks of events, figures, sources.

Belongs here: which files hold what a page shows.
Keep out: what the page makes of it.
"""

from __future__ import annotations

from itertools import chain

import polars as pl

from smallcaps_pipeline.bars.update import TABLE as BARS_TABLE
from smallcaps_pipeline.cells import Cadence, period_of
from smallcaps_pipeline.lake import Lake, read_metadata
from smallcaps_pipeline.schemas import BARS, MICRO_FEATURES
from smallcaps_pipeline.windows import Kind, read_interval


def bars_of(lake: Lake, events: pl.DataFrame, cadence: Cadence) -> pl.DataFrame:
    """Return the bars of the cells that hold some events (`schemas.BARS`).

    Args:
        lake: Where they lie.
        events: Rows with symbol and date (YYYY-MM-DD).
        cadence: The length of a period, `partitions.date`.
    """
    days = events.select("symbol", pl.col("date").str.to_date()).unique()
    files = {
        lake.cell(BARS_TABLE, symbol, period_of(day, cadence).key)
        for symbol, day in days.iter_rows()
    }
    there = sorted(file for file in files if file.exists())
    return pl.concat([BARS.empty(), *(lake.read(file, BARS) for file in there)])


def ticks_of(lake: Lake, events: pl.DataFrame, kind: Kind) -> pl.DataFrame | None:
    """Return the stored trades or quotes of some events' windows, with `symbol`; None of none."""
    windows = events.select("symbol", "window_start", "window_end").unique(maintain_order=True)
    parts = [
        read_interval(lake, symbol, kind, (start, end)).with_columns(symbol=pl.lit(symbol))
        for symbol, start, end in windows.iter_rows()
    ]
    return pl.concat(parts) if parts else None


def features_of(lake: Lake, profile: str) -> pl.DataFrame | None:
    """Return the figures of a profile's events (`schemas.MICRO_FEATURES`); None without any."""
    files = lake.files(MICRO_FEATURES.name)
    if not files:
        return None
    frame = lake.scan(files, MICRO_FEATURES).filter(pl.col("profile") == profile)
    return frame.unique("event_id", keep="last", maintain_order=True).collect()


def sources(lake: Lake) -> set[str]:
    """Return where bars, trades and quotes of the lake came from."""
    bars = (file for _, _, file in lake.cells(BARS_TABLE))
    files = chain(bars, *(lake.window_files(kind.value) for kind in Kind))
    return {(read_metadata(file) or {}).get("source", "") for file in files}
