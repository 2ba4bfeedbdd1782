"""Which way an event goes."""

from __future__ import annotations

from enum import StrEnum

import polars as pl

from smallcaps_pipeline.settings import ByDirection


class Direction(StrEnum):
    """Which way the move goes."""

    UP = "up"
    DOWN = "down"


IS_UP = pl.col("direction") == Direction.UP.value


def by_direction(threshold: ByDirection) -> pl.Expr:
    """Return the threshold that holds for the event's direction."""
    return pl.when(IS_UP).then(threshold.up).otherwise(threshold.down)
