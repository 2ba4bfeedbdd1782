"""Fetching through failures and deaths: one failure is held to its window, nothing is lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from smallcaps_pipeline.lake import DiskFullError, Lake
from smallcaps_pipeline.windows import (
    FetchStatus,
    Kind,
    TradesMissingError,
    fetch_quotes,
    fetch_trades,
    plan_windows,
    read_interval,
    stored,
    windows_index,
)
from smallcaps_pipeline.windows.intervals import merge_intervals, overlap
from smallcaps_pipeline_tests.windows.downloads import (
    CORE,
    PLUS,
    TAPES,
    contents,
    fetch,
    fetch_batch,
)
from smallcaps_pipeline_tests.windows.fake_source import FakeSource, KilledError
from smallcaps_pipeline_tests.windows.make import (
    CONFIG,
    at,
)

# failures -------------------------------------------------------------------------------------


def test_a_window_that_fails_leaves_nothing_and_takes_no_other(tmp_path: Path) -> None:
    lake, source = Lake(tmp_path), FakeSource(TAPES, broken={"B"})
    result = fetch(source, lake, CORE)[0]
    assert (result.done, result.empty, len(result.failed)) == (2, 1, 2)
    assert {outcome.symbol for outcome in result.failed} == {"B"}
    assert result.failed[0].reason == "ConnectionError: the line is down"
    assert windows_index(lake)["symbol"].unique().sort().to_list() == ["A", "QUIET"]
    source.broken.clear()
    again = fetch(source, lake, CORE)
    assert [result.done for result in again] == [2, 2]


def test_quotes_that_are_thinned_need_the_trades(tmp_path: Path) -> None:
    plan = plan_windows(CORE.head(1), settings=CONFIG)
    source = FakeSource(TAPES)
    result = fetch_quotes(plan, source, Lake(tmp_path), settings=CONFIG, profile="core", workers=1)
    assert "fetch trades first" in (result.failed[0].reason or "")
    assert source.asked == 0
    unlimited = plan_windows(PLUS.head(1).with_columns(nbbo_max_hz=None), settings=CONFIG)
    result = fetch_quotes(unlimited, source, Lake(tmp_path), settings=CONFIG, profile="plus")
    assert result.done == 1


def test_an_error_that_would_meet_every_window_ends_the_batch(tmp_path: Path) -> None:
    plan = plan_windows(CORE, settings=CONFIG)
    source = FakeSource(TAPES, broken={"A", "B", "QUIET"})
    with pytest.raises(ConnectionError):
        fetch_trades(
            plan,
            source,
            Lake(tmp_path),
            settings=CONFIG,
            profile="core",
            workers=1,
            fatal=(ConnectionError,),
        )
    assert source.asked == 1


def test_a_window_that_cannot_be_had_is_set_aside_with_its_reason(tmp_path: Path) -> None:
    lake, source = Lake(tmp_path), FakeSource(TAPES, broken={"B"})
    plan = plan_windows(CORE, settings=CONFIG)
    more: dict[str, Any] = {"settings": CONFIG, "profile": "core"}
    result = fetch_trades(plan, source, lake, set_aside=(ConnectionError,), **more)
    assert (result.done, result.empty, len(result.failed), len(result.set_aside)) == (2, 1, 0, 2)
    assert {outcome.reason for outcome in result.set_aside} == {"ConnectionError: the line is down"}
    quotes = fetch_quotes(plan, source, lake, set_aside=(TradesMissingError,), **more)
    assert {outcome.symbol for outcome in quotes.set_aside} == {"B"}
    assert (quotes.done, len(quotes.failed)) == (2, 0)


@pytest.mark.parametrize("writes_before", range(4))
def test_a_disk_that_fills_up_ends_the_batch_and_leaves_old_files_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes_before: int
) -> None:
    """The disk fills up as a wider window is written over the one that is there."""
    lake, calm = Lake(tmp_path / "full"), Lake(tmp_path / "calm")
    for place in (lake, calm):
        fetch(FakeSource(TAPES), place, CORE)
    fetch(FakeSource(TAPES), calm, PLUS, profile="plus")
    before, written = contents(lake), list[int]()

    def fill(file: int) -> None:
        written.append(file)
        if len(written) > writes_before:
            raise OSError(errno.ENOSPC, "No space left on device")

    batch = plan_windows(PLUS, stored=stored(lake), settings=CONFIG)
    more: dict[str, Any] = {"settings": CONFIG, "profile": "plus", "workers": 1}
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fill)
        with pytest.raises(DiskFullError, match=r"trades\.parquet: cannot .* disk is full"):
            fetch_trades(batch, FakeSource(TAPES), lake, fatal=(DiskFullError,), **more)
    assert len(written) == writes_before + 1  # nothing is asked for in vain
    now = contents(lake)
    assert sum(now.get(name) != data for name, data in before.items()) <= writes_before
    for name in now:
        pl.read_parquet(lake.root / name)
    fetch(FakeSource(TAPES), lake, PLUS, profile="plus")
    assert contents(lake) == contents(calm)


def test_rows_outside_the_window_fail_it(tmp_path: Path) -> None:
    class Careless(FakeSource):
        def trades(self, *, symbol: str, start: Any, end: Any) -> Any:
            return super().trades(symbol=symbol, start=at("13:00"), end=end)

    plan = plan_windows(CORE.head(1), settings=CONFIG)
    result = fetch_trades(
        plan, Careless(TAPES), Lake(tmp_path), settings=CONFIG, profile="core", workers=1
    )
    assert (result.failed[0].reason or "").startswith("OutsideWindowError: A: ")


def test_each_row_is_reported_as_it_ends(tmp_path: Path) -> None:
    seen: list[tuple[str, FetchStatus]] = []
    fetch_trades(
        plan_windows(CORE, settings=CONFIG),
        FakeSource(TAPES),
        Lake(tmp_path),
        settings=CONFIG,
        profile="core",
        workers=1,
        on_window=lambda outcome: seen.append((outcome.symbol, outcome.status)),
    )
    assert len(seen) == 5
    assert ("QUIET", FetchStatus.EMPTY) in seen


def test_a_damaged_file_is_fetched_again(tmp_path: Path) -> None:
    source, lake = FakeSource(TAPES), Lake(tmp_path)
    fetch(source, lake, CORE)
    whole = contents(lake)
    file = Path(windows_index(lake)["file"][0])
    file.write_bytes(file.read_bytes()[:100])
    fetch(source, lake, CORE)
    assert contents(lake) == whole


# kills ----------------------------------------------------------------------------------------


def run_until_done(source: FakeSource, lake: Lake, steps: list[tuple[pl.DataFrame, str]]) -> int:
    """Run the steps again and again as a killed process would be; return how often it died."""
    deaths = 0
    while True:
        try:
            for table, profile in steps:
                fetch(source, lake, table, profile=profile)
        except KilledError:
            deaths += 1
            assert source.dies_at is not None
            source.dies_at += 7
        else:
            return deaths


@pytest.mark.parametrize("first_death", [0, 3, 8, 13])
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, first_death: int) -> None:
    steps = [(CORE, "core"), (PLUS, "plus")]
    calm, killed = Lake(tmp_path / "calm"), Lake(tmp_path / "killed")
    steady = FakeSource(TAPES)
    run_until_done(steady, calm, steps)
    source = FakeSource(TAPES, dies_at=first_death)
    assert run_until_done(source, killed, steps) > 1
    assert contents(killed) == contents(calm)
    for kind in ("trades", "quotes"):
        assert source.intervals(kind) == steady.intervals(kind)  # each once
    asked = [(s, (start, end)) for s, start, end in source.intervals("trades")]
    assert not any(
        a[0] == b[0] and overlap(a[1], b[1]) for i, a in enumerate(asked) for b in asked[:i]
    )


@pytest.mark.parametrize(("removals_before_death", "kind"), [(0, Kind.TRADES), (1, Kind.QUOTES)])
def test_death_between_the_wide_write_and_the_removal_of_narrow_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removals_before_death: int, kind: Kind
) -> None:
    """Readers see each row once meanwhile; the batch, started again, removes the narrow files."""
    lake, calm, source = Lake(tmp_path / "killed"), Lake(tmp_path / "calm"), FakeSource(TAPES)
    core, plus = (t.filter(pl.col("symbol") == "B") for t in (CORE, PLUS))
    for place in (lake, calm):
        fetch(source, place, core)
    fetch(source, calm, plus, profile="plus")
    batch = plan_windows(plus, stored=stored(lake), settings=CONFIG)
    remove, removed = Lake.remove, list[Path]()

    def die(self: Lake, file: Path) -> None:
        if len(removed) == removals_before_death:
            raise KilledError
        removed.append(file)
        remove(self, file)

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "remove", die)
        with pytest.raises(KilledError):
            fetch_batch(batch, source, lake, profile="plus")
    there = stored(lake)
    assert merge_intervals(there, by=["symbol", "kind"], touching=False).height < there.height
    bridged = (at("13:55"), at("14:19"))  # what was written when it died
    assert_frame_equal(
        read_interval(lake, "B", kind, bridged), read_interval(calm, "B", kind, bridged)
    )
    fetch_batch(batch, source, lake, profile="plus")
    assert contents(lake) == contents(calm)
