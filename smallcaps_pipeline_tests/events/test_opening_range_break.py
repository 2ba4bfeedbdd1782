"""opening_range_break: half a percent beyond the first 15 minutes; armed again from inside.

The range is 9.95 to 10.05, so the break upward is at 10.05 x 1.005 = 10.10025 and downward at
9.95 x 0.995 = 9.90025.
"""

from __future__ import annotations

from datetime import date

import pytest

from smallcaps_pipeline.events import detect_events
from smallcaps_pipeline_tests.events.agreement import changed
from smallcaps_pipeline_tests.events.builders import DAY, Bar, bar, frame, quiet
from smallcaps_pipeline_tests.events.raised import raised


def opening(bars: int = 15, volume: float = 1_000, day: date = DAY) -> list[Bar]:
    return quiet("09:30", bars, 10.0, volume, high=10.05, low=9.95, day=day)


def up(*clocks_and_closes: tuple[str, float]) -> list[str]:
    """Times of upward breaks; each bar has ten times the volume of the one before."""
    later = [
        bar(clock, close, 10.0 ** (4 + i)) for i, (clock, close) in enumerate(clocks_and_closes)
    ]
    return raised([*opening(), *later], "opening_range_break", "up")


@pytest.mark.parametrize(
    ("clock", "close", "volume", "direction", "fires", "reason"),
    [
        # At 09:45 the window holds 15,000 shares in 20 minutes: 750 a minute, x 1.8 = 1,350.
        ("09:45", 10.10025, 1_350, "up", True, "the first minute after the range"),
        ("09:45", 10.10024, 1_350, "up", False, "a hair below the break"),
        ("09:45", 10.10025 * (1 - 5e-10), 1_350, "up", True, "the break within the tolerance"),
        ("09:45", 10.10025 * (1 - 2e-9), 1_350, "up", False, "below by more than the tolerance"),
        ("09:45", 10.10025, 1_349, "up", False, "1.799 times the volume"),
        ("09:45", 9.90025, 1_350, "down", True, "the break downward"),
        ("09:45", 9.90026, 1_350, "down", False, "a hair above it"),
        ("09:45", 9.90025, 1_349, "down", False, "1.799 times the volume"),
        ("15:59", 10.2, 9_000, "up", True, "the last minute of RTH"),
        ("16:00", 10.2, 9_000, "up", False, "after the close"),
    ],
)
def test_break(
    clock: str, close: float, volume: float, direction: str, fires: bool, reason: str
) -> None:
    rows = [*opening(), bar(clock, close, volume)]
    assert raised(rows, "opening_range_break", direction) == ([clock] if fires else []), reason


def test_bar_of_the_range_is_no_break() -> None:
    # 09:44 belongs to the range: it raises the range's high instead of breaking it.
    rows = [*opening(14), bar("09:44", 10.2, 90_000), bar("09:45", 10.2, 900_000)]
    assert raised(rows, "opening_range_break", "up") == []


@pytest.mark.parametrize(("bars", "fires"), [(5, True), (4, False)])
def test_range_needs_five_bars(bars: int, fires: bool) -> None:
    rows = [*opening(bars), bar("09:50", 10.2, 90_000)]
    assert raised(rows, "opening_range_break", "up") == (["09:50"] if fires else [])


def test_premarket_is_no_part_of_the_range() -> None:
    rows = [bar("09:29", 12.0, 1_000), *opening(), bar("09:50", 10.2, 90_000)]
    assert raised(rows, "opening_range_break", "up") == ["09:50"]


def test_rth_ends_at_13_00_on_an_early_close() -> None:
    day = date(2025, 11, 28)
    for clock, expected in [("12:59", ["12:59"]), ("13:00", [])]:
        rows = [*opening(day=day), bar(clock, 10.2, 90_000, day=day)]
        assert raised(rows, "opening_range_break", "up") == expected


def test_no_second_event_without_a_close_inside() -> None:
    # The condition fails at 10:01 and holds again at 10:02: an edge, but the direction is not
    # armed, for 10.06 is outside the range though below the break.
    assert up(("10:00", 10.2), ("10:01", 10.06), ("10:02", 10.2)) == ["10:00"]


def test_close_inside_arms_again() -> None:
    assert up(("10:00", 10.2), ("10:01", 10.05), ("10:02", 10.2)) == ["10:00", "10:02"]
    assert up(("10:00", 10.2), ("10:01", 9.95), ("10:02", 10.2)) == ["10:00", "10:02"]
    assert up(("10:00", 10.2), ("10:01", 9.949), ("10:02", 10.2)) == ["10:00"]


def test_close_on_the_edge_of_the_range_is_inside_within_the_tolerance() -> None:
    assert up(("10:00", 10.2), ("10:01", 10.05 * (1 + 5e-10)), ("10:02", 10.2)) == [
        "10:00",
        "10:02",
    ]
    assert up(("10:00", 10.2), ("10:01", 10.05 * (1 + 2e-9)), ("10:02", 10.2)) == ["10:00"]


def test_each_direction_is_armed_by_itself() -> None:
    later = [bar("10:00", 10.2, 1e4), bar("10:01", 9.8, 1e5), bar("10:02", 10.2, 1e6)]
    assert raised([*opening(), *later], "opening_range_break", "up") == ["10:00"]
    assert raised([*opening(), *later], "opening_range_break", "down") == ["10:01"]


def test_break_that_begins_before_09_45_is_found_at_its_first_bar_after_it() -> None:
    """There is no edge to miss: the condition need only hold while the direction is armed."""
    assert up(("09:47", 10.2), ("09:48", 10.3)) == ["09:47"]
    weak_first = [bar("09:47", 10.2, 1), bar("09:48", 10.3, 90_000)]
    assert raised([*opening(), *weak_first], "opening_range_break", "up") == ["09:48"]


def test_break_dropped_by_a_filter_leaves_its_direction_disarmed() -> None:
    rows = [*opening(), bar("10:00", 10.3, 100_000), bar("10:30", 10.2, 1_000_000)]
    settings = changed({"filters": {"max_close": 10.25}})
    found = detect_events(frame(rows), settings)["event_type"].to_list()
    assert "opening_range_break" not in found
