"""Window files: where a window is stored, and how what was fetched joins what is there.

Belongs here: the writing of trades.parquet and quotes.parquet, and which files a new one replaces.
Keep out: metadata records (`stored`), reading for use (`reading`), requests (`fetch`).

A file claims one interval without a gap and holds all of it. What was fetched is written together
with those stored windows of its symbol and kind that its merged window overlaps, as far as they
join it without a gap; so each event's window ends up in one file, and a claim never runs ahead of
what is held. The wider file is written first, then the files that it replaces are removed. A crash
between the two leaves both: readers take each instant from one file (`disjoint_pieces`), and the
next write or `remove_replaced` takes the narrower away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import polars as pl

from smallcaps_pipeline.lake import Lake, LakeError, read_chunks
from smallcaps_pipeline.schemas import QUOTES, TRADES, Table
from smallcaps_pipeline.windows.intervals import Interval, overlap, uncovered
from smallcaps_pipeline.windows.plan import Kind
from smallcaps_pipeline.windows.stored import (
    Part,
    StoredWindow,
    Widened,
    missing_intervals,
    size_unit,
    stored_windows,
)
from smallcaps_pipeline.windows.window import event_date, sort_events

GROUP_ROWS: Final = 250_000  # rows of a row group, and of what is in memory of a long window

TABLES: Final[dict[Kind, Table]] = {Kind.TRADES: TRADES, Kind.QUOTES: QUOTES}

# Quotes of core and plus leave these out: venue and tape of a quote enter no figure of micro/ or of
# the checks. Both clocks stay (latency), sizes stay (reduction), conditions and indicators stay
# (they confirm halts), sequence_number stays (order).
UNREAD_QUOTE_COLUMNS: Final = ("bid_exchange", "ask_exchange", "tape")


@dataclass(frozen=True)
class Fetched:
    """What one interval gave.

    Attributes:
        symbol: Ticker.
        kind: Trades or quotes.
        part: The interval, and the NBBO reduction of its quotes.
        merged: The merged window of which the interval was missing.
        events_merged: Ids of the merged window's events.
        frame: Its rows in tape order; of quotes the first may be the one before the start.
        fetched: Rows that came, before the NBBO reduction.
        pages: Pages that were read.
        source: Who gave them.
        widened: The window that it widens, because an edge of it was hot; None if it does not.
    """

    symbol: str
    kind: Kind
    part: Part
    merged: Interval
    events_merged: tuple[str, ...]
    frame: pl.DataFrame
    fetched: int
    pages: int
    source: str
    widened: Widened | None = None


@dataclass(frozen=True)
class Piece:
    """A stretch of a file (or of what was just fetched) from which its instants are taken.

    Attributes:
        part: The stretch.
        source: The rows of the whole file, or the file to read them from.
    """

    part: Part
    source: pl.DataFrame | Path


def store(fetched: Fetched, lake: Lake) -> int:
    """Write what was fetched, joined with the stored windows that it completes.

    Returns:
        The size of the file, in bytes.

    Raises:
        LakeError: A file cannot be read or written; what was there before is unchanged.
    """
    there = stored_windows(lake, fetched.kind, fetched.symbol)
    joined = _joined(fetched, there)
    pieces = disjoint_pieces(joined, fresh=Piece(fetched.part, fetched.frame))
    events = sort_events(
        [*fetched.events_merged, *(event for window in joined for event in window.events_merged)]
    )
    event_id = _folder_event(fetched, joined, there, events, lake)
    window = StoredWindow(
        symbol=fetched.symbol,
        kind=fetched.kind,
        event_id=event_id,
        events_merged=events,
        parts=_coalesce([piece.part for piece in pieces]),
        rows=0,  # counted as they are written
        fetched=fetched.fetched + sum(window.fetched for window in joined),
        pages=fetched.pages + sum(window.pages for window in joined),
        source=_sources([fetched.source, *(window.source for window in joined)]),
        extended=_widened(fetched, joined),
        file=_file(lake, fetched.symbol, event_id, fetched.kind),
    )
    unit = {"size_unit": size_unit(event_date(event_id))} if fetched.kind == Kind.QUOTES else {}
    size = lake.write_frames(
        assembled(pieces, fetched.kind),
        window.file,
        describe=lambda rows: replace(window, rows=rows).metadata() | unit,
        group_rows=GROUP_ROWS,
    )
    for old in joined:
        if old.file != window.file:
            lake.remove(old.file)
    return size


def remove_replaced(lake: Lake, kind: Kind, symbol: str) -> list[Path]:
    """Remove the files that a wider one holds wholly: a crash came between write and removal.

    Returns:
        The files that were removed.
    """
    windows = stored_windows(lake, kind, symbol)
    replaced = [
        old.file
        for old in windows
        if any(_replaces(new, old) for new in windows if new.file != old.file)
    ]
    for file in replaced:
        lake.remove(file)
    return replaced


def _replaces(new: StoredWindow, old: StoredWindow) -> bool:
    """Say whether `new` holds all that `old` does: each part, as fine, and each event."""
    wider = new.interval != old.interval and set(old.events_merged) <= set(new.events_merged)
    return wider and not any(
        missing_intervals(part.interval, [new], part.nbbo) for part in old.parts
    )


def disjoint_pieces(windows: Iterable[StoredWindow], *, fresh: Piece | None = None) -> list[Piece]:
    """Return stretches in time order in which each instant has one source.

    What was just fetched goes before what is stored, a longer file before a shorter one (after a
    crash the longer was made from the shorter).
    """
    pieces = [] if fresh is None else [fresh]
    for window in sorted(windows, key=lambda w: (w.start - w.end, w.start, str(w.file))):
        taken = [piece.part.interval for piece in pieces]
        pieces += [
            Piece(Part(start, end, part.nbbo), window.file)
            for part in window.parts
            for start, end in uncovered(part.interval, taken)
        ]
    return sorted(pieces, key=lambda piece: piece.part.start)


def assemble(pieces: Sequence[Piece], kind: Kind) -> pl.DataFrame:
    """Put the rows of disjoint pieces together, in time order; see `assembled`."""
    return pl.concat(assembled(pieces, kind))


def assembled(pieces: Sequence[Piece], kind: Kind) -> Iterator[pl.DataFrame]:
    """Yield the rows of disjoint pieces in time order, in frames of one schema.

    A piece gives its own instants. Of quotes, a piece that no other piece runs up to also gives
    the row before its start, the state there; otherwise that row is the other piece's own.

    Raises:
        FileNotFoundError: A file is gone (a wider one has replaced it).
        LakeError: A file is damaged; the message names it.
    """
    ends = {piece.part.end for piece in pieces}
    there = {name for piece in pieces for name in _columns(piece.source)}
    schema = {name: c.dtype for name, c in TABLES[kind].columns.items() if name in there}
    for piece in pieces:
        start, end = (
            pl.lit(instant).cast(pl.Datetime("ns", "UTC")) for instant in piece.part.interval
        )
        time = pl.col("timestamp")
        before: pl.DataFrame | None = None
        for rows in _chunks(piece.source):
            whole = rows.select(
                pl.col(name) if name in rows.columns else pl.lit(None, dtype).alias(name)
                for name, dtype in schema.items()
            )
            inside = whole.filter((time < end) & (time >= start))
            if kind == Kind.QUOTES and piece.part.start not in ends:
                before = pl.concat([*([] if before is None else [before]), whole])
                before = before.filter(time < start).tail(1)
                if inside.height:
                    inside, before = pl.concat([before, inside]), inside.clear()
            yield inside
        if before is not None:
            yield before


def _columns(source: pl.DataFrame | Path) -> list[str]:
    if isinstance(source, pl.DataFrame):
        return source.columns
    for rows in read_chunks(source, 1):
        return rows.columns
    return []


def _chunks(source: pl.DataFrame | Path) -> Iterator[pl.DataFrame]:
    return iter([source]) if isinstance(source, pl.DataFrame) else read_chunks(source, GROUP_ROWS)


def _joined(fetched: Fetched, there: Sequence[StoredWindow]) -> list[StoredWindow]:
    """Return the stored windows that the merged window overlaps and that join without a gap."""
    candidates = [window for window in there if overlap(window.interval, fetched.merged)]
    joined: list[StoredWindow] = []
    start, end = fetched.part.interval
    while reached := [
        window
        for window in candidates
        if window not in joined and window.start <= end and start <= window.end
    ]:
        joined += reached
        start = min(start, *(window.start for window in reached))
        end = max(end, *(window.end for window in reached))
    return sorted(joined, key=lambda window: (window.start, str(window.file)))


def _folder_event(
    fetched: Fetched,
    joined: Sequence[StoredWindow],
    there: Sequence[StoredWindow],
    events: Sequence[str],
    lake: Lake,
) -> str:
    """Return the event that names the folder.

    The earliest of the stored windows keeps its folder; else the other kind's folder is shared, if
    it holds one of these events; else it is the first event's.
    """
    if joined:
        return joined[0].event_id
    taken = {window.event_id for window in there}
    other = Kind.QUOTES if fetched.kind == Kind.TRADES else Kind.TRADES
    shared = [
        window.event_id
        for window in stored_windows(lake, other, fetched.symbol)
        if overlap(window.interval, fetched.part.interval)
        and not set(window.events_merged).isdisjoint(events)
    ]
    free = [event for event in (*shared, *events) if event not in taken]
    if not free:
        raise LakeError(
            f"{fetched.symbol}: every folder of the events {list(events)} holds "
            f"{fetched.kind.value} of another window than the one from {fetched.part.start}"
        )
    return free[0]


def _file(lake: Lake, symbol: str, event_id: str, kind: Kind) -> Path:
    return lake.window(symbol, event_date(event_id).isoformat(), event_id, kind.value)


def _coalesce(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Join neighbouring parts of one NBBO reduction."""
    merged: list[Part] = []
    for part in parts:
        if merged and merged[-1].nbbo == part.nbbo:
            merged[-1] = Part(merged[-1].start, part.end, part.nbbo)
        else:
            merged.append(part)
    return tuple(merged)


def _widened(fetched: Fetched, joined: Sequence[StoredWindow]) -> tuple[Widened, ...]:
    known = {widened for window in joined for widened in window.extended}
    if fetched.widened is not None:
        known.add(fetched.widened)
    return tuple(sorted(known))


def _sources(sources: Iterable[str]) -> str:
    """Name who gave the rows; several are all named, sorted."""
    return ", ".join(sorted({name for source in sources for name in source.split(", ")}))


def leave_out_unread(quotes: pl.DataFrame, *, all_fields: bool) -> pl.DataFrame:
    """Return the columns of quotes that a profile keeps."""
    return quotes if all_fields else quotes.drop(UNREAD_QUOTE_COLUMNS)
