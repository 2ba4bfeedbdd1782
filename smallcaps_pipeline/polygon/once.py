"""Each row once: the provider repeats rows at page edges, and sometimes in a page.

Belongs here: which copy of a row stays.
Keep out: whether rows are missing (frames, pages) or belong to the request (asked).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import polars as pl

from smallcaps_pipeline.polygon.transport import Request
from smallcaps_pipeline.schemas import Table

log = logging.getLogger(__name__)


def each_once(
    frame: pl.DataFrame, table: Table, request: Request, *, by: tuple[str, ...] = ()
) -> pl.DataFrame:
    """Keep one row per key of its table, sorted by `by`, then by the rest of the key.

    Should copies of a row differ, the same one stays whatever their order, and a warning says how
    many: rows are sorted by all columns, nulls first, and the first stays. A table without a key
    loses equal copies only.
    """
    key = table.key or tuple(table.columns)
    order = (*by, *(name for name in key if name not in by))
    sortable = {name: _sortable(name, table) for name in table.columns}
    if by and {*by} <= {*key} and frame.select(_ascends(*by)).item():
        return frame  # as nearly every page comes; 6 ms of 50,000 rows saved
    if not frame.select(sortable[name] for name in key).is_duplicated().any():
        return frame.sort(sortable[name] for name in order)
    rest = [name for name in table.columns if name not in order]
    ordered = frame.sort(sortable[name] for name in (*order, *rest))
    kept = ordered.filter(_first(sortable[name] for name in key))
    distinct = ordered.select(_first(sortable.values()).sum()).item()
    if differing := distinct - kept.height:
        log.warning(
            "%s: %d rows of %s differ from another row of their key %s; one of each is kept",
            request.url, differing, table.name, ", ".join(key),
        )  # fmt: skip
    return kept


def without_copies(frame: pl.DataFrame, by: str) -> pl.DataFrame:
    """Keep one of equal rows, sorted by a column; rows that differ all stay, in their order."""
    if frame.select(_ascends(by)).item():
        return frame
    return frame.unique(maintain_order=True).sort(by, maintain_order=True)


def _ascends(*columns: str) -> pl.Expr:
    """Return whether each row is greater than the one before, by the columns in turn."""
    greater, equal = pl.lit(value=False), pl.lit(value=True)
    for name in columns:
        before = pl.col(name).shift(1)
        greater |= equal & (pl.col(name) > before)
        equal &= pl.col(name) == before
    return greater.slice(1).all(ignore_nulls=False)


def _first(columns: Iterable[pl.Expr]) -> pl.Expr:
    """Return whether a row is the first of those that agree in some columns."""
    return pl.struct(list(columns)).is_first_distinct()


def _sortable(name: str, table: Table) -> pl.Expr:
    """Return a column as it can be sorted and compared: lists of codes as text."""
    if isinstance(table.columns[name].dtype, pl.List):
        return pl.col(name).cast(pl.List(pl.String)).list.join(",")
    return pl.col(name)
