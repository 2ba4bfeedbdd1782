"""The quote in force: which bid and ask a trade, a bar or a halt met.

A quote is *valid* if bid > 0, ask > 0 and ask >= bid (locked is valid, crossed is not). The quote
in force at an instant is the last valid one whose SIP timestamp lies strictly before the instant
less `lag_ns`: a quote of the same nanosecond may be the trade's own consequence.

Keep out: how long a quote was in force (`spread`), and what the side of a trade is (`aggressor`).

Source: Lee and Ready (1991), doi:10.1111/j.1540-6261.1991.tb02683.x, who lagged quotes by five
seconds; on today's tapes no lag is best, Holden and Jacobsen (2014), doi:10.1111/jofi.12127.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from smallcaps_pipeline.compiled import read_only
from smallcaps_pipeline.micro import kernels
from smallcaps_pipeline.micro.prices import array_of


def is_valid(bid: str = "bid_micro", ask: str = "ask_micro") -> pl.Expr:
    """Say whether the quote of two price columns is valid; one without a side is not."""
    two_sided = (pl.col(bid) > 0) & (pl.col(ask) > 0)
    return (two_sided & (pl.col(ask) >= pl.col(bid))).fill_null(value=False)


def with_mid(
    rows: pl.DataFrame, book: pl.DataFrame, *, by: Sequence[str], lag_ns: int = 0
) -> pl.DataFrame:
    """Add to each row the midpoint of the quote in force at its instant.

    Args:
        rows: Rows with `at_ns` and the columns `by`, sorted by them.
        book: Quotes with `at_ns`, `bid_micro`, `ask_micro` and the columns `by`, sorted by them
            and sequence number; invalid ones are passed over.
        by: The column within which a quote speaks for a row (symbol, event); may be empty.
        lag_ns: Extra age that a quote needs, ns.

    Returns:
        The rows in their order with `mid_x2`: bid + ask in units of $0.000001 (Int64), twice the
        midpoint so that it stays an integer; null where no quote is in force.
    """
    quote = quote_rows(rows, book, by=by, lag_ns=lag_ns)
    return rows.with_columns(mid_x2=mids_x2(book).gather(or_null(quote)))


def mids_x2(book: pl.DataFrame) -> pl.Series:
    """Return bid + ask of each quote, $0.000001: twice its midpoint."""
    return book["bid_micro"] + book["ask_micro"]


def or_null(quote: kernels.Array) -> pl.Series:
    """Return row numbers with null where there is none (-1)."""
    rows = pl.Series(quote)
    missing = rows < 0
    return rows.set(missing, None) if missing.any() else rows


def quote_rows(
    rows: pl.DataFrame, book: pl.DataFrame, *, by: Sequence[str], lag_ns: int = 0
) -> kernels.Array:
    """Return for each row the row in `book` of the quote in force, -1 where there is none.

    Arguments as of `with_mid`. The merge is one pass over both tables.
    """
    row_group, quote_group = groups_of(rows, book, by)
    return kernels.last_valid_before(
        array_of(rows["at_ns"] - lag_ns),
        row_group,
        array_of(book["at_ns"]),
        quote_group,
        array_of(book["bid_micro"]),
        array_of(book["ask_micro"]),
    )


def groups_of(
    rows: pl.DataFrame, book: pl.DataFrame, by: Sequence[str]
) -> tuple[kernels.Array, kernels.Array]:
    """Number the stretches of two sorted tables alike, in the order in which they are sorted."""
    if not by:
        one, other = np.zeros(rows.height, np.int64), np.zeros(book.height, np.int64)
        return read_only(one), read_only(other)
    (name,) = by
    if rows.schema[name].is_integer():
        return array_of(rows[name]), array_of(book[name])
    names = pl.concat([rows[name].unique(), book[name].unique()]).unique().drop_nulls().sort()
    numbered = pl.Enum(names)
    return array_of(rows[name].cast(numbered).to_physical()), array_of(
        book[name].cast(numbered).to_physical()
    )
