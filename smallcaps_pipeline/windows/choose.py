"""Which windows of a batch are fetched now: all of them, or a part for a first look.

Belongs here: `--limit` and `--one-per-symbol`. Keep out: what of a window is missing (`plan`).
"""

from __future__ import annotations

from typing import Final

import polars as pl

from smallcaps_pipeline.windows.plan import Kind, subtract_stored

WINDOW: Final = ("symbol", "merged_start", "merged_end")


def best_per_symbol(planned: pl.DataFrame) -> pl.DataFrame:
    """Return the best window of each symbol: its symbol, merged_start and merged_end.

    Args:
        planned: schemas.PLAN, the rows of all batches of a profile, in any order.
    """
    best_first = planned.sort("priority", *WINDOW)
    return best_first.unique("symbol", keep="first", maintain_order=True).select(WINDOW)


def missing_windows(
    rows: pl.DataFrame, stored: pl.DataFrame, *, kind: Kind | None = None
) -> pl.DataFrame:
    """Return the windows of which something is missing, best first: symbol, merged_start, _end.

    Args:
        rows: schemas.PLAN, the rows of a batch.
        stored: schemas.STORED.
        kind: Only what is missing of this kind counts; None is both.
    """
    missing = subtract_stored(rows, stored)
    if kind is not None:
        missing = missing.filter(pl.col("kind") == kind.value)
    return missing.sort("priority", *WINDOW).select(WINDOW).unique(maintain_order=True)


def rows_of(rows: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Return the plan rows of some windows, in their order."""
    return rows.join(windows, on=WINDOW, how="semi", maintain_order="left")
