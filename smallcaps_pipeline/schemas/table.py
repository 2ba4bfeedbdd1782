"""What a table is: columns with type and meaning, key, and how a frame is made to conform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import polars as pl

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)

UTC_US: Final = pl.Datetime("us", "UTC")
UTC_NS: Final = pl.Datetime("ns", "UTC")
STR, F64, I64, I32, I8, BOOL, DATE = (
    pl.String,
    pl.Float64,
    pl.Int64,
    pl.Int32,
    pl.Int8,
    pl.Boolean,
    pl.Date,
)


class SchemaError(ValueError):
    """A table lacks columns or holds a type that cannot be what it should be."""


@dataclass(frozen=True)
class Column:
    """One column: its type, and its meaning with unit."""

    dtype: pl.DataType | type[pl.DataType]
    meaning: str


@dataclass(frozen=True)
class Table:
    """One table: what a row is, its columns, its key and its sort order."""

    name: str
    row: str
    columns: dict[str, Column]
    key: tuple[str, ...] = field(default=())

    @property
    def schema(self) -> pl.Schema:
        return pl.Schema({name: column.dtype for name, column in self.columns.items()})

    def empty(self) -> pl.DataFrame:
        """Return the table without rows."""
        return self.schema.to_frame()

    def conform(self, frame: Frame, where: str = "") -> Frame:
        """Return `frame` with exactly this table's columns, in order, cast strictly.

        Further columns are dropped. `where` names the frame in errors (a file, an asset).

        Raises:
            SchemaError: A column is missing, or holds times without a time zone: never guessed.
        """
        have = frame.collect_schema()
        if missing := [name for name in self.columns if name not in have]:
            raise SchemaError(
                f"{where or self.name}: lacks the columns {missing} of {self.name}; it has "
                f"{list(have)}"
            )
        if naive := [name for name, c in self.columns.items() if _is_naive(have[name], c.dtype)]:
            raise SchemaError(
                f"{where or self.name}: column {naive[0]!r} has no time zone, and it is never "
                "guessed; `smallcaps import-bars --timezone ...` takes such bars in"
            )
        return frame.select(
            pl.col(name) if have[name] == column.dtype else pl.col(name).cast(column.dtype)
            for name, column in self.columns.items()
        )


def _is_naive(have: pl.DataType, wanted: pl.DataType | type[pl.DataType]) -> bool:
    """Say whether a naive time stands where an aware one is wanted: a cast would take it as UTC."""
    if not (isinstance(have, pl.Datetime) and isinstance(wanted, pl.Datetime)):
        return False
    return have.time_zone is None and wanted.time_zone is not None


def columns(
    *columns: tuple[str, pl.DataType | type[pl.DataType], str],
) -> dict[str, Column]:
    """Return columns by name, from (name, type, meaning)."""
    return {name: Column(dtype, meaning) for name, dtype, meaning in columns}


def some(table: Table, *names: str) -> dict[str, Column]:
    """Return some columns of another table: the same quantity has the same name and meaning."""
    return {name: table.columns[name] for name in names}


def select_missing(frame: pl.DataFrame | pl.LazyFrame, names: Sequence[str]) -> list[str]:
    """List those of `names` that `frame` lacks."""
    have = frame.collect_schema()
    return [name for name in names if name not in have]
