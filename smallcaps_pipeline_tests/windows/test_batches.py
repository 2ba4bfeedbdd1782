"""Batches: cut once, never changed, withdrawn only while they wait."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
from polars.testing import assert_frame_equal

from smallcaps_pipeline.schemas import PLAN, STORED
from smallcaps_pipeline.windows import (
    as_stored,
    cut_batches,
    plan_windows,
    withdrawn_batches,
    without_batches,
)
from smallcaps_pipeline_tests.windows.make import CONFIG, at, manifest, manifest_row, stored_rows

SMALL = CONFIG.model_copy(
    update={"windows": CONFIG.windows.model_copy(update={"batch_windows": 2})}
)
ROWS = [manifest_row(symbol, at("14:00"), rank=i + 1) for i, symbol in enumerate("ZYXWV")]
PLAN_ROWS = plan_windows(manifest(*ROWS), settings=CONFIG)


def cut(plan: pl.DataFrame, *existing: str) -> pl.DataFrame:
    return cut_batches(plan, profile="core", existing=existing, settings=SMALL)


def by_batch(batches: pl.DataFrame) -> dict[str, list[str]]:
    """Return the symbols of each batch."""
    grouped = batches.group_by("batch", maintain_order=True).agg(
        pl.col("symbol").unique(maintain_order=True)
    )
    return dict(grouped.iter_rows())


def test_a_batch_holds_whole_windows_best_first() -> None:
    batches = cut(PLAN_ROWS)
    assert by_batch(batches) == {
        "core-00001": ["Z", "Y"],
        "core-00002": ["X", "W"],
        "core-00003": ["V"],
    }
    assert batches["kind"].to_list() == ["trades", "quotes"] * 5
    assert_frame_equal(batches.drop("batch"), PLAN_ROWS)


def test_all_intervals_of_a_window_share_its_batch() -> None:
    holes = stored_rows(
        ("Z", "trades", "13:58", "13:59", None), ("Z", "trades", "14:01", "14:02", None)
    )
    batches = cut(plan_windows(manifest(*ROWS), stored=holes, settings=CONFIG))
    assert batches.filter(pl.col("symbol") == "Z")["batch"].to_list() == ["core-00001"] * 4
    assert by_batch(batches)["core-00001"] == ["Z", "Y"]


def test_numbers_go_on_after_the_highest_of_the_profile() -> None:
    batches = cut(PLAN_ROWS, "core-00002", "core-00011", "plus-00099", "my-core-00500", "odd")
    assert batches["batch"].unique().sort().to_list() == ["core-00012", "core-00013", "core-00014"]


def test_an_empty_plan_makes_no_batch() -> None:
    assert cut(PLAN.empty()).columns == [*PLAN.columns, "batch"]
    assert cut(PLAN.empty()).is_empty()


def test_a_waiting_batch_that_is_still_wanted_stays_though_ranks_move() -> None:
    moved = PLAN_ROWS.with_columns(priority=10 - pl.col("priority"))
    assert withdrawn_batches(cut(PLAN_ROWS), moved) == []


def test_a_waiting_batch_is_withdrawn_when_one_of_its_intervals_changes() -> None:
    batches = cut(PLAN_ROWS)
    without_x = manifest(*(row for row in ROWS if row["symbol"] != "X"))
    assert withdrawn_batches(batches, plan_windows(without_x, settings=CONFIG)) == ["core-00002"]
    later = [
        row | ({"window_end": row["window_end"] + timedelta(minutes=1)} if i == 4 else {})
        for i, row in enumerate(ROWS)
    ]
    assert withdrawn_batches(batches, plan_windows(manifest(*later), settings=CONFIG)) == [
        "core-00003"
    ]
    finer = manifest(*(row | {"nbbo_max_hz": 20} for row in ROWS[:2]), *ROWS[2:])
    assert withdrawn_batches(batches, plan_windows(finer, settings=CONFIG)) == ["core-00001"]


def test_replanning_asks_for_nothing_that_a_batch_under_way_asks_for() -> None:
    """The first batch is under way, the second waits, the third is withdrawn; a new event came."""
    batches = cut(PLAN_ROWS)
    under_way = batches.filter(pl.col("batch") == "core-00001")
    waiting = batches.filter(pl.col("batch") != "core-00001")
    rows = [*ROWS[:4], manifest_row("U", at("14:00"), rank=6)]
    plan = plan_windows(manifest(*rows), stored=as_stored(under_way), settings=CONFIG)
    assert as_stored(under_way).schema == STORED.schema
    stale = withdrawn_batches(waiting, plan)
    assert stale == ["core-00003"]
    kept = waiting.filter(~pl.col("batch").is_in(stale))
    new = cut(without_batches(plan, kept), *batches["batch"])
    assert by_batch(new) == {"core-00004": ["U"]}
