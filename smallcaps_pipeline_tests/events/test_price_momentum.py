"""price_momentum: a fast move to a new extreme; downward only where the fall accelerates."""

from __future__ import annotations

import pytest

from smallcaps_pipeline_tests.events.builders import Bar, bar, quiet
from smallcaps_pipeline_tests.events.raised import raised

QUIET = quiet("09:40", 20, 10.0, 1_000)  # 09:40-09:59: high and low 10.00, baseline 1,000


@pytest.mark.parametrize(
    ("close", "volume", "highest", "fires", "reason"),
    [
        (10.30, 1_800, 10.0, True, "3 % in five minutes, new high, 1.8 times the volume"),
        (10.2999, 1_800, 10.0, False, "2.999 %"),
        (10 * (1.03 - 2e-11), 1_800, 10.0, True, "3 % within the tolerance"),
        (10 * (1.03 - 5e-11), 1_800, 10.0, False, "below 3 % by more than the tolerance"),
        (10.30, 1_799, 10.0, False, "1.799 times the volume"),
        (10.30, 1_800, 10.29, True, "just above the highest of the window"),
        (10.30, 1_800, 10.30, False, "equal to the highest is not above it"),
        (10.30, 1_800, 10.30 * (1 - 5e-10), False, "equal within the tolerance"),
    ],
)
def test_up(close: float, volume: float, highest: float, fires: bool, reason: str) -> None:
    before = [{**row, "high": highest} if i == 0 else row for i, row in enumerate(QUIET)]
    rows = [*before, bar("10:00", close, volume)]
    assert raised(rows, "price_momentum", "up") == (["10:00"] if fires else []), reason


def test_high_that_has_left_the_window_does_not_count() -> None:
    rows = [bar("09:39", 10.0, 1_000, high=11.0), *QUIET, bar("10:00", 10.30, 1_800)]
    assert raised(rows, "price_momentum", "up") == ["10:00"]


def test_empty_window_has_no_extreme_to_break() -> None:
    # The last bar is 21 minutes old: change(5) is 3 %, but W(10:00, 20) is empty.
    assert raised([bar("09:39", 10.0), bar("10:00", 10.30, 9_000)], "price_momentum", "up") == []
    assert raised([bar("09:40", 10.0), bar("10:00", 10.30, 9_000)], "price_momentum", "up") == [
        "10:00"
    ]
    assert raised([bar("09:39", 10.0), bar("10:00", 9.0, 9_000)], "price_momentum", "down") == []


def test_change_is_from_the_last_bar_five_minutes_ago_or_older() -> None:
    # 10:00 minus five minutes is 09:55, which has no bar; the last one before is 09:50 at 10.00.
    # The bar of 09:56 at 10.20 is too young to count.
    rows = [bar("09:50", 10.0, 1_000), bar("09:56", 10.20, 1_000), bar("10:00", 10.30, 9_000)]
    assert raised(rows, "price_momentum", "up") == ["10:00"]
    rows = [bar("09:50", 10.0, 1_000), bar("09:55", 10.20, 1_000), bar("10:00", 10.30, 9_000)]
    assert raised(rows, "price_momentum", "up") == []


@pytest.mark.parametrize(
    ("close", "lowest", "fires", "reason"),
    [
        (9.65, 10.0, True, "-3.5 % at whatever volume"),
        (9.6501, 10.0, False, "-3.499 %"),
        (10 * (0.965 + 3e-11), 10.0, True, "-3.5 % within the tolerance"),
        (10 * (0.965 + 6e-11), 10.0, False, "above -3.5 % by more than the tolerance"),
        (9.65, 9.66, True, "just below the lowest of the window"),
        (9.65, 9.65, False, "equal to the lowest is not below it"),
    ],
)
def test_down(close: float, lowest: float, fires: bool, reason: str) -> None:
    before = [{**row, "low": lowest} if i == 0 else row for i, row in enumerate(QUIET)]
    rows = [*before, bar("10:00", close, 1)]
    assert raised(rows, "price_momentum", "down") == (["10:00"] if fires else []), reason


def _fall_after(before: float, close: float) -> list[Bar]:
    """Bars at 10.00 until 09:54, at `before` from 09:55 to 09:59, then one at `close`."""
    return [*quiet("09:40", 15, 10.0), *quiet("09:55", 5, before), bar("10:00", close)]


@pytest.mark.parametrize(
    ("before", "close", "fires", "reason"),
    [
        # -3 % in the five minutes before: at least 1.2 x 3 % = 3.6 % of 9.70 is asked for.
        (9.70, 9.70 * 0.964, True, "-3.6 % after -3 %"),
        (9.70, 9.70 * 0.9641, False, "-3.59 % after -3 %: the fall does not accelerate"),
        (10.10, 10.10 * 0.965, True, "after a rise nothing but -3.5 % is asked for"),
    ],
)
def test_fall_must_accelerate(before: float, close: float, fires: bool, reason: str) -> None:
    rows = _fall_after(before, close)
    assert raised(rows, "price_momentum", "down") == (["10:00"] if fires else []), reason


def test_undefined_fall_before_counts_as_none() -> None:
    # Ten minutes before 10:00 the day had no bar.
    rows = [bar("09:51", 10.0), bar("10:00", 9.65)]
    assert raised(rows, "price_momentum", "down") == ["10:00"]
