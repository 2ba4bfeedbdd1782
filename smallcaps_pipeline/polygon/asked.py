"""What was asked, as the provider writes it, and whether the answer keeps to it.

Belongs here: intervals and instants in the API's notation; checks of an answer against its request.
Keep out: paths and parameters (client), whether a body is whole (frames).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

import polars as pl

from smallcaps_pipeline.polygon.errors import IncompleteAnswer, OutsideRequest, RepeatedCursor
from smallcaps_pipeline.polygon.frames import Page
from smallcaps_pipeline.polygon.transport import Request

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE: Final = timedelta(minutes=1)


def minute_after_last(page: Page, request: Request, reached: datetime | None) -> datetime:
    """Return the start of the minute after the last bar of a page that is not the last.

    Args:
        page: Bars.
        request: The request that it answers.
        reached: This function's result for the page before; None for the first page.

    Raises:
        RepeatedCursor: The page ends no later than the one before.
        IncompleteAnswer: The page holds no bars.
        OutsideRequest: Its bars do not ascend, so what comes after it is not known.
    """
    timestamps = page.frame["timestamp"]
    last = timestamps.max()
    if not isinstance(last, datetime):
        problem = "expected bars on a page that has a next one, got none"
        raise IncompleteAnswer(problem, request.url)
    if not timestamps.unique(maintain_order=True).is_sorted():  # copies may stand at its end
        raise OutsideRequest("expected bars in ascending order, got others", request.url)
    following = last + _MINUTE
    if reached is not None and following <= reached:
        raise RepeatedCursor(f"expected bars from {reached} on, got none later", request.url)
    return following


def within(column: str, start: datetime, end: datetime) -> pl.Expr:
    """Return whether a UTC column lies in [start, end), aware times of any zone."""
    return pl.col(column).is_between(start.astimezone(UTC), end.astimezone(UTC), closed="left")


def require_inside(frame: pl.DataFrame, inside: pl.Expr, request: Request) -> None:
    """Raise `OutsideRequest` where a row is not `inside` what was asked."""
    if outside := frame.filter(~inside).height:
        problem = f"expected rows of the asked time only, got {outside} others of {frame.height}"
        raise OutsideRequest(problem, request.url)


def require_order(start: date, end: date) -> None:
    """Raise where an interval is no interval; instants (a kind of date) must be aware."""
    for instant in (start, end):
        if isinstance(instant, datetime) and instant.tzinfo is None:
            raise ValueError(f"expected a time with a time zone, got {instant}")
    if end <= start:
        raise ValueError(f"expected an end after the start, got [{start}, {end})")


def nanoseconds(instant: datetime) -> int:
    """Return exact nanoseconds since 1970 of an aware time."""
    if instant.tzinfo is None:
        raise ValueError(f"expected a time with a time zone, got {instant}")
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1_000


def rfc3339(instant: datetime) -> str:
    """Return an aware time in UTC, microseconds included."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def checked_symbol(symbol: str) -> str:
    """Return a symbol; raise ValueError where it is empty or has white space around it."""
    if not symbol or symbol != symbol.strip():
        raise ValueError(f"expected a symbol, got {symbol!r}")
    return symbol
