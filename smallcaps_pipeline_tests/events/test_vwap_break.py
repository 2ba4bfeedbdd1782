"""vwap_break: reclaim (up) and rejection (down), around a VWAP held at exactly 10.00.

Each bar spans 10.00 and says that its own vwap is 10.00, so vwap_rth is 10.00 all day whatever the
closes are; and with 1,000 shares a minute before, spike_x is the volume over 1,000.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from smallcaps_pipeline.events import detect_events
from smallcaps_pipeline_tests.events.agreement import changed
from smallcaps_pipeline_tests.events.builders import Bar, bar, clock_after, frame
from smallcaps_pipeline_tests.events.raised import raised


def series(first: str, *closes: float, **values: Any) -> list[Bar]:
    return [_bar(clock_after(first, i), close, **values) for i, close in enumerate(closes)]


def _bar(clock: str, close: float, volume: float = 1_000, open_: float = 10.0) -> Bar:
    return bar(
        clock, close, volume, open_=open_, high=max(10.0, close), low=min(10.0, close), vwap=10.0
    )


EQUAL = series("09:30", *[10.0] * 25)  # 09:30-09:54, neither above nor below VWAP
LOST = [_bar("09:55", 9.95)]  # once below
NOT_STRONG = 10.01


def reclaim_at(position: int, close: float = 10.06, volume: float = 2_000) -> list[Bar]:
    """Bars of a run above whose bar at `position` is strong and whose others are not."""
    weak = series("09:56", *[NOT_STRONG] * (position - 1))
    strong = _bar(clock_after("09:56", position - 1), close, volume)
    return [*EQUAL, *LOST, *weak, strong]


# reclaim --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "expected"), [(1, []), (2, ["09:57"]), (10, ["10:05"]), (11, [])]
)
def test_reclaim_comes_at_positions_2_to_10_of_the_run(position: int, expected: list[str]) -> None:
    assert raised(reclaim_at(position), "vwap_break", "up") == expected


@pytest.mark.parametrize(
    ("close", "volume", "fires", "reason"),
    [
        (10.06, 2_000, True, "0.6 % above, twice the volume"),
        (10.0599, 2_000, False, "0.599 % above"),
        (10.06, 1_999, False, "1.999 times the volume"),
        (10 * (1.006 - 5e-12), 2_000, True, "0.6 % within the tolerance"),
        (10 * (1.006 - 2e-11), 2_000, False, "below 0.6 % by more than the tolerance"),
    ],
)
def test_reclaim_thresholds(close: float, volume: float, fires: bool, reason: str) -> None:
    rows = reclaim_at(2, close, volume)
    assert raised(rows, "vwap_break", "up") == (["09:57"] if fires else []), reason


def test_strong_first_bar_waits_for_a_strong_second_one() -> None:
    rows = [*reclaim_at(1), _bar("09:57", 10.07, 3_000)]
    assert raised(rows, "vwap_break", "up") == ["09:57"]


def test_what_was_never_lost_cannot_be_reclaimed() -> None:
    rows = [row for row in reclaim_at(2) if row not in LOST]
    assert raised(rows, "vwap_break", "up") == []


def test_close_equal_to_vwap_within_the_tolerance_is_not_below_it() -> None:
    lost, held = _bar("09:55", 10 * (1 - 2e-9)), _bar("09:55", 10 * (1 - 5e-10))
    run = [_bar("09:56", NOT_STRONG), _bar("09:57", 10.06, 2_000)]
    assert raised([*EQUAL, lost, *run], "vwap_break", "up") == ["09:57"]
    assert raised([*EQUAL, held, *run], "vwap_break", "up") == []


def test_premarket_below_is_not_lost_for_vwap_starts_at_the_open() -> None:
    rows = [bar("09:00", 5.0, 1_000), *(row for row in reclaim_at(2) if row not in LOST)]
    assert raised(rows, "vwap_break", "up") == []


def test_loss_stays_for_all_later_runs_of_the_day_only() -> None:
    later_run = [_bar("10:30", NOT_STRONG), _bar("10:31", 10.06, 5_000)]
    same_day = [*EQUAL, *LOST, *series("09:56", 10.01, 10.0), *later_run]
    assert raised(same_day, "vwap_break", "up") == ["10:31"]


def test_loss_of_the_day_before_does_not_count() -> None:
    day = timedelta(days=1)
    never_lost = [row for row in reclaim_at(2) if row not in LOST]
    today = [{**row, "timestamp": row["timestamp"] + day} for row in never_lost]
    assert raised([*EQUAL, *LOST, *today], "vwap_break", "up") == []


def test_bar_equal_to_vwap_ends_the_run() -> None:
    # 09:56 above, 09:57 equal, 09:58 is k = 1 of a new run: strong, but too early.
    rows = [*EQUAL, *LOST, *series("09:56", NOT_STRONG, 10.0), _bar("09:58", 10.06, 2_500)]
    assert raised(rows, "vwap_break", "up") == []
    assert raised([*rows, _bar("09:59", 10.06, 2_500)], "vwap_break", "up") == ["09:59"]


def test_missing_minute_does_not_end_the_run() -> None:
    rows = [*EQUAL, *LOST, _bar("09:56", NOT_STRONG), _bar("10:06", 10.06, 2_000)]
    assert raised(rows, "vwap_break", "up") == ["10:06"]


def test_one_reclaim_a_run_though_the_condition_comes_and_goes() -> None:
    again = [_bar("09:58", NOT_STRONG), _bar("09:59", 10.08, 9_000)]
    assert raised([*reclaim_at(2), *again], "vwap_break", "up") == ["09:57"]


def test_each_run_has_its_own_reclaim() -> None:
    second = [*series("09:58", 10.0, NOT_STRONG), _bar("10:00", 10.08, 9_000)]
    assert raised([*reclaim_at(2), *second], "vwap_break", "up") == ["09:57", "10:00"]


def test_reclaim_dropped_by_a_filter_does_not_free_its_run() -> None:
    """A filter comes after the event is found: the run is used up."""
    big = 200_000  # for the day's dollar volume
    rows = [*EQUAL, *LOST, _bar("09:56", NOT_STRONG), _bar("09:57", 10.20, big)]
    rows += [_bar("09:58", NOT_STRONG), _bar("09:59", 10.10, 10 * big)]

    def clocks(max_close: float) -> list[object]:
        settings = changed({"filters": {"max_close": max_close}})
        events = detect_events(frame(rows), settings)
        return [row["close"] for row in events.to_dicts() if row["event_type"] == "vwap_break"]

    assert clocks(10.20) == [10.20]
    assert clocks(10.19) == []  # not the bar of 10.10 instead


# rejection ------------------------------------------------------------------------------------

# Opens below, touches 10.00, closes below.
FAILED_RECLAIM = [_bar("09:55", 9.95, open_=9.95)]
REJECTION = [_bar("09:56", 9.95), _bar("09:57", 9.92, 2_500)]  # second and third bar below


def test_rejection() -> None:
    assert raised([*EQUAL, *FAILED_RECLAIM, *REJECTION], "vwap_break", "down") == ["09:57"]


@pytest.mark.parametrize(
    ("close", "volume", "fires", "reason"),
    [
        (9.92, 2_500, True, "0.8 % below, 2.5 times the volume"),
        (9.9201, 2_500, False, "0.799 % below"),
        (9.92, 2_499, False, "2.499 times the volume"),
        (10 * (0.992 + 5e-12), 2_500, True, "0.8 % within the tolerance"),
        (10 * (0.992 + 2e-11), 2_500, False, "above -0.8 % by more than the tolerance"),
    ],
)
def test_rejection_thresholds(close: float, volume: float, fires: bool, reason: str) -> None:
    rows = [*EQUAL, *FAILED_RECLAIM, REJECTION[0], _bar("09:57", close, volume)]
    assert raised(rows, "vwap_break", "down") == (["09:57"] if fires else []), reason


def test_rejection_needs_a_third_bar_below() -> None:
    rows = [*EQUAL, *FAILED_RECLAIM, _bar("09:56", 9.92, 2_500)]
    assert raised(rows, "vwap_break", "down") == []
    # A bar equal to VWAP ends the run: 09:58 is only its second bar.
    rows = [*EQUAL, *FAILED_RECLAIM, *series("09:56", 10.0, 9.95), _bar("09:58", 9.92, 3_000)]
    assert raised(rows, "vwap_break", "down") == []


@pytest.mark.parametrize(
    ("failed", "reason"),
    [
        (_bar("09:55", 9.95, open_=10.0), "opened at VWAP, not below"),
        (_bar("09:55", 9.95, open_=10 * (1 - 5e-10)), "opened at VWAP within the tolerance"),
        # Without volume the bar leaves VWAP where it is, so it need not span 10.00.
        (bar("09:55", 9.95, 0, open_=9.95, high=9.9999), "never touched VWAP"),
    ],
)
def test_rejection_needs_a_failed_reclaim(failed: Bar, reason: str) -> None:
    rows = [*EQUAL, failed, *REJECTION]
    assert raised(rows, "vwap_break", "down") == [], reason
    without = changed({"detectors": {"vwap_break": _thresholds(require_failed_reclaim=False)}})
    assert raised(rows, "vwap_break", "down", without) == ["09:57"], reason


def test_failed_reclaim_of_the_bar_itself_does_not_count() -> None:
    rows = [*EQUAL, *series("09:55", 9.95, 9.95), _bar("09:57", 9.92, 2_500, open_=9.95)]
    assert raised(rows, "vwap_break", "down") == []


@pytest.mark.parametrize(("clock", "expected"), [("10:25", ["10:25"]), ("10:26", [])])
def test_failed_reclaim_counts_for_30_minutes(clock: str, expected: list[str]) -> None:
    # W(10:25, 30) begins at 09:55, where the failed reclaim is.
    rows = [*EQUAL, *FAILED_RECLAIM, *series("10:00", *[9.95] * 10), _bar(clock, 9.92, 5_000)]
    assert raised(rows, "vwap_break", "down") == expected


def test_failed_reclaim_may_lie_in_an_earlier_run() -> None:
    between = series("09:56", 10.05, 9.95, 9.95)  # above once: a new run below begins
    rows = [*EQUAL, *FAILED_RECLAIM, *between, _bar("09:59", 9.92, 3_000)]
    assert raised(rows, "vwap_break", "down") == ["09:59"]


def test_rejection_is_a_rising_edge() -> None:
    """Unlike a reclaim it may come again in the same run, after the condition failed once."""
    held = _bar("09:58", 9.92, 4_000)
    again = [_bar("09:59", 9.92, 1_000), _bar("10:00", 9.92, 4_000)]
    rows = [*EQUAL, *FAILED_RECLAIM, *REJECTION, held, *again]
    assert raised(rows, "vwap_break", "down") == ["09:57", "10:00"]


def _thresholds(**keys: object) -> dict[str, object]:
    detector = changed({}).events.detectors["vwap_break"]
    return {**detector.model_dump(), **keys}


# the VWAP itself ------------------------------------------------------------------------------


def test_vwap_outside_its_bar_counts_as_not_given() -> None:
    """(10.2 + 9.9 + 10.2) / 3 = 10.1, not the 50.0 that the provider says."""
    rows = [
        bar("09:30", 10.2, 50_000, open_=10.0, low=9.9, vwap=50.0),
        *(bar(clock_after("09:31", i), 10.2, 0) for i in range(10)),
        bar("09:41", 10.3, 50_000, open_=10.2, vwap=None),
    ]
    events = detect_events(frame(rows)).to_dicts()
    # 09:41: (10.3 + 10.2 + 10.3) / 3 = 10.266667, as many shares: the mean of the two prices.
    assert [row["vwap_at_event"] for row in events] == [
        pytest.approx((10.1 + 30.8 / 3) / 2) for _ in events
    ]
    assert events
