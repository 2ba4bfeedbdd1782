"""Extension of hot windows: a window of ten minutes, worked by hand.

The event is at 14:00, the window [13:57, 14:07), so its minutes are 13:57 ... 14:06. The linear
90th percentile of ten counts c0 <= ... <= c9 is c8 + 0.1 x (c9 - c8).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from smallcaps_pipeline.schemas import QUOTES
from smallcaps_pipeline.windows import Window, extension
from smallcaps_pipeline_tests.windows.make import CONFIG, at, event_id, ns, quotes, trades

START, END = at("13:57"), at("14:07")
WINDOW = Window("A", START, END, (event_id("A", at("14:00")),))
BOTH = (at("13:50"), at("14:20"))
NO_TRADES = trades([])


def tape(counts: list[int], **columns: Any) -> pl.DataFrame:
    """Return that many trades in each minute of the window, a millisecond apart."""
    minutes = [START + timedelta(minutes=i) for i in range(len(counts))]
    times = [
        ns(minute) + i * 1_000_000
        for minute, n in zip(minutes, counts, strict=True)
        for i in range(n)
    ]
    return trades(times, **columns)


def path(mids: list[float]) -> pl.DataFrame:
    """Return quotes with a mid at each minute's edge, put up one second before it."""
    edges = [START + timedelta(minutes=i) - timedelta(seconds=1) for i in range(len(mids))]
    return quotes([ns(edge) for edge in edges], [m - 0.01 for m in mids], [m + 0.01 for m in mids])


def decide(counts: list[int], **more: Any) -> tuple[datetime, datetime] | None:
    return extension(WINDOW, tape(counts), settings=CONFIG, **more)


@pytest.mark.parametrize(
    ("counts", "expected", "reason"),
    [
        ([9] * 9 + [100], (START, at("14:20")), "percentile 9 + 0.1 x 91 = 18.1; last is 100"),
        ([100] + [9] * 9, (at("13:50"), END), "the first minute"),
        ([100] + [9] * 8 + [100], BOTH, "percentile 100: equal is hot"),
        ([50] + [9] * 9, (at("13:50"), END), "exactly 50 trades"),
        ([49] + [9] * 9, None, "below 50 trades"),
        ([9] * 4 + [100] + [9] * 5, None, "hot in the middle: no edge"),
        ([50] * 10, BOTH, "all alike: each equals the percentile"),
        ([91] + [100] + [90] * 8, None, "percentile 91 + 0.1 x 9 = 91.9: 91 is below"),
        ([0] * 10, None, "nothing traded"),
    ],
)
def test_hot_edges_by_trades(
    counts: list[int], expected: tuple[datetime, datetime] | None, reason: str
) -> None:
    assert decide(counts) == expected, reason


def test_empty_minutes_count_in_the_percentile() -> None:
    """60 trades in the first minute, 70 in the second, none in the other eight.

    With the empty minutes the percentile is 60 + 0.1 x 10 = 61: not hot. Without a third busy one
    it is 0 + 0.1 x 60 = 6: hot.
    """
    assert decide([60, 70] + [0] * 8) is None
    assert decide([60] + [0] * 9) == (at("13:50"), END)


def test_the_new_edges_are_counted_from_the_first_and_the_last_event() -> None:
    window = Window(
        "A", START, at("14:12"), (event_id("A", at("14:00")), event_id("A", at("14:05")))
    )
    both = extension(window, tape([100] + [9] * 13 + [100]), settings=CONFIG)
    assert both == (at("13:50"), at("14:25"))


def test_a_window_never_shrinks() -> None:
    wide = Window("A", at("13:30"), at("15:30"), WINDOW.events_merged)
    times = [ns(at("13:30")) + i for i in range(100)] + [ns(at("15:29")) + i for i in range(100)]
    assert extension(wide, trades(times), settings=CONFIG) is None


def test_a_window_is_extended_once() -> None:
    done = Window("A", START, END, WINDOW.events_merged, extended=True)
    assert extension(done, tape([100] + [9] * 9), settings=CONFIG) is None


def test_trades_outside_the_window_do_not_count() -> None:
    outside = [ns(START) - 1 - i for i in range(100)] + [ns(END) + i for i in range(100)]
    assert extension(WINDOW, trades(sorted(outside)), settings=CONFIG) is None


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"correction": pl.lit(8)}, None),  # cancelled prints do not exist
        ({"correction": pl.lit(1)}, (at("13:50"), END)),
        ({"correction": pl.lit(None)}, (at("13:50"), END)),
        ({"conditions": pl.lit([15], dtype=pl.List(pl.Int32))}, None),  # messages, not trades
        ({"conditions": pl.lit([37, 16], dtype=pl.List(pl.Int32))}, None),
        ({"conditions": pl.lit([12, 37], dtype=pl.List(pl.Int32))}, (at("13:50"), END)),
        ({"conditions": pl.lit(None, dtype=pl.List(pl.Int32))}, (at("13:50"), END)),
    ],
)
def test_only_prints_that_happened_count(
    columns: dict[str, pl.Expr], expected: tuple[datetime, datetime] | None
) -> None:
    busy = tape([100] + [0] * 9, **columns)
    assert extension(WINDOW, busy, settings=CONFIG) == expected


# moves ----------------------------------------------------------------------------------------

FLAT = [10.0] * 11  # mids at the eleven edges of ten minutes


@pytest.mark.parametrize(
    ("edge_mids", "expected", "reason"),
    [
        ([10.0, 10.1] + [10.1] * 9, (at("13:50"), END), "1 % in the first minute, equal is hot"),
        ([10.0, 10.09] + [10.09] * 9, None, "0.9 %"),
        ([10.0] * 10 + [9.8], (START, at("14:20")), "down 2 % in the last minute"),
        ([10.0, 10.2, 10.6] + [10.6] * 8, None, "2 % in the first, 3.9 % in the second minute"),
        (FLAT, None, "no move"),
    ],
)
def test_hot_edges_by_moves(
    edge_mids: list[float], expected: tuple[datetime, datetime] | None, reason: str
) -> None:
    assert extension(WINDOW, NO_TRADES, path(edge_mids), settings=CONFIG) == expected, reason


def test_a_quote_at_the_very_edge_is_not_in_force_there() -> None:
    """The jump is put up at 13:58:00.000: it moves the second minute, not the first."""
    jump = quotes([ns(START) - 1, ns(at("13:58"))], [9.99, 10.29], [10.01, 10.31])
    assert extension(WINDOW, NO_TRADES, jump, settings=CONFIG) is None
    jump = quotes([ns(START) - 1, ns(at("13:58")) - 1], [9.99, 10.29], [10.01, 10.31])
    assert extension(WINDOW, NO_TRADES, jump, settings=CONFIG) == (at("13:50"), END)


def test_minutes_without_two_mids_are_left_out() -> None:
    """The first quote comes in the third minute: the first has no move and cannot be hot.

    Of the seven known moves only the last is not 0: percentile 0, 2 % is hot.
    """
    late = path([10.0] * 10 + [10.2]).slice(3)
    assert extension(WINDOW, NO_TRADES, late, settings=CONFIG) == (START, at("14:20"))
    assert extension(WINDOW, NO_TRADES, QUOTES.empty(), settings=CONFIG) is None


def test_invalid_quotes_move_nothing() -> None:
    crossed = quotes(
        [ns(START) - 1, ns(START) + 1, ns(END) - 1], [9.99, 10.5, 0.0], [10.01, 10.4, 10.3]
    )
    assert extension(WINDOW, NO_TRADES, crossed, settings=CONFIG) is None


# form -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row",
    [
        {"window_start": START, "window_end": END, "events_merged": list(WINDOW.events_merged)},
        {"window_start": START, "window_end": END, "event_id": WINDOW.events_merged[0]},
    ],
)
def test_rows_of_the_plan_and_of_the_manifest_are_windows(row: dict[str, Any]) -> None:
    busy = tape([100] + [9] * 9)
    assert extension(row, busy, settings=CONFIG) == (at("13:50"), END)
    assert extension(row | {"extended": True}, busy, settings=CONFIG) is None


def test_a_naive_window_is_an_error() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Window("A", START.replace(tzinfo=None), END.replace(tzinfo=None), WINDOW.events_merged)
