"""Interval algebra: properties against sets of minutes."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcaps_pipeline.windows.intervals import (
    label_overlaps,
    merge_intervals,
    overlap,
    subtract_intervals,
    uncovered,
)
from smallcaps_pipeline_tests.windows.make import DAY, at

Row = tuple[str, int, int]
INTERVALS = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(0, 30), st.integers(0, 8)), max_size=12
)


def frame(rows: list[Row]) -> pl.DataFrame:
    """Return intervals [start, start + length) in minutes of the day."""
    return pl.DataFrame(
        [(who, start, start + length) for who, start, length in rows],
        schema={"symbol": pl.String, "window_start": pl.Int64, "window_end": pl.Int64},
        orient="row",
    )


def minutes(intervals: pl.DataFrame) -> set[tuple[str, int]]:
    return {
        (row["symbol"], minute)
        for row in intervals.to_dicts()
        for minute in range(row["window_start"], row["window_end"])
    }


@given(INTERVALS)
@settings(max_examples=60, deadline=None)
def test_merged_intervals_cover_the_same_time_and_never_overlap(rows: list[Row]) -> None:
    merged = merge_intervals(frame(rows), by=["symbol"])
    assert minutes(merged) == minutes(frame(rows))
    gap = merged.select(pl.col("window_start") > pl.col("window_end").shift().over("symbol"))
    assert gap.to_series().drop_nulls().all()  # touching ones are merged too


@given(INTERVALS, INTERVALS)
@settings(max_examples=60, deadline=None)
def test_remainder_and_taken_make_the_whole(rows: list[Row], taken: list[Row]) -> None:
    whole = merge_intervals(frame(rows), by=["symbol"])
    rest = subtract_intervals(whole, frame(taken), by=["symbol"])
    assert minutes(rest) == minutes(frame(rows)) - minutes(frame(taken))
    assert merge_intervals(rest, by=["symbol"]).equals(rest)


@given(INTERVALS)
@settings(max_examples=30, deadline=None)
def test_row_order_does_not_matter(rows: list[Row]) -> None:
    assert merge_intervals(frame(rows), by=["symbol"]).equals(
        merge_intervals(frame(rows[::-1]), by=["symbol"])
    )


@given(INTERVALS, st.integers(0, 30), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_uncovered_agrees_with_the_frame_subtraction(
    taken: list[Row], start: int, length: int
) -> None:
    only_a = [row for row in taken if row[0] == "A"]
    pairs = [(DAY.replace(minute=s), DAY.replace(minute=s + n)) for _, s, n in only_a]
    rest = uncovered((DAY.replace(minute=start), DAY.replace(minute=start + length)), pairs)
    expected = subtract_intervals(frame([("A", start, length)]), frame(only_a), by=["symbol"])
    assert [(s.minute, e.minute) for s, e in rest] == list(
        expected.select("window_start", "window_end").iter_rows()
    )


def test_touching_rows_stay_apart_and_keep_their_columns() -> None:
    rows = frame([("A", 0, 10), ("A", 10, 10)]).with_columns(name=pl.Series(["first", "second"]))
    rest = subtract_intervals(rows, frame([("A", 4, 2)]), by=["symbol"])
    assert rest.select("window_start", "window_end", "name").rows() == [
        (0, 4, "first"),
        (6, 10, "first"),
        (10, 20, "second"),
    ]


def test_a_row_keeps_its_columns_whatever_the_order_of_rows_that_touch() -> None:
    """A batch's rows come by priority, so a later row may end where an earlier one starts."""
    rows = frame([("A", 10, 10), ("A", 0, 10)]).with_columns(name=pl.Series(["second", "first"]))
    rest = subtract_intervals(rows, frame([("A", 12, 2)]), by=["symbol"])
    assert rest.select("window_start", "window_end", "name").rows() == [
        (0, 10, "first"),
        (10, 12, "second"),
        (14, 20, "second"),
    ]


def test_another_owner_takes_nothing() -> None:
    rows = frame([("A", 0, 10)])
    assert subtract_intervals(rows, frame([("B", 0, 10)]), by=["symbol"]).equals(rows)


@pytest.mark.parametrize(("touching", "groups"), [(False, [1, 2]), (True, [1, 1])])
def test_touching_is_overlap_only_where_asked(touching: bool, groups: list[int]) -> None:
    rows = frame([("A", 0, 10), ("A", 10, 10)])
    labelled = label_overlaps(rows, by=["symbol"], touching=touching)
    assert labelled["overlap_group"].to_list() == groups


def test_a_long_interval_holds_later_ones_together() -> None:
    """The end of the group counts, not the end of the row before."""
    rows = frame([("A", 0, 30), ("A", 1, 2), ("A", 20, 2)])
    assert label_overlaps(rows, by=["symbol"])["overlap_group"].to_list() == [1, 1, 1]


def test_overlap_needs_a_shared_instant() -> None:
    assert overlap((at("10:00"), at("10:10")), (at("10:09"), at("10:20")))
    assert not overlap((at("10:00"), at("10:10")), (at("10:10"), at("10:20")))
