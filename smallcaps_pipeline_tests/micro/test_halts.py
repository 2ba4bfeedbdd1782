"""Probable halts: silence, after activity, with a move or a reopening print."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from smallcaps_pipeline.micro import event_features
from smallcaps_pipeline_tests.micro.tables import at, event, quotes, trades

BOOK = quotes(("09:59:00", 10.0, 10.1), ("10:12:00", 12.0, 12.2))
Row = tuple[Any, ...]


def active(last: float = 10.6, *, first: int = 0) -> list[Row]:
    """Return a trade every half minute from 10:0{first} to 10:05, from 10.00 to `last`."""
    clocks = [f"10:0{m}:{s}" for m in range(first, 5) for s in ("00", "30")]
    return [*((clock, 10.0) for clock in clocks), ("10:05:00", last)]


def halts(*rows: Row, **options: Any) -> list[dict[str, Any]]:
    window = event("10:05", before=options.pop("before", 10), after=options.pop("after", 20))
    book = options.pop("book", BOOK)
    row = event_features(window, trades(*rows, **options), book).row(0, named=True)
    found: list[dict[str, Any]] = row["label_halts"]
    return found


def test_silence_after_a_move_is_a_probable_halt() -> None:
    # Last trade 10:05:00 at 10.60, 6 % above 10.00; next 10:12:30.
    found = halts(*active(), ("10:12:30", 12.0))
    expected = {
        "start": at("10:05:00"),
        "end": at("10:12:30"),
        "mid_start": 10.05,
        "mid_end": 12.1,
        "confirmed": False,
    }
    assert found == [expected]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([*active(), ("10:09:59.999999999", 12.0)], "silent for less than 300 s"),
        ([*active(10.49), ("10:12:30", 12.0)], "a range of 4.9 % in the minutes before"),
        ([*active(first=2), ("10:12:30", 12.0, 100, [18])], "no trade in 10:00-10:01"),
        ([("10:05:00", 10.6), ("10:12:30", 12.0)], "a thin name falls silent"),
        ([*active(), ("10:08:00", 1.0, 1, [37]), ("10:12:30", 12.0)], "an odd lot is a trade"),
    ],
)
def test_what_is_no_halt(rows: list[Row], why: str) -> None:
    assert halts(*rows) == [], why


def test_messages_and_cancelled_trades_do_not_break_the_silence() -> None:
    rows = [*active(), ("10:08:00", 10.6, 1, [15]), ("10:09:00", 10.6, 1, [], 8), ("10:12:30", 12)]
    assert [halt["end"] for halt in halts(*rows)] == [at("10:12:30")]


@pytest.mark.parametrize("code", [18, 28])
def test_reopening_print_confirms_and_stands_in_for_the_move(code: int) -> None:
    found = halts(*active(10.1), ("10:12:30", 12.0, 100, [code]))
    assert [halt["confirmed"] for halt in found] == [True]


def test_halt_indicator_confirms() -> None:
    book = quotes(("09:59:00", 10.0, 10.1), ("10:05:01", 10.0, 10.1, [17]))
    assert [halt["confirmed"] for halt in halts(*active(), book=book)] == [True]


def test_range_of_exactly_five_percent_is_enough() -> None:
    assert len(halts(*active(10.5), ("10:12:30", 12.0))) == 1


def test_silence_of_exactly_300_seconds_is_enough() -> None:
    assert len(halts(*active(), ("10:10:00", 12.0))) == 1


def test_silence_that_the_window_cuts_ends_there() -> None:
    assert [halt["end"] for halt in halts(*active(), after=10)] == [at("10:15:00")]
    assert halts(*active(), after=4) == []


def test_minutes_before_must_lie_in_the_window() -> None:
    assert halts(*active(), ("10:12:30", 12.0), before=3) == []


def test_silence_is_counted_in_regular_hours_only() -> None:
    """Early close of 2025-11-28 at 13:00: what follows is after-hours, no halt."""
    clocks = [f"12:5{m}:{s}" for m in range(1, 6) for s in ("00", "30")]
    rows = [*((clock, 10.0) for clock in clocks), ("12:56:00", 10.6), ("13:10:00", 10.0)]
    window = event("12:56", before=10, after=20, day="2025-11-28")
    tape = trades(*rows, day="2025-11-28")
    early = event_features(window, tape, quotes(day="2025-11-28")).row(0, named=True)
    assert early["label_halts"] == []  # 240 s until the close
    later = trades(*rows, day="2025-11-26")
    window = event("12:56", before=10, after=20, day="2025-11-26")
    normal = event_features(window, later, quotes(day="2025-11-26")).row(0, named=True)
    assert [halt["end"] for halt in normal["label_halts"]] == [at("13:10:00", "2025-11-26")]


def test_spread_leaves_the_halt_out() -> None:
    # 10:00 to 10:05 at 0.10; halted 10:05-10:12:30 with a spread of 2.00; then 0.10 again.
    book = quotes(("09:50:00", 10.0, 10.1), ("10:05:00", 9.0, 11.0), ("10:12:30", 10.0, 10.1))
    rows = [*active(), ("10:12:30", 12.0)]
    row = event_features(event("10:05", before=5, after=20), trades(*rows), book).row(0, named=True)
    assert row["label_spread_mean_bps"] == pytest.approx(0.1 / 10.05 * 10_000)


def test_spread_before_does_not_know_of_a_halt_to_come() -> None:
    """At the bar's end a minute of silence is a minute of silence."""
    book = quotes(("09:50:00", 10.0, 10.1), ("10:05:00", 9.0, 11.0))
    window = event("10:05", before=5, after=20)
    row = event_features(window, trades(*active()), book).row(0, named=True)
    five_calm, one_wide = 0.1 / 10.05 * 10_000, 2.0 / 10.0 * 10_000
    assert row["spread_before_bps"] == pytest.approx((5 * five_calm + one_wide) / 6)
    assert [halt["end"] - halt["start"] for halt in row["label_halts"]] == [timedelta(minutes=20)]
