"""The sizes of trades: odd lots, round lots, blocks.

odd lot    below `round_lot` shares: the retail, the algorithm, and what a stock of $500 trades in
block      of at least `block_shares`: `label_block_prints` counts the same
round lot  between them, mixed lots such as 150 included

Shares of the number of trades and of the volume, over trades that count for volume; the three sum
to one. Null without a trade (volume).

Keep out: who traded (`aggressor`).

Source: O'Hara, Yao and Ye (2014), doi:10.1111/jofi.12185, on what odd lots tell; their prints are
on the tape since 2013-12-09.
"""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.settings import Micro
from smallcaps_pipeline.thresholds import at_least

_AT, _SIZE, _UNITS = pl.col("at_ns"), pl.col("size"), pl.col("size_micro")


def size_figures(
    tape: pl.DataFrame, book: pl.DataFrame, events: pl.DataFrame, micro: Micro
) -> pl.DataFrame:
    """Return per event with a trade the shares of its sizes and the median, before and label_.

    Args:
        tape: The events' trades, sorted by event and order.
        book: Not asked.
        events: As `slices.event_bounds` gives them.
        micro: Settings: `round_lot`, `block_shares`.
    """
    del book
    block, not_odd = at_least(_SIZE, micro.block_shares), at_least(_SIZE, micro.round_lot)
    kinds = {"odd_lot": ~not_odd & ~block, "round_lot": not_odd & ~block, "block": block}
    figures = []
    for stop, prefix, suffix in (("bar_end_ns", "", "_before"), ("end_ns", "label_", "")):
        seen = pl.col(stop) > _AT
        size, units = _SIZE.filter(seen), _UNITS.filter(seen)
        for name, kind in kinds.items():
            chosen = _UNITS.filter(seen & kind)
            figures += [
                pl.when(size.len() > 0)
                .then(chosen.len() / size.len())
                .alias(f"{prefix}{name}_share{suffix}"),
                pl.when(units.sum() > 0)
                .then(chosen.sum() / units.sum())
                .alias(f"{prefix}{name}_volume{suffix}"),
            ]
        figures.append(size.median().alias(f"{prefix}median_size{suffix}"))
    real = tape.filter(pl.col("counts_volume")).join(
        events.select("event", "bar_end_ns", "end_ns"), on="event", maintain_order="left"
    )
    return real.group_by("event").agg(*figures)
