"""What is stored of the windows, read from the files' own metadata.

Belongs here: the record of a window file, the index over all of them, what they cover.
Keep out: ticks (`files` writes them, `reading` reads them), what is wanted (`plan`).

A file's footer is the only book-keeping: there is no list of downloads beside the files that could
tell another story. A file claims one interval [window_start, window_end) without a gap, and holds
all of it. Its quotes may have come at different NBBO reductions, for example where a plus window
lies inside an extended core window; `parts` says which stretch has which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from smallcaps_pipeline.lake import Lake, read_metadata
from smallcaps_pipeline.manifest.nbbo_level import NbboLevel
from smallcaps_pipeline.schemas import STORED, WINDOW_FILES
from smallcaps_pipeline.windows.intervals import Interval, overlap, uncovered
from smallcaps_pipeline.windows.plan import UNREDUCED, Kind

FOOTER_READERS: Final = 8  # a footer is a few small reads: threads hide their latency
SHARES_FROM: Final = date(2025, 11, 3)  # quote sizes: round lots before, shares from this day


@dataclass(frozen=True)
class Part:
    """A stretch of a file at one NBBO reduction (label; None for trades)."""

    start: datetime
    end: datetime
    nbbo: str | None

    @property
    def interval(self) -> Interval:
        return self.start, self.end

    def covers(self, wanted: str | None) -> bool:
        """Say whether quotes of this part are at least as fine as the label `wanted`."""
        if wanted is None:
            return True
        have = UNREDUCED if self.nbbo is None else NbboLevel.from_label(self.nbbo)
        return have.covers(NbboLevel.from_label(wanted))


@dataclass(frozen=True, order=True)
class Widened:
    """That a hot edge has widened a window, which happens to a window at most once.

    Attributes:
        window: The window before.
        to: The window after; it may reach further than a file while its parts are being fetched.
    """

    window: Interval
    to: Interval

    def as_text(self) -> list[str]:
        """Return the four instants, ISO 8601, UTC."""
        return [instant.isoformat() for instant in (*self.window, *self.to)]

    @classmethod
    def from_text(cls, instants: Sequence[str]) -> Widened:
        """Read what `as_text` wrote."""
        start, end, new_start, new_end = map(datetime.fromisoformat, instants)
        return cls((start, end), (new_start, new_end))


@dataclass(frozen=True)
class StoredWindow:
    """One window file, as its metadata describes it.

    Attributes:
        symbol: Ticker.
        kind: Trades or quotes.
        event_id: The event that names the folder: the first one when the window was first stored.
        events_merged: Ids of its events, by timestamp, then id.
        parts: Stretches in time order, without gaps; the first starts and the last ends the window.
        rows: Rows in the file, for quotes with the one before the start.
        fetched: Rows that came for it, before the NBBO reduction.
        pages: Pages that were fetched for it.
        source: Who gave the ticks (the provider, a simulation, a recording).
        extended: Which of the windows in it hot edges have widened, sorted.
        file: Where it is.
    """

    symbol: str
    kind: Kind
    event_id: str
    events_merged: tuple[str, ...]
    parts: tuple[Part, ...]
    rows: int
    fetched: int
    pages: int
    source: str
    extended: tuple[Widened, ...]
    file: Path

    @property
    def start(self) -> datetime:
        return self.parts[0].start

    @property
    def end(self) -> datetime:
        return self.parts[-1].end

    @property
    def interval(self) -> Interval:
        return self.start, self.end

    def metadata(self) -> dict[str, Any]:
        """Return what the file says of itself, as JSON values; instants are ISO 8601, UTC."""
        described: dict[str, Any] = {
            "symbol": self.symbol,
            "kind": self.kind.value,
            "window_start": self.start.isoformat(),
            "window_end": self.end.isoformat(),
            "event_id": self.event_id,
            "events_merged": list(self.events_merged),
            "nbbo": nbbo_labels(self.parts),
            "parts": [[p.start.isoformat(), p.end.isoformat(), p.nbbo] for p in self.parts],
            "rows": self.rows,
            "fetched": self.fetched,
            "pages": self.pages,
            "source": self.source,
            "extended": [widened.as_text() for widened in self.extended],
        }
        return described

    @classmethod
    def from_metadata(cls, metadata: dict[str, Any], file: Path) -> StoredWindow:
        """Read what `metadata` wrote."""
        return cls(
            symbol=metadata["symbol"],
            kind=Kind(metadata["kind"]),
            event_id=metadata["event_id"],
            events_merged=tuple(metadata["events_merged"]),
            parts=tuple(
                Part(datetime.fromisoformat(start), datetime.fromisoformat(end), nbbo)
                for start, end, nbbo in metadata["parts"]
            ),
            rows=metadata["rows"],
            fetched=metadata.get("fetched", metadata["rows"]),
            pages=metadata["pages"],
            source=metadata["source"],
            extended=_read_widened(metadata["extended"]),
            file=file,
        )


def _read_widened(texts: Sequence[Any] | None) -> tuple[Widened, ...]:
    """Read the windows that were widened.

    The first files of this project name only what came of it, or nothing: whatever lay in there
    counts as widened.
    """
    if texts and isinstance(texts[0], str):
        texts = [[*texts, *texts]]
    return tuple(map(Widened.from_text, texts or ()))


def nbbo_labels(parts: Sequence[Part]) -> str | None:
    """Return the NBBO reduction of a file: its label, or all of them, in the order of the parts."""
    labels = dict.fromkeys(part.nbbo for part in parts if part.nbbo is not None)
    return ", ".join(labels) or None


def size_unit(day: date) -> str:
    """Return the unit of quote sizes on a trading day: `round_lots`, or `shares` from 2025-11-03.

    Source: the provider's announcement of the change from round lots to shares, after the SIPs'.
    """
    return "shares" if day >= SHARES_FROM else "round_lots"


def stored_windows(lake: Lake, kind: Kind, symbol: str | None = None) -> list[StoredWindow]:
    """Return the window files of a kind, of one symbol or all, by symbol and start.

    A file without sound metadata (damaged, or not written by us) is not there: what it held is
    fetched again and put in its place.
    """
    files = lake.window_files(kind.value, symbol)
    if symbol is None:
        with ThreadPoolExecutor(FOOTER_READERS) as pool:
            found = list(pool.map(_describe, files))
    else:
        found = [_describe(file) for file in files]
    windows = [window for window in found if window is not None]
    return sorted(windows, key=lambda window: (window.symbol, window.start, str(window.file)))


def _describe(file: Path) -> StoredWindow | None:
    metadata = read_metadata(file)
    if not metadata or "parts" not in metadata:
        return None
    return StoredWindow.from_metadata(metadata, file)


def stored(lake: Lake) -> pl.DataFrame:
    """Return what is stored, for `plan_windows`.

    Returns:
        schemas.STORED: one row per part of each window file, by kind, symbol and start. Rows may
        overlap after a crash between the writing of a wide window and the removal of narrow ones.
    """
    rows = [
        (window.symbol, window.kind.value, part.start, part.end, part.nbbo)
        for kind in Kind
        for window in stored_windows(lake, kind)
        for part in window.parts
    ]
    return pl.DataFrame(rows, schema=STORED.schema, orient="row")


def windows_index(lake: Lake, kinds: Iterable[Kind] = Kind) -> pl.DataFrame:
    """Return one row per window file (schemas.WINDOW_FILES), by kind, symbol and start."""
    rows = [
        {
            "symbol": window.symbol,
            "kind": window.kind.value,
            "window_start": window.start,
            "window_end": window.end,
            "event_id": window.event_id,
            "events_merged": list(window.events_merged),
            "nbbo": nbbo_labels(window.parts),
            "rows": window.rows,
            "fetched": window.fetched,
            "pages": window.pages,
            "bytes": window.file.stat().st_size,
            "source": window.source,
            "extended": bool(window.extended),
            "file": str(window.file),
        }
        for kind in kinds
        for window in stored_windows(lake, kind)
    ]
    return pl.DataFrame(rows, schema=WINDOW_FILES.schema)


@dataclass(frozen=True)
class StoredFigures:
    """Figures of all stored windows of a kind.

    Attributes:
        windows: Files.
        rows: Rows in them.
        bytes: Their size on disk.
        bytes_p99: 99th percentile (linear) of the size of one; 0 without windows.
        extended_pct: Share of them in which a hot edge has widened a window; 0 without windows.
    """

    windows: int
    rows: int
    bytes: int
    bytes_p99: float
    extended_pct: float


def stored_figures(index: pl.DataFrame) -> StoredFigures:
    """Return figures of stored windows (schemas.WINDOW_FILES, of one kind)."""
    p99 = index["bytes"].quantile(0.99, interpolation="linear")
    return StoredFigures(
        windows=index.height,
        rows=int(index["rows"].sum()),
        bytes=int(index["bytes"].sum()),
        bytes_p99=p99 or 0.0,
        extended_pct=100 * float(index["extended"].mean() or 0.0),  # type: ignore[arg-type]
    )


def missing_intervals(
    interval: Interval, windows: Iterable[StoredWindow], nbbo: str | None
) -> list[Interval]:
    """List what of an interval no window holds at least as finely as `nbbo`, in time order."""
    taken = [
        part.interval
        for window in windows
        for part in window.parts
        if part.covers(nbbo) and overlap(part.interval, interval)
    ]
    return uncovered(interval, taken)
