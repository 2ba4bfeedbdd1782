"""Continuation or reversal by three barriers: which does the price touch first after the bar.

From the event's close, along the trades of [bar end, bar end + minutes) that count for price, with
the return r in the event's direction (a fall is a gain after a down event):

    +1  continuation   r >= continuation_pct first
    -1  reversal       r <= -reversal_pct first
     0  neither        until the time is over
    null               the window ends before the time does, and nothing was touched

A print that leaps over a barrier touches it: the label asks where the market was, not what a stop
order would have got; label_barrier_return says that.

Keep out: what a trade would have earned.

Source: Lopez de Prado (2018), Advances in Financial Machine Learning, chapter 3.
"""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.micro.prices import NS_PER_MINUTE, NS_PER_S
from smallcaps_pipeline.settings import Micro
from smallcaps_pipeline.thresholds import at_least, at_most

_AT = pl.col("at_ns")


def barrier_labels(
    tape: pl.DataFrame, book: pl.DataFrame, events: pl.DataFrame, micro: Micro
) -> pl.DataFrame:
    """Return per event label_barrier, label_barrier_s and label_barrier_return.

    Args:
        tape: The events' trades, sorted by event and order.
        book: Not asked.
        events: As `slices.event_bounds` gives them.
        micro: Settings: `triple_barrier`.

    Returns:
        label_barrier (Int64: 1, -1, 0), label_barrier_s (seconds from the bar's end to the touch,
        null without one), label_barrier_return (r of the trade that touched, else of the last one
        in time; null without a trade or where the label is null).
    """
    del book
    limits = micro.triple_barrier
    expires = pl.col("bar_end_ns") + limits.minutes * NS_PER_MINUTE
    sign = pl.when(pl.col("direction") == "up").then(1.0).otherwise(-1.0)
    gain = sign * (pl.col("price") / pl.col("close") - 1)
    path = (
        tape.filter(pl.col("counts_price") & pl.col("price_micro").is_not_null())
        .join(
            events.select("event", "direction", "close", "bar_end_ns", expires_ns=expires),
            on="event",
            maintain_order="left",
        )
        .filter(pl.col("bar_end_ns") <= _AT, pl.col("expires_ns") > _AT)
        .with_columns(gain=gain)
        .with_columns(
            touched=pl.when(at_least(pl.col("gain") * 100, limits.continuation_pct))
            .then(1)
            .when(at_most(pl.col("gain") * 100, -limits.reversal_pct))
            .then(-1)
        )
    )
    touch = pl.col("touched").is_not_null()
    found = path.group_by("event", maintain_order=True).agg(
        side=pl.col("touched").drop_nulls().first(),
        touch_ns=_AT.filter(touch).first(),
        gain=pl.coalesce(pl.col("gain").filter(touch).first(), pl.col("gain").last()),
    )
    whole = pl.col("end_ns") >= expires
    side = pl.coalesce("side", pl.when(whole).then(0))
    return events.join(found, on="event", how="left", validate="1:1").select(
        "event",
        label_barrier=side.cast(pl.Int64),
        label_barrier_s=(pl.col("touch_ns") - pl.col("bar_end_ns")) / NS_PER_S,
        label_barrier_return=pl.when(side.is_not_null()).then(pl.col("gain")),
    )
