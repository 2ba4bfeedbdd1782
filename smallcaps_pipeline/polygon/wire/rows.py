"""What is declared of an endpoint's rows, and the words to declare it with.

Belongs here: the record `Wire`, types of JSON fields, expressions that several endpoints share.
Keep out: the endpoints themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import polars as pl
import pyarrow as pa

from smallcaps_pipeline.schemas import UTC_NS, Table

TEXT, REAL, LONG, INT, FLAG = pa.string(), pa.float64(), pa.int64(), pa.int32(), pa.bool_()
INTS, TEXTS = pa.list_(INT), pa.list_(TEXT)


class Envelope(Enum):
    """How an endpoint wraps its rows."""

    AGGREGATES = auto()  # {results: [...]}, the key absent where resultsCount is 0
    LIST = auto()  # {results: [...]}, the key always there
    OBJECT = auto()  # {results: {...}}: one row
    BARE_LIST = auto()  # [...]
    BARE_OBJECT = auto()  # {...}: one row


@dataclass(frozen=True)
class Wire:
    """One endpoint's rows.

    Attributes:
        table: What they become.
        fields: Name and type of each field that is read.
        required: Fields without which a row is broken.
        columns: Our columns that are not simply a field of the same name.
        envelope: How the rows are wrapped.
        explode: Our list columns, of one length, that become one row per element, if any.
        results: The key that holds the rows.
    """

    table: Table
    fields: Mapping[str, Any]
    required: tuple[str, ...]
    columns: Mapping[str, pl.Expr] = field(default_factory=dict)
    envelope: Envelope = Envelope.LIST
    explode: tuple[str, ...] = ()
    results: str = "results"


def ns(name: str) -> pl.Expr:
    """Return an instant given in nanoseconds since 1970."""
    return pl.col(name).cast(UTC_NS)  # integers all the way: 2^53 ns ended in 1970


def date_of(name: str) -> pl.Expr:
    """Return a date given as YYYY-MM-DD."""
    return pl.col(name).str.to_date("%Y-%m-%d")


def instant_of(name: str) -> pl.Expr:
    """Return an instant given as RFC 3339."""
    return pl.col(name).str.to_datetime("%+", time_unit="us", time_zone="UTC")


def null(dtype: Any) -> pl.Expr:
    """Return a column that an endpoint does not know."""
    return pl.lit(None, dtype)
