"""Figures that are computed only where config asks for them (`micro.extra_features`).

Belongs here: which group has which columns, and their joining.
Keep out: definitions; each stands in the module of its group.

A group's columns come in two stretches where both make sense: `_before` up to the event bar's end,
which a model may use, and `label_` over the whole window. Default: none, and the table is
`schemas.MICRO_FEATURES` as it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import polars as pl

from smallcaps_pipeline.micro.barriers import barrier_labels
from smallcaps_pipeline.micro.order_flow import order_flow_figures
from smallcaps_pipeline.micro.sizes import size_figures
from smallcaps_pipeline.micro.spreads_paid import spread_paid_figures, vwap_slippage
from smallcaps_pipeline.settings import ExtraFeatures, Micro

# sided tape with mids, book, events, settings -> one row per event: `event` and the columns
Group = Callable[[pl.DataFrame, pl.DataFrame, pl.DataFrame, Micro], pl.DataFrame]
_GROUPS: Final[dict[ExtraFeatures, Group]] = {
    "spreads": spread_paid_figures,
    "order_flow": order_flow_figures,
    "vwap_slippage": vwap_slippage,
    "sizes": size_figures,
    "triple_barrier": barrier_labels,
}


def extra_figures(
    tape: pl.DataFrame, book: pl.DataFrame, events: pl.DataFrame, micro: Micro
) -> list[pl.DataFrame]:
    """Return the figures of the groups that config asks for: one frame each, one row per event.

    Args:
        tape: The events' trades with `mid_x2` and `aggressor`, sorted by event and order.
        book: The events' quotes with the one before each window, sorted by event and order.
        events: As `slices.event_bounds` gives them.
        micro: Settings of the stage.
    """
    return [_GROUPS[name](tape, book, events, micro) for name in micro.extra_features]
