"""A merged window, and what an event's id says about it.

Belongs here: the record that `extension` and the fetch share, and the reading of event ids.
Keep out: files (`files`), decisions (`extension`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from smallcaps_pipeline.sessions import trading_day_of

_EVENT_ID: Final = re.compile(r"(?P<symbol>.+?)_(?P<time>\d{8}_\d{6})_.+")


@dataclass(frozen=True)
class Window:
    """One window of a symbol, half-open [window_start, window_end), UTC.

    Attributes:
        symbol: Ticker.
        window_start: First instant.
        window_end: End, not included.
        events_merged: The ids of its events, at least one.
        extended: Whether a hot edge has widened it already, which happens at most once.
    """

    symbol: str
    window_start: datetime
    window_end: datetime
    events_merged: tuple[str, ...]
    extended: bool = False

    def __post_init__(self) -> None:
        if self.window_start.tzinfo is None or self.window_end.tzinfo is None:
            raise ValueError(f"{self.symbol}: a window needs instants with a time zone")
        if not self.window_start < self.window_end:
            raise ValueError(
                f"{self.symbol}: a window must end after its start, was "
                f"[{self.window_start}, {self.window_end})"
            )
        if not self.events_merged:
            raise ValueError(f"{self.symbol}: a window needs at least one event")

    @property
    def first_event(self) -> datetime:
        return min(map(event_time, self.events_merged))

    @property
    def last_event(self) -> datetime:
        return max(map(event_time, self.events_merged))

    @classmethod
    def of(cls, row: Window | Mapping[str, Any]) -> Window:
        """Read a plan row (`events_merged`) or a manifest row (`event_id`)."""
        if isinstance(row, Window):
            return row
        events = row["events_merged"] if "events_merged" in row else [row["event_id"]]
        return cls(
            symbol=row["symbol"] if "symbol" in row else event_symbol(events[0]),
            window_start=row["window_start"],
            window_end=row["window_end"],
            events_merged=tuple(events),
            extended=bool(row.get("extended", False)),
        )


def event_time(event_id: str) -> datetime:
    """Return the UTC instant in an event id (`AEMD_20251007_133500_vwap_break_up`).

    Raises:
        ValueError: The id holds none.
    """
    return datetime.strptime(_parts(event_id)["time"], "%Y%m%d_%H%M%S").replace(tzinfo=UTC)


def event_symbol(event_id: str) -> str:
    """Return the ticker in an event id."""
    return _parts(event_id)["symbol"]


def event_date(event_id: str) -> date:
    """Return the trading day (New York) of an event."""
    return trading_day_of(event_time(event_id))


def sort_events(event_ids: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct ids by timestamp, then id."""
    return tuple(sorted(set(event_ids), key=lambda event_id: (event_time(event_id), event_id)))


def _parts(event_id: str) -> re.Match[str]:
    found = _EVENT_ID.fullmatch(event_id)
    if found is None:
        raise ValueError(
            f"expected an event id such as AEMD_20251007_133500_vwap_break_up, was {event_id!r}"
        )
    return found
