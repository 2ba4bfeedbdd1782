"""The short-sale restriction (Rule 201), inferred from trades.

The first trade in regular hours at least `ssr_drop_pct` below the previous close starts it, until
the end of the next trading day. Only the event's own window is looked at: a restriction that
began before it is not seen. Null where the previous close is not known.

Keep out: where a previous close comes from; the caller knows splits.

Source: SEC Rule 201 of Regulation SHO, 17 CFR 242.201.
"""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.micro.tape import date_of_ns, in_rth, instant


def restriction_figures(tape: pl.DataFrame, events: pl.DataFrame, *, drop_pct: int) -> pl.DataFrame:
    """Return per event whether short sales were restricted at its bar's end, and since when.

    Args:
        tape: The events' trades, sorted by event and order.
        events: As `slices.event_bounds` gives them, with `previous_close_micro` ($0.000001; null =
            not known), on the basis of the event day's prices.
        drop_pct: Whole percent below the previous close, compared as integers.

    Returns:
        One row per event: event, ssr_active (null without a previous close), label_ssr_from (SIP
        instant of the trade that started it within the window; null where none did).
    """
    price, previous = pl.col("price_micro"), pl.col("previous_close_micro")
    fell = price * 100 <= previous * (100 - drop_pct)
    first = (
        tape.filter(pl.col("counts_price") & in_rth())
        .join(events.select("event", "date", "previous_close_micro"), on="event")
        .filter(fell & (date_of_ns(pl.col("at_ns")) == pl.col("date")))
        .group_by("event")
        .agg(from_ns=pl.col("at_ns").min())
    )
    active = (pl.col("from_ns") < pl.col("bar_end_ns")).fill_null(value=False)
    return events.join(first, on="event", how="left", validate="1:1").select(
        "event",
        ssr_active=pl.when(previous.is_not_null()).then(active),
        label_ssr_from=instant(pl.col("from_ns")),
    )
