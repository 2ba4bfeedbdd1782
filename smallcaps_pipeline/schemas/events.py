"""Tables of bars and events."""

from __future__ import annotations

from smallcaps_pipeline.schemas.table import (
    BOOL,
    DATE,
    F64,
    I64,
    STR,
    UTC_US,
    Table,
    columns,
    some,
)

BARS = Table(
    "bars_1m",
    "one symbol and traded minute; a minute without a trade has no row",
    columns(
        ("symbol", STR, "ticker"),
        ("timestamp", UTC_US, "start of the minute, UTC"),
        ("open", F64, "USD"),
        ("high", F64, "USD"),
        ("low", F64, "USD"),
        ("close", F64, "USD"),
        ("volume", F64, "shares, possibly fractional"),
        ("vwap", F64, "provider's volume-weighted price of the minute, USD; null where not given"),
        ("transactions", I64, "trades in the minute; null where not given"),
    ),
    ("symbol", "timestamp"),
)

FLAT_FILE_DAYS = Table(
    "flat_file_days",
    "one symbol and traded minute of a trading day, the whole market's",
    BARS.columns,
    ("symbol", "timestamp"),
)

SET_ASIDE = Table(
    "bars_set_aside",
    "one bar that is not used, with the reason",
    {**BARS.columns, **columns(("reason", STR, "why it was set aside"))},
)

# events ---------------------------------------------------------------------------------------

EVENTS = Table(
    "intraday_events",
    "one event; its knowledge ends with its bar, a user acts at timestamp + 1 min",
    columns(
        ("event_id", STR, "symbol, UTC time, type and direction"),
        ("symbol", STR, "ticker"),
        ("date", STR, "trading day, YYYY-MM-DD"),
        ("timestamp", UTC_US, "start of the event bar, UTC"),
        ("event_type", STR, "name of the detector"),
        ("direction", STR, "up or down"),
        ("event_bias", STR, "bullish or bearish"),
        ("session", STR, "PM, RTH or AH"),
        ("is_premarket", BOOL, "session is PM"),
        ("is_afterhours", BOOL, "session is AH"),
        ("spike_x", F64, "volume / baseline of the minutes before"),
        ("open", F64, "USD"),
        ("high", F64, "USD"),
        ("low", F64, "USD"),
        ("close", F64, "USD"),
        ("price_at_event", F64, "close, USD"),
        ("volume", F64, "shares of the bar"),
        ("dollar_volume", F64, "USD of the bar, close x volume"),
        ("dollar_volume_so_far", F64, "USD of the day up to and including the bar"),
        ("label_dollar_volume_day", F64, "USD of the whole day: looks ahead"),
        ("transactions", I64, "trades in the bar; null where not given"),
        ("vwap_at_event", F64, "VWAP from 09:30, USD; null before"),
        ("change_5m", F64, "close / close five minutes before - 1"),
        ("drop_from_high", F64, "(day's high - close) / day's high"),
        ("flatness_score", F64, "1 = flat base before the bar, 0 = none; null where undefined"),
        ("close_vs_open", STR, "green, red or flat"),
        ("score", F64, "0 to 1"),
        ("event_group_id", STR, "symbol and time of the group's first event"),
        ("tier", I64, "tier of the universe; null without a ranking"),
        ("window_seconds_before", I64, "null until a manifest sets it"),
        ("window_seconds_after", I64, "null until a manifest sets it"),
    ),
    ("symbol", "timestamp", "event_type", "direction"),
)

EVENT_SUMMARY = Table(
    "event_summary",
    "one event_type, direction, session and month that has events",
    {
        **some(EVENTS, "event_type", "direction", "session"),
        **columns(
            ("month", STR, "YYYY-MM of the trading day"),
            ("events", I64, "events"),
            ("symbols", I64, "different symbols among them"),
        ),
    },
    ("event_type", "direction", "session", "month"),
)

REFERENCE = Table(
    "reference",
    "what was known of one symbol on a day, for the event filters",
    columns(
        ("symbol", STR, "ticker"),
        ("known_from", DATE, "first trading day on which the facts were public"),
        ("float_shares", F64, "shares; null where unknown"),
        ("short_interest_shares", F64, "shares; null where unknown"),
        ("days_to_cover", F64, "days; null where unknown"),
        ("tier", I64, "tier of the universe; null where unknown"),
    ),
    ("symbol", "known_from"),
)
