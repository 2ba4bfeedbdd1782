"""Pages: cursors of the provider, and next links.

Belongs here: which rows a page holds, what its cursor says, and where its next link points.
Keep out: JSON (`wire`) and HTTP.

Ticks page by key. The cursor of a page whose last row is (time T, sequence number S) reads

    ap=S&as=&limit=50000&order=asc&sort=timestamp&timestamp.gte=T&timestamp.lt=END

and the next page starts strictly after that row: an inclusive time bound, ties broken by the
sequence number, so no page size loses or repeats a row of several that share a nanosecond. Bars
page by time: `from` moves on in the path; their cursor holds limit, sort and, here, `adjusted` (the
provider's is not known to; the fault `lost_adjusted` leaves it out).
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

import polars as pl

from smallcaps_pipeline import sessions
from smallcaps_pipeline.emulator.params import (
    NS,
    BadParameterError,
    Span,
    instant_span,
    read_choice,
    read_limit,
    rfc3339,
    timestamp_span,
)
from smallcaps_pipeline.emulator.source import MarketSource

TICK_LIMIT, TICK_MOST = 1000, 50_000
_END_OF_TIME: Final = 2**63 - 1

Rows = Callable[[str, date], pl.DataFrame]


def encode_cursor(fields: Mapping[str, str]) -> str:
    """Write a cursor: its fields as a query, in unpadded URL-safe base64."""
    text = urlencode(fields, quote_via=quote, safe="")
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> dict[str, str]:
    """Read a cursor.

    Raises:
        BadParameterError: It is none.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = b64decode(padded, altchars=b"-_", validate=True).decode()
        return dict(parse_qsl(text, keep_blank_values=True, strict_parsing=True))
    except (Base64Error, ValueError) as error:
        raise BadParameterError(f"cursor {cursor!r} cannot be read") from error


@dataclass(frozen=True)
class TickQuery:
    """What a request for ticks asks: a stretch of time, an order, a page size, a row to go on from.

    `after` is the (time, sequence number) of the last row of the page before, if any.
    """

    span: Span
    ascending: bool
    limit: int
    after: tuple[int, int] | None = None

    @classmethod
    def read(cls, query: Mapping[str, str]) -> TickQuery:
        """Read a request's query; a cursor holds all that it asks."""
        fields = decode_cursor(query["cursor"]) if "cursor" in query else query
        order = read_choice(fields, "order", "desc", "asc", "desc")
        read_choice(fields, "sort", "timestamp", "timestamp")
        limit = read_limit(fields, TICK_LIMIT, TICK_MOST)
        return cls(timestamp_span(fields), order == "asc", limit, _last_row(fields, order))

    def cursor_after(self, time: int, sequence: int) -> str:
        """Return the cursor of the page after one that ends at a row."""
        order = "asc" if self.ascending else "desc"
        fields = {"ap": str(sequence), "as": "", "limit": str(self.limit), "order": order}
        fields["sort"] = "timestamp"
        if self.ascending:
            fields["timestamp.gte"] = rfc3339(time)
            if self.span.end < _END_OF_TIME:
                fields["timestamp.lt"] = rfc3339(self.span.end)
        else:
            if self.span.start > 0:
                fields["timestamp.gte"] = rfc3339(self.span.start)
            fields["timestamp.lte"] = rfc3339(time)
        return encode_cursor(fields)


@dataclass(frozen=True)
class TickPage:
    """Rows of one page in the order asked for, and the cursor of the next; None after the last."""

    rows: pl.DataFrame
    cursor: str | None


def tick_page(source: MarketSource, rows: Rows, symbol: str, query: TickQuery) -> TickPage:
    """Collect one page, day by day, and no day more than it needs."""
    first, last = _day_of(query.span.start, source), _day_of(query.span.end - 1, source)
    days = source.tick_days(symbol, first, last)
    parts: list[pl.DataFrame] = []
    missing = query.limit + 1  # one more row tells whether a page follows
    for day in days if query.ascending else reversed(days):
        part = _selected(rows(symbol, day), query)
        part = part.head(missing) if query.ascending else part.tail(missing).reverse()
        parts.append(part)
        missing -= part.height
        if missing <= 0:
            break
    found = pl.concat(parts) if parts else rows(symbol, source.first).clear()
    if found.height <= query.limit:
        return TickPage(found, None)
    page = found.head(query.limit)
    ends = page.tail(1).select(pl.col("timestamp").to_physical(), "sequence_number").row(0)
    return TickPage(page, query.cursor_after(*ends))


def row_page(
    rows: Sequence[dict[str, Any]], query: Mapping[str, str], default: int, most: int
) -> tuple[Sequence[dict[str, Any]], str | None]:
    """Cut a list of reference rows, already filtered and sorted, into the page asked for.

    Returns:
        The page's rows, and the cursor of the next page; None after the last.
    """
    limit = read_limit(query, default, most)
    marker = query.get("page_marker", "0")
    if not marker.isdigit():
        raise BadParameterError(f"page_marker is {marker!r}, expected a number")
    start = int(marker)
    if start + limit >= len(rows):
        return rows[start:], None
    kept = {name: value for name, value in query.items() if name not in ("apiKey", "cursor")}
    kept |= {"limit": str(limit), "page_marker": str(start + limit)}
    return rows[start : start + limit], encode_cursor(dict(sorted(kept.items())))


def _last_row(fields: Mapping[str, str], order: str) -> tuple[int, int] | None:
    if not fields.get("ap"):
        return None
    bound = "timestamp.gte" if order == "asc" else "timestamp.lte"
    if not fields["ap"].isdigit() or bound not in fields:
        raise BadParameterError(f"cursor lacks {bound}, or its ap is no number")
    return instant_span(fields[bound]).start, int(fields["ap"])


def _selected(frame: pl.DataFrame, query: TickQuery) -> pl.DataFrame:
    """Return the rows of a day that the query leaves; the day is sorted by time."""
    times = frame["timestamp"].to_physical()
    low = times.search_sorted(query.span.start, side="left")
    high = times.search_sorted(query.span.end, side="left")
    part = frame.slice(low, max(high - low, 0))
    if query.after is None:
        return part
    at, sequence = query.after
    time, number = pl.col("timestamp").to_physical(), pl.col("sequence_number")
    if query.ascending:
        return part.filter((time > at) | ((time == at) & (number > sequence)))
    return part.filter((time < at) | ((time == at) & (number < sequence)))


def _day_of(ns: int, source: MarketSource) -> date:
    """Return the New York day of an instant, drawn to the source's first or last day."""
    earliest = datetime(source.first.year, 1, 1, tzinfo=UTC).timestamp()
    latest = datetime(source.last.year + 1, 1, 2, tzinfo=UTC).timestamp()
    seconds = min(max(ns // NS, int(earliest)), int(latest))
    return sessions.trading_day_of(datetime.fromtimestamp(seconds, tz=UTC))
