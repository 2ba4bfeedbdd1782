"""Event ids, and the record of a window."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from smallcaps_pipeline.windows.window import (
    Window,
    event_date,
    event_symbol,
    event_time,
    sort_events,
)
from smallcaps_pipeline_tests.windows.make import at


@pytest.mark.parametrize(
    ("event_id", "symbol"),
    [
        ("AEMD_20251007_133500_vwap_break_up", "AEMD"),
        ("BRK.A_20251007_133500_flush_down", "BRK.A"),
        ("BApA_20251007_133500_opening_range_break_up", "BApA"),
    ],
)
def test_an_event_id_tells_symbol_and_instant(event_id: str, symbol: str) -> None:
    assert event_symbol(event_id) == symbol
    assert event_time(event_id) == datetime(2025, 10, 7, 13, 35, tzinfo=UTC)


def test_the_date_of_an_event_is_the_trading_day_in_new_york() -> None:
    """19:30 in New York on 2025-01-06 (winter) is 00:30 UTC of the next day."""
    assert event_date("A_20250107_003000_flush_down") == date(2025, 1, 6)


def test_events_sort_by_time_then_id() -> None:
    ids = ["A_20251007_140000_z_up", "A_20251007_130000_z_up", "A_20251007_140000_a_up"]
    assert sort_events([*ids, ids[0]]) == (ids[1], ids[2], ids[0])


@pytest.mark.parametrize("text", ["AEMD", "AEMD_20251007_vwap_break_up", ""])
def test_what_is_no_event_id_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="expected an event id"):
        event_time(text)


@pytest.mark.parametrize(
    ("start", "end", "events", "message"),
    [
        ("14:00", "14:00", ("A_20251007_140000_z_up",), "end after its start"),
        ("14:00", "14:10", (), "at least one event"),
    ],
)
def test_a_window_that_cannot_be_is_refused(
    start: str, end: str, events: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Window("A", at(start), at(end), events)
