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
