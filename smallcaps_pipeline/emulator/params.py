"""Query parameters of the provider: dates, milliseconds, nanoseconds, dotted comparisons.

Belongs here: text of a query → typed values, or the provider's 400.
Keep out: what is done with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from smallcaps_pipeline import sessions

NS: Final = 10**9
_SUFFIXES: Final = ("", ".gt", ".gte", ".lt", ".lte", ".any_of")
_RFC3339: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})"
)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


class BadParameterError(ValueError):
    """A parameter cannot be read; the provider answers 400."""


@dataclass(frozen=True)
class Span:
    """A half-open stretch of nanoseconds [start, end), UTC."""

    start: int
    end: int


def read_limit(query: Mapping[str, str], default: int, most: int) -> int:
    """Return the page size; beyond the provider's maximum is its 400."""
    text = query.get("limit", str(default))
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise BadParameterError(f"limit is {text!r}, expected a number from 1 to {most}")
    return int(text)


def read_choice(query: Mapping[str, str], name: str, default: str, *known: str) -> str:
    """Return a parameter that knows a few values only."""
    value = query.get(name, default)
    if value not in known:
        raise BadParameterError(f"{name} is {value!r}, expected one of {', '.join(known)}")
    return value


def read_date(text: str) -> date:
    """Return a date given as YYYY-MM-DD."""
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise BadParameterError("Could not parse the date.")


def midnight_ns(day: date) -> int:
    """Return the UTC nanosecond of 00:00 New York time."""
    return int(sessions.new_york_time(day, time()).timestamp()) * NS


def day_span(text: str) -> Span:
    """Return the time that a `from` or `to` means: a New York day, or one millisecond."""
    if text.isdigit():
        at = int(text) * 1_000_000
        return Span(at, at + 1)
    day = read_date(text)
    return Span(midnight_ns(day), midnight_ns(day + timedelta(days=1)))


def instant_span(text: str) -> Span:
    """Return the time that a `timestamp` means: a New York day, or one nanosecond."""
    if text.isdigit():
        return Span(int(text), int(text) + 1)
    if match := _RFC3339.fullmatch(text):
        seconds, digits, zone = match.groups()
        instant = datetime.fromisoformat(seconds + zone.replace("Z", "+00:00"))
        at = int(instant.timestamp()) * NS + int((digits or "0").ljust(9, "0"))
        return Span(at, at + 1)
    day = read_date(text)
    return Span(midnight_ns(day), midnight_ns(day + timedelta(days=1)))


def timestamp_span(query: Mapping[str, str]) -> Span:
    """Return the stretch that `timestamp` and its comparisons leave."""
    start, end = 0, 2**63 - 1
    for suffix, text in _comparisons(query, "timestamp"):
        span = instant_span(text)
        if suffix in ("", ".gte"):
            start = max(start, span.start)
        if suffix in ("", ".lte"):
            end = min(end, span.end)
        if suffix == ".gt":
            start = max(start, span.end)
        if suffix == ".lt":
            end = min(end, span.start)
    return Span(start, end)


def rfc3339(ns: int) -> str:
    """Write a nanosecond as RFC 3339 in UTC, its zeros at the end cut, as Go does."""
    seconds, rest = divmod(ns, NS)
    whole = datetime.fromtimestamp(seconds, tz=UTC)
    digits = f".{rest:09d}".rstrip("0").rstrip(".")
    return f"{whole:%Y-%m-%dT%H:%M:%S}{digits}Z"


def matching(
    rows: Iterable[dict[str, Any]], query: Mapping[str, str], *fields: str
) -> list[dict[str, Any]]:
    """Keep the rows that satisfy the query's comparisons of some fields.

    A date or ticker is compared as text, a number as number; a row that lacks the field fails.
    """
    kept = list(rows)
    for field in fields:
        for suffix, text in _comparisons(query, field):
            kept = [row for row in kept if _satisfies(row.get(field), suffix, text)]
    return kept


def _comparisons(query: Mapping[str, str], field: str) -> list[tuple[str, str]]:
    return [(s, query[field + s]) for s in _SUFFIXES if query.get(field + s)]


def _satisfies(value: Any, suffix: str, text: str) -> bool:
    if value is None:
        return False
    if isinstance(value, list):
        return suffix == "" and text in value
    if suffix == ".any_of":
        return str(value) in text.split(",")
    other: Any = text
    if isinstance(value, (int, float)):
        try:
            other = float(text)
        except ValueError as error:
            raise BadParameterError(f"{text!r} is no number") from error
    return bool(
        {
            "": value == other,
            ".gt": value > other,
            ".gte": value >= other,
            ".lt": value < other,
            ".lte": value <= other,
        }[suffix]
    )
