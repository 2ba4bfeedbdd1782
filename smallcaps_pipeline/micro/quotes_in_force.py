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

import polars as pl


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
        by: Columns within which a quote speaks for a row (symbol, event); may be empty.
        lag_ns: Extra age that a quote needs, ns.

    Returns:
        The rows in their order with `mid_x2`: bid + ask in units of $0.000001 (Int64), twice the
        midpoint so that it stays an integer; null where no quote is in force.
    """
    at, keys = pl.col("at_ns"), list(by)
    differs = [pl.col(key) != pl.col(key).shift(-1) for key in (*keys, "at_ns")]
    last_of_instant = pl.any_horizontal(differs).fill_null(value=True)
    valid = (
        book.filter(is_valid())
        .select(*keys, "at_ns", mid_x2=pl.col("bid_micro") + pl.col("ask_micro"))
        .filter(last_of_instant)
        .rename({"at_ns": "quoted_ns"})
    )
    return (
        rows.with_columns(asked_ns=at - lag_ns)
        .join_asof(
            valid,
            left_on="asked_ns",
            right_on="quoted_ns",
            by=keys or None,
            strategy="backward",
            allow_exact_matches=False,
            check_sortedness=False,  # sorted by contract; polars cannot check it within groups
        )
        .drop("asked_ns", "quoted_ns", strict=False)
    )
