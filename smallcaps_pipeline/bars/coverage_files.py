"""Coverage files: the figures of one symbol's days, made anew only for cells that changed.

    bar_coverage/symbol=AEMD.parquet

One file per symbol keeps memory bounded whatever the size of the universe, and makes a daily pass
read only the cells that grew. A file says what it was made from: of each cell what its own file
says of itself, the rules, and their version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Final

import polars as pl

from smallcaps_pipeline.bars.coverage import add_usual, cover_cell
from smallcaps_pipeline.bars.update import TABLE as BARS_TABLE
from smallcaps_pipeline.bars.update import CellState, StoredBars, stored_bars
from smallcaps_pipeline.cells import Cadence, Period, period_from_key
from smallcaps_pipeline.lake import Lake, LakeError, fingerprint, read_metadata
from smallcaps_pipeline.schemas import BAR_COVERAGE, BARS, SchemaError
from smallcaps_pipeline.sessions import NaiveTimestampError, trading_days
from smallcaps_pipeline.settings import BarKpis

TABLE: Final = BAR_COVERAGE.name
SYMBOLS_AT_ONCE: Final = 200
RULES_VERSION: Final = "1"  # raise it when a figure changes: every cell is looked at anew


@dataclass(frozen=True)
class CoverageUpdate:
    """What was done for one symbol.

    Attributes:
        state: Whether the file was written.
        rows: Days in the file.
        cells_read: Cells whose content was read.
        unreadable: Cells that could not be read, with the reason, by file.
    """

    state: CellState
    rows: int
    cells_read: int = 0
    unreadable: Mapping[str, str] = field(default_factory=dict)


def symbols_with_cells(lake: Lake) -> Iterator[tuple[str, list[tuple[str, Path]]]]:
    """Yield each symbol that has cells of bars, with (period key, file) of each."""
    for symbol, cells in groupby(lake.cells(BARS_TABLE), key=lambda cell: cell[0]):
        yield symbol, [(key, file) for _, key, file in cells]


def update_coverage(
    lake: Lake,
    symbol: str,
    cells: Sequence[tuple[str, Path]],
    *,
    cadence: Cadence,
    rules: BarKpis,
) -> CoverageUpdate:
    """Bring the coverage of one symbol up to date.

    Args:
        lake: Where cells and coverage lie.
        symbol: Ticker.
        cells: Period key and file of its cells.
        cadence: Length of a cell's period.
        rules: What is suspect.
    """
    file = lake.symbol(TABLE, symbol)
    own = {key: _says(cell) for key, cell in cells}
    made_by = f"{RULES_VERSION} {rules.model_dump_json()}"
    stored = read_metadata(file) or {}
    before = stored.get("cells", {}) if stored.get("rules") == made_by else {}
    if stored and before == own:
        return CoverageUpdate(CellState.CURRENT, stored["rows"])
    kept = lake.read(file, BAR_COVERAGE) if before else BAR_COVERAGE.empty()
    parts, read, unreadable = [], 0, {}
    for key, cell in cells:
        try:
            period = period_from_key(key, cadence)
            if before.get(key) == own[key]:
                parts.append(kept.filter(pl.col("date").is_between(period.first, period.last)))
                continue
            read += 1
            parts.append(_cover(lake, symbol, period, cell, rules))
        except (LakeError, SchemaError, NaiveTimestampError, ValueError) as error:
            unreadable[str(cell)] = str(error)
            del own[key]  # it is tried again at the next pass
    days = add_usual(pl.concat([BAR_COVERAGE.empty(), *parts]).sort("date"), rules)
    first, last = days.select(pl.col("date").min(), last=pl.col("date").max()).row(0)
    metadata = {
        "rows": len(days),
        "days": [day and str(day) for day in (first, last)],
        "cells": own,
        "rules": made_by,
    }
    lake.write(days, file, metadata=metadata)
    return CoverageUpdate(CellState.WRITTEN, len(days), read, unreadable)


def remove_others(lake: Lake, symbols: frozenset[str]) -> None:
    """Remove the coverage of symbols that have no cells any more."""
    for symbol, file in list(lake.symbols(TABLE)):
        if symbol not in symbols:
            lake.remove(file)


def coverage_parts(
    lake: Lake, symbols: frozenset[str] | None = None, *, at_once: int = SYMBOLS_AT_ONCE
) -> Iterator[pl.DataFrame]:
    """Yield the rows (`schemas.BAR_COVERAGE`) of some symbols, or of all, a few symbols at once."""
    files = [f for symbol, f in lake.symbols(TABLE) if symbols is None or symbol in symbols]
    for start in range(0, len(files), at_once):
        yield lake.scan(files[start : start + at_once], BAR_COVERAGE).collect()


def days_covered(lake: Lake) -> tuple[date, date] | None:
    """Return the first and the last day that any symbol has; None without any."""
    stored = [(read_metadata(file) or {}).get("days", []) for _, file in lake.symbols(TABLE)]
    days = [date.fromisoformat(day) for pair in stored for day in pair if day]
    return (min(days), max(days)) if days else None


def _cover(lake: Lake, symbol: str, period: Period, file: Path, rules: BarKpis) -> pl.DataFrame:
    known = stored_bars(file)
    if known is None:
        raise LakeError(f"{file}: is no sound parquet file")
    return cover_cell(
        lake.read(file, BARS),
        symbol=symbol,
        asked=_asked(known, period),
        source=known.source,
        set_aside=known.set_aside,
        rules=rules,
    )


def _asked(known: StoredBars, period: Period) -> list[date]:
    """Return the trading days of a cell that the provider was asked for: none of an import."""
    last = min(period.last, known.complete_to)
    if known.is_users or last < period.first:
        return []
    absent = set(known.absent)
    return [day for day in trading_days(period.first, last) if day not in absent]


def _says(file: Path) -> str:
    """Return a digest of what a cell's file says of itself, its content included."""
    said = {**(read_metadata(file) or {}), "content": fingerprint(file)}
    return hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=8).hexdigest()
