"""Time buckets: New York clock, session first, early closes, daylight saving."""

from __future__ import annotations

import pytest

from smallcaps_pipeline.manifest.buckets import time_buckets
from smallcaps_pipeline.sessions import CalendarRangeError
from smallcaps_pipeline_tests.manifest.tables import event, events, settings


@pytest.mark.parametrize(
    ("at", "session", "expected", "why"),
    [
        ("2025-10-07 09:29", "PM", "PM", "last minute before the open"),
        ("2025-10-07 09:30", "RTH", "opening", "first minute of RTH"),
        ("2025-10-07 10:29", "RTH", "opening", "10:30 is not included"),
        ("2025-10-07 10:30", "RTH", "midday", "from 10:30"),
        ("2025-10-07 14:59", "RTH", "midday", "15:00 is not included"),
        ("2025-10-07 15:00", "RTH", "power_hour", "from 15:00"),
        ("2025-10-07 15:59", "RTH", "power_hour", "to the close"),
        ("2025-10-07 16:00", "AH", "AH", "from the close"),
        ("2025-11-28 11:59", "RTH", "midday", "early close at 13:00: midday ends at 12:00"),
        ("2025-11-28 12:00", "RTH", "power_hour", "its last 60 minutes"),
        ("2025-11-28 10:00", "RTH", "opening", "the opening is as on other days"),
        ("2025-11-28 13:00", "AH", "AH", "the session decides, not the clock"),
        ("2025-11-28 15:30", "AH", "AH", "after an early close there is no power_hour"),
        ("2025-03-07 10:00", "RTH", "opening", "EST: 15:00 UTC, the last day before the switch"),
        ("2025-03-10 10:00", "RTH", "opening", "EDT: 14:00 UTC, the first day after it"),
    ],
)
def test_time_bucket(at: str, session: str, expected: str, why: str) -> None:
    rows = events(event(at=at, session=session))
    assert time_buckets(rows, settings().manifest).to_list() == [expected], why


def test_day_beyond_the_calendar_is_an_error() -> None:
    with pytest.raises(CalendarRangeError, match="2040-01-03"):
        time_buckets(events(event(at="2040-01-03 10:00")), settings().manifest)
