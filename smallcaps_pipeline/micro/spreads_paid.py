"""What trading cost: effective, quoted and realized spread, price impact, slippage of a size.

Of a trade with side D (+1 buyer, -1 seller), price p and mid m in force, and m' the mid in force
`realized_after_s` later, all in bps, weighted by shares over trades that count for volume:

    effective  2 D (p - m) / m          what the taker paid
    quoted     (ask - bid) / m          what was shown at the moment of the trade
    realized   2 D (p - m') / m         what the maker kept
    impact     2 D (m' - m) / m         what the market moved against the maker

On trades whose m' is known, effective = realized + impact. m' must lie within the stretch: a trade
in its last seconds has neither. All four are null where no trade has them.

Keep out: the spread weighted by time (`spread`).

Source: Huang and Stoll (1996), doi:10.1016/0304-405X(95)00867-E; on the short horizon of fast
markets Conrad and Wahal (2020), doi:10.1016/j.jfineco.2019.09.008.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from smallcaps_pipeline.micro.prices import BPS, MICRO_DOLLARS, NS_PER_S, in_turn
from smallcaps_pipeline.micro.quotes_in_force import or_null, quote_rows, with_mid
from smallcaps_pipeline.settings import Micro

_AT, _SIZE, _SIDE = pl.col("at_ns"), pl.col("size"), pl.col("aggressor")
_UNITS = pl.col("size_micro")
_PRICE_X2, _MID_X2, _LATER_X2 = 2 * pl.col("price_micro"), pl.col("mid_x2"), pl.col("later_x2")
_COSTS: Final = {
    "effective_spread": 2 * _SIDE * (_PRICE_X2 - _MID_X2) / _MID_X2,
    "quoted_spread_at_trades": pl.when(_SIDE.is_not_null()).then(pl.col("spread_x2") / _MID_X2),
    "realized_spread": 2 * _SIDE * (_PRICE_X2 - _LATER_X2) / _MID_X2,
    "price_impact": 2 * _SIDE * (_LATER_X2 - _MID_X2) / _MID_X2,
}
_WAITS: Final = ("realized_spread", "price_impact")


def spread_paid_figures(
    tape: pl.DataFrame, book: pl.DataFrame, events: pl.DataFrame, micro: Micro
) -> pl.DataFrame:
    """Return per event the four costs, `_before_bps` and `label_..._bps`.

    Args:
        tape: The events' trades with `mid_x2` and `aggressor`, sorted by event and order.
        book: The events' quotes with the one before each window, sorted by event and order.
        events: As `slices.event_bounds` gives them.
        micro: Settings: `realized_after_s`, `quote_lag_ns`.
    """
    wait, lag = micro.realized_after_s * NS_PER_S, micro.quote_lag_ns
    real = tape.filter(pl.col("counts_volume"))
    quote = or_null(quote_rows(real, book, by=["event"], lag_ns=lag))
    later = with_mid(real.select("event", at_ns=_AT + wait), book, by=["event"], lag_ns=lag)
    shown = (book["ask_micro"] - book["bid_micro"]) * 2
    costs = (
        real.with_columns(later["mid_x2"].alias("later_x2"), spread_x2=shown.gather(quote))
        .join(events.select("event", "bar_end_ns", "end_ns"), on="event", maintain_order="left")
        .with_columns(**_COSTS)
    )
    return costs.group_by("event").agg(
        *(
            _weighted(
                name, _AT + wait <= pl.col(stop) if name in _WAITS else pl.col(stop) > _AT
            ).alias(f"{prefix}{name}{suffix}_bps")
            for stop, prefix, suffix in (("bar_end_ns", "", "_before"), ("end_ns", "label_", ""))
            for name in _COSTS
        )
    )


def vwap_slippage(
    tape: pl.DataFrame, book: pl.DataFrame, events: pl.DataFrame, micro: Micro
) -> pl.DataFrame:
    """Return per event what `slippage_shares` would have cost after its bar.

    label_vwap_slippage_bps = s (VWAP / m - 1), s = +1 for up, -1 for down, m the mid in force at
    the bar's end, VWAP that of the first `slippage_shares` shares printed from then on (trades that
    count for price and for volume; of the last one only what is still wanted). Positive = worse
    than the mid. Null where the window prints fewer shares, or has no mid.

    This follows the tape at its own pace, as somebody would who takes part in every print: a lower
    bound for an order that would have moved the price.
    """
    wanted = micro.slippage_shares
    at_end = with_mid(
        events.select("event", at_ns="bar_end_ns"), book, by=["event"], lag_ns=micro.quote_lag_ns
    ).select("event", mid_x2="mid_x2")
    after = (
        tape.filter(pl.col("counts_volume") & pl.col("counts_price"))
        .join(events.select("event", "bar_end_ns"), on="event", maintain_order="left")
        .filter(pl.col("bar_end_ns") <= _AT, pl.col("price").is_not_null())
        .with_columns(so_far=_SIZE.cum_sum().over("event"))
        .with_columns(taken=(wanted - (pl.col("so_far") - _SIZE)).clip(0, _SIZE))
    )
    filled = after.group_by("event").agg(
        paid=in_turn(pl.col("taken") * pl.col("price")), printed=in_turn(_SIZE)
    )
    vwap_x2 = 2 * MICRO_DOLLARS * pl.col("paid") / wanted
    sign = pl.when(pl.col("direction") == "up").then(1.0).otherwise(-1.0)
    cost = sign * (vwap_x2 / pl.col("mid_x2") - 1) * BPS
    return (
        events.select("event", "direction")
        .join(filled, on="event", how="left", validate="1:1")
        .join(at_end, on="event", validate="1:1")
        .select("event", label_vwap_slippage_bps=pl.when(pl.col("printed") >= wanted).then(cost))
    )


def _weighted(name: str, seen: pl.Expr) -> pl.Expr:
    """Return the mean of a cost over the trades seen, weighted by shares, in bps."""
    cost, has = pl.col(name), seen & pl.col(name).is_not_null()
    shares = _UNITS.filter(has).sum()
    return pl.when(shares > 0).then(in_turn((cost * _UNITS).filter(has)) / shares * BPS)
