"""Tables of micro features."""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.schemas.events import EVENTS
from smallcaps_pipeline.schemas.manifest import MANIFEST
from smallcaps_pipeline.schemas.table import (
    BOOL,
    F64,
    I64,
    UTC_NS,
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

MICRO_FEATURES = Table(
    "micro_features",
    "one event of the manifest; a column that looks past the event bar's end starts with label_",
    {
        **some(EVENTS, "event_id", "symbol", "date", "timestamp", "event_type", "direction"),
        **some(EVENTS, "session"),
        **some(MANIFEST, "profile", "window_start", "window_end"),
        **columns(
            ("label_trades", I64, "trades in the window that exist and count for volume"),
            ("label_quotes", I64, "quotes in the window"),
            ("label_dollar_volume_per_minute", F64, "USD traded per minute of the window"),
            ("label_spread_mean_bps", F64, "quoted spread, weighted by time in force, bps of mid"),
            ("label_spread_p95_bps", F64, "its 95th percentile by time"),
            ("label_trade_imbalance", F64, "(buyer - seller) / (buyer + seller) volume"),
            ("label_buy_share", F64, "buyer volume / all volume"),
            ("label_tape_speed", F64, "trades per minute of the window"),
            ("label_tape_speed_max", F64, "most trades in any 10 s, x 6"),
            ("label_tape_acceleration", F64, "trades of the minute after / per minute before"),
            ("tape_speed_before", F64, "trades per minute up to the event bar's end"),
            ("imbalance_before", F64, "trade imbalance up to the event bar's end"),
            ("spread_before_bps", F64, "mean quoted spread up to the event bar's end, bps"),
            ("spread_start_bps", F64, "mean quoted spread of the window's first 2 minutes, bps"),
            ("label_block_prints", I64, "trades of at least block_shares"),
            ("label_block_volume_share", F64, "their share of volume"),
            ("label_slippage_proxy_bps", F64, "effective half-spread, volume-weighted, bps"),
            ("absorption", F64, "shares of the event bar per basis point of move of the mid"),
            ("label_continuation", F64, "last price / event close - 1, in the event's direction"),
            ("label_halts", pl.List(HALT), "probable halts"),
            ("ssr_active", BOOL, "short-sale restriction at the event bar's end; null = unknown"),
            ("label_ssr_from", UTC_NS, "trade that started it; null = none in the window"),
            ("news_latency_s", F64, "seconds since the last news; null = none within 24 h"),
        ),
    },
    ("event_id",),
)
