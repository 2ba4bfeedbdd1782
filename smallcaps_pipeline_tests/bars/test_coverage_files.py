"""Coverage files: only what changed is read again, and a damaged cell is named."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from smallcaps_pipeline.bars.coverage_files import (
    CoverageUpdate,
    coverage_parts,
    days_covered,
    remove_others,
    symbols_with_cells,
    update_coverage,
)
from smallcaps_pipeline.bars.update import IMPORTED, CellState, StoredBars, write_cell
from smallcaps_pipeline.cells import period_of
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.settings import load_settings
from smallcaps_pipeline_tests.events.builders import bar, frame

RULES = load_settings().kpis.bars
OCTOBER, NOVEMBER = (period_of(date(2025, month, 3), "month") for month in (10, 11))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def store(
    lake: Lake, day: date, *, symbol: str = "AEMD", source: str = "provider", volume: float = 1.0
) -> None:
    """Store a cell of one bar, complete to its day."""
    rows = frame([bar("10:00", 10, volume, symbol=symbol, day=day)])
    write_cell(lake, rows, symbol, period_of(day, "month"), StoredBars(source, day))


def update(lake: Lake, symbol: str = "AEMD") -> CoverageUpdate:
    cells = dict(symbols_with_cells(lake))[symbol]
    return update_coverage(lake, symbol, cells, cadence="month", rules=RULES)


def rows(lake: Lake) -> pl.DataFrame:
    return pl.concat(coverage_parts(lake)).sort("symbol", "date")


def test_days_from_the_first_of_the_period_to_the_last_asked_for(lake: Lake) -> None:
    store(lake, date(2025, 10, 3))
    assert update(lake).rows == 3
    assert rows(lake).select("date", "state").rows() == [
        (date(2025, 10, 1), "empty"),
        (date(2025, 10, 2), "empty"),
        (date(2025, 10, 3), "bars"),
    ]
    assert days_covered(lake) == (date(2025, 10, 1), date(2025, 10, 3))


def test_import_says_nothing_of_days_without_bars(lake: Lake) -> None:
    store(lake, date(2025, 10, 3), source=IMPORTED)
    update(lake)
    assert rows(lake)["date"].to_list() == [date(2025, 10, 3)]


def test_day_that_the_provider_had_no_file_for_was_not_asked_for(lake: Lake) -> None:
    known = StoredBars("provider", date(2025, 10, 3), absent=(date(2025, 10, 2),))
    day_bars = frame([bar("10:00", 10, day=date(2025, 10, 3))])
    write_cell(lake, day_bars, "AEMD", OCTOBER, known)
    update(lake)
    assert rows(lake)["date"].to_list() == [date(2025, 10, 1), date(2025, 10, 3)]


def test_only_cells_that_changed_are_read_again(lake: Lake) -> None:
    store(lake, date(2025, 10, 31))
    store(lake, date(2025, 11, 3))
    assert update(lake).cells_read == 2
    before = lake.symbol("bar_coverage", "AEMD").read_bytes()
    again = update(lake)
    assert (again.state, again.rows, again.cells_read) == (CellState.CURRENT, 24, 0)
    store(lake, date(2025, 11, 3), volume=2.0)
    assert update(lake).cells_read == 1
    assert rows(lake).filter(date=date(2025, 11, 3))["volume"].item() == 2.0
    store(lake, date(2025, 11, 3))
    update(lake)
    assert lake.symbol("bar_coverage", "AEMD").read_bytes() == before


def test_other_rules_read_everything_again(lake: Lake) -> None:
    store(lake, date(2025, 10, 31))
    update(lake)
    cells = dict(symbols_with_cells(lake))["AEMD"]
    stricter = RULES.model_copy(update={"halt_minutes": 9})
    assert update_coverage(lake, "AEMD", cells, cadence="month", rules=stricter).cells_read == 1


def test_damaged_cell_is_named_and_the_others_count(lake: Lake) -> None:
    store(lake, date(2025, 10, 31))
    store(lake, date(2025, 11, 3))
    torn = lake.cell("bars_1m", "AEMD", "2025-11")
    torn.write_bytes(torn.read_bytes()[:60])
    done = update(lake)
    assert list(done.unreadable) == [str(torn)]
    assert done.rows == 23
    assert list(update(lake).unreadable) == [str(torn)]  # said again until it is mended
    store(lake, date(2025, 11, 3))
    mended = update(lake)
    assert (mended.unreadable, mended.rows, mended.cells_read) == ({}, 24, 1)


def test_file_of_another_cadence_is_named(lake: Lake) -> None:
    store(lake, date(2025, 10, 31))
    stray = lake.cell("bars_1m", "AEMD", "2025")
    stray.write_bytes(lake.cell("bars_1m", "AEMD", "2025-10").read_bytes())
    done = update(lake)
    assert list(done.unreadable) == [str(stray)]
    assert "partitions.date" in done.unreadable[str(stray)]


def test_coverage_of_cells_that_are_gone_goes(lake: Lake) -> None:
    for symbol in ("AEMD", "NERV"):
        store(lake, date(2025, 10, 3), symbol=symbol)
        update(lake, symbol)
    lake.remove(lake.cell("bars_1m", "NERV", "2025-10"))
    remove_others(lake, frozenset(symbol for symbol, _ in symbols_with_cells(lake)))
    assert rows(lake)["symbol"].unique().to_list() == ["AEMD"]


def test_only_the_symbols_asked_for_are_read(lake: Lake) -> None:
    for symbol in ("AEMD", "BApA", "NERV"):
        store(lake, date(2025, 10, 1), symbol=symbol)
        update(lake, symbol)
    parts = list(coverage_parts(lake, frozenset({"BApA", "NERV"}), at_once=1))
    assert [part["symbol"].to_list() for part in parts] == [["BApA"], ["NERV"]]
    assert list(coverage_parts(Lake(lake.root / "none"))) == []
