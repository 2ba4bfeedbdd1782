"""Where a long window is cut, so that it is fetched and stored in slices that fit into memory.

Belongs here: the instants. Keep out: asking for a slice and storing it (`fetch`).

Instants follow from the merged window and its trades alone, so a download that was killed cuts as
an undisturbed one does. A slice costs one request more at most, and only long or hot windows are
cut: trades every two hours, quotes where the trades let a quarter of a million be expected.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import polars as pl

from smallcaps_pipeline.windows.intervals import Interval

TRADES_SLICE: Final = timedelta(hours=2)
QUOTES_SLICE_ROWS: Final = 250_000


def cuts_of_trades(window: Interval) -> list[datetime]:
    """Return the instants inside a window at which its trades are cut."""
    start, end = window
    pieces = -((start - end) // TRADES_SLICE)
    return [start + n * TRADES_SLICE for n in range(1, pieces)]


def cuts_of_quotes(trade_times: pl.Series, trades_per_slice: int) -> list[datetime]:
    """Return the instants at which quotes are cut: whole seconds, ascending.

    Args:
        trade_times: Of the window's trades, ascending.
        trades_per_slice: After so many trades a new slice begins.
    """
    places = range(trades_per_slice, len(trade_times), trades_per_slice)
    return sorted({trade_times[place].replace(microsecond=0) for place in places})


def slices(interval: Interval, cuts: Sequence[datetime]) -> list[Interval]:
    """Cut an interval at those of the instants that lie inside."""
    start, end = interval
    return list(pairwise([start, *(cut for cut in cuts if start < cut < end), end]))
