"""Order-flow imbalance: what arrived at the best quotes, net of what left.

From one valid quote to the next, with bid price and size (b, q), ask price and size (a, r), primes
for the quote before:

    e = [b >= b'] q - [b <= b'] q' - [a <= a'] r + [a >= a'] r'

A higher bid adds its whole size, a lower one takes the old size away, an equal one the difference;
the ask the other way round. OFI is the sum of e over a stretch, the quote before its start being
the first prime. In depths, it is divided by the mean of (q + r) / 2 over the stretch's quotes,
which makes it comparable over symbols, and over the change from round lots to shares.

On quotes thinned by rate (core, plus) moves within a bucket net out: the sum still tells the
direction, and less of the size.

Keep out: flow of trades (`flow`).

Source: Cont, Kukanov and Stoikov (2014), doi:10.1093/jjfinec/nbt003, equations 1 to 4.
"""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.micro.prices import in_turn
from smallcaps_pipeline.micro.quotes_in_force import is_valid
from smallcaps_pipeline.settings import Micro


def order_flow_figures(
    tape: pl.DataFrame, book: pl.DataFrame, events: pl.DataFrame, micro: Micro
) -> pl.DataFrame:
    """Return per event OFI in the unit of the quotes' sizes and in depths, before and label_.

    Args:
        tape: Not asked.
        book: The events' quotes with the one before each window, sorted by event and order, with
            `bid_size`, `ask_size`.
        events: As `slices.event_bounds` gives them.
        micro: Not asked.
    """
    del tape, micro
    changes = (
        book.filter(is_valid())
        .join(
            events.select("event", "start_ns", "bar_end_ns", "end_ns"),
            on="event",
            maintain_order="left",
        )
        .with_columns(change=_change(), depth=(pl.col("bid_size") + pl.col("ask_size")) / 2)
        .filter(pl.col("at_ns") >= pl.col("start_ns"))
    )
    figures = []
    for stop, prefix, suffix in (("bar_end_ns", "", "_before"), ("end_ns", "label_", "")):
        known = (pl.col("at_ns") < pl.col(stop)) & pl.col("change").is_not_null()
        change, depth = pl.col("change").filter(known), pl.col("depth").filter(known)
        flow = in_turn(change)
        figures += [
            flow.alias(f"{prefix}ofi{suffix}"),
            pl.when(in_turn(depth) > 0)
            .then(flow * depth.len() / in_turn(depth))
            .alias(f"{prefix}ofi_depths{suffix}"),
        ]
    return changes.group_by("event").agg(*figures)


def _change() -> pl.Expr:
    """Return e of each valid quote; null for the first of an event and where a size is unknown."""
    bid, ask = pl.col("bid_micro"), pl.col("ask_micro")
    bid_size, ask_size = pl.col("bid_size"), pl.col("ask_size")
    bid_before, ask_before = bid.shift(1).over("event"), ask.shift(1).over("event")
    bid_size_before = bid_size.shift(1).over("event")
    ask_size_before = ask_size.shift(1).over("event")
    return (
        (bid >= bid_before) * bid_size
        - (bid <= bid_before) * bid_size_before
        - (ask <= ask_before) * ask_size
        + (ask >= ask_before) * ask_size_before
    )
