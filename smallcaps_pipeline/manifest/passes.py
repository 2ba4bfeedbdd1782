"""The passes of the selection: rows taken one after the other, by rank, while there is room.

Belongs here: the order of the passes and the compiled loop. Taking a row changes the room of those
after it, so this cannot be a column expression.
Keep out: which limits there are (`limits`).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import numpy as np
import polars as pl
from numba import njit

from smallcaps_pipeline.manifest.limits import Limit, Limits

Array = np.ndarray[Any, Any]

FREE: Final = 0  # code of a row that no pass has taken


class Fill(StrEnum):
    """Which kind of pass took a row."""

    QUOTA = "quota"
    OVERFLOW = "overflow"

    @property
    def code(self) -> int:
        """The fill as a number above `FREE`."""
        return list(Fill).index(self) + 1


FILL_NAMES: Final[dict[int, str | None]] = {FREE: None} | {fill.code: fill.value for fill in Fill}


def select_rows(rows: pl.DataFrame, limits: Limits, *, strict_quotas: bool) -> Array:
    """Run the passes of one profile.

    Args:
        rows: What reached the selection, by rank: the columns that limits count by, `fill_code`
            (what a row brings along, `FREE` if nothing) and `is_kept` (it stays in any case).
        limits: The profile's limits.
        strict_quotas: Nothing beyond the quotas is taken.

    Returns:
        The fill code of each row. Rows that bring a fill keep it and count everywhere. Kept rows
        without one come next: by quota where the quotas have room, else as overflow; caps do not
        stop them. Then pass (a), buckets below their floor; (b), caps and quotas (and weekdays);
        (c), caps only.
    """
    passes = _Passes(rows, limits.all)
    kept = rows["is_kept"].to_numpy()
    passes.run(Fill.QUOTA, limits.quotas, among=kept)
    passes.run(Fill.OVERFLOW, (), among=kept)
    passes.run(Fill.QUOTA, (*limits.all_caps, *limits.quotas, limits.floors))
    passes.run(Fill.QUOTA, (*limits.all_caps, *limits.quotas, *limits.balance))
    if not strict_quotas:
        passes.run(Fill.OVERFLOW, limits.all_caps)
    return passes.fills


class _Passes:
    """What is taken so far, and how many rows each group of each limit holds.

    A group's slot in `counts` is the position of its first row. All arrays but `fills` have one
    row per limit and one column per row of the frame.
    """

    def __init__(self, rows: pl.DataFrame, limits: Sequence[Limit]) -> None:
        self.limits = list(limits)
        self.fills = rows["fill_code"].to_numpy().copy()
        positions = rows.with_row_index("position")
        self.slots = np.stack([_slots(positions, limit) for limit in limits])
        self.rooms = np.stack([_rooms(rows, limit) for limit in limits])
        self.counts = np.zeros_like(self.slots)
        for counts, slots in zip(self.counts, self.slots, strict=True):
            np.add.at(counts, slots[self.fills != FREE], 1)

    def run(self, fill: Fill, under: Sequence[Limit], among: Array | None = None) -> None:
        """Take each free row (of `among`) whose groups have room under the limits `under`."""
        eligible = self.fills == FREE
        if among is not None:
            eligible &= among
        checked = np.array([self.limits.index(limit) for limit in under], np.int64)
        _take(self.fills, fill.code, eligible, checked, self.slots, self.rooms, self.counts)


@njit(cache=True)
def _take(
    fills: Array,
    code: int,
    eligible: Array,
    checked: Array,
    slots: Array,
    rooms: Array,
    counts: Array,
) -> None:
    """Take eligible rows in their order; a taken row counts in every limit, checked or not."""
    for row in range(fills.size):
        if not eligible[row]:
            continue
        has_room = True
        for limit in checked:
            if counts[limit, slots[limit, row]] >= rooms[limit, row]:
                has_room = False
                break
        if has_room:
            fills[row] = code
            for limit in range(slots.shape[0]):
                counts[limit, slots[limit, row]] += 1


def _slots(positions: pl.DataFrame, limit: Limit) -> Array:
    first = pl.col("position").cast(pl.Int64).first()
    slot = first.over(limit.counted_by) if limit.counted_by else pl.lit(0, pl.Int64)
    return positions.select(pl.col("position"), slot=slot)["slot"].to_numpy()


def _rooms(rows: pl.DataFrame, limit: Limit) -> Array:
    return rows.select("fill_code", room=limit.room_of_row())["room"].to_numpy()
