"""Instants and days of a query."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallcaps_pipeline.emulator.paging import decode_cursor, encode_cursor
from smallcaps_pipeline.emulator.params import (
    BadParameterError,
    Span,
    day_span,
    instant_span,
    rfc3339,
    timestamp_span,
)

HOUR = 3600 * 10**9
MIDNIGHT = 1_760_500_800 * 10**9  # 2025-10-15 00:00 in New York = 04:00 UTC


@pytest.mark.parametrize(
    ("text", "start", "length"),
    [
        ("2025-10-15", MIDNIGHT, 24 * HOUR),
        ("2025-11-02", 1_762_056_000 * 10**9, 25 * HOUR),  # daylight-saving time ends
        ("2026-03-08", 1_772_946_000 * 10**9, 23 * HOUR),  # and begins
    ],
)
def test_a_date_is_a_new_york_day(text: str, start: int, length: int) -> None:
    assert instant_span(text) == day_span(text) == Span(start, start + length)


@pytest.mark.parametrize(
    ("query", "start", "end"),
    [
        ({"timestamp": "2025-10-15"}, MIDNIGHT, MIDNIGHT + 24 * HOUR),
        ({"timestamp.gte": "100", "timestamp.lt": "200"}, 100, 200),
        ({"timestamp.gt": "100", "timestamp.lte": "200"}, 101, 201),
        ({"timestamp.gt": "2025-10-15"}, MIDNIGHT + 24 * HOUR, 2**63 - 1),
        ({"timestamp.lt": "2025-10-15"}, 0, MIDNIGHT),
        ({"timestamp.gte": "2025-10-15T04:00:00.000000007Z"}, MIDNIGHT + 7, 2**63 - 1),
        ({"timestamp.gte": "2025-10-15T00:00:00-04:00"}, MIDNIGHT, 2**63 - 1),
    ],
)
def test_comparisons_make_a_half_open_stretch(query: dict[str, str], start: int, end: int) -> None:
    assert timestamp_span(query) == Span(start, end)


@given(st.integers(min_value=10**18, max_value=2 * 10**18))
def test_nanoseconds_survive_rfc3339(ns: int) -> None:
    assert instant_span(rfc3339(ns)) == Span(ns, ns + 1)


def test_cursor_of_the_providers_sample_reads_and_writes() -> None:
    """The published sample of two pages of quotes (May 2022)."""
    cursor = (
        "YXA9MTkyODgxNjYmYXM9JmxpbWl0PTEwJm9yZGVyPWRlc2Mmc29ydD10aW1lc3RhbXAmdGltZXN0YW1wLmx0ZT0y"
        "MDIyLTA1LTEwVDE0JTNBMTElM0ExMi42OTA2NjExODla"
    )
    fields = decode_cursor(cursor)
    assert fields == {
        "ap": "19288166",
        "as": "",
        "limit": "10",
        "order": "desc",
        "sort": "timestamp",
        "timestamp.lte": "2022-05-10T14:11:12.690661189Z",
    }
    assert encode_cursor(fields) == cursor


@pytest.mark.parametrize("text", ["", "2025-02-30", "2025-1-1", "now", "-5"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(BadParameterError):
        instant_span(text)
