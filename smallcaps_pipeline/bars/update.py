"""Bringing one cell of bars up to date: fetch only the days that are not there yet.

A cell's file says up to which trading day it is complete; running again fetches what came after,
so the current period grows by a day and a past one is asked for once. With the days that came
after, the sessions just before them are asked for once more (the look-back): late prints and
corrections come in. So are the last sessions of a period that ended within the look-back. A day's
later answer replaces its earlier one as a whole, for a union would keep what the provider has
withdrawn. Imported cells are the user's own and are left as they are.
Keep out: HTTP (a `BarSource` is handed in) and the clock (so is the last day asked for).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

import polars as pl

from smallcaps_pipeline.bars.clean import clean_bars
from smallcaps_pipeline.cells import Period
from smallcaps_pipeline.lake import Lake, read_metadata, row_count
from smallcaps_pipeline.parquet import COMPRESSION_LEVEL
from smallcaps_pipeline.schemas import BARS
from smallcaps_pipeline.sessions import shift_trading_day, trading_day

TABLE: Final = BARS.name
# A finished cell is written once and read for years: a tenth smaller, at three times the time. One
# that grows is rewritten every day, and gets the lake's own level.
FINISHED_LEVEL: Final = 15
IMPORTED: Final = "imported"
NO_DAY: Final = "no day"  # where a bar set aside has no timestamp

ReasonsByDay = Mapping[str, Mapping[str, int]]


class BarSource(Protocol):
    """Where bars come from."""

    def bars(self, *, symbol: str, start: date, end: date) -> pl.DataFrame:
        """Return the 1-minute bars of New York days from `start` up to, not including, `end`."""


class CellState(StrEnum):
    """What was done for a cell."""

    WRITTEN = "written"
    CURRENT = "already current"
    NO_INPUT = "nothing to do"


@dataclass(frozen=True)
class BarUpdate:
    """What was done for one cell of bars.

    Attributes:
        state: Whether the file was written.
        rows: Bars in the file.
        new_rows: Bars that this update brought.
        set_aside: Bars of the answer that are bad input or copies, by reason.
        file: The cell's file.
    """

    state: CellState
    rows: int
    new_rows: int
    set_aside: dict[str, int]
    file: Path


def update_bars(
    lake: Lake,
    source: BarSource,
    symbol: str,
    period: Period,
    *,
    through: date,
    source_name: str,
    look_back: int = 0,
) -> BarUpdate:
    """Bring one cell up to date.

    Args:
        lake: Where the cell lies.
        source: Asked for the missing days, and those of the look-back, in one call.
        symbol: Ticker.
        period: The cell's stretch of days.
        through: Last trading day that is over and published, included.
        source_name: Written into the file: where its bars came from.
        look_back: Sessions before the missing days that are asked for once more.
    """
    file = lake.cell(TABLE, symbol, period.key)
    last = min(period.last, through)
    stored = stored_bars(file)
    asked_to = through
    if through > period.last:  # its last sessions are within the look-back for some days more
        asked_to = min(through, shift_trading_day(period.last, look_back))
    if stored is not None and (stored.is_users or stored.was_asked(last, asked_to)):
        return BarUpdate(CellState.CURRENT, row_count(file), 0, {}, file)
    first = period.first if stored is None else _first_asked(stored, last, period, look_back)
    if first > last:
        return BarUpdate(CellState.NO_INPUT, 0, 0, {}, file)
    fetched = source.bars(symbol=symbol, start=first, end=last + timedelta(days=1))
    before = BARS.empty() if stored is None else lake.read(file, BARS)
    asked = trading_day(pl.col("timestamp")).is_between(first, last)
    fresh, aside = clean_bars(fetched)
    good = pl.concat([before.filter(~asked), fresh]).sort("timestamp")
    kept = {} if stored is None else stored.set_aside
    known = StoredBars(
        source=source_name,
        complete_to=last,
        set_aside={
            **{day: why for day, why in kept.items() if not str(first) <= day <= str(last)},
            **reasons_by_day(aside),
        },
        asked_to=asked_to if asked_to > last else None,
    )
    write_cell(lake, good, symbol, period, known)
    reasons = dict(aside["reason"].value_counts().iter_rows())
    return BarUpdate(CellState.WRITTEN, len(good), len(good) - len(before), reasons, file)


def _first_asked(stored: StoredBars, last: date, period: Period, look_back: int) -> date:
    """Return the first day to ask for: what came after, the look-back, and days that are absent."""
    after = min(stored.complete_to, last) + timedelta(days=1)
    again = shift_trading_day(after, -look_back) if look_back else after
    return max(period.first, min([again, *stored.absent]))


@dataclass(frozen=True)
class StoredBars:
    """What a cell's file says of itself.

    Attributes:
        source: Where its bars came from.
        complete_to: Last trading day that the provider was asked for.
        set_aside: Bars of the answers that were set aside, by trading day and reason.
        versions: By month, which versions of the provider's day files were taken in; empty for
            bars by REST.
        absent: Trading days up to complete_to that the provider had no day file for.
        rest_to: Last day by REST, where later ones came from day files.
        asked_to: Last finished day when it was asked for last, where that is after complete_to.
    """

    source: str
    complete_to: date
    set_aside: ReasonsByDay = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    absent: tuple[date, ...] = ()
    rest_to: date | None = None
    asked_to: date | None = None

    def was_asked(self, last: date, asked_to: date) -> bool:
        """Whether days up to `last` were asked for, the last of them as late as on `asked_to`."""
        return self.complete_to >= last and (self.asked_to or self.complete_to) >= asked_to

    @property
    def is_users(self) -> bool:
        """Whether the cell is the user's own: imported, or a file that says nothing."""
        return self.source == IMPORTED

    def metadata(self) -> dict[str, Any]:
        """Return it as the JSON values that the file stores; what is empty is left out."""
        optional = {
            "set_aside": {day: dict(why) for day, why in sorted(self.set_aside.items())},
            "versions": dict(self.versions),
            "absent": [str(day) for day in self.absent],
            "rest_to": self.rest_to and str(self.rest_to),
            "asked_to": self.asked_to and str(self.asked_to),
        }
        return {
            "complete_to": self.complete_to.isoformat(),
            "source": self.source,
            **{name: value for name, value in optional.items() if value},
        }


def stored_bars(file: Path) -> StoredBars | None:
    """Read what a cell's file says of itself; None where there is no sound file."""
    stored = read_metadata(file)
    if stored is None:
        return None
    return StoredBars(
        source=stored.get("source", IMPORTED),
        complete_to=date.fromisoformat(stored.get("complete_to", date.min.isoformat())),
        set_aside=stored.get("set_aside", {}),
        versions=stored.get("versions", {}),
        absent=tuple(date.fromisoformat(day) for day in stored.get("absent", ())),
        rest_to=_day(stored.get("rest_to")),
        asked_to=_day(stored.get("asked_to")),
    )


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def reasons_by_day(aside: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Count bars set aside (`schemas.SET_ASIDE`) by trading day and reason."""
    counted = aside.group_by(
        day=trading_day(pl.col("timestamp")).cast(pl.String).fill_null(NO_DAY), reason="reason"
    ).len()
    found: dict[str, dict[str, int]] = {}
    for day, reason, count in counted.sort("day", "reason").iter_rows():
        found.setdefault(day, {})[reason] = count
    return found


def write_bars(
    lake: Lake,
    good: pl.DataFrame,
    symbol: str,
    period: Period,
    *,
    complete_to: date,
    source_name: str,
) -> None:
    """Write the clean bars of one cell, with up to when they are complete and their source."""
    write_cell(lake, good, symbol, period, StoredBars(source_name, complete_to))


def write_cell(
    lake: Lake, good: pl.DataFrame, symbol: str, period: Period, known: StoredBars
) -> None:
    """Write the clean bars of one cell with all that a later run needs to know of them."""
    is_finished = known.is_users or known.complete_to >= shift_trading_day(period.last, 0)
    lake.write(
        good,
        lake.cell(TABLE, symbol, period.key),
        metadata={"rows": len(good), **known.metadata()},
        level=FINISHED_LEVEL if is_finished else COMPRESSION_LEVEL,
        digested=True,
    )
