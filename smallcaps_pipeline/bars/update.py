"""Bringing one cell of bars up to date: fetch only the days that are not there yet.

A cell's file says up to which trading day it is complete; running again fetches what came after,
so the current period grows by a day and a past one is asked for once. Imported cells are the
user's own and are left as they are.
Keep out: HTTP (a `BarSource` is handed in) and the clock (so is the last day asked for).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

import polars as pl

from smallcaps_pipeline.bars.clean import clean_bars
from smallcaps_pipeline.cells import Period
from smallcaps_pipeline.lake import Lake, read_metadata, row_count
from smallcaps_pipeline.schemas import BARS

TABLE: Final = BARS.name
COMPRESSION_LEVEL: Final = 15  # bars are written once and read for years: a tenth smaller
IMPORTED: Final = "imported"


class BarSource(Protocol):
    """Where bars come from."""

    def bars(self, *, symbol: str, start: date, end: date) -> pl.DataFrame:
        """Return the 1-minute bars of New York days from `start` up to, not including, `end`."""


class CellState(StrEnum):
    """What was done for a cell."""

    WRITTEN = "written"
    CURRENT = "already current"
    NO_INPUT = "nothing to do"


@dataclass(frozen=True)
class BarUpdate:
    """What was done for one cell of bars.

    Attributes:
        state: Whether the file was written.
        rows: Bars in the file.
        new_rows: Bars that this update brought.
        set_aside: Bars of the answer that are bad input or copies, by reason.
        file: The cell's file.
    """

    state: CellState
    rows: int
    new_rows: int
    set_aside: dict[str, int]
    file: Path


def update_bars(
    lake: Lake, source: BarSource, symbol: str, period: Period, *, through: date, source_name: str
) -> BarUpdate:
    """Bring one cell up to date.

    Args:
        lake: Where the cell lies.
        source: Asked for the missing days only.
        symbol: Ticker.
        period: The cell's stretch of days.
        through: Last trading day that is over and published, included.
        source_name: Written into the file: where its bars came from.
    """
    file = lake.cell(TABLE, symbol, period.key)
    last = min(period.last, through)
    stored = stored_bars(file)
    if stored is not None and (stored.is_users or stored.complete_to >= last):
        return BarUpdate(CellState.CURRENT, row_count(file), 0, {}, file)
    first = period.first if stored is None else stored.complete_to + timedelta(days=1)
    if first > last:
        return BarUpdate(CellState.NO_INPUT, 0, 0, {}, file)
    fetched = source.bars(symbol=symbol, start=first, end=last + timedelta(days=1))
    before = BARS.empty() if stored is None else lake.read(file, BARS)
    good, aside = clean_bars(pl.concat([before, fetched]))
    write_bars(lake, good, symbol, period, complete_to=last, source_name=source_name)
    reasons = dict(aside["reason"].value_counts().iter_rows())
    return BarUpdate(CellState.WRITTEN, len(good), len(good) - len(before), reasons, file)


@dataclass(frozen=True)
class StoredBars:
    """What a cell's file says of itself.

    Attributes:
        source: Where its bars came from.
        complete_to: Last trading day that the provider was asked for.
    """

    source: str
    complete_to: date

    @property
    def is_users(self) -> bool:
        """Whether the cell is the user's own: imported, or a file that says nothing."""
        return self.source == IMPORTED


def stored_bars(file: Path) -> StoredBars | None:
    """Read what a cell's file says of itself; None where there is no sound file."""
    stored = read_metadata(file)
    if stored is None:
        return None
    return StoredBars(
        source=stored.get("source", IMPORTED),
        complete_to=date.fromisoformat(stored.get("complete_to", date.min.isoformat())),
    )


def write_bars(
    lake: Lake,
    good: pl.DataFrame,
    symbol: str,
    period: Period,
    *,
    complete_to: date,
    source_name: str,
) -> None:
    """Write the clean bars of one cell with what a later run needs to know of them."""
    lake.write(
        good,
        lake.cell(TABLE, symbol, period.key),
        metadata={
            "rows": len(good),
            "complete_to": complete_to.isoformat(),
            "source": source_name,
        },
        level=COMPRESSION_LEVEL,
    )
