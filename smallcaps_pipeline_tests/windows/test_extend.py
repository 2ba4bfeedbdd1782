"""Extension while fetching: a hot window is widened once, by its new part only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.windows import (
    fetch_quotes,
    fetch_trades,
    plan_extensions,
    plan_windows,
    stored_windows,
    windows_index,
)
from smallcaps_pipeline.windows.plan import Kind
from smallcaps_pipeline_tests.windows.fake_source import FakeSource, KilledError
from smallcaps_pipeline_tests.windows.make import (
    CONFIG,
    at,
    event_id,
    manifest,
    manifest_row,
    ns,
    quotes,
    trades,
)

ONE = manifest(manifest_row("A", at("14:00")))  # [13:57, 14:07)
HOT_END = [ns(at("14:06")) + i * 1_000_000 for i in range(60)]  # 60 trades in the last minute
CALM = [ns(at("14:00")) + i for i in range(3)]
QUOTE_TIMES = [ns(at("13:30")), ns(at("13:57:30")), ns(at("14:01"))]
LEVEL = quotes(QUOTE_TIMES, [10.0] * 3, [10.02] * 3)
# up 5 % within the first minute
JUMP = quotes(QUOTE_TIMES, [10.0, 10.5, 10.5], [10.02, 10.52, 10.52])
MORE: dict[str, Any] = {"settings": CONFIG, "profile": "core", "workers": 1}


def run(batch: pl.DataFrame, source: FakeSource, lake: Lake) -> None:
    """Do what the module says of a batch whose profile extends."""
    fetch_trades(batch, source, lake, **MORE)
    fetch_trades(plan_extensions(batch, lake, settings=CONFIG), source, lake, **MORE)
    fetch_quotes(batch, source, lake, **MORE)
    more = plan_extensions(batch, lake, settings=CONFIG)
    fetch_trades(more, source, lake, **MORE)
    fetch_quotes(more, source, lake, **MORE)


def claims(lake: Lake) -> list[tuple[str, str, bool]]:
    return [
        (f"{row['window_start']:%H:%M}", f"{row['window_end']:%H:%M}", row["extended"])
        for row in windows_index(lake).to_dicts()
    ]


def test_a_hot_last_minute_fetches_both_kinds_for_the_new_part_only(tmp_path: Path) -> None:
    lake, source = Lake(tmp_path), FakeSource({"A": (trades(CALM + HOT_END), LEVEL)})
    run(plan_windows(ONE, settings=CONFIG), source, lake)
    asked = [("A", at("13:57"), at("14:07")), ("A", at("14:07"), at("14:20"))]
    assert source.intervals("trades") == asked
    assert source.intervals("quotes") == asked
    assert claims(lake) == [("13:57", "14:20", True)] * 2


def test_a_calm_window_stays_as_it_is(tmp_path: Path) -> None:
    lake, source = Lake(tmp_path), FakeSource({"A": (trades(CALM), LEVEL)})
    run(plan_windows(ONE, settings=CONFIG), source, lake)
    assert claims(lake) == [("13:57", "14:07", False)] * 2
    assert source.asked == 3  # trades; the quote before; quotes


def test_quotes_decide_when_trades_did_not(tmp_path: Path) -> None:
    lake, source = Lake(tmp_path), FakeSource({"A": (trades(CALM), JUMP)})
    batch = plan_windows(ONE, settings=CONFIG)
    run(batch, source, lake)
    assert claims(lake) == [("13:50", "14:07", True)] * 2
    assert source.intervals("trades")[0] == ("A", at("13:50"), at("13:57"))


def test_a_window_is_extended_at_most_once(tmp_path: Path) -> None:
    """Trades extend its end; the quotes, hot at the start, are not asked any more."""
    lake, source = Lake(tmp_path), FakeSource({"A": (trades(CALM + HOT_END), JUMP)})
    batch = plan_windows(ONE, settings=CONFIG)
    run(batch, source, lake)
    asked = source.asked
    run(batch, source, lake)
    assert claims(lake) == [("13:57", "14:20", True)] * 2
    assert source.asked == asked
    assert plan_extensions(batch, lake, settings=CONFIG).is_empty()


def test_what_a_neighbour_plans_is_left_to_it(tmp_path: Path) -> None:
    lake, source = Lake(tmp_path), FakeSource({"A": (trades(CALM + HOT_END), LEVEL)})
    both = manifest(manifest_row("A", at("14:00")), manifest_row("A", at("14:15"), rank=2))
    planned = plan_windows(both, settings=CONFIG)  # the neighbour plans [14:12, 14:22)
    batch = planned.filter(pl.col("priority") == 1)
    fetch_trades(batch, source, lake, **MORE)
    found = plan_extensions(batch, lake, planned=planned, settings=CONFIG)
    assert found.select("kind", "window_start", "window_end").rows() == [
        ("trades", at("14:07"), at("14:12")),
        ("quotes", at("14:07"), at("14:12")),
    ]
    assert found.select("widens_start", "widens_end").rows() == [(at("13:57"), at("14:07"))] * 2


def test_what_a_neighbour_holds_is_joined_not_asked_for(tmp_path: Path) -> None:
    lake, source = Lake(tmp_path), FakeSource({"A": (trades(CALM + HOT_END), LEVEL)})
    run(plan_windows(manifest(manifest_row("A", at("14:15"))), settings=CONFIG), source, lake)
    run(plan_windows(ONE, settings=CONFIG), source, lake)
    assert ("A", at("14:07"), at("14:12")) in source.intervals("trades")
    assert claims(lake) == [("13:57", "14:22", True)] * 2
    (window,) = stored_windows(lake, Kind.TRADES, "A")
    assert window.events_merged == (event_id("A", at("14:00")), event_id("A", at("14:15")))


def test_two_windows_that_reach_into_one_gap_share_it(tmp_path: Path) -> None:
    """Both edges at the gap [14:07, 14:17) are hot: the better window takes what it reaches."""
    hot_start = [ns(at("14:17")) + i for i in range(60)]
    source = FakeSource({"A": (trades([*CALM, *HOT_END, *hot_start]), LEVEL)})
    lake = Lake(tmp_path)
    table = manifest(manifest_row("A", at("14:00")), manifest_row("A", at("14:20"), rank=2))
    batch = plan_windows(table, settings=CONFIG)
    fetch_trades(batch, source, lake, **MORE)
    found = plan_extensions(batch, lake, settings=CONFIG).filter(pl.col("kind") == "trades")
    assert found.select("window_start", "window_end").rows() == [(at("14:07"), at("14:17"))]


def test_a_neighbour_in_the_same_file_is_still_extended_after_a_death(tmp_path: Path) -> None:
    """Both windows end hot; the first, widened to 14:20, runs into the second, [14:12, 14:22).

    Death comes when the first one's new part is stored and the second one's is not. What is stored
    then is one file that says that it was widened: that was the first window, not the second.
    """
    hot_again = [ns(at("14:21")) + i for i in range(60)]
    tapes = {"A": (trades([*CALM, *HOT_END, *hot_again]), LEVEL)}
    table = manifest(manifest_row("A", at("14:00")), manifest_row("A", at("14:15"), rank=2))
    batch = plan_windows(table, settings=CONFIG)
    calm, lake = Lake(tmp_path / "calm"), Lake(tmp_path / "killed")
    run(batch, FakeSource(tapes), calm)
    source = FakeSource(tapes, dies_at=3)
    with pytest.raises(KilledError):
        run(batch, source, lake)
    assert claims(lake) == [("13:57", "14:22", True)]
    source.dies_at = None
    run(batch, source, lake)
    assert claims(lake) == claims(calm) == [("13:57", "14:35", True)] * 2
    for kind in Kind:
        (ours,), (theirs,) = (stored_windows(place, kind, "A") for place in (lake, calm))
        assert ours.file.read_bytes() == theirs.file.read_bytes()


def test_nothing_is_decided_before_the_trades_are_in(tmp_path: Path) -> None:
    batch = plan_windows(ONE, settings=CONFIG)
    assert plan_extensions(batch, Lake(tmp_path), settings=CONFIG).is_empty()


@pytest.mark.parametrize("death", range(1, 8))
def test_a_killed_extension_goes_on_with_the_same_decision(tmp_path: Path, death: int) -> None:
    """Both edges are hot, so each kind has two new parts; death comes before each request."""
    hot = [ns(at("13:57")) + i for i in range(60)] + HOT_END
    calm, lake = Lake(tmp_path / "calm"), Lake(tmp_path / "killed")
    batch = plan_windows(ONE, settings=CONFIG)
    run(batch, FakeSource({"A": (trades(hot), LEVEL)}), calm)
    source = FakeSource({"A": (trades(hot), LEVEL)}, dies_at=death)
    with pytest.raises(KilledError):
        run(batch, source, lake)
    source.dies_at = None
    run(batch, source, lake)
    assert claims(lake) == claims(calm) == [("13:50", "14:20", True)] * 2
    assert len(source.intervals("trades")) == len(set(source.intervals("trades"))) == 3
    assert len(source.intervals("quotes")) == len(set(source.intervals("quotes"))) == 3
    for ours, theirs in zip(windows_index(lake)["file"], windows_index(calm)["file"], strict=True):
        assert_frame_equal(pl.read_parquet(ours), pl.read_parquet(theirs))
        assert Path(ours).read_bytes() == Path(theirs).read_bytes()
