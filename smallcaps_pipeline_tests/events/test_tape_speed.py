"""tape_speed: many more trades than usual, counted by the bars themselves."""

from __future__ import annotations

import logging

import pytest

from smallcaps_pipeline.events import detect, detect_events
from smallcaps_pipeline_tests.events.builders import bar, clock_after, frame, quiet
from smallcaps_pipeline_tests.events.raised import raised


@pytest.mark.parametrize(
    ("usual", "transactions", "opened", "direction", "fires", "reason"),
    [
        (20, 60, 9.9, "up", True, "three times the usual 20 trades"),
        (20, 59, 9.9, "up", False, "2.95 times"),
        (16, 50, 9.9, "up", True, "50 trades, 3.125 times"),
        (16, 49, 9.9, "up", False, "49 trades, though 3.06 times"),
        (20, 60, 10.1, "down", True, "red"),
        (20, 60, 9.9, "down", False, "green"),
        (20, 60, 10.0, "up", False, "flat"),
        (20, 60, 10.0, "down", False, "flat"),
        (20, None, 9.9, "up", False, "no count at t"),
    ],
)
def test_condition(
    usual: int,
    transactions: int | None,
    opened: float,
    direction: str,
    fires: bool,
    reason: str,
) -> None:
    rows = [
        *quiet("09:40", 20, 10.0, transactions=usual),
        bar("10:00", 10.0, open_=opened, transactions=transactions),
    ]
    assert raised(rows, "tape_speed", direction) == (["10:00"] if fires else []), reason


def test_one_count_missing_in_the_window_makes_it_undefined() -> None:
    rows = quiet("09:39", 21, 10.0, transactions=10)
    event = bar("10:00", 10.0, open_=9.9, transactions=1_000)
    rows[1]["transactions"] = None  # 09:40, the first minute of W(10:00, 20)
    assert raised([*rows, event], "tape_speed", "up") == []
    rows[1]["transactions"], rows[0]["transactions"] = 10, None  # 09:39, before it
    assert raised([*rows, event], "tape_speed", "up") == ["10:00"]


def test_mean_is_per_minute_and_not_per_bar() -> None:
    # 10 bars of 40 trades in 20 minutes: 20 a minute, so 60 is three times.
    rows = [*quiet("09:40", 10, 10.0, transactions=40)]
    assert raised([*rows, bar("10:00", 10.0, open_=9.9, transactions=60)], "tape_speed", "up") == [
        "10:00"
    ]
    assert raised([*rows, bar("10:00", 10.0, open_=9.9, transactions=59)], "tape_speed", "up") == []


def test_mean_is_at_least_one_trade_a_minute_and_over_the_minutes_since_04_00() -> None:
    alone = bar("10:00", 10.0, open_=9.9, transactions=50)
    assert raised([alone], "tape_speed", "up") == ["10:00"]  # an empty window: 50 / 1
    five = [*quiet("04:00", 5, 10.0, transactions=20)]  # 100 trades in 5 minutes: 20 a minute
    for transactions, expected in [(60, ["04:05"]), (59, [])]:
        rows = [*five, bar("04:05", 10.0, open_=9.9, transactions=transactions)]
        assert raised(rows, "tape_speed", "up") == expected
    assert raised([bar("04:00", 10.0, open_=9.9, transactions=999)], "tape_speed", "up") == []


def test_bars_without_counts_yield_nothing_and_say_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = [bar(clock_after("10:00", i), 10.0 + i, open_=9.0 + i) for i in range(5)]
    with caplog.at_level(logging.WARNING):
        events = detect_events(frame(rows))
    assert "tape_speed" not in events["event_type"].to_list()
    assert detect(frame(rows)).without_transactions
    assert [r.message for r in caplog.records if "tape_speed" in r.message] == [
        "tape_speed yields no events: the bars carry no transaction counts"
    ]


def test_bars_with_a_count_say_nothing(caplog: pytest.LogCaptureFixture) -> None:
    rows = [bar("10:00", 10.0), bar("10:01", 10.0, transactions=1)]
    with caplog.at_level(logging.WARNING):
        detect_events(frame(rows))
        detect_events(frame([]))  # nor do no bars at all
    assert caplog.records == []
    assert not detect(frame(rows)).without_transactions
