"""consolidation_break: a break of one percent out of a base that is flat for its volatility.

A base of n bars that all span 9.95 to 10.05 around an open of 10.00 has range_base 0.10 / 10 and
atr_base 0.10 / 10, so base_ratio = 1 / sqrt(n): 0.183 for 30 bars.
"""

from __future__ import annotations

import pytest

from smallcaps_pipeline.events import detect_events
from smallcaps_pipeline_tests.events.builders import Bar, bar, clock_after, frame, quiet
from smallcaps_pipeline_tests.events.raised import raised


def base(until: str, bars: int = 30, volume: float = 1_000) -> list[Bar]:
    return quiet(clock_after(until, -bars), bars, 10.0, volume, high=10.05, low=9.95)


@pytest.mark.parametrize(
    ("close", "volume", "direction", "fires", "reason"),
    [
        (10.1505, 2_000, "up", True, "10.05 x 1.01, twice the volume"),
        (10.1504, 2_000, "up", False, "a hair below 10.05 x 1.01"),
        (10.1505 * (1 - 5e-10), 2_000, "up", True, "10.05 x 1.01 within the tolerance"),
        (10.1505 * (1 - 2e-9), 2_000, "up", False, "below it by more than the tolerance"),
        (10.1505, 1_999, "up", False, "1.999 times the volume"),
        (9.8505, 2_000, "down", True, "9.95 x 0.99"),
        (9.8506, 2_000, "down", False, "a hair above 9.95 x 0.99"),
        (9.8505, 1_999, "down", False, "1.999 times the volume"),
    ],
)
def test_break(close: float, volume: float, direction: str, fires: bool, reason: str) -> None:
    rows = [*base("10:30"), bar("10:30", close, volume)]
    assert raised(rows, "consolidation_break", direction) == (["10:30"] if fires else []), reason


@pytest.mark.parametrize(("lowest", "fires"), [(9.85, True), (9.849, False)])
def test_base_ratio_threshold(lowest: float, fires: bool) -> None:
    # 16 bars, the square root is 4. Median bar: 0.10 / 10. Range 10.05 - 9.85 = 0.20 over a last
    # close of 10: 0.02 / (0.01 x 4) = 0.5 exactly. With 9.849 it is 0.5025.
    bars = base("10:30", 16)
    bars[3] = {**bars[3], "low": lowest}
    rows = [*bars, bar("10:30", 10.16, 9_000)]
    assert raised(rows, "consolidation_break", "up") == (["10:30"] if fires else [])


@pytest.mark.parametrize(
    ("clock", "bars", "fires"),
    [
        ("10:30", 15, True),
        ("10:30", 14, False),
        ("08:00", 8, True),
        ("08:00", 7, False),
        ("17:00", 8, True),
        ("17:00", 7, False),
    ],
)
def test_base_needs_enough_bars(clock: str, bars: int, fires: bool) -> None:
    rows = [*base(clock, bars), bar(clock, 10.16, 90_000)]
    assert raised(rows, "consolidation_break", "up") == ([clock] if fires else [])


def test_base_of_bars_without_range_is_undefined() -> None:
    """atr_base is 0: whether the base is flat for its volatility cannot be said."""
    rows = [*quiet("10:00", 30, 10.0, 1_000), bar("10:30", 10.5, 9_000)]
    assert raised(rows, "consolidation_break", "up") == []
    spike = [
        row
        for row in detect_events(
            frame([*rows[:-1], bar("10:30", 10.5, 90_000, open_=10.0)])
        ).to_dicts()
        if row["event_type"] == "volume_spike"
    ]
    assert [row["flatness_score"] for row in spike] == [None]


def test_window_of_30_minutes_ends_before_the_bar_and_holds_its_first_minute() -> None:
    just_out = [bar("09:59", 10.0, 1_000, high=10.5), *base("10:30", 30)]
    just_in = [bar("10:00", 10.0, 1_000, high=10.5), *base("10:30", 29)]
    event = bar("10:30", 10.16, 9_000)
    assert raised([*just_out, event], "consolidation_break", "up") == ["10:30"]
    assert raised([*just_in, event], "consolidation_break", "up") == []


def test_flatness_score_is_one_minus_the_ratio() -> None:
    rows = [*base("10:30", 16), bar("10:30", 10.2, 90_000, open_=10.0)]
    # 1 / sqrt(16) = 0.25, on every type of event of that bar.
    events = detect_events(frame(rows)).to_dicts()
    assert {row["event_type"] for row in events} == {"consolidation_break", "volume_spike"}
    assert [row["flatness_score"] for row in events] == [pytest.approx(0.75)] * 2


def test_flatness_score_is_never_below_zero() -> None:
    # Each bar one dollar above the last: the range of 16 bars is far above a random walk's.
    bars = [bar(clock_after("10:14", i), 10.0 + i, 1_000, low=9.99 + i) for i in range(16)]
    events = detect_events(frame([*bars, bar("10:30", 26.5, 90_000, open_=26.0)])).to_dicts()
    assert [row["flatness_score"] for row in events if row["event_type"] == "volume_spike"] == [0.0]
