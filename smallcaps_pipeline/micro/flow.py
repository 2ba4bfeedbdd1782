"""What the trades of a window say: speed, imbalance, blocks, cost, absorption, continuation.

Volumes and counts are of trades that count for volume; trades of unknown side are in every total.
A window without trades has speed 0 and volume 0; ratios over nothing are null.

Keep out: halts, the quoted spread, and how a side is found.
"""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.micro.prices import BPS, MICRO_SHARES, NS_PER_MINUTE, NS_PER_S, in_turn
from smallcaps_pipeline.settings import Micro
from smallcaps_pipeline.thresholds import at_least

_AT, _SIZE, _SIDE = pl.col("at_ns"), pl.col("size"), pl.col("aggressor")
_UNITS = pl.col("size_micro")  # volumes are summed as integers: exact in any order
_BAR, _BAR_END = pl.col("bar_ns"), pl.col("bar_end_ns")
_BEFORE = _AT < _BAR_END


def flow_figures(tape: pl.DataFrame, events: pl.DataFrame, micro: Micro) -> pl.DataFrame:
    """Return the figures of each event's trades.

    Args:
        tape: The events' trades with `mid_x2` and `aggressor`, sorted by event and order.
        events: As `slices.event_bounds` gives them.
        micro: Settings of the stage.

    Returns:
        One row per event, by event: the columns of `schemas.MICRO_FEATURES` from label_trades to
        label_continuation that rest on trades alone, and `bar_shares`, shares of the event bar.
    """
    counted = tape.join(events, on="event", how="left", maintain_order="left").filter(
        pl.col("counts_volume")
    )
    sums = counted.group_by("event").agg(**_sums(micro))
    return (
        events.join(sums, on="event", how="left", validate="1:1")
        .join(_most_in_a_stretch(counted, micro), on="event", how="left", validate="1:1")
        .join(_last_prices(tape, events), on="event", how="left", validate="1:1")
        .with_columns(pl.col(*_sums(micro), "most").fill_null(0))
        .sort("event")
        .select("event", pl.col("bar_shares") / MICRO_SHARES, **_figures(micro))
    )


def _sums(micro: Micro) -> dict[str, pl.Expr]:
    """Return counts and volumes to be summed over an event's trades that count for volume."""
    block = at_least(_SIZE, micro.block_shares)
    in_bar = (_AT >= _BAR) & _BEFORE
    after = (_AT >= _BAR_END) & (_AT < _BAR_END + NS_PER_MINUTE)
    cost = _SIDE * (2 * pl.col("price_micro") - pl.col("mid_x2")) / pl.col("mid_x2")
    return {
        "trades": pl.len(),
        "trades_before": _BEFORE.sum(),
        "trades_before_bar": (_AT < _BAR).sum(),
        "trades_after_bar": after.sum(),
        "blocks": block.sum(),
        "shares": _UNITS.sum(),
        "dollars": in_turn(_SIZE * pl.col("price")),
        "bar_shares": _UNITS.filter(in_bar).sum(),
        "block_shares": _UNITS.filter(block).sum(),
        "bought": _UNITS.filter(_SIDE == 1).sum(),
        "sold": _UNITS.filter(_SIDE == -1).sum(),
        "bought_before": _UNITS.filter((_SIDE == 1) & _BEFORE).sum(),
        "sold_before": _UNITS.filter((_SIDE == -1) & _BEFORE).sum(),
        "costed_shares": _UNITS.filter(cost.is_not_null()).sum(),
        "costs": in_turn(cost * _UNITS),
    }


def _figures(micro: Micro) -> dict[str, pl.Expr]:
    """Return the figures as expressions of the sums."""
    start, end = pl.col("start_ns"), pl.col("end_ns")
    speed_before_bar = _ratio(pl.col("trades_before_bar"), _minutes(start, _BAR))
    minute_after_seen = end >= _BAR + 2 * NS_PER_MINUTE
    acceleration = _ratio(pl.col("trades_after_bar"), speed_before_bar)
    sign = pl.when(pl.col("direction") == "up").then(1.0).otherwise(-1.0)
    return {
        "label_trades": pl.col("trades").cast(pl.Int64),
        "label_dollar_volume_per_minute": _ratio(pl.col("dollars"), _minutes(start, end)),
        "label_trade_imbalance": _imbalance("bought", "sold"),
        "label_buy_share": _ratio(pl.col("bought"), pl.col("shares")),
        "label_tape_speed": _ratio(pl.col("trades"), _minutes(start, end)),
        "label_tape_speed_max": pl.col("most") * (60 / micro.tape_window_s),
        "label_tape_acceleration": pl.when(minute_after_seen).then(acceleration),
        "tape_speed_before": _ratio(pl.col("trades_before"), _minutes(start, _BAR_END)),
        "imbalance_before": _imbalance("bought_before", "sold_before"),
        "label_block_prints": pl.col("blocks").cast(pl.Int64),
        "label_block_volume_share": _ratio(pl.col("block_shares"), pl.col("shares")),
        "label_slippage_proxy_bps": _ratio(pl.col("costs"), pl.col("costed_shares")) * BPS,
        "label_continuation": sign * (pl.col("last_price") / pl.col("close") - 1),
    }


def absorption(shares: pl.Expr, mid_start_x2: pl.Expr, mid_end_x2: pl.Expr) -> pl.Expr:
    """Return shares per basis point of move of the mid over the bar; null without a move."""
    moved_bps = ((mid_end_x2 - mid_start_x2) / mid_start_x2).abs() * BPS
    return pl.when(mid_end_x2 != mid_start_x2).then(shares / moved_bps)


def _most_in_a_stretch(counted: pl.DataFrame, micro: Micro) -> pl.DataFrame:
    """Return per event the most trades in any [t, t + tape_window_s).

    The fullest stretch may as well end with a trade: those trades are in (trade - length, trade].
    """
    length = micro.tape_window_s * NS_PER_S
    counts = counted.select("event", "at_ns").rolling(
        "at_ns", period=f"{length}i", closed="right", group_by="event"
    )
    return counts.agg(inside=pl.len()).group_by("event").agg(most=pl.col("inside").max())


def _last_prices(tape: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Return per event the last price of its window, where it is of after the bar."""
    after = tape.filter(pl.col("counts_price") & pl.col("price_micro").is_not_null()).join(
        events.select("event", "bar_end_ns"), on="event", maintain_order="left"
    )
    return (
        after.filter(_AT >= _BAR_END)
        .group_by("event", maintain_order=True)
        .agg(last_price=pl.col("price").last())
    )


def _minutes(start: pl.Expr, end: pl.Expr) -> pl.Expr:
    return (end - start) / NS_PER_MINUTE


def _ratio(over: pl.Expr, under: pl.Expr) -> pl.Expr:
    return pl.when(under != 0).then(over / under)


def _imbalance(bought: str, sold: str) -> pl.Expr:
    both = pl.col(bought) + pl.col(sold)
    return _ratio(pl.col(bought) - pl.col(sold), both)
