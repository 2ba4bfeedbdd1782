"""How the windows of a batch ended.

Belongs here: the record of one plan row and of a batch. Keep out: fetching (`fetch`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from smallcaps_pipeline.windows.plan import Kind


class FetchStatus(StrEnum):
    """How a window ended."""

    DONE = "done"
    EMPTY = "empty"  # fetched, and there truly was nothing in it
    SKIPPED = "skipped"  # was stored already
    FAILED = "failed"
    SET_ASIDE = "set aside"  # cannot be had, and asking again at once would not help


@dataclass(frozen=True)
class WindowOutcome:
    """How one plan row ended.

    Attributes:
        symbol: Ticker.
        kind: Trades or quotes.
        window_start: First instant of the plan row.
        window_end: Its end, not included.
        status: How it ended.
        rows: Rows fetched and kept.
        pages: Pages read.
        bytes: Size of the window's file now.
        reason: Why it failed or was set aside, in the words of the error; None otherwise.
    """

    symbol: str
    kind: Kind
    window_start: datetime
    window_end: datetime
    status: FetchStatus
    rows: int = 0
    pages: int = 0
    bytes: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class FetchResult:
    """What a batch gave, one outcome per plan row, in the plan's order."""

    outcomes: tuple[WindowOutcome, ...]

    def count(self, status: FetchStatus) -> int:
        return sum(outcome.status == status for outcome in self.outcomes)

    @property
    def done(self) -> int:
        return self.count(FetchStatus.DONE)

    @property
    def empty(self) -> int:
        return self.count(FetchStatus.EMPTY)

    @property
    def skipped(self) -> int:
        return self.count(FetchStatus.SKIPPED)

    @property
    def failed(self) -> tuple[WindowOutcome, ...]:
        return tuple(o for o in self.outcomes if o.status == FetchStatus.FAILED)

    @property
    def set_aside(self) -> tuple[WindowOutcome, ...]:
        return tuple(o for o in self.outcomes if o.status == FetchStatus.SET_ASIDE)

    @property
    def rows(self) -> int:
        return sum(outcome.rows for outcome in self.outcomes)

    @property
    def pages(self) -> int:
        return sum(outcome.pages for outcome in self.outcomes)

    @property
    def bytes(self) -> int:
        return sum(outcome.bytes for outcome in self.outcomes)
