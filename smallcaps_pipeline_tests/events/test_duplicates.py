"""Duplicates and groups: which of several events in a few minutes stay, and what they share."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from smallcaps_pipeline.events.duplicates import drop_duplicates, group_id
from smallcaps_pipeline.settings import Duplicates

BEST = Duplicates(window_minutes=10, keep="best", near_best_pct=90.0)
FIRST = Duplicates(window_minutes=10, keep="first", near_best_pct=90.0)
START = datetime(2025, 10, 7, 14, 0, tzinfo=UTC)


def events(
    *minutes_and_scores: tuple[int, float],
    symbol: str = "AEMD",
    event_type: str = "flush",
    direction: str = "down",
) -> pl.DataFrame:
    rows = [
        {
            "symbol": symbol,
            "date": date(2025, 10, 7),
            "timestamp": START + timedelta(minutes=minute),
            "event_type": event_type,
            "direction": direction,
            "score": score,
        }
        for minute, score in minutes_and_scores
    ]
    return pl.DataFrame(rows)


def minutes(frame: pl.DataFrame) -> list[int]:
    return [(time - START) // timedelta(minutes=1) for time in frame["timestamp"]]


@pytest.mark.parametrize(
    ("given", "stay", "reason"),
    [
        ([(0, 0.5)], [0], "one event"),
        ([(0, 0.4), (9, 0.5)], [9], "the highest of a window of ten minutes"),
        ([(0, 0.4), (10, 0.5)], [0, 10], "ten minutes after is another window"),
        ([(0, 0.4), (9, 0.5), (11, 0.4)], [9, 11], "the window is counted from its first event"),
        ([(0, 0.5), (6, 0.1), (12, 0.1)], [0, 12], "not chained from event to event"),
        ([(0, 0.451), (5, 0.5)], [0, 5], "more than 90 % of the highest stays with it"),
        ([(0, 0.45), (5, 0.5)], [5], "exactly 90 % is not more"),
        ([(0, 0.45 * (1 + 5e-10)), (5, 0.5)], [5], "nor is 90 % within the tolerance"),
        ([(0, 0.45 * (1 + 2e-9)), (5, 0.5)], [0, 5], "by more than the tolerance it is"),
        ([(0, 0.5), (3, 0.5), (6, 0.5)], [0, 3, 6], "equals are all above 90 % of each other"),
        ([(0, 0.0), (3, 0.0)], [0], "of equals at zero the earliest alone"),
    ],
)
def test_best(given: list[tuple[int, float]], stay: list[int], reason: str) -> None:
    assert minutes(drop_duplicates(events(*given), BEST)) == stay, reason


@pytest.mark.parametrize(
    ("given", "stay"),
    [
        ([(0, 0.4), (9, 0.5)], [0]),
        ([(0, 0.5), (1, 0.5), (9, 0.9), (10, 0.1), (19, 0.9), (20, 0.1)], [0, 10, 20]),
    ],
)
def test_first(given: list[tuple[int, float]], stay: list[int]) -> None:
    assert minutes(drop_duplicates(events(*given), FIRST)) == stay


def test_other_types_directions_and_symbols_are_no_duplicates() -> None:
    frame = pl.concat(
        [
            events((0, 0.9)),
            events((1, 0.1), event_type="volume_spike"),
            events((2, 0.1), direction="up"),
            events((3, 0.1), symbol="BAPA"),
        ]
    )
    assert sorted(minutes(drop_duplicates(frame, BEST))) == [0, 1, 2, 3]


def test_twice_is_once() -> None:
    """Of the events that stay none are dropped when they are looked at again."""
    frame = events(*[(3 * i, (i * 37 % 11) / 10) for i in range(40)])
    once = drop_duplicates(frame, FIRST)
    assert_frame_equal(drop_duplicates(once, FIRST), once)


def test_no_events() -> None:
    nothing = events((0, 0.5)).clear()
    assert_frame_equal(drop_duplicates(nothing, BEST), nothing)


def test_group_is_a_chain_of_events_less_than_five_minutes_apart() -> None:
    # 0, 4, 8: each four minutes after the one before; 13 is five minutes after 8: a new group.
    frame = events((0, 0.1), (4, 0.1), (8, 0.1), (13, 0.1), (13, 0.2), (17, 0.1))
    ids = frame.select(group_id(5)).to_series().to_list()
    first, second = "AEMD_20251007T1400", "AEMD_20251007T1413"
    assert ids == [first, first, first, second, second, second]


def test_group_never_holds_two_symbols_or_days() -> None:
    other = events((1, 0.1), symbol="BAPA")
    next_day = events((2, 0.1), symbol="BAPA").with_columns(date=date(2025, 10, 8))
    frame = pl.concat([events((0, 0.1)), other, next_day])
    assert frame.select(group_id(5)).to_series().to_list() == [
        "AEMD_20251007T1400",
        "BAPA_20251007T1401",
        "BAPA_20251007T1402",
    ]
