"""flush: a heavy fall on rising volume, far below the day's high. There is none upward.

20 quiet bars at 10.00 and 1,000 shares, then three red bars down to 9.20: 8 % below the day's high.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from smallcaps_pipeline_tests.events.builders import Bar, bar, frame, quiet
from smallcaps_pipeline_tests.events.raised import raised, raw


def fall(
    close: float = 9.20,
    volume: float = 4_000,
    *,
    first_open: float = 10.0,
    previous_volume: float = 1_000,
) -> list[Bar]:
    return [
        *quiet("09:38", 20, 10.0, 1_000),
        bar("09:58", 9.75, 1_000, open_=first_open),
        bar("09:59", 9.50, previous_volume, open_=9.75),
        bar("10:00", close, volume, open_=9.50),
    ]


@pytest.mark.parametrize(
    ("changes", "fires", "reason"),
    [
        ({}, True, "8 % below the high, four times the volume, third red bar"),
        ({"close": 9.2001}, False, "7.999 % below the high"),
        ({"close": 10 * (0.92 + 7e-11)}, True, "8 % within the tolerance"),
        ({"close": 10 * (0.92 + 9e-11)}, False, "above by more than the tolerance"),
        ({"volume": 3_999}, False, "3.999 times the volume"),
        ({"first_open": 9.75}, False, "the first of the three is flat: two red bars"),
        # The window holds 19 x 1,000 + 5,000 shares: 1,200 a minute, and 5,000 is 4.17 times that.
        ({"volume": 5_000, "previous_volume": 5_000}, False, "as much volume as the bar before"),
        ({"volume": 5_001, "previous_volume": 5_000}, True, "one share more than the bar before"),
    ],
)
def test_thresholds(changes: dict[str, Any], fires: bool, reason: str) -> None:
    assert raised(fall(**changes), "flush", "down") == (["10:00"] if fires else []), reason


@pytest.mark.parametrize(
    ("recent", "fires", "reason"),
    [
        (9.5833, False, "(9.5833 - 9.20) / 9.5833 = 3.9997 %"),
        (9.5834, True, "(9.5834 - 9.20) / 9.5834 = 4.0007 %"),
    ],
)
def test_fall_is_from_the_highest_of_15_minutes(recent: float, fires: bool, reason: str) -> None:
    # 11.00 an hour ago is the day's high, but the fall of the last 15 minutes is from `recent`.
    rows = [
        bar("09:00", 11.0, 1_000),
        *quiet("09:44", 14, recent, 1_000, low=9.3),
        bar("09:58", 9.40, 1_000, open_=9.45),
        bar("09:59", 9.30, 1_000, open_=9.40),
        bar("10:00", 9.20, 9_000, open_=9.30),
    ]
    assert raised(rows, "flush", "down") == (["10:00"] if fires else []), reason


@pytest.mark.parametrize(("clock", "expected"), [("09:45", ["10:00"]), ("09:44", [])])
def test_window_of_the_fall_holds_its_first_minute(clock: str, expected: list[str]) -> None:
    # The high of 9.60 is in W(10:00, 15) from 09:45 on.
    rows = [
        bar("09:00", 11.0, 1_000),
        bar(clock, 9.45, 1_000, high=9.60),
        bar("09:58", 9.40, 1_000, open_=9.45),
        bar("09:59", 9.30, 1_000, open_=9.40),
        bar("10:00", 9.20, 9_000, open_=9.30),
    ]
    assert raised(rows, "flush", "down") == expected


def test_high_of_the_bar_itself_counts() -> None:
    rows = [
        bar("09:00", 11.0, 1_000),
        bar("09:58", 9.28, 1_000, open_=9.30),
        bar("09:59", 9.25, 1_000, open_=9.28),
    ]
    spanning = bar("10:00", 9.20, 9_000, open_=9.25, high=9.60)
    assert raised([*rows, spanning], "flush", "down") == ["10:00"]
    assert raised([*rows, {**spanning, "high": 9.30}], "flush", "down") == []


def test_day_high_counts_premarket() -> None:
    # Without the premarket high of 10.00 the fall from 9.60 would be 4.2 %, less than 8 %.
    rows = [
        bar("04:30", 10.0, 1_000),
        *quiet("09:44", 14, 9.60, 1_000),
        bar("09:58", 9.50, 1_000, open_=9.60),
        bar("09:59", 9.40, 1_000, open_=9.50),
        bar("10:00", 9.20, 9_000, open_=9.40),
    ]
    assert raised(rows, "flush", "down") == ["10:00"]
    assert raised(rows[1:], "flush", "down") == []


def test_missing_minute_does_not_break_the_run_of_red_bars() -> None:
    rows = fall()
    rows[-1] = bar("10:03", 9.20, 4_000, open_=9.50)
    assert raised(rows, "flush", "down") == ["10:03"]


def test_run_of_red_bars_begins_anew_each_day() -> None:
    next_day = date(2025, 10, 8)
    evening = [bar(f"15:5{i}", 9.9 - i / 10, 1_000, open_=10.0 - i / 10) for i in range(5)]
    morning = [
        bar("09:58", 9.5, 1_000, open_=10.0, day=next_day),
        bar("09:59", 9.1, 9_000, open_=9.5, day=next_day),  # second red bar of this day
        bar("10:00", 9.0, 90_000, open_=9.1, day=next_day),  # third
    ]
    assert raised([*evening, *morning], "flush", "down") == ["10:00"]


def test_there_is_no_flush_upward() -> None:
    up = [
        *quiet("09:38", 20, 10.0, 1_000),
        bar("09:58", 10.5, 2_000, open_=10.0),
        bar("09:59", 11.0, 4_000, open_=10.5),
        bar("10:00", 12.0, 90_000, open_=11.0),
    ]
    types = raw(frame(up)).select("event_type", "direction").rows()
    assert ("volume_spike", "up") in types
    assert all(event_type != "flush" for event_type, _ in types)
