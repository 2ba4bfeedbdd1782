"""Global filters on the event bar, its day and its stock (SPEC §3).

They come after the edges: an event that fails one is dropped; it does not move to a later bar, free
its run or re-arm its range. What is unknown of a stock passes, and is counted.
"""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.events.direction import IS_UP, by_direction
from smallcaps_pipeline.schemas import REFERENCE
from smallcaps_pipeline.settings import Filters
from smallcaps_pipeline.thresholds import at_least, at_most, between

FACTS = ("float_shares", "short_interest_shares", "days_to_cover", "tier")


def join_reference(events: pl.DataFrame, reference: pl.DataFrame | None) -> pl.DataFrame:
    """Add what was public of each event's stock on its trading day; null where nothing was.

    Args:
        events: Rows with `symbol` and `date` (Date).
        reference: `schemas.REFERENCE`; facts hold from `known_from` until the symbol's next row.
    """
    if reference is None:
        facts = {name: REFERENCE.columns[name].dtype for name in FACTS}
        return events.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in facts.items())
    known = REFERENCE.conform(reference, where="reference").sort("symbol", "known_from")
    return (
        events.with_row_index("_order")
        .sort("date")
        .join_asof(
            known.sort("known_from"),
            left_on="date",
            right_on="known_from",
            by="symbol",
            strategy="backward",
            check_sortedness=False,  # sorted just above; polars warns that it cannot see it
        )
        .sort("_order")
        .drop("_order", "known_from")
    )


def event_filters(settings: Filters) -> dict[str, pl.Expr]:
    """Return each filter as a named expression over event rows: true where the event passes."""
    so_far = settings.dollar_volume_basis == "so_far"
    traded = pl.col("dollar_volume_so_far" if so_far else "label_dollar_volume_day")
    shorted = pl.col("short_interest_shares") / pl.col("float_shares")
    return {
        "price": between(pl.col("close"), settings.min_close, settings.max_close),
        "dollar volume of the day": at_least(traded, by_direction(settings.min_dollar_volume_day)),
        "float": at_least(
            pl.col("float_shares"), by_direction(settings.min_float_shares)
        ).fill_null(True),
        "short interest": IS_UP
        | at_most(shorted, settings.max_short_interest_pct / 100).fill_null(True),
        "days to cover": IS_UP
        | at_most(pl.col("days_to_cover"), settings.max_days_to_cover).fill_null(True),
    }


def unknown_facts() -> dict[str, pl.Expr]:
    """Return, per filter on the stock, where it passed only because the fact is unknown."""
    no_float = pl.col("float_shares").is_null()
    return {
        "float": no_float,
        "short interest": ~IS_UP & (no_float | pl.col("short_interest_shares").is_null()),
        "days to cover": ~IS_UP & pl.col("days_to_cover").is_null(),
    }
