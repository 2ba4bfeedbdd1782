"""volume_spike: each line of its rule alone decides; the auctions never count."""

from __future__ import annotations

from datetime import date

import pytest

from smallcaps_pipeline_tests.events.builders import DAY, bar, clock_after, quiet
from smallcaps_pipeline_tests.events.raised import raised

EARLY_CLOSE = date(2025, 11, 28)


@pytest.mark.parametrize(
    ("clock", "usual", "opened", "close", "volume", "fires", "reason"),
    [
        ("10:00", 2_000, 9.99, 10.00, 12_000, True, "12,000 / 2,000 = 6, all else ample"),
        ("10:00", 2_000, 9.99, 10.00, 11_999, False, "5.9995 times the usual volume"),
        ("10:00", 2_000, 9.99, 10.00, 12_000 * (1 - 5e-10), True, "below 6 within the tolerance"),
        ("10:00", 2_000, 9.99, 10.00, 12_000 * (1 - 2e-9), False, "below 6 by more than 1e-9"),
        ("10:00", 1_000, 9.99, 10.00, 10_000, True, "10,000 shares"),
        ("10:00", 1_000, 9.99, 10.00, 9_999, False, "9,999 shares, though 9.999 times"),
        ("10:00", 1_000, 4.99, 5.00, 10_000, True, "10,000 x 5.00 = 50,000 USD"),
        ("10:00", 1_000, 4.98, 4.9999, 10_000, False, "49,999 USD"),
        ("10:00", 2_000, 10.00, 10.00, 12_000, False, "flat is not green"),
        ("10:00", 2_000, 10.00 * (1 - 5e-10), 10.00, 12_000, False, "equal within the tolerance"),
        ("10:00", 2_000, 10.01, 10.00, 12_000, False, "red is not green"),
        ("08:00", 2_000, 9.99, 10.00, 16_000, True, "premarket: 8 times"),
        ("08:00", 2_000, 9.99, 10.00, 15_999, False, "premarket: 7.9995 times"),
        ("08:00", 1_000, 9.99, 10.00, 15_000, True, "premarket: 15,000 shares"),
        ("08:00", 1_000, 9.99, 10.00, 14_999, False, "premarket: 14,999 shares"),
        ("08:00", 1_000, 4.99, 5.00, 15_000, True, "premarket: 75,000 USD"),
        ("08:00", 1_000, 4.98, 4.9999, 15_000, False, "premarket: 74,998.50 USD"),
        ("17:00", 2_000, 9.99, 10.00, 16_000, True, "after-hours: as premarket"),
        ("17:00", 2_000, 9.99, 10.00, 15_999, False, "after-hours: as premarket"),
    ],
)
def test_up(
    clock: str, usual: float, opened: float, close: float, volume: float, fires: bool, reason: str
) -> None:
    # 20 bars of the usual volume fill W(t, 20): the baseline is exactly the usual volume.
    before = quiet(clock_after(clock, -20), 20, close, usual)
    rows = [*before, bar(clock, close, volume, open_=opened)]
    assert raised(rows, "volume_spike", "up") == ([clock] if fires else []), reason


@pytest.mark.parametrize(
    ("previous_open", "close", "fires", "reason"),
    [
        (10.00, 9.80, True, "second red bar, 2 % below the day's high of 10.00"),
        (10.00, 9.8001, False, "1.999 % below the high"),
        (9.90, 9.80, False, "the bar before is flat: only one red bar"),
        (9.89, 9.80, False, "the bar before is green"),
    ],
)
def test_down(previous_open: float, close: float, fires: bool, reason: str) -> None:
    rows = [
        *quiet("09:40", 19, 10.00, 2_000),
        bar("09:59", 9.90, 2_000, open_=previous_open),
        bar("10:00", close, 12_000, open_=9.90),
    ]
    assert raised(rows, "volume_spike", "down") == (["10:00"] if fires else []), reason


def test_baseline_has_a_floor_of_100_shares() -> None:
    # 100 shares in 20 minutes are 5 a minute; the divisor is 100, so 10,000 shares are 100 times.
    rows = [bar("09:45", 10.0, 100), bar("10:00", 10.1, 10_000, open_=10.0)]
    assert raised(rows, "volume_spike", "up") == ["10:00"]


def test_baseline_divides_by_the_minutes_since_premarket_began() -> None:
    # At 04:05 five minutes have passed: 5 x 2,000 / 5 = 2,000, and 16,000 is 8 times that. Divided
    # by 20 it would be 32 times, so 15,999 would fire too.
    before = quiet("04:00", 5, 10.0, 2_000)
    assert raised([*before, bar("04:05", 10.1, 16_000, open_=10.0)], "volume_spike", "up") == [
        "04:05"
    ]
    assert raised([*before, bar("04:05", 10.1, 15_999, open_=10.0)], "volume_spike", "up") == []


def test_first_premarket_minute_has_no_baseline() -> None:
    assert raised([bar("04:00", 10.1, 1e7, open_=10.0)], "volume_spike", "up") == []
    assert raised([bar("04:01", 10.1, 1e7, open_=10.0)], "volume_spike", "up") == ["04:01"]


def test_missing_minutes_lower_the_baseline() -> None:
    # 10 bars of 2,000 in 20 minutes: the baseline is 1,000, not 2,000.
    before = quiet("09:40", 10, 10.0, 2_000)
    assert raised([*before, bar("10:00", 10.1, 10_000, open_=10.0)], "volume_spike", "up") == [
        "10:00"
    ]


def test_window_holds_its_first_minute_and_not_its_last() -> None:
    # W(10:00, 20) holds 09:40 and not 09:39: 40,000 / 20 = 2,000, and 11,999 is below 6 times.
    just_in = [bar("09:40", 10.0, 40_000), bar("10:00", 10.1, 11_999, open_=10.0)]
    just_out = [bar("09:39", 10.0, 40_000), bar("10:00", 10.1, 11_999, open_=10.0)]
    assert raised(just_in, "volume_spike", "up") == []
    assert raised(just_out, "volume_spike", "up") == ["10:00"]


def test_condition_that_holds_through_the_open_is_an_edge_at_09_35() -> None:
    # Each bar has ten times the volume of the one before, so the condition holds on all of them;
    # on 09:30-09:34 it counts as false, and 09:35 is where it becomes true.
    rows = [bar("09:00", 10.0, 100)] + [
        bar(clock_after("09:30", i), 10.0 + i / 100, 10.0 ** (5 + i), open_=10.0)
        for i in range(1, 8)
    ]
    assert raised(rows, "volume_spike", "up") == ["09:35"]


@pytest.mark.parametrize(
    ("day", "closing", "expected", "reason"),
    [
        (DAY, "16:00", ["16:01"], "16:00 prints the closing cross"),
        (EARLY_CLOSE, "13:00", ["13:01"], "so does 13:00 on an early-close day"),
        (DAY, "13:00", ["13:00"], "which is a minute like others on a full day"),
        (EARLY_CLOSE, "16:00", ["16:00"], "as is 16:00, in the after-hours of an early close"),
    ],
)
def test_condition_that_holds_through_the_close(
    day: date, closing: str, expected: list[str], reason: str
) -> None:
    rows = [
        *quiet(clock_after(closing, -20), 20, 10.0, 1_000, day=day),
        bar(closing, 10.1, 100_000, open_=10.0, day=day),
        bar(clock_after(closing, 1), 10.2, 1_000_000, open_=10.1, day=day),
        bar(clock_after(closing, 2), 10.3, 10_000_000, open_=10.2, day=day),
    ]
    assert raised(rows, "volume_spike", "up") == expected, reason


def test_edge_looks_at_the_previous_row_however_old() -> None:
    rows = [
        *quiet("09:40", 20, 10.0, 1_000),
        bar("10:00", 10.1, 100_000, open_=10.0),
        bar("11:30", 10.2, 100_000, open_=10.1),  # still true on the next row: no new event
        bar("11:31", 10.2, 100, open_=10.2),
        bar("13:30", 10.3, 100_000, open_=10.2),  # false in between: a new one
    ]
    assert raised(rows, "volume_spike", "up") == ["10:00", "13:30"]


def test_edge_never_looks_at_another_day() -> None:
    next_day = date(2025, 10, 8)
    rows = [
        bar("15:59", 10.1, 100_000, open_=10.0),
        bar("09:45", 10.2, 100_000, open_=10.1, day=next_day),
    ]
    assert raised(rows, "volume_spike", "up") == ["15:59", "09:45"]


def test_each_direction_has_its_own_edge() -> None:
    rows = [
        *quiet("09:39", 20, 10.0, 1_000),
        bar("09:59", 9.90, 100, open_=10.00),
        bar("10:00", 9.70, 20_000, open_=9.90),  # second red bar: down
        bar("10:01", 9.90, 200_000, open_=9.70),  # green: up, though volume has spiked before
        bar("10:02", 9.80, 200, open_=9.90),
    ]
    assert raised(rows, "volume_spike", "down") == ["10:00"]
    assert raised(rows, "volume_spike", "up") == ["10:01"]
