"""Fetching a batch: nothing twice, nothing lost, one failure held to its window."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

from smallcaps_pipeline.lake import Lake, read_metadata
from smallcaps_pipeline.windows import (
    Kind,
    fetch_trades,
    plan_windows,
    read_interval,
    reduce_nbbo,
    stored,
    windows_index,
)
from smallcaps_pipeline_tests.windows.downloads import (
    CORE,
    PLUS,
    TAPES,
    contents,
    fetch,
)
from smallcaps_pipeline_tests.windows.fake_source import FakeSource
from smallcaps_pipeline_tests.windows.make import (
    CONFIG,
    at,
    cut,
    event_id,
    manifest,
    manifest_row,
    ns,
)

# new windows ----------------------------------------------------------------------------------


def test_a_window_is_stored_under_its_first_event_with_its_plan(tmp_path: Path) -> None:
    source, lake = FakeSource(TAPES), Lake(tmp_path)
    near = manifest(manifest_row("A", at("14:05"), rank=1), manifest_row("A", at("14:00"), rank=2))
    trades_result, quotes_result = fetch(source, lake, near)
    first = event_id("A", at("14:00"))
    folder = tmp_path / "event_windows/symbol=A/date=2025-10-07" / f"event={first}"
    assert [p.name for p in sorted(folder.iterdir())] == ["quotes.parquet", "trades.parquet"]
    metadata = read_metadata(folder / "trades.parquet")
    assert metadata is not None
    expected = {
        "symbol": "A",
        "kind": "trades",
        "window_start": "2025-10-07T13:57:00+00:00",
        "window_end": "2025-10-07T14:12:00+00:00",
        "event_id": first,
        "events_merged": [first, event_id("A", at("14:05"))],
        "nbbo": None,
        "parts": [["2025-10-07T13:57:00+00:00", "2025-10-07T14:12:00+00:00", None]],
        "rows": trades_result.rows,
        "pages": trades_result.pages,
        "source": "provider",
        "extended": [],
    }
    assert {name: metadata[name] for name in expected} == expected
    quotes_metadata = read_metadata(folder / "quotes.parquet")
    assert quotes_metadata is not None
    assert quotes_metadata["nbbo"] == "change@5Hz"
    assert quotes_metadata["size_unit"] == "round_lots"  # before 2025-11-03
    assert trades_result.rows == cut(TAPES["A"][0], "13:57", "14:12").height
    assert (trades_result.done, quotes_result.done) == (1, 1)


def test_quotes_are_reduced_with_the_state_before_and_the_quotes_in_force(tmp_path: Path) -> None:
    source, lake = FakeSource(TAPES), Lake(tmp_path)
    fetch(source, lake, manifest(manifest_row("A", at("14:00"))))
    trades, quotes = TAPES["A"]
    before = cut(quotes, "13:00", "13:57").tail(1)
    expected = reduce_nbbo(
        pl.concat([before, cut(quotes, "13:57", "14:07")]),
        by_change=True,
        max_hz=5,
        trade_times=cut(trades, "13:57", "14:07")["timestamp"],
    )
    found = read_interval(lake, "A", Kind.QUOTES, (at("13:57"), at("14:07")))
    left_out = ["bid_exchange", "ask_exchange", "tape"]
    assert_frame_equal(found.drop(left_out), expected.drop(left_out))
    assert found["timestamp"].to_physical()[0] < ns(at("13:57"))
    assert found["bid_exchange"].null_count() == found.height


def test_premium_keeps_every_field(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    table = manifest(manifest_row("A", at("14:00"), by_change=False, max_hz=None))
    fetch(FakeSource(TAPES), lake, table, profile="premium")
    found = read_interval(lake, "A", Kind.QUOTES, (at("13:57"), at("14:07")))
    quotes = TAPES["A"][1]
    before = cut(quotes, "13:00", "13:57").tail(1)
    assert_frame_equal(found, pl.concat([before, cut(quotes, "13:57", "14:07")]))


def test_a_window_without_trades_is_an_empty_file_and_not_fetched_again(tmp_path: Path) -> None:
    source, lake = FakeSource(TAPES), Lake(tmp_path)
    table = manifest(manifest_row("QUIET", at("14:00")))
    assert [result.empty for result in fetch(source, lake, table)] == [1, 1]
    index = windows_index(lake)
    assert index["rows"].to_list() == [0, 0]
    assert pl.read_parquet(index["file"][0]).columns == list(TAPES["A"][0].columns)
    asked = source.asked
    assert all(not result.outcomes for result in fetch(source, lake, table))
    assert source.asked == asked


def test_rows_that_come_twice_or_out_of_order_are_kept_once_in_order(tmp_path: Path) -> None:
    trades, quotes = TAPES["A"]
    double = FakeSource({"A": (pl.concat([trades, trades])[::-1], quotes)})
    table = manifest(manifest_row("A", at("14:00")))
    fetch(double, Lake(tmp_path), table)
    found = read_interval(Lake(tmp_path), "A", Kind.TRADES, (at("13:57"), at("14:07")))
    assert_frame_equal(found, cut(trades, "13:57", "14:07"))


def test_two_runs_give_equal_bytes_whatever_the_number_in_flight(tmp_path: Path) -> None:
    one, four = Lake(tmp_path / "one"), Lake(tmp_path / "four")
    fetch(FakeSource(TAPES), one, CORE, workers=1)
    fetch(FakeSource(TAPES), four, CORE, workers=4)
    assert contents(one) == contents(four)


# stored already -------------------------------------------------------------------------------


def test_what_is_stored_is_skipped(tmp_path: Path) -> None:
    """The batch is older than what is stored: its rows are looked at again before each request."""
    source, lake = FakeSource(TAPES), Lake(tmp_path)
    plan = plan_windows(CORE, settings=CONFIG)
    for again in (False, True):
        result = fetch_trades(plan, source, lake, settings=CONFIG, profile="core", workers=2)
        assert result.skipped == (5 if again else 0)
    assert len(source.intervals("trades")) == 5


def test_a_wider_window_asks_for_its_new_part_only_and_keeps_the_folder(tmp_path: Path) -> None:
    source, lake = FakeSource(TAPES), Lake(tmp_path)
    fetch(source, lake, manifest(manifest_row("A", at("14:00"))))
    folders = {Path(file).parent for file in windows_index(lake)["file"]}
    source.log.clear()
    earlier = manifest_row("A", at("13:55"), before=5, after=15, by_change=False, max_hz=20)
    later = manifest_row("A", at("14:00"), before=5, after=15, by_change=False, max_hz=20)
    fetch(source, lake, manifest(earlier, later), profile="plus")
    assert source.intervals("trades") == [
        ("A", at("13:50"), at("13:57")),
        ("A", at("14:07"), at("14:15")),
    ]
    assert source.intervals("quotes") == [("A", at("13:50"), at("14:15"))]  # finer: once more
    index = windows_index(lake)
    assert index["nbbo"].to_list() == [None, "all@20Hz"]
    assert {Path(file).parent for file in index["file"]} == folders
    assert index["events_merged"][0].to_list() == [
        event_id("A", at("13:55")),
        event_id("A", at("14:00")),
    ]
    found = read_interval(lake, "A", Kind.TRADES, (at("13:50"), at("14:15")))
    assert_frame_equal(found, cut(TAPES["A"][0], "13:50", "14:15"))


def test_a_window_that_bridges_two_takes_the_earlier_folder(tmp_path: Path) -> None:
    source, lake = FakeSource(TAPES), Lake(tmp_path)
    fetch(source, lake, CORE.filter(pl.col("symbol") == "B"))
    assert windows_index(lake).height == 4
    fetch(source, lake, PLUS.filter(pl.col("symbol") == "B"), profile="plus")
    index = windows_index(lake)
    assert index["event_id"].unique().to_list() == [event_id("B", at("14:00"))]
    assert index["window_start"].to_list() == [at("13:55")] * 2
    assert index["window_end"].to_list() == [at("14:27")] * 2
    assert not list((tmp_path / "event_windows").rglob("*141200*"))
    found = read_interval(lake, "B", Kind.TRADES, (at("13:55"), at("14:27")))
    assert_frame_equal(found, cut(TAPES["B"][0], "13:55", "14:27"))


def test_a_touching_window_stays_a_file_of_its_own(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    fetch(FakeSource(TAPES), lake, manifest(manifest_row("A", at("14:00"))))
    fetch(FakeSource(TAPES), lake, manifest(manifest_row("A", at("14:10"))))
    assert windows_index(lake)["window_start"].to_list() == [at("13:57"), at("14:07")] * 2


def test_a_finer_window_inside_a_stored_one_leaves_the_rest_as_it_was(tmp_path: Path) -> None:
    """A file may hold parts at two reductions: nothing paid for is thrown away."""
    source, lake = FakeSource(TAPES), Lake(tmp_path)
    wide = manifest_row("A", at("14:00"), before=20, after=30)
    fetch(source, lake, manifest(wide))
    coarse = read_interval(lake, "A", Kind.QUOTES, (at("13:40"), at("14:30")))
    fine = manifest_row("A", at("14:00"), before=5, after=15, by_change=False, max_hz=None)
    fetch(source, lake, manifest(fine))
    rows = [
        (f"{row['window_start']:%H:%M}", f"{row['window_end']:%H:%M}", row["nbbo"])
        for row in stored(lake).filter(pl.col("kind") == "quotes").to_dicts()
    ]
    assert rows == [
        ("13:40", "13:55", "change@5Hz"),
        ("13:55", "14:15", "all"),
        ("14:15", "14:30", "change@5Hz"),
    ]
    found = read_interval(lake, "A", Kind.QUOTES, (at("13:40"), at("14:30")))
    left_out = ["bid_exchange", "ask_exchange", "tape"]
    assert_frame_equal(
        cut(found, "13:55", "14:15").drop(left_out),
        cut(TAPES["A"][1], "13:55", "14:15").drop(left_out),
    )
    assert_frame_equal(cut(found, "13:40", "13:55"), cut(coarse, "13:40", "13:55"))
    assert_frame_equal(cut(found, "14:15", "14:30"), cut(coarse, "14:15", "14:30"))


def test_quotes_fetched_in_parts_are_those_fetched_at_once(tmp_path: Path) -> None:
    """Windows lie on whole seconds, and so do buckets: a joint changes nothing."""
    parts, whole = Lake(tmp_path / "parts"), Lake(tmp_path / "whole")
    for before, after in [(3, 7), (20, 9), (25, 30)]:
        fetch(
            FakeSource(TAPES),
            parts,
            manifest(manifest_row("A", at("14:00"), before=before, after=after)),
        )
    fetch(FakeSource(TAPES), whole, manifest(manifest_row("A", at("14:00"), before=25, after=30)))
    span = (at("13:35"), at("14:30"))
    for kind in Kind:
        assert_frame_equal(
            read_interval(parts, "A", kind, span), read_interval(whole, "A", kind, span)
        )
