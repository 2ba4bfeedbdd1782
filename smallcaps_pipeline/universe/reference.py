"""Reference table: what was known of a stock on a day, for the event filters.

Belongs here: from which trading day a fact was public. Keep out: what the filters do with it.

No fact is used before it was known:

    float             from the trading day after the date that it describes; of dated details,
                      from that date, if a trading day, else the next
    tier              from the trading day after the ranking's, whose own close it contains
    short interest    from the 9th trading day after the settlement date
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from smallcaps_pipeline.schemas import (
    FLOAT_SHARES,
    REFERENCE,
    SHORT_INTEREST,
    TICKER_DETAILS,
    UNIVERSE,
)
from smallcaps_pipeline.sessions import calendar, check_in_calendar

# FINRA provides short interest for publication on the 8th business day after the settlement date
# (Rule 4560; "Nasdaq Short Interest Publication Schedule"), in the evening: known the day after.
SHORT_INTEREST_LAG_SESSIONS: Final = 9
FACTS: Final = ("float_shares", "short_interest_shares", "days_to_cover", "tier")


def reference_table(
    universe: pl.DataFrame,
    details: pl.DataFrame,
    short_interest: pl.DataFrame,
    floats: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return the facts that the event filters use, from the day on which each was public.

    Args:
        universe: Rows of `schemas.UNIVERSE`, of one ranking or of several dates.
        details: Rows of `schemas.TICKER_DETAILS`, of one date or of several.
        short_interest: Rows of `schemas.SHORT_INTEREST`.
        floats: Rows of `schemas.FLOAT_SHARES`, of one date or of several; None = not known.

    Returns:
        One row per symbol and day on which a fact changed (`schemas.REFERENCE`), sorted by symbol
        and known_from. A row holds all that is known from that day on: facts that did not change
        are carried forward; null = not known yet.

    Raises:
        CalendarRangeError: A date lies beyond the exchange calendar.
    """
    sources = [
        _known(TICKER_DETAILS.conform(details, "ticker_details"), "as_of", 0, ["float_shares"]),
        _known(
            SHORT_INTEREST.conform(short_interest, "short_interest").with_columns(
                short_interest_shares="short_interest"
            ),
            "settlement_date",
            SHORT_INTEREST_LAG_SESSIONS,
            ["short_interest_shares", "days_to_cover"],
        ),
        _known(
            FLOAT_SHARES.empty()
            if floats is None
            else FLOAT_SHARES.conform(floats, "float_shares"),
            "effective_date",
            1,
            ["float_shares"],
        ),
        _known(UNIVERSE.conform(universe, "universe"), "as_of", 1, ["tier"]),
    ]
    rows = (
        pl.concat(sources, how="diagonal")
        .sort("symbol", "known_from", "described")
        .group_by("symbol", "known_from", maintain_order=True)
        .agg(pl.col(FACTS).drop_nulls().last())  # of two reports public at once, the later one
        .with_columns(pl.col(FACTS).forward_fill().over("symbol"))
    )
    unchanged = pl.all_horizontal(
        pl.col(name).eq_missing(pl.col(name).shift(1).over("symbol")) for name in FACTS
    )
    return REFERENCE.conform(rows.filter(~unchanged))


def _known(
    rows: pl.DataFrame, described: str, lag_sessions: int, facts: Sequence[str]
) -> pl.DataFrame:
    """Return the facts with `described`, their own date, and `known_from`.

    known_from is the trading day `lag_sessions` after the described date; with no lag it is that
    date, or the next trading day if the exchange is closed on it. A fact without a date is left
    out: nothing says when it was known.
    """
    rows = rows.filter(pl.col(described).is_not_null())
    return rows.select(
        "symbol",
        *facts,
        described=described,
        known_from=_sessions_after(rows[described], lag_sessions),
    )


def _sessions_after(days: pl.Series, sessions: int) -> pl.Series:
    """Return the trading day `sessions` after each day; 0 gives the day or the next trading day."""
    for day in days.unique():
        check_in_calendar(day)
    exchange = calendar()["date"]
    # With a lag, count from the last trading day <= the day; without, take the first one >= it.
    at = exchange.search_sorted(days, side="right" if sessions else "left")
    return exchange.gather(at + max(sessions - 1, 0))
