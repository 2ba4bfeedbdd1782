"""Ticks of a stored window, as micro/ and the report read them.

Belongs here: the rows of an event's window or of any stored interval, whatever files hold them.
Keep out: which rows count for a figure (micro/), writing (`files`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from smallcaps_pipeline.lake import Lake, LakeError
from smallcaps_pipeline.schemas import MANIFEST
from smallcaps_pipeline.settings import Settings, load_settings
from smallcaps_pipeline.windows.files import TABLES, assemble, disjoint_pieces
from smallcaps_pipeline.windows.intervals import Interval, overlap
from smallcaps_pipeline.windows.plan import Kind
from smallcaps_pipeline.windows.stored import StoredWindow, missing_intervals, stored_windows
from smallcaps_pipeline.windows.window import event_symbol, event_time

READ_TRIES: Final = 5  # a writer may replace the files between the listing and the reading


class WindowNotStoredError(LookupError):
    """No stored window holds the event."""

    def __init__(self, event_id: str) -> None:
        super().__init__(f"{event_id}: no stored window holds this event; fetch its profile first")


@dataclass(frozen=True)
class WindowTicks:
    """The stored window of an event.

    Attributes:
        event_id: The event that was asked for.
        window_start: First instant that is stored.
        window_end: End, not included.
        events_merged: Ids of all events of the window.
        event_start: Start of the event's own interval, as the manifest has it.
        event_end: Its end, not included.
        trades: schemas.TRADES, and `in_event`: whether a row lies in the event's own interval; None
            where no trades are stored.
        quotes: schemas.QUOTES and `in_event`, the first row possibly the quote before window_start;
            columns that the profile leaves out are null. None where no quotes are stored.
    """

    event_id: str
    window_start: datetime
    window_end: datetime
    events_merged: tuple[str, ...]
    event_start: datetime
    event_end: datetime
    trades: pl.DataFrame | None
    quotes: pl.DataFrame | None


def read_window(
    lake: Lake, event_id: str, *, profile: str | None = None, settings: Settings | None = None
) -> WindowTicks:
    """Read the stored window that holds an event, be it its own or one shared by merged events.

    A stored window may be wider than what the event asked for, because it was merged, extended, or
    widened by another profile; `in_event` marks the rows of the event's own interval.

    Args:
        lake: Where windows and manifests lie.
        event_id: The event.
        profile: Whose manifest says what the event's own interval is; None takes the first of the
            settings' profiles whose manifest holds the event, and where none does the stored
            window is all the event's own.
        settings: Configuration; None loads it.

    Raises:
        WindowNotStoredError: Neither trades nor quotes of it are stored.
        LakeError: A file is damaged.
    """
    symbol = event_symbol(event_id)
    holders = {kind: _holder(stored_windows(lake, kind, symbol), event_id) for kind in Kind}
    found = [window for window in holders.values() if window is not None]
    if not found:
        raise WindowNotStoredError(event_id)
    start, end = found[0].interval
    profiles = [profile] if profile else list((settings or load_settings()).manifest.profiles)
    own = _own_interval(lake, event_id, profiles) or (start, end)
    in_event = within(own).alias("in_event")
    ticks = {
        kind: None
        if window is None
        else read_interval(lake, symbol, kind, window.interval).with_columns(in_event)
        for kind, window in holders.items()
    }
    return WindowTicks(
        event_id,
        start,
        end,
        found[0].events_merged,
        *own,
        trades=ticks[Kind.TRADES],
        quotes=ticks[Kind.QUOTES],
    )


def within(interval: Interval) -> pl.Expr:
    """Say whether a tick lies in [start, end)."""
    start, end = (pl.lit(instant).cast(pl.Datetime("ns", "UTC")) for instant in interval)
    return (pl.col("timestamp") >= start) & (pl.col("timestamp") < end)


def _own_interval(lake: Lake, event_id: str, profiles: Sequence[str]) -> Interval | None:
    """Return an event's window in the first of some manifests that has it."""
    for profile in profiles:
        file = lake.profile(MANIFEST.name, profile)
        if not file.exists():
            continue
        rows = lake.scan([file], MANIFEST).filter(pl.col("event_id") == event_id)
        for start, end in rows.select("window_start", "window_end").collect().iter_rows():
            return start, end
    return None


def is_stored(lake: Lake, symbol: str, kind: Kind, interval: Interval) -> bool:
    """Say whether the whole of an interval is stored, if only as "truly empty"."""
    return not missing_intervals(interval, stored_windows(lake, kind, symbol), None)


def read_interval(lake: Lake, symbol: str, kind: Kind, interval: Interval) -> pl.DataFrame:
    """Read what is stored of an interval [start, end), each row once.

    Returns:
        schemas.TRADES or schemas.QUOTES in tape order; before the quotes of the interval stands
        the last stored one before its start, if there is one. What is not stored is not there:
        `stored.missing_intervals` tells.
    """
    start, end = (pl.lit(instant).cast(pl.Datetime("ns", "UTC")) for instant in interval)
    time = pl.col("timestamp")
    rows = _read_overlapping(lake, symbol, kind, interval).filter(time < end)
    inside = rows.filter(time >= start)
    if kind == Kind.TRADES:
        return inside
    return pl.concat([rows.filter(time < start).tail(1), inside])


def _read_overlapping(lake: Lake, symbol: str, kind: Kind, interval: Interval) -> pl.DataFrame:
    """Read the whole windows that overlap an interval."""
    table = TABLES[kind]
    for _ in range(READ_TRIES):
        windows = [w for w in stored_windows(lake, kind, symbol) if overlap(w.interval, interval)]
        if not windows:
            return table.empty()
        try:
            rows = assemble(disjoint_pieces(windows), kind)
        except FileNotFoundError:
            continue  # a wider window has just replaced it: look again
        left_out = [
            pl.lit(None, column.dtype).alias(name)
            for name, column in table.columns.items()
            if name not in rows.columns
        ]
        return table.conform(rows.with_columns(left_out))
    raise LakeError(
        f"{symbol}: {kind.value} of [{interval[0]}, {interval[1]}) were replaced again and again "
        "while being read; is a download of the same windows running twice?"
    )


def _holder(windows: list[StoredWindow], event_id: str) -> StoredWindow | None:
    """Return the window that names the event, else the one whose interval holds its instant."""
    at = event_time(event_id)
    named = [window for window in windows if event_id in window.events_merged]
    around = [window for window in windows if window.start <= at < window.end]
    candidates = named or around
    return max(candidates, key=lambda w: (w.end - w.start, str(w.file)), default=None)
