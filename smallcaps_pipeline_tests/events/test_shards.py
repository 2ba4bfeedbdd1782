"""Event shards: detected again only when bars, thresholds, reference or rules have changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from smallcaps_pipeline.bars import Reason
from smallcaps_pipeline.bars.update import CellState, write_bars
from smallcaps_pipeline.cells import period_of
from smallcaps_pipeline.events import detect_events, shards
from smallcaps_pipeline.events.shards import ShardUpdate, update_shard
from smallcaps_pipeline.lake import Lake, LakeError
from smallcaps_pipeline.schemas import BARS, EVENTS, REFERENCE
from smallcaps_pipeline.settings import Settings, load_settings
from smallcaps_pipeline_tests.events.builders import Bar, bar, frame, quiet

CONFIG = load_settings()
YEAR = period_of(date(2025, 10, 7), "year")

# A quiet half-hour, then 60,000 shares up 5 %: volume_spike, price_momentum and the break of the
# opening range, all up, in one minute and so of one group.
BURST: list[Bar] = [*quiet("09:30", 30, 10.0), bar("10:00", 10.5, 60_000, open_=10.0)]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def put(lake: Lake, rows: list[Bar], symbol: str = "AEMD") -> None:
    write_bars(lake, frame(rows), symbol, YEAR, complete_to=date(2025, 10, 7), source_name="test")


def update(
    lake: Lake, settings: Settings = CONFIG, reference: pl.DataFrame | None = None
) -> ShardUpdate:
    return update_shard(lake, "AEMD", "2025", settings, reference)


def with_events(changes: Mapping[str, Any]) -> Settings:
    """Return settings with some values of `events` replaced."""
    return CONFIG.model_copy(update={"events": CONFIG.events.model_copy(update=changes)})


def facts(symbol: str, float_shares: float) -> pl.DataFrame:
    row = {"symbol": symbol, "known_from": date(2025, 1, 2), "float_shares": float_shares}
    empty = dict.fromkeys(REFERENCE.columns)
    return pl.DataFrame([empty | row], schema=REFERENCE.schema)


def test_shard_holds_the_events_of_its_bars(lake: Lake) -> None:
    put(lake, BURST)
    done = update(lake)
    assert (done.state, done.rows, done.bars) == (CellState.WRITTEN, 3, 31)
    found = lake.read(done.file, EVENTS)
    assert found.equals(detect_events(frame(BURST)))
    assert set(found["event_type"]) == {
        "volume_spike",
        "price_momentum",
        "opening_range_break",
    }


def test_current_shard_is_skipped(lake: Lake) -> None:
    put(lake, BURST)
    first = update(lake)
    stamp = first.file.stat().st_mtime_ns
    again = update(lake)
    assert (again.state, again.rows, again.bars) == (CellState.CURRENT, first.rows, first.bars)
    assert first.file.stat().st_mtime_ns == stamp


def test_bars_written_anew_with_the_same_rows_change_nothing(lake: Lake) -> None:
    put(lake, BURST)
    update(lake)
    write_bars(lake, frame(BURST), "AEMD", YEAR, complete_to=date(2025, 12, 31), source_name="x")
    assert update(lake).state == CellState.CURRENT


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ([*BURST, bar("10:01", 10.5, 10)], 3),
        ([bar("09:30", 10.0, 5_000), *BURST[1:]], 3),  # a late print changes a baseline
        (BURST[:-1], 0),
    ],
)
def test_changed_bars_are_detected_anew(lake: Lake, change: list[Bar], rows: int) -> None:
    put(lake, BURST)
    update(lake)
    put(lake, change)
    done = update(lake)
    assert (done.state, done.rows) == (CellState.WRITTEN, rows)
    assert lake.read(done.file, EVENTS).equals(detect_events(frame(change)))


def test_changed_threshold_is_detected_anew_and_back(lake: Lake) -> None:
    put(lake, BURST)
    before = update(lake).file.read_bytes()
    filters = CONFIG.events.filters.model_copy(update={"max_close": 10.0})
    done = update(lake, with_events({"filters": filters}))
    assert (done.state, done.rows) == (CellState.WRITTEN, 0)
    assert done.dropped  # each dropped event is counted
    assert update(lake).file.read_bytes() == before


def test_settings_of_other_stages_leave_shards_current(lake: Lake) -> None:
    put(lake, BURST)
    update(lake)
    windows = CONFIG.windows.model_copy(update={"merge_minutes": 3})
    assert update(lake, CONFIG.model_copy(update={"windows": windows})).state == CellState.CURRENT


def test_reference_of_the_symbol_counts_and_that_of_others_does_not(lake: Lake) -> None:
    put(lake, BURST)
    known = facts("AEMD", 20e6)
    assert update(lake, reference=known).rows == 3
    more = pl.concat([known, facts("NERV", 1e6)])
    assert update(lake, reference=more).state == CellState.CURRENT
    small = update(lake, reference=facts("AEMD", 1e6))  # below 5 M: every event up is dropped
    assert (small.state, small.rows) == (CellState.WRITTEN, 0)


def test_raised_rules_version_detects_anew(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    put(lake, BURST)
    update(lake)
    monkeypatch.setattr(shards, "RULES_VERSION", "next")
    assert update(lake).state == CellState.WRITTEN
    assert update(lake).state == CellState.CURRENT


def test_cell_without_bars_has_nothing_to_do(lake: Lake) -> None:
    done = update(lake)
    assert (done.state, done.rows) == (CellState.NO_INPUT, 0)
    assert not done.file.exists()


def test_bars_that_are_gone_take_their_shard_with_them(lake: Lake) -> None:
    put(lake, BURST)
    file = update(lake).file
    lake.remove(lake.cell(BARS.name, "AEMD", "2025"))
    assert update(lake).state == CellState.NO_INPUT
    assert not file.exists()
    assert not lake.files(EVENTS.name)


def test_same_bars_give_the_same_bytes(tmp_path: Path) -> None:
    bytes_of = []
    for lake in (Lake(tmp_path / "one"), Lake(tmp_path / "other")):
        put(lake, BURST)
        bytes_of.append(update(lake).file.read_bytes())
    assert bytes_of[0] == bytes_of[1]


def test_what_takes_no_part_is_counted(lake: Lake) -> None:
    night = bar("21:00", 10.0, 100)
    wrong = bar("11:00", 10.0, -5)
    put(lake, [*BURST, night, wrong])
    done = update(lake)
    assert done.outside_sessions == 1
    assert done.set_aside == {Reason.VOLUME_NEGATIVE: 1}
    assert done.bars == 31


def test_damaged_bars_fail_by_name(lake: Lake) -> None:
    put(lake, BURST)
    file = lake.cell(BARS.name, "AEMD", "2025")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(LakeError, match=r"symbol=AEMD"):
        update(lake)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (pl.col("timestamp").dt.replace_time_zone(None), "'timestamp' has no time zone"),
        (pl.lit("ten").alias("close"), "cannot be read as bars_1m"),
        (pl.lit("BAPA").alias("symbol"), "holds bars of BAPA, expected AEMD alone"),
    ],
)
def test_bars_that_are_none_of_ours_fail_by_name(lake: Lake, change: pl.Expr, why: str) -> None:
    """A naive time was once taken as UTC by the cast to the lake's type: five hours off."""
    file = lake.cell(BARS.name, "AEMD", "2025")
    file.parent.mkdir(parents=True)
    frame(BURST).with_columns(change).write_parquet(file)
    with pytest.raises(LakeError, match=why) as error:
        update(lake)
    assert str(file) in str(error.value)


def test_damaged_shard_is_detected_anew(lake: Lake) -> None:
    put(lake, BURST)
    file = update(lake).file
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    assert update(lake).state == CellState.WRITTEN
    assert file.read_bytes() == whole
