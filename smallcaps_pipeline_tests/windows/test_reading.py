"""Reading the window of an event, whatever file holds it."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pytest

from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.schemas import MANIFEST, QUOTES, STORED, TRADES, WINDOW_FILES
from smallcaps_pipeline.windows import (
    Kind,
    WindowNotStoredError,
    fetch_quotes,
    fetch_trades,
    missing_intervals,
    plan_windows,
    read_interval,
    read_window,
    stored,
    stored_windows,
    windows_index,
)
from smallcaps_pipeline.windows.stored import StoredWindow, Widened, size_unit
from smallcaps_pipeline_tests.windows.fake_source import FakeSource, tape
from smallcaps_pipeline_tests.windows.make import (
    CONFIG,
    at,
    cut,
    event_id,
    manifest,
    manifest_row,
    ns,
)

FIRST, SECOND, THIRD = (event_id("A", at(t)) for t in ("14:00", "14:05", "14:12"))
# [13:57, 14:12) of two events, and [14:12, 14:20) that touches it
TABLE = manifest(
    manifest_row("A", at("14:00"), rank=1),
    manifest_row("A", at("14:05"), rank=2),
    manifest_row("A", at("14:13"), rank=3, before=1),
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path)
    plan = plan_windows(TABLE, settings=CONFIG)
    source = FakeSource({"A": tape(1)})
    for step in (fetch_trades, fetch_quotes):
        step(plan, source, made, settings=CONFIG, profile="core", workers=1)
    return made


@pytest.mark.parametrize("event", [FIRST, SECOND])
def test_merged_events_read_the_window_that_they_share(lake: Lake, event: str) -> None:
    ticks = read_window(lake, event)
    assert ticks.event_id == event
    assert (ticks.window_start, ticks.window_end) == (at("13:57"), at("14:12"))
    assert ticks.events_merged == (FIRST, SECOND)
    assert ticks.trades is not None
    assert ticks.quotes is not None
    assert ticks.trades.drop("in_event").schema == TRADES.schema
    assert ticks.quotes.drop("in_event").schema == QUOTES.schema
    times = ticks.trades["timestamp"].to_physical()
    assert times.min() >= ns(at("13:57"))  # type: ignore[operator]
    assert ns(at("14:05")) < times.max() < ns(at("14:12"))  # type: ignore[operator]


def test_an_event_inside_a_stored_window_that_does_not_name_it_reads_that_window(
    lake: Lake,
) -> None:
    assert read_window(lake, "A_20251007_140100_flush_down").events_merged == (FIRST, SECOND)


def test_an_interval_over_two_files_gives_each_row_once(lake: Lake) -> None:
    trades, quotes = (read_interval(lake, "A", k, (at("14:10"), at("14:15"))) for k in Kind)
    time = pl.col("timestamp").to_physical()
    whole = tape(1)[0].filter(time >= ns(at("14:10")), time < ns(at("14:15")))
    assert trades.equals(whole)
    assert quotes["sequence_number"].is_unique().all()
    assert quotes["timestamp"].is_sorted()
    before = quotes.filter(time < ns(at("14:10")))
    assert before.height == 1  # the state at the start


def with_manifest(lake: Lake, profile: str, minutes: dict[str, tuple[str, str]]) -> None:
    """Write a manifest that gives some events windows of their own."""
    nulls = dict.fromkeys(MANIFEST.columns)
    rows = [
        nulls
        | {
            "event_id": event,
            "symbol": "A",
            "window_start": at(start),
            "window_end": at(end),
        }
        for event, (start, end) in minutes.items()
    ]
    lake.write(pl.DataFrame(rows, schema=MANIFEST.schema), lake.profile(MANIFEST.name, profile))


def test_the_event_s_own_interval_is_marked_in_the_window_that_it_shares(lake: Lake) -> None:
    with_manifest(lake, "core", {SECOND: ("14:02", "14:12")})
    with_manifest(lake, "plus", {SECOND: ("14:00", "14:20"), FIRST: ("13:55", "14:15")})
    ticks = read_window(lake, SECOND, settings=CONFIG)
    assert (ticks.window_start, ticks.event_start, ticks.event_end) == (
        at("13:57"),
        at("14:02"),
        at("14:12"),
    )
    for rows in (ticks.trades, ticks.quotes):
        assert rows is not None
        assert (
            rows.filter("in_event")
            .drop("in_event")
            .equals(cut(rows.drop("in_event"), "14:02", "14:12"))
        )
    plus = read_window(lake, SECOND, profile="plus", settings=CONFIG)
    assert (plus.event_start, plus.event_end) == (at("14:00"), at("14:20"))
    assert read_window(lake, FIRST, settings=CONFIG).event_start == at("13:55")
    unknown = read_window(lake, THIRD, settings=CONFIG)  # in no manifest: all of it is its own
    assert (unknown.event_start, unknown.event_end) == (at("14:12"), at("14:20"))
    assert unknown.trades is not None
    assert unknown.trades["in_event"].all()


def test_the_query_of_the_readme_counts_each_event_s_own_trades(lake: Lake) -> None:
    with_manifest(lake, "core", {FIRST: ("13:57", "14:07"), SECOND: ("14:02", "14:12")})
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sql\n(.*?)```", readme, re.DOTALL)
    (query,) = [block for block in blocks if "event_windows" in block]
    with duckdb.connect() as connection:
        connection.execute(query.replace("data/", f"{lake.root.as_posix()}/"))
        found = {event: trades for event, trades, _ in connection.fetchall()}
    trades = tape(1)[0]
    assert found == {
        FIRST: cut(trades, "13:57", "14:07").height,
        SECOND: cut(trades, "14:02", "14:12").height,
    }


def test_trades_alone_can_be_read(tmp_path: Path) -> None:
    lake, plan = Lake(tmp_path), plan_windows(TABLE, settings=CONFIG)
    fetch_trades(plan, FakeSource({"A": tape(1)}), lake, settings=CONFIG, profile="core", workers=1)
    ticks = read_window(lake, FIRST)
    assert ticks.quotes is None
    assert ticks.trades is not None


def test_an_event_that_is_not_stored_is_an_error_that_names_it(lake: Lake) -> None:
    with pytest.raises(WindowNotStoredError, match="A_20251007_170000_flush_down"):
        read_window(lake, "A_20251007_170000_flush_down")
    with pytest.raises(WindowNotStoredError):
        read_window(lake, event_id("B", at("14:00")))


def test_what_is_not_stored_is_not_there_and_can_be_asked(lake: Lake) -> None:
    span = (at("14:00"), at("15:00"))
    assert read_interval(lake, "B", Kind.TRADES, span).is_empty()
    there = stored_windows(lake, Kind.TRADES, "A")
    assert missing_intervals(span, there, None) == [(at("14:20"), at("15:00"))]


def test_the_index_has_one_row_per_file(lake: Lake) -> None:
    index = windows_index(lake)
    assert index.schema == WINDOW_FILES.schema
    assert index["kind"].to_list() == ["trades", "trades", "quotes", "quotes"]
    assert index["nbbo"].to_list() == [None, None, "change@5Hz", "change@5Hz"]
    for row in index.to_dicts():
        assert pl.read_parquet(row["file"], hive_partitioning=False).height == row["rows"]


@pytest.mark.parametrize("extended", [None, [f"{at(t).isoformat()}" for t in ("13:57", "14:20")]])
def test_metadata_of_the_first_files_are_read(lake: Lake, extended: list[str] | None) -> None:
    """What was paid for once is not fetched again because its metadata have grown."""
    window = stored_windows(lake, Kind.TRADES)[0]
    old = {name: v for name, v in window.metadata().items() if name != "fetched"}
    found = StoredWindow.from_metadata(old | {"extended": extended}, window.file)
    assert found.fetched == window.rows
    span = (at("13:57"), at("14:20"))
    assert found.extended == (() if extended is None else (Widened(span, span),))


def test_an_empty_lake_has_stored_nothing(tmp_path: Path) -> None:
    assert stored(Lake(tmp_path)).equals(STORED.empty())
    assert windows_index(Lake(tmp_path)).equals(WINDOW_FILES.empty())


def test_files_of_others_are_not_windows(lake: Lake) -> None:
    strange = lake.window("A", "2025-10-07", "A_20251007_170000_flush_down", "trades")
    strange.parent.mkdir(parents=True)
    TRADES.empty().write_parquet(strange)
    assert windows_index(lake).height == 4


@pytest.mark.parametrize(
    ("day", "unit"), [(date(2025, 11, 2), "round_lots"), (date(2025, 11, 3), "shares")]
)
def test_quote_sizes_change_their_unit_on_2025_11_03(day: date, unit: str) -> None:
    assert size_unit(day) == unit
