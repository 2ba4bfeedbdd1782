"""Long windows in slices: the same rows, nothing twice, and the same bytes after a death."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.windows import (
    Kind,
    cuts,
    fetch,
    plan_windows,
    read_interval,
    stored,
    windows_index,
)
from smallcaps_pipeline.windows.cuts import cuts_of_quotes, cuts_of_trades, slices
from smallcaps_pipeline_tests.windows.downloads import TAPES, contents, fetch_batch
from smallcaps_pipeline_tests.windows.fake_source import FakeSource, KilledError
from smallcaps_pipeline_tests.windows.make import CONFIG, at, cut, manifest, manifest_row, ns

# 13:20-14:50 of a symbol with some 600 trades and 4,500 quotes in it, all fields, no reduction
LONG = plan_windows(
    manifest(manifest_row("A", at("14:00"), before=40, after=50, by_change=False, max_hz=None)),
    settings=CONFIG,
)
SPAN = (at("13:20"), at("14:50"))


@pytest.fixture
def sliced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut trades every half hour, quotes at every 200th trade."""
    monkeypatch.setattr(cuts, "TRADES_SLICE", timedelta(minutes=30))
    monkeypatch.setattr(fetch, "QUOTES_SLICE_ROWS", 1_500)  # 7.5 quotes a trade are expected


def test_where_a_window_is_cut() -> None:
    start, end = at("10:00"), at("15:00")
    assert cuts_of_trades((start, end)) == [at("12:00"), at("14:00")]
    assert cuts_of_trades((start, at("12:00"))) == []
    times = pl.from_epoch(pl.Series([ns(at("11:00:07")) + n for n in range(6)]), "ns")
    aware = times.dt.replace_time_zone("UTC")
    assert cuts_of_quotes(aware, 6) == []
    assert cuts_of_quotes(aware, 2) == [at("11:00:07")]  # both fall into one second
    assert slices((start, end), [at("10:00"), at("11:00"), at("15:00"), at("16:00")]) == [
        (start, at("11:00")),
        (at("11:00"), end),
    ]


def download(source: FakeSource, lake: Lake) -> None:
    """Fetch what of the window is missing."""
    fetch_batch(LONG, source, lake, profile="premium")


def test_slices_give_the_rows_of_the_whole(tmp_path: Path, sliced: None) -> None:
    source, lake = FakeSource(TAPES), Lake(tmp_path)
    download(source, lake)
    assert len(source.intervals("trades")) == 3
    assert len(source.intervals("quotes")) > 2
    assert len([one for one in source.log if one[2] is None]) == 1  # one state, at the start
    assert windows_index(lake).height == 2
    assert plan_windows_left(lake).is_empty()
    trades, quotes = TAPES["A"]
    assert_frame_equal(read_interval(lake, "A", Kind.TRADES, SPAN), cut(trades, "13:20", "14:50"))
    state = cut(quotes, "13:00", "13:20").tail(1)
    whole = pl.concat([state, cut(quotes, "13:20", "14:50")])
    assert_frame_equal(read_interval(lake, "A", Kind.QUOTES, SPAN), whole)


def plan_windows_left(lake: Lake) -> pl.DataFrame:
    row = manifest_row("A", at("14:00"), before=40, after=50, by_change=False, max_hz=None)
    return plan_windows(manifest(row), stored=stored(lake), settings=CONFIG)


@pytest.mark.parametrize("death", range(8))
def test_a_death_between_slices_loses_none_that_is_stored(
    tmp_path: Path, sliced: None, death: int
) -> None:
    calm, lake = Lake(tmp_path / "calm"), Lake(tmp_path / "killed")
    steady = FakeSource(TAPES)
    download(steady, calm)
    assert steady.asked >= 8
    source = FakeSource(TAPES, dies_at=death)
    with pytest.raises(KilledError):
        download(source, lake)
    source.dies_at = None
    download(source, lake)
    assert contents(lake) == contents(calm)
    for kind in ("trades", "quotes"):
        assert source.intervals(kind) == steady.intervals(kind)


def test_reduced_quotes_are_not_cut(tmp_path: Path, sliced: None) -> None:
    """Thinning looks at the quote in force at a trade, which may lie in the slice before."""
    source, lake = FakeSource(TAPES), Lake(tmp_path)
    plan = plan_windows(
        manifest(manifest_row("A", at("14:00"), before=40, after=50)), settings=CONFIG
    )
    fetch_batch(plan, source, lake, profile="core")
    assert len(source.intervals("quotes")) == 1
