"""Fetching a batch: nothing twice, nothing lost, one failure held to its window."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from smallcaps_pipeline.lake import DiskFullError, Lake, read_metadata
from smallcaps_pipeline.windows import (
    FetchResult,
    FetchStatus,
    Kind,
    TradesMissingError,
    fetch_quotes,
    fetch_trades,
    plan_windows,
    read_interval,
    reduce_nbbo,
    stored,
    windows_index,
)
from smallcaps_pipeline.windows.intervals import merge_intervals, overlap
from smallcaps_pipeline_tests.windows.fake_source import FakeSource, KilledError, tape
from smallcaps_pipeline_tests.windows.make import (
    CONFIG,
    at,
    cut,
    event_id,
    manifest,
    manifest_row,
    ns,
)

TAPES = {"A": tape(1), "B": tape(2)}
TIMES = [("A", "13:40"), ("A", "14:10"), ("B", "14:00"), ("B", "14:12"), ("QUIET", "14:00")]
# plus windows of the two A events stay apart, those of the two B events become one
CORE = manifest(*(manifest_row(s, at(t), rank=i) for i, (s, t) in enumerate(TIMES)))
PLUS = manifest(
    *(
        manifest_row(s, at(t), rank=i, before=5, after=15, by_change=False, max_hz=20)
        for i, (s, t) in enumerate(TIMES)
    )
)


def fetch(
    source: FakeSource, lake: Lake, table: pl.DataFrame, *, profile: str = "core", workers: int = 1
) -> list[FetchResult]:
    """Plan against the lake and fetch what is missing, trades first."""
    plan = plan_windows(table, stored=stored(lake), settings=CONFIG)
    return fetch_batch(plan, source, lake, profile=profile, workers=workers)


def fetch_batch(
    plan: pl.DataFrame, source: FakeSource, lake: Lake, *, profile: str, workers: int = 1
) -> list[FetchResult]:
    more: dict[str, Any] = {"settings": CONFIG, "profile": profile, "workers": workers}
    return [step(plan, source, lake, **more) for step in (fetch_trades, fetch_quotes)]


def contents(lake: Lake) -> dict[str, bytes]:
    """Return every file of the lake with its bytes."""
    files = (file for file in sorted(lake.root.rglob("*")) if file.is_file())
    return {file.relative_to(lake.root).as_posix(): file.read_bytes() for file in files}


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
