"""The score of an event: two events worked by hand, and each part at its limits."""

from __future__ import annotations

import math
from datetime import date

import pytest

from smallcaps_pipeline_tests.events.builders import Bar, bar, frame, quiet
from smallcaps_pipeline_tests.events.raised import raw


def score(rows: list[Bar], event_type: str = "volume_spike") -> float:
    """Return the score of the only event of a type."""
    events = raw(frame(rows)).filter(event_type=event_type)
    value: float = events["score"].item()
    return value


def test_all_parts_in_regular_hours() -> None:
    # VWAP is 10.00: each bar says so. 20 minutes of 1,000 shares, then 50,000: spike_x = 50.
    rows = [
        *quiet("09:30", 29, 10.0, 1_000, vwap=10.0),
        bar("09:59", 10.0, 1_000, open_=9.9, vwap=10.0),  # green
        bar("10:00", 10.25, 50_000, open_=10.0, vwap=10.0),  # green
    ]
    expected = (
        0.30 * 1.0  # ln 51 / ln 51
        + 0.25 * 0.25  # 2.5 % of 10 % in five minutes
        + 0.20 * 1 / 3  # of the last three bars the event bar alone
        + 0.15 * 2 / 5  # the second green bar
        + 0.10 * 0.5  # 2.5 % of 5 % above VWAP
    )
    assert expected == pytest.approx(0.539_166_666_667)
    assert score(rows) == pytest.approx(expected, rel=1e-12)


def test_undefined_parts_in_premarket() -> None:
    # The day's second bar: no close five minutes ago, no VWAP before 09:30.
    rows = [bar("08:58", 10.0, 2_000), bar("09:00", 10.5, 20_000, open_=10.0)]
    expected = (
        0.30 * 1.0  # 20,000 / max(2,000 / 20, 100) = 200 times: full at 50
        + 0.25 * 0.5  # close / open - 1 = 5 % of 10 % in the place of the change
        + 0.20 * 2 / 2  # both bars there are: 2,000 / 100 = 20 times, and 200 times
        + 0.15 * 1 / 5
        + 0.10 * 0.0
    )
    assert score(rows) == pytest.approx(expected, rel=1e-12)


def test_spike_grows_with_its_logarithm() -> None:
    before = quiet("08:40", 20, 10.0, 2_000)
    small = score([*before, bar("09:00", 10.1, 16_000, open_=10.0)])
    large = score([*before, bar("09:00", 10.1, 32_000, open_=10.0)])
    # 8 and 16 times; all other parts are the same.
    assert large - small == pytest.approx(0.30 * (math.log(17) - math.log(9)) / math.log(51))


def test_downward_run_counts_red_bars() -> None:
    rows = [
        *quiet("08:39", 19, 10.0, 2_000),
        bar("08:58", 9.9, 2_000, open_=10.0),
        bar("08:59", 9.8, 2_000, open_=9.9),
        bar("09:00", 9.7, 16_000, open_=9.8),  # third red bar, 3 % below the high
    ]
    expected = 0.30 * math.log(9) / math.log(51) + 0.25 * 0.3 + 0.20 / 3 + 0.15 * 3 / 5
    assert score(rows) == pytest.approx(expected, rel=1e-12)


def test_no_part_is_more_than_full() -> None:
    # 100 times the volume, 11 % in five minutes and above VWAP; the first green bar of three.
    jump = bar("10:00", 10.0, 100_000, open_=9.0, vwap=9.0)
    rows = [*quiet("09:30", 30, 9.0, 1_000), jump]
    assert score(rows) == pytest.approx(0.30 + 0.25 + 0.20 / 3 + 0.15 / 5 + 0.10)


def test_confirm_bars_never_reach_into_the_day_before() -> None:
    """The second bar of a day has one bar before it, whatever happened the evening before."""
    next_day = date(2025, 10, 8)
    evening = [bar(f"15:5{i}", 10.0, 10.0 ** (3 + i)) for i in range(5)]  # all confirmed
    morning = [
        bar("09:45", 10.0, 100, day=next_day),  # once the floor of 100 shares: not confirmed
        bar("09:46", 11.0, 100_000, open_=10.0, day=next_day),
    ]
    events = raw(frame([*evening, *morning])).filter(event_type="volume_spike")
    # 1,000 times: full; 10 % of its open: full; one of two bars; first green bar; VWAP is
    # (100 x 10 + 100,000 x 32 / 3) / 100,100.
    distance = 11.0 / ((100 * 10.0 + 100_000 * 32 / 3) / 100_100) - 1
    expected = 0.30 + 0.25 + 0.20 / 2 + 0.15 / 5 + 0.10 * distance / 0.05
    assert events["score"].to_list() == [pytest.approx(expected)]
