"""Day files into cells: each cell written once for all the days it lacks, replaced days noticed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smallcaps_pipeline.bars import Reason
from smallcaps_pipeline.bars.day_files import (
    OTHER_DAY,
    DayFiles,
    Splitter,
    needed_days,
    store_day,
    stored_day,
    update_from_days,
)
from smallcaps_pipeline.bars.update import (
    IMPORTED,
    BarUpdate,
    CellState,
    StoredBars,
    stored_bars,
    update_bars,
    write_cell,
)
from smallcaps_pipeline.cells import Period, period_of
from smallcaps_pipeline.lake import Lake, LakeError, read_metadata
from smallcaps_pipeline.schemas import BARS
from smallcaps_pipeline.sessions import trading_days
from smallcaps_pipeline_tests.events.builders import bar, frame

YEAR = period_of(date(2025, 10, 7), "year")
DAYS = trading_days(date(2025, 9, 29), date(2025, 10, 7))  # two months, seven sessions
LAST = DAYS[-1]
NAMES = ("AEMD", "BApA", "NERV")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def of_day(day: date, *, close: float = 10.0, names: Sequence[str] = NAMES) -> pl.DataFrame:
    """Return two bars of each symbol on a day, as flat files have them: no vwap."""
    clocks = ("09:30", "15:59")
    return frame(
        [bar(c, close, symbol=name, day=day, transactions=3) for name in names for c in clocks]
    )


def publish(lake: Lake, day: date, *, close: float = 10.0, version: str | None = None) -> None:
    bars = of_day(day, close=close)
    store_day(lake, day, bars, version=version or f"etag of {close}", source="test")


def update_all(
    lake: Lake,
    names: Sequence[str] = NAMES,
    *,
    through: date = LAST,
    period: Period = YEAR,
    rows_at_once: int = 10_000,
) -> dict[str, BarUpdate]:
    days = DayFiles.of(lake, period.first, through)
    needs = {
        (name, period.key): needed_days(
            lake.cell("bars_1m", name, period.key), period, days, through
        )
        for name in names
    }
    splitter = Splitter(days, needs, rows_at_once=rows_at_once)
    return {
        name: update_from_days(
            lake, splitter, days, name, period, needs[name, period.key], source_name="test"
        )
        for name in names
    }


def bars(lake: Lake, name: str = "AEMD") -> pl.DataFrame:
    return lake.read(lake.cell("bars_1m", name, "2025"), BARS)


def bytes_of(lake: Lake) -> dict[str, bytes]:
    return {name: lake.cell("bars_1m", name, "2025").read_bytes() for name in NAMES}


# one day ---------------------------------------------------------------------------------------


def test_day_is_stored_clean_and_sorted(lake: Lake) -> None:
    good = bar("09:30", 10.0, symbol="NERV", day=LAST)
    rows = [good, bar("09:31", 9.0, day=LAST), bar("09:30", 9.0, day=LAST), good]
    rows += [bar("09:32", -1.0, day=LAST), bar("10:00", 1.0, day=DAYS[0])]
    rows += [bar("09:30", 25.0, symbol=name, day=LAST) for name in ("ZVZZT", "ZTST", "NTEST.A")]
    found = store_day(lake, LAST, frame(rows), version='"etag"', source="test")
    stored = lake.read(lake.day("flat_file_days", str(LAST)), BARS)
    assert stored.select("symbol", "close").rows() == [("AEMD", 9.0), ("AEMD", 9.0), ("NERV", 10.0)]
    assert (found.rows, found.symbols, found.test_bars, found.version) == (3, 2, 3, '"etag"')
    reasons = {Reason.DUPLICATE: 1, Reason.PRICE_NOT_POSITIVE: 1, OTHER_DAY: 1}
    assert found.set_aside == reasons
    assert stored_day(lake, LAST) == found
    assert stored_day(lake, DAYS[0]) is None


@pytest.mark.parametrize("name", ["ZTS", "TEST", "ZVRA", "ZEST", "ATESTX", "CBO", "NTES"])
def test_stock_that_is_called_nearly_like_a_test_symbol_stays(lake: Lake, name: str) -> None:
    assert store_day(lake, LAST, of_day(LAST, names=[name]), version="x", source="x").rows == 2


def test_order_of_the_rows_does_not_matter(lake: Lake) -> None:
    rows = of_day(LAST)
    store_day(lake, LAST, rows, version="x", source="x")
    before = lake.day("flat_file_days", str(LAST)).read_bytes()
    store_day(lake, LAST, rows.reverse(), version="x", source="x")
    assert lake.day("flat_file_days", str(LAST)).read_bytes() == before


# cells ------------------------------------------------------------------------------------------


def test_cells_hold_all_days_and_say_where_they_come_from(lake: Lake) -> None:
    for day in DAYS:
        publish(lake, day)
    done = update_all(lake)
    assert {d.state for d in done.values()} == {CellState.WRITTEN}
    assert bars(lake).height == bars(lake, "BApA").height == 2 * len(DAYS)
    assert bars(lake)["vwap"].null_count() == 2 * len(DAYS)
    known = stored_bars(lake.cell("bars_1m", "AEMD", "2025"))
    assert known is not None
    assert (known.source, known.complete_to) == ("test", LAST)
    assert sorted(known.versions) == ["2025-09", "2025-10"]
    assert known.absent == tuple(trading_days(YEAR.first, DAYS[0] - timedelta(days=1)))
    again = update_all(lake)
    assert {d.state for d in again.values()} == {CellState.CURRENT}
    assert again["AEMD"].rows == 2 * len(DAYS)


def test_rows_are_those_of_rest_but_for_the_vwap(lake: Lake) -> None:
    """The same market by either way."""
    for day in DAYS:
        publish(lake, day)
    update_all(lake)

    class Rest:
        def bars(self, *, symbol: str, start: date, end: date) -> pl.DataFrame:
            rows = pl.concat(of_day(day, names=[symbol]) for day in DAYS if start <= day < end)
            return rows.with_columns(vwap=pl.lit(10.0))

    other = Lake(lake.root / "rest")
    update_bars(other, Rest(), "AEMD", YEAR, through=LAST, source_name="test")
    assert bars(lake).drop("vwap").equals(bars(other).drop("vwap"))


def test_day_by_day_or_at_once_gives_the_same_bytes(lake: Lake) -> None:
    for day in DAYS:
        publish(lake, day)
        update_all(lake, through=day)
    by_day = bytes_of(lake)
    other = Lake(lake.root / "other")
    for day in DAYS:
        publish(other, day)
    update_all(other)
    assert bytes_of(other) == by_day


def test_small_chunks_give_the_same_bytes(lake: Lake) -> None:
    for day in DAYS:
        publish(lake, day)
    update_all(lake, rows_at_once=1)
    before = bytes_of(lake)
    for name in NAMES:
        lake.remove(lake.cell("bars_1m", name, "2025"))
    update_all(lake)
    assert bytes_of(lake) == before


def test_bars_that_are_asked_for_twice_are_given_twice(lake: Lake) -> None:
    publish(lake, LAST)
    days = DayFiles.of(lake, YEAR.first, LAST)
    need = needed_days(lake.cell("bars_1m", "AEMD", "2025"), YEAR, days, LAST)
    splitter = Splitter(days, {("AEMD", "2025"): need})
    first = splitter.bars("AEMD", need.days)
    assert len(first) == 2
    assert splitter.bars("AEMD", need.days).equals(first)


def test_new_day_reads_that_day_only(lake: Lake) -> None:
    for day in DAYS[:-1]:
        publish(lake, day)
    update_all(lake, through=DAYS[-2])
    publish(lake, LAST)
    days = DayFiles.of(lake, YEAR.first, LAST)
    need = needed_days(lake.cell("bars_1m", "AEMD", "2025"), YEAR, days, LAST)
    assert need.days == (LAST,)
    assert update_all(lake)["AEMD"].new_rows == 2


def test_replaced_day_is_taken_in_again(lake: Lake) -> None:
    for day in DAYS:
        publish(lake, day)
    update_all(lake)
    publish(lake, DAYS[1], close=11.0)
    days = DayFiles.of(lake, YEAR.first, LAST)
    need = needed_days(lake.cell("bars_1m", "AEMD", "2025"), YEAR, days, LAST)
    assert need.days == tuple(DAYS[:2])  # that day's month; October is as it was
    assert update_all(lake)["AEMD"].new_rows == 0
    assert bars(lake)["close"].to_list() == [10.0, 10.0, 11.0, 11.0] + [10.0] * 10
    fresh = Lake(lake.root / "fresh")
    for day in DAYS:
        publish(fresh, day, close=11.0 if day == DAYS[1] else 10.0)
    update_all(fresh)
    assert bytes_of(fresh) == bytes_of(lake)


def test_day_that_was_absent_comes_in_later(lake: Lake) -> None:
    hole = DAYS[3]
    for day in DAYS:
        if day != hole:
            publish(lake, day)
    update_all(lake)
    known = stored_bars(lake.cell("bars_1m", "AEMD", "2025"))
    assert known is not None
    assert hole in known.absent
    publish(lake, hole)
    assert update_all(lake)["AEMD"].new_rows == 2
    other = Lake(lake.root / "other")
    for day in DAYS:
        publish(other, day)
    update_all(other)
    assert bytes_of(other) == bytes_of(lake)


def test_days_by_rest_stay_and_later_ones_come_from_files(lake: Lake) -> None:
    """They were paid for and have a vwap; a file of such a day changes nothing."""
    rest = pl.concat(of_day(day, names=["AEMD"]) for day in DAYS[:3]).with_columns(vwap=10.0)
    write_cell(lake, rest, "AEMD", YEAR, StoredBars("provider", DAYS[2]))
    for day in DAYS:
        publish(lake, day, close=12.0)
    update_all(lake, ["AEMD"])
    assert bars(lake)["close"].to_list() == [10.0] * 6 + [12.0] * 8
    publish(lake, DAYS[1], close=13.0)
    publish(lake, DAYS[5], close=13.0)
    update_all(lake, ["AEMD"])
    assert bars(lake)["close"].to_list() == [10.0] * 6 + [12.0] * 4 + [13.0] * 2 + [12.0] * 2
    known = stored_bars(lake.cell("bars_1m", "AEMD", "2025"))
    assert known is not None
    assert (known.rest_to, known.absent) == (DAYS[2], ())


def test_rest_fills_what_files_left_open(lake: Lake) -> None:
    for day in DAYS:
        if day != DAYS[4]:
            publish(lake, day)
    update_all(lake, ["AEMD"], through=DAYS[5])
    asked = []

    class Rest:
        def bars(self, *, symbol: str, start: date, end: date) -> pl.DataFrame:
            asked.append((start, end))
            return of_day(DAYS[4], names=[symbol])

    period = Period(DAYS[0], YEAR.last, YEAR.key)
    file = lake.cell("bars_1m", "AEMD", "2025")
    known = stored_bars(file)
    assert known is not None
    write_cell(lake, bars(lake), "AEMD", YEAR, StoredBars("test", DAYS[5], {}, {}, (DAYS[4],)))
    update_bars(lake, Rest(), "AEMD", period, through=LAST, source_name="provider")
    assert asked == [(DAYS[4], LAST + timedelta(days=1))]


def test_imported_cell_is_left_alone(lake: Lake) -> None:
    own = of_day(LAST, close=99.0, names=["AEMD"])
    write_cell(lake, own, "AEMD", YEAR, StoredBars(IMPORTED, LAST))
    publish(lake, DAYS[0])
    done = update_all(lake)
    assert done["AEMD"].state == CellState.CURRENT
    assert bars(lake)["close"].to_list() == [99.0, 99.0]


def test_without_day_files_there_is_nothing_to_do(lake: Lake) -> None:
    assert {d.state for d in update_all(lake).values()} == {CellState.NO_INPUT}
    assert not (lake.root / "bars_1m").exists()


def test_symbol_that_did_not_trade_has_an_empty_cell(lake: Lake) -> None:
    publish(lake, LAST)
    assert update_all(lake, ["GRI"])["GRI"].rows == 0
    assert update_all(lake, ["GRI"])["GRI"].state == CellState.CURRENT


def test_what_was_set_aside_is_counted_by_day_in_the_cell(lake: Lake) -> None:
    rows = pl.concat([of_day(LAST), frame([bar("10:00", -1.0, day=LAST)])])
    store_day(lake, LAST, rows, version="x", source="x")
    done = update_all(lake)
    assert done["AEMD"].set_aside == {Reason.PRICE_NOT_POSITIVE: 1}
    assert done["NERV"].set_aside == {}
    stored = read_metadata(lake.cell("bars_1m", "AEMD", "2025")) or {}
    assert stored["set_aside"] == {str(LAST): {Reason.PRICE_NOT_POSITIVE: 1}}


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_killed_at_any_write_and_run_again_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A process that dies between any two files leaves what a second run completes."""
    whole = Lake(tmp_path_factory.mktemp("whole"))
    for day in DAYS[:4]:
        publish(whole, day)
    update_all(whole)

    class Dying(Lake):
        writes = data.draw(st.integers(0, 6), label="files before it dies")

        def write(self, *arguments: object, **named: object) -> int:
            if type(self).writes == 0:
                raise LakeError("the power went")
            type(self).writes -= 1
            return super().write(*arguments, **named)  # type: ignore[arg-type]

    root = tmp_path_factory.mktemp("killed")
    try:
        for day in DAYS[:4]:
            publish(Dying(root), day)
        update_all(Dying(root))
    except LakeError:
        pass
    again = Lake(root)
    for day in DAYS[:4]:
        if stored_day(again, day) is None:
            publish(again, day)
    update_all(again)
    assert bytes_of(again) == bytes_of(whole)
