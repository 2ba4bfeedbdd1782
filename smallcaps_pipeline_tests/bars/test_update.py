"""Cells of bars: only what is missing is asked for, and what is there stays."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from smallcaps_pipeline.bars import Reason
from smallcaps_pipeline.bars.update import (
    FINISHED_LEVEL,
    IMPORTED,
    BarUpdate,
    CellState,
    update_bars,
    write_bars,
)
from smallcaps_pipeline.cells import Period, period_of
from smallcaps_pipeline.lake import Lake, read_metadata
from smallcaps_pipeline.parquet import COMPRESSION_LEVEL
from smallcaps_pipeline.schemas import BARS

MONTH = period_of(date(2025, 10, 7), "month")


def bar_on(day: date, *, volume: float = 100.0, open_: float = 10.0) -> dict[str, object]:
    """Return the 09:30 bar of a New York day."""
    at = datetime.combine(day, time(9, 30), tzinfo=ZoneInfo("America/New_York"))
    prices = {"open": open_, "high": 10.0, "low": 10.0, "close": 10.0}
    return {"symbol": "AEMD", "timestamp": at, **prices, "volume": volume}


def bars_of(*rows: dict[str, object]) -> pl.DataFrame:
    empty = {"vwap": None, "transactions": None}
    return pl.DataFrame([row | empty for row in rows], schema=BARS.schema)


@dataclass
class Source:
    """Bars in memory, and what was asked for."""

    rows: list[dict[str, object]]
    asked: list[tuple[str, date, date]] = field(default_factory=list)

    def bars(self, *, symbol: str, start: date, end: date) -> pl.DataFrame:
        self.asked.append((symbol, start, end))
        frame = bars_of(*self.rows)
        day = pl.col("timestamp").dt.convert_time_zone("America/New_York").dt.date()
        return frame.filter(day >= start, day < end)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def update(
    lake: Lake, source: Source, through: date, period: Period = MONTH, symbol: str = "AEMD"
) -> BarUpdate:
    return update_bars(lake, source, symbol, period, through=through, source_name="test")


def test_first_time_asks_for_the_whole_period(lake: Lake) -> None:
    source = Source([bar_on(date(2025, 10, 1)), bar_on(date(2025, 10, 31))])
    done = update(lake, source, through=date(2025, 11, 20))
    assert source.asked == [("AEMD", date(2025, 10, 1), date(2025, 11, 1))]
    assert (done.state, done.rows, done.new_rows) == (CellState.WRITTEN, 2, 2)
    assert done.file == lake.cell("bars_1m", "AEMD", "2025-10")
    assert lake.read(done.file, BARS).height == 2
    found = read_metadata(done.file) or {}
    assert (found["complete_to"], found["source"]) == ("2025-10-31", "test")


def test_past_period_is_asked_for_once(lake: Lake) -> None:
    source = Source([bar_on(date(2025, 10, 1))])
    before = update(lake, source, through=date(2025, 10, 31)).file.read_bytes()
    done = update(lake, source, through=date(2025, 12, 31))
    assert len(source.asked) == 1
    assert (done.state, done.rows, done.new_rows) == (CellState.CURRENT, 1, 0)
    assert done.file.read_bytes() == before


def test_current_period_grows_by_the_days_that_came_after(lake: Lake) -> None:
    source = Source([bar_on(date(2025, 10, day)) for day in (1, 2, 3)])
    assert update(lake, source, through=date(2025, 10, 1)).rows == 1
    done = update(lake, source, through=date(2025, 10, 2))
    assert source.asked[1] == ("AEMD", date(2025, 10, 2), date(2025, 10, 3))
    assert (done.rows, done.new_rows) == (2, 1)
    assert update(lake, source, through=date(2025, 10, 2)).state == CellState.CURRENT
    grown = update(lake, source, through=date(2025, 10, 31)).file.read_bytes()
    other = Lake(lake.root / "other")  # day by day or at once: the same file
    assert update(other, source, through=date(2025, 10, 31)).file.read_bytes() == grown


def test_symbol_that_did_not_trade_is_not_asked_for_again(lake: Lake) -> None:
    source = Source([])
    assert update(lake, source, through=date(2025, 10, 31)).rows == 0
    assert update(lake, source, through=date(2025, 10, 31)).state == CellState.CURRENT
    assert len(source.asked) == 1


def test_period_that_has_not_begun_has_nothing_to_do(lake: Lake) -> None:
    source = Source([])
    done = update(lake, source, through=date(2025, 9, 30))
    assert (done.state, done.rows, source.asked) == (CellState.NO_INPUT, 0, [])
    assert not done.file.exists()


def test_imported_cell_is_left_as_it_is(lake: Lake) -> None:
    good = bars_of(bar_on(date(2025, 10, 1)))
    write_bars(lake, good, "AEMD", MONTH, complete_to=date(2025, 10, 1), source_name=IMPORTED)
    source = Source([bar_on(date(2025, 10, 2))])
    done = update(lake, source, through=date(2025, 10, 31))
    assert (done.state, done.rows, source.asked) == (CellState.CURRENT, 1, [])


def test_file_that_somebody_put_there_is_left_as_it_is(lake: Lake) -> None:
    file = lake.cell("bars_1m", "AEMD", "2025-10")
    file.parent.mkdir(parents=True)
    bars_of(bar_on(date(2025, 10, 1))).write_parquet(file)
    before, source = file.read_bytes(), Source([])
    done = update(lake, source, through=date(2025, 10, 31))
    assert (done.state, done.rows, source.asked) == (CellState.CURRENT, 1, [])
    assert file.read_bytes() == before


def test_damaged_file_is_fetched_anew(lake: Lake) -> None:
    source = Source([bar_on(date(2025, 10, 1)), bar_on(date(2025, 10, 2))])
    whole = update(lake, source, through=date(2025, 10, 31)).file
    before = whole.read_bytes()
    whole.write_bytes(before[:100])
    assert update(lake, source, through=date(2025, 10, 31)).rows == 2
    assert whole.read_bytes() == before


def test_bad_bars_and_copies_are_counted(lake: Lake) -> None:
    day = date(2025, 10, 1)
    rows = [bar_on(day), bar_on(day), bar_on(day, volume=50), bar_on(date(2025, 10, 2), open_=11)]
    done = update(lake, Source(rows), through=date(2025, 10, 31))
    assert done.set_aside == {Reason.DUPLICATE: 1, Reason.CONFLICT: 1, Reason.OUT_OF_ORDER: 1}
    assert (done.rows, done.new_rows) == (1, 1)


def test_failed_request_leaves_the_cell_as_it_was(lake: Lake) -> None:
    source = Source([bar_on(date(2025, 10, 1))])
    file = update(lake, source, through=date(2025, 10, 1)).file
    before = file.read_bytes()

    class Broken(Source):
        def bars(self, *, symbol: str, start: date, end: date) -> pl.DataFrame:
            raise ConnectionError("the line is down")

    with pytest.raises(ConnectionError):
        update(lake, Broken([]), through=date(2025, 10, 2))
    assert file.read_bytes() == before
    assert update(lake, source, through=date(2025, 10, 1)).state == CellState.CURRENT


# look-back ------------------------------------------------------------------------------------


def grow(lake: Lake, source: Source, through: date, look_back: int = 3) -> BarUpdate:
    return update_bars(
        lake, source, "AEMD", MONTH, through=through, source_name="test", look_back=look_back
    )


def test_sessions_of_the_look_back_are_asked_for_in_the_same_call(lake: Lake) -> None:
    """The three sessions before Tuesday the 14th are the 13th, the 10th and the 9th."""
    source = Source([])
    grow(lake, source, date(2025, 10, 13))
    grow(lake, source, date(2025, 10, 14))
    assert source.asked[1] == ("AEMD", date(2025, 10, 9), date(2025, 10, 15))
    grow(lake, source, date(2025, 10, 14))
    assert len(source.asked) == 2  # nothing is newer: nothing is asked for


def test_look_back_does_not_reach_before_the_period(lake: Lake) -> None:
    source = Source([])
    grow(lake, source, date(2025, 10, 1))
    grow(lake, source, date(2025, 10, 2))
    assert source.asked[1][1] == date(2025, 10, 1)


def test_later_answer_replaces_the_days_it_covers(lake: Lake) -> None:
    """Late prints add, corrections take away; what the provider withdraws goes."""
    days = [date(2025, 10, day) for day in (1, 6, 7, 8)]
    grow(lake, Source([bar_on(day, volume=100) for day in days]), date(2025, 10, 8))
    later = [bar_on(days[2], volume=150), bar_on(days[3], volume=40), bar_on(date(2025, 10, 9))]
    done = grow(lake, Source(later), date(2025, 10, 9))
    stored = lake.read(done.file, BARS).select(pl.col("timestamp").dt.date().dt.day(), "volume")
    assert stored.rows() == [(1, 100), (7, 150), (8, 40), (9, 100)]


def test_what_was_set_aside_is_remembered_by_day(lake: Lake) -> None:
    first, second = date(2025, 10, 1), date(2025, 10, 8)
    bad = Source([bar_on(first, volume=-1), bar_on(second, open_=11)])
    grow(lake, bad, second)
    file = grow(lake, Source([bar_on(second), bar_on(date(2025, 10, 9))]), date(2025, 10, 9)).file
    assert (read_metadata(file) or {})["set_aside"] == {
        "2025-10-01": {Reason.VOLUME_NEGATIVE.value: 1}  # the 8th was asked for again, and is good
    }


def test_last_sessions_of_a_period_that_ended_are_asked_for_until_the_look_back_is_over(
    lake: Lake,
) -> None:
    """October ends on Friday the 31st; three sessions later is Wednesday, 5 November."""
    last = date(2025, 10, 31)
    grow(lake, Source([bar_on(last, volume=100)]), last)
    late = Source([bar_on(last, volume=120)])
    done = grow(lake, late, date(2025, 11, 3))
    assert late.asked == [("AEMD", date(2025, 10, 29), date(2025, 11, 1))]
    assert lake.read(done.file, BARS)["volume"].to_list() == [120]
    assert grow(lake, late, date(2025, 11, 3)).state == CellState.CURRENT
    grow(lake, late, date(2025, 11, 5))
    for through in (date(2025, 11, 6), date(2025, 12, 31)):
        assert grow(lake, late, through).state == CellState.CURRENT
    assert len(late.asked) == 2
    settled = done.file.read_bytes()
    other = Lake(lake.root / "other")  # asked for long after: the same file
    assert grow(other, late, date(2025, 12, 31)).file.read_bytes() == settled


def test_last_year_of_the_calendar_can_be_asked_for(lake: Lake) -> None:
    year = period_of(date(2035, 6, 1), "year")
    done = update_bars(
        lake, Source([]), "A", year, through=date(2035, 6, 1), source_name="test", look_back=3
    )
    assert done.state == CellState.WRITTEN


def test_cell_that_grows_is_written_fast_and_a_finished_one_small(lake: Lake) -> None:
    """A tenth smaller costs three times the time: too much for what is rewritten every day."""
    levels = []

    class Noting(Lake):
        def write(self, *arguments: Any, level: int = COMPRESSION_LEVEL, **named: Any) -> int:
            levels.append(level)
            return super().write(*arguments, level=level, **named)

    noting = Noting(lake.root)
    august = period_of(date(2025, 8, 1), "month")  # ends on a Sunday, its last session is the 29th
    for through in (date(2025, 8, 28), date(2025, 8, 29)):
        update_bars(noting, Source([]), "A", august, through=through, source_name="test")
    write_bars(noting, bars_of(), "B", MONTH, complete_to=date(2025, 10, 1), source_name=IMPORTED)
    assert levels == [COMPRESSION_LEVEL, FINISHED_LEVEL, FINISHED_LEVEL]
