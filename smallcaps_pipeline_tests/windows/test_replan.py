"""Planning anew: what was started stays, what waits stays if it is wanted, numbers never return."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from smallcaps_pipeline.lake import Lake, read_metadata
from smallcaps_pipeline.schemas import MANIFEST, PLAN
from smallcaps_pipeline.windows import (
    Kind,
    Replanned,
    batch_names,
    fetch_quotes,
    fetch_trades,
    held_events,
    missing_rows,
    profile_of,
    read_batch,
    replan,
    stored_windows,
)
from smallcaps_pipeline_tests.windows.fake_source import FakeSource, tape
from smallcaps_pipeline_tests.windows.make import CONFIG, at, manifest, manifest_row

SETTINGS = CONFIG.model_copy(
    update={"windows": CONFIG.windows.model_copy(update={"batch_windows": 2})}
)
Rows = list[dict[str, Any]]


def events(*symbols: str, first_rank: int = 1, **values: Any) -> Rows:
    """Return one event at 14:00 UTC per symbol, ranked in that order."""
    ranked = enumerate(symbols, first_rank)
    return [manifest_row(symbol, at("14:00"), rank=rank, **values) for rank, symbol in ranked]


def plan(lake: Lake, rows: Rows, profile: str = "core", under_way: Sequence[str] = ()) -> Replanned:
    frame = manifest(*rows) if rows else MANIFEST.empty()
    return replan(lake, frame, profile, under_way, SETTINGS)


def fetch(lake: Lake, rows: pl.DataFrame, profile: str = "core") -> FakeSource:
    """Fetch some plan rows and return the source with its log."""
    symbols = rows["symbol"].unique().to_list()
    source = FakeSource({symbol: tape(number) for number, symbol in enumerate(sorted(symbols))})
    for get in (fetch_trades, fetch_quotes):
        result = get(rows, source, lake, settings=SETTINGS, profile=profile)
        assert not result.failed
    return source


def symbols_of(lake: Lake, batch: str) -> set[str]:
    return set(read_batch(lake, batch)["symbol"])


def content(lake: Lake) -> dict[str, bytes]:
    """Return the plans and batches that are there, byte by byte."""
    files = [*lake.files("window_batches"), *lake.files(PLAN.name)]
    return {str(file.relative_to(lake.root)): file.read_bytes() for file in files}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_new_plan_cuts_batches_best_first(lake: Lake) -> None:
    done = plan(lake, events("A", "B", "C", "D", "E"))
    assert done.new == ["core-00001", "core-00002", "core-00003"]
    assert (done.kept, done.withdrawn) == ([], [])
    assert [symbols_of(lake, name) for name in done.new] == [{"A", "B"}, {"C", "D"}, {"E"}]
    assert batch_names(lake, "core") == done.new
    stored = lake.read(lake.profile(PLAN.name, "core"), PLAN)
    assert stored.equals(done.plan)
    batches = pl.concat([read_batch(lake, name) for name in done.new])
    assert batches.equals(done.plan)  # every interval in one batch, and nothing else


def test_planning_again_changes_nothing(lake: Lake) -> None:
    plan(lake, events("A", "B", "C"))
    before = content(lake)
    again = plan(lake, events("A", "B", "C"))
    assert (again.new, again.kept, again.withdrawn) == ([], ["core-00001", "core-00002"], [])
    assert content(lake) == before


def test_waiting_batches_that_nobody_wants_go_and_their_numbers_never_return(lake: Lake) -> None:
    plan(lake, events("A", "B", "C", "D"))
    done = plan(lake, events("A", "B", "C"))  # D is not wanted: its batch, with C, goes
    assert (done.kept, done.withdrawn, done.new) == (["core-00001"], ["core-00002"], ["core-00003"])
    assert symbols_of(lake, "core-00003") == {"C"}
    plan(lake, [])
    assert batch_names(lake) == []
    assert plan(lake, events("A")).new == ["core-00004"]


def test_number_of_a_batch_withdrawn_last_is_remembered_over_an_empty_plan(lake: Lake) -> None:
    plan(lake, events("A"))
    for _ in range(3):
        plan(lake, [])
    assert plan(lake, events("B")).new == ["core-00002"]


def test_moved_ranks_leave_waiting_batches_as_they_are(lake: Lake) -> None:
    plan(lake, events("A", "B", "C"))
    files = {file: file.read_bytes() for file in lake.files("window_batches")}
    done = plan(lake, events("C", "B", "A"))
    assert (done.new, done.withdrawn) == ([], [])
    assert {file: file.read_bytes() for file in lake.files("window_batches")} == files


def test_started_batch_stays_whatever_the_manifest_says(lake: Lake) -> None:
    plan(lake, events("A", "B", "C", "D"))
    fetch(lake, read_batch(lake, "core-00001").filter(pl.col("symbol") == "A"))
    done = plan(lake, events("X", "Y"))
    assert done.withdrawn == ["core-00002"]
    assert batch_names(lake) == ["core-00001", "core-00003"]
    assert symbols_of(lake, "core-00001") == {"A", "B"}
    assert set(missing_rows(lake, "core-00001")["symbol"]) == {"B"}


def test_started_batch_is_not_planned_a_second_time(lake: Lake) -> None:
    plan(lake, events("A", "B"))
    fetch(lake, read_batch(lake, "core-00001").filter(pl.col("symbol") == "A"))
    done = plan(lake, events("A", "B", "C"))
    assert set(done.plan["symbol"]) == {"B", "C"}  # what is still to pay for, and no more
    assert done.new == ["core-00002"]
    assert symbols_of(lake, "core-00002") == {"C"}  # the rest of B is the started batch's


def test_batch_under_way_stays_before_anything_of_it_is_stored(lake: Lake) -> None:
    plan(lake, events("A", "B", "C"))
    done = plan(lake, events("X"), under_way=["core-00002"])
    assert done.withdrawn == ["core-00001"]
    assert batch_names(lake) == ["core-00002", "core-00003"]
    later = plan(lake, events("C", "X"), under_way=["core-00002"])
    assert (later.new, set(later.plan["symbol"])) == ([], {"C", "X"})


def test_held_are_the_events_of_windows_stored_and_of_batches_started(lake: Lake) -> None:
    plan(lake, events("A", "B", "C", "D", "E"))
    assert held_events(lake) == []
    fetch(lake, read_batch(lake, "core-00001").filter(pl.col("symbol") == "A"))
    ids = {row["symbol"]: row["event_id"] for row in events("A", "B", "C", "D", "E")}
    assert held_events(lake) == [ids["A"], ids["B"]]
    assert held_events(lake, ["core-00003"]) == [ids["A"], ids["B"], ids["E"]]


def test_stored_windows_are_subtracted(lake: Lake) -> None:
    plan(lake, events("A"))
    fetch(lake, read_batch(lake, "core-00001"))
    done = plan(lake, events("A"))
    assert (done.plan.height, done.new, done.withdrawn) == (0, [], [])
    assert batch_names(lake) == ["core-00001"]  # its history stays
    wider = plan(lake, events("A", after=12))
    assert wider.new == ["core-00002"]
    spans = wider.plan.select("kind", "window_start", "window_end").rows()
    assert spans == [(kind, at("14:07"), at("14:12")) for kind in ("trades", "quotes")]


def test_plus_after_core_fetches_quotes_once_more_and_waits(lake: Lake) -> None:
    """Core keeps 5 quotes a second by change; plus wants 20 of all. Trades are never refetched."""
    plan(lake, events("A"))
    fetch(lake, read_batch(lake, "core-00001"))
    plus = events("A", before=5, after=15, by_change=False, max_hz=20)
    done = plan(lake, plus, "plus")
    assert done.new == ["plus-00001"]
    kinds = {
        kind: [(row["window_start"], row["window_end"]) for row in rows.to_dicts()]
        for (kind,), rows in done.plan.partition_by("kind", as_dict=True).items()
    }
    assert kinds["trades"] == [(at("13:55"), at("13:57")), (at("14:07"), at("14:15"))]
    assert kinds["quotes"] == [(at("13:55"), at("14:15"))]
    assert done.plan["refetched_seconds"].sum() == timedelta(minutes=10).total_seconds()
    again = plan(lake, plus, "plus")  # what core stored does not make the batch a started one
    assert (again.new, again.kept, again.withdrawn) == ([], ["plus-00001"], [])
    gone = plan(lake, [], "plus")
    assert gone.withdrawn == ["plus-00001"]
    assert batch_names(lake) == ["core-00001"]


def test_plus_replaces_the_quotes_and_asks_for_no_trade_twice(lake: Lake) -> None:
    plan(lake, events("A"))
    first = fetch(lake, read_batch(lake, "core-00001"))
    plus = events("A", before=5, after=15, by_change=False, max_hz=20)
    plan(lake, plus, "plus")
    second = fetch(lake, read_batch(lake, "plus-00001"), "plus")
    asked = [*first.intervals("trades"), *second.intervals("trades")]
    spans = sorted((start, end) for _, start, end in asked)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    (quotes,) = stored_windows(lake, Kind.QUOTES)
    assert (quotes.start, quotes.end) == (at("13:55"), at("14:15"))
    assert {part.nbbo for part in quotes.parts} == {"all@20Hz"}
    assert plan(lake, plus, "plus").plan.is_empty()


def test_profiles_have_batches_of_their_own(lake: Lake) -> None:
    plan(lake, events("A", "B", "C"))
    done = plan(lake, events("X"), "plus")
    assert done.withdrawn == []
    assert batch_names(lake) == ["core-00001", "core-00002", "plus-00001"]
    assert batch_names(lake, "plus") == ["plus-00001"]
    assert [profile_of(name) for name in batch_names(lake)] == ["core", "core", "plus"]


class Killed(BaseException):
    """Stands for the end of the process."""


class DyingLake(Lake):
    """A lake whose process ends before the n-th write."""

    writes_left: int

    def replacing(self, file: Path) -> Any:
        object.__setattr__(self, "writes_left", self.writes_left - 1)
        if self.writes_left < 0:
            raise Killed
        return super().replacing(file)


@pytest.mark.parametrize("writes", [0, 1, 2, 3])
def test_plan_that_was_killed_is_made_again_with_the_same_result(
    tmp_path: Path, writes: int
) -> None:
    """Killed before, between and after the batch files (3 of them), the plan's file not written."""
    first, then = events("A", "B", "C"), events("A", "B", "D", "E", "F", "G", "H")
    whole, torn = Lake(tmp_path / "whole"), DyingLake(tmp_path / "torn")
    for lake in (whole, Lake(torn.root)):
        plan(lake, first)
    plan(whole, then)
    object.__setattr__(torn, "writes_left", writes)
    with pytest.raises(Killed):
        plan(torn, then)
    assert content(torn) != content(whole)
    plan(Lake(torn.root), then)
    assert content(torn) == content(whole)
    assert batch_names(whole) == ["core-00001", "core-00003", "core-00004", "core-00005"]


def test_batch_that_is_not_there_is_named(lake: Lake) -> None:
    with pytest.raises(LookupError, match="core-00007 does not exist"):
        read_batch(lake, "core-00007")


def test_plan_file_remembers_the_highest_number(lake: Lake) -> None:
    plan(lake, events("A", "B", "C"))
    plan(lake, [])
    file = lake.profile(PLAN.name, "core")
    assert (read_metadata(file) or {})["last_batch"] == "core-00002"
