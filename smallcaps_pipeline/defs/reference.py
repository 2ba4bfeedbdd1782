"""What was known of the stocks, for the event filters: gathered from the universe's tables."""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.schemas import FLOAT_SHARES, SHORT_INTEREST, TICKER_DETAILS, UNIVERSE, Table
from smallcaps_pipeline.universe import reference_table


def read_reference(lake: Lake) -> pl.DataFrame | None:
    """Return `schemas.REFERENCE` of the tables that are there; None without any of them."""
    names = (UNIVERSE, TICKER_DETAILS, SHORT_INTEREST, FLOAT_SHARES)
    tables = [_read(lake, table) for table in names]
    if all(frame is None for frame in tables):
        return None
    universe, details, short_interest, floats = (
        table.empty() if frame is None else frame
        for table, frame in zip(names, tables, strict=True)
    )
    return reference_table(universe, details, short_interest, floats)


def _read(lake: Lake, table: Table) -> pl.DataFrame | None:
    file = lake.table(table.name)
    return lake.read(file, table) if file.exists() else None
