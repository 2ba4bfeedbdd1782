"""Tables of micro: figures of events, and the quality of their windows.

Every column of `MICRO_FEATURES` says at which moment it is known; `moments` returns the same for
tests: data after the moment changes nothing in the column. Only columns of a moment after the event
bar's end carry the prefix `label_`, and all of them do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

import polars as pl

from smallcaps_pipeline.schemas.events import EVENTS
from smallcaps_pipeline.schemas.manifest import MANIFEST
from smallcaps_pipeline.schemas.table import (
    BOOL,
    F64,
    I64,
    UTC_NS,
    Column,
    Table,
    columns,
    some,
)

HALT = pl.Struct(
    {
        "start": UTC_NS,
        "end": UTC_NS,
        "mid_start": F64,
        "mid_end": F64,
        "confirmed": BOOL,
    }
)


class Moment(StrEnum):
    """When a column is known."""

    BAR_END = "at the event bar's end"
    MINUTE_AFTER = "one minute after the event bar's end"
    WINDOW_END = "at window_end"


def known(moment: Moment, found: Mapping[str, Column]) -> dict[str, Column]:
    """Return columns whose meaning says when they are known."""
    return {
        name: Column(column.dtype, f"{column.meaning}; known {moment.value}")
        for name, column in found.items()
    }


_ByMoment = dict[Moment, dict[str, Column]]
_EVENT: Final = {
    **some(EVENTS, "event_id", "symbol", "date", "timestamp", "event_type", "direction"),
    **some(EVENTS, "session"),
    **some(MANIFEST, "profile", "window_start", "window_end"),
}
_BEFORE: Final = columns(
    ("tape_speed_before", F64, "trades per minute from window_start to the event bar's end"),
    ("imbalance_before", F64, "trade imbalance of the same stretch"),
    ("spread_before_bps", F64, "mean quoted spread of the same stretch, bps of mid"),
    ("spread_start_bps", F64, "mean quoted spread of the window's first 2 minutes, bps of mid"),
    ("absorption", F64, "shares of the event bar per basis point of move of the mid"),
    ("ssr_active", BOOL, "short-sale restriction at the event bar's end; null = unknown"),
    ("news_latency_s", F64, "seconds since the last news; null = none within 24 h"),
)
_AFTER: Final = columns(
    ("label_tape_acceleration", F64, "trades of the minute after / per minute before the bar"),
)
_LABELS: Final = columns(
    ("label_trades", I64, "trades in the window that exist and count for volume"),
    ("label_quotes", I64, "quotes in the window; null = not fetched"),
    ("label_dollar_volume_per_minute", F64, "USD traded per minute of the window"),
    ("label_spread_mean_bps", F64, "quoted spread, weighted by time in force, bps of mid"),
    ("label_spread_p95_bps", F64, "its 95th percentile by time"),
    ("label_trade_imbalance", F64, "(buyer - seller) / (buyer + seller) volume"),
    ("label_buy_share", F64, "buyer volume / all volume"),
    ("label_tape_speed", F64, "trades per minute of the window"),
    ("label_tape_speed_max", F64, "most trades in any 10 s, x 6"),
    ("label_block_prints", I64, "trades of at least block_shares"),
    ("label_block_volume_share", F64, "their share of volume"),
    ("label_slippage_proxy_bps", F64, "effective half-spread, volume-weighted, bps"),
    ("label_continuation", F64, "last price / event close - 1, in the event's direction"),
    ("label_halts", pl.List(HALT), "probable halts"),
    ("label_ssr_from", UTC_NS, "trade that started it; null = none in the window"),
)
_MOMENTS: Final[dict[str, Moment]] = {
    **dict.fromkeys((*_EVENT, *_BEFORE), Moment.BAR_END),
    **dict.fromkeys(_AFTER, Moment.MINUTE_AFTER),
    **dict.fromkeys(_LABELS, Moment.WINDOW_END),
}

MICRO_FEATURES = Table(
    "micro_features",
    "one event of the manifest; a column that looks past the event bar's end starts with label_",
    {
        **_EVENT,
        **known(Moment.BAR_END, _BEFORE),
        **known(Moment.MINUTE_AFTER, _AFTER),
        **known(Moment.WINDOW_END, _LABELS),
    },
    ("event_id",),
)


def _both_stretches(*of: tuple[str, pl.DataType | type[pl.DataType], str]) -> _ByMoment:
    """Return columns up to the event bar's end and over the window, from (name, type, meaning)."""
    before = [(_before(name), dtype, meaning) for name, dtype, meaning in of]
    label = [(f"label_{name}", dtype, meaning) for name, dtype, meaning in of]
    return {Moment.BAR_END: columns(*before), Moment.WINDOW_END: columns(*label)}


def _before(name: str) -> str:
    """Return a column's name for the stretch before; the unit stays last."""
    stem = name.removesuffix("_bps")
    return f"{stem}_before{name.removeprefix(stem)}"


_SIZES: Final[list[tuple[str, pl.DataType | type[pl.DataType], str]]] = [
    (f"{kind}_{of}", F64, f"share of {what} in {words}")
    for kind, words in (("odd_lot", "odd lots"), ("round_lot", "round lots"), ("block", "blocks"))
    for of, what in (("share", "trades"), ("volume", "volume"))
]
_EXTRAS: Final[dict[str, _ByMoment]] = {
    "spreads": _both_stretches(
        (
            "effective_spread_bps",
            F64,
            "twice the distance from the mid that takers paid, by volume",
        ),
        ("quoted_spread_at_trades_bps", F64, "quoted spread in force at trades, by volume"),
        ("realized_spread_bps", F64, "what makers kept after realized_after_s, by volume"),
        ("price_impact_bps", F64, "effective less realized spread, by volume"),
    ),
    "order_flow": _both_stretches(
        ("ofi", F64, "order-flow imbalance at the best quotes, unit of the quotes' sizes"),
        ("ofi_depths", F64, "the same in multiples of the mean depth"),
    ),
    "vwap_slippage": {
        Moment.WINDOW_END: columns(
            (
                *("label_vwap_slippage_bps", F64),
                "VWAP of slippage_shares after the bar against the mid at its end, bps",
            ),
        )
    },
    "sizes": _both_stretches(*_SIZES, ("median_size", F64, "median shares of a trade")),
    "triple_barrier": {
        Moment.WINDOW_END: columns(
            ("label_barrier", I64, "1 continuation, -1 reversal, 0 neither in time"),
            ("label_barrier_s", F64, "seconds from the event bar's end to the touch"),
            (
                "label_barrier_return",
                F64,
                "return in the event's direction, at the touch or in time",
            ),
        )
    },
}


def micro_features_table(extra: Sequence[str] = ()) -> Table:
    """Return `MICRO_FEATURES` with the columns of some groups of `micro.extra_features`."""
    added = {
        name: column
        for group in extra
        for moment, found in _EXTRAS[group].items()
        for name, column in known(moment, found).items()
    }
    table = MICRO_FEATURES
    return Table(table.name, table.row, {**table.columns, **added}, table.key)


def moments(extra: Sequence[str] = ()) -> dict[str, Moment]:
    """Return when each column of `micro_features_table(extra)` is known."""
    added = {
        name: moment
        for group in extra
        for moment, found in _EXTRAS[group].items()
        for name in found
    }
    return {**_MOMENTS, **added}


MICRO_QUALITY = Table(
    "micro_quality",
    "one event of the manifest: what is wrong with the rows and bars of its window",
    {
        **some(EVENTS, "event_id", "symbol", "date", "timestamp", "session"),
        **some(MANIFEST, "profile", "window_start", "window_end"),
        **columns(
            ("trades", I64, "trade rows in the window"),
            ("trades_real", I64, "of them, those that exist and count for volume"),
            ("trades_cancelled", I64, "cancelled, in error, or a record of a correction"),
            ("trades_bad", I64, "price or size null, not finite or not positive"),
            ("trades_out_of_order", I64, "SIP time or sequence number below the row's before"),
            ("trades_duplicated", I64, "further copies of one sequence number, time, venue and id"),
            ("trades_id_repeated", I64, "a venue's id given again (off-exchange ids left out)"),
            ("trades_unknown_condition", I64, "a condition code that no update rule is known for"),
            ("trades_without_conditions", I64, "condition codes not known: taken as regular"),
            ("shares", F64, "shares of the real trades"),
            ("shares_off_market", F64, "of them, printed off_market_pct or more from the mid"),
            ("quotes", I64, "quote rows in the window; null = not fetched, as all of quotes_"),
            ("quotes_empty", I64, "neither bid nor ask"),
            ("quotes_one_sided", I64, "a bid or an ask alone"),
            ("quotes_crossed", I64, "ask below bid"),
            ("quotes_locked", I64, "ask equal to bid"),
            ("quotes_out_of_order", I64, "SIP time or sequence number below the row's before"),
            ("quotes_duplicated", I64, "further copies of one sequence number, time and venues"),
            ("quote_unit_differs", BOOL, "sizes look like the other unit than the day's"),
            ("trades_latency_p50_ms", F64, "participant to SIP, median of trades"),
            ("trades_latency_p99_ms", F64, "participant to SIP, 99th percentile of trades"),
            ("quotes_latency_p50_ms", F64, "participant to SIP, median of quotes"),
            ("quotes_latency_p99_ms", F64, "participant to SIP, 99th percentile of quotes"),
            ("latency_known", I64, "trades and quotes with a participant timestamp"),
            ("latency_negative", I64, "of them, those the SIP had before the venue"),
            ("time_rounded", BOOL, "all ns timestamps look passed through a double"),
            ("minutes_compared", I64, "whole minutes with a bar or prints that make one"),
            ("bars_missing", I64, "minutes whose prints make a bar that is not there"),
            ("bars_without_trades", I64, "bars of which the window holds no print"),
            ("bar_open_differs", I64, "bars whose open is not that of their prints"),
            ("bar_high_differs", I64, "the same of the high"),
            ("bar_low_differs", I64, "the same of the low"),
            ("bar_close_differs", I64, "the same of the close"),
            ("bar_volume_differs", I64, "the same of the volume"),
            ("bar_count_differs", I64, "the same of the number of trades, where given"),
            ("bar_vwap_outside", I64, "bars whose vwap lies outside [low, high]"),
            ("bar_price_ratio", F64, "median of bar close / close of its prints; 1 = same basis"),
            ("halts", I64, "probable halts in the window"),
            ("halts_confirmed", I64, "of them, confirmed by a print or an indicator"),
            ("halts_with_bars", I64, "of them, with a bar inside: halt and bars disagree"),
            ("bytes", I64, "size of the files that hold the window; null = not known"),
            ("extended", BOOL, "a hot edge has widened the stored window; null = not known"),
        ),
    },
    ("event_id",),
)
