"""Every table of the project, in flow order: columns, types, units, key.

Belongs here: what a row is and what its columns mean. Stages cast strictly on entry
(`Table.conform`) and return frames of exactly this shape; an empty result has the same columns.
Keep out: how a column is computed.

Instants are UTC and name the start of what they label; `date` is a trading day in New York.
Prices are US dollars as traded. Null means unknown; NaN is never stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import polars as pl

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)

UTC_US: Final = pl.Datetime("us", "UTC")
UTC_NS: Final = pl.Datetime("ns", "UTC")
STR, F64, I64, I32, I8, BOOL, DATE = (
    pl.String,
    pl.Float64,
    pl.Int64,
    pl.Int32,
    pl.Int8,
    pl.Boolean,
    pl.Date,
)


class SchemaError(ValueError):
    """A table lacks columns or holds a type that cannot be what it should be."""


@dataclass(frozen=True)
class Column:
    """One column: its type, and its meaning with unit."""

    dtype: pl.DataType | type[pl.DataType]
    meaning: str


@dataclass(frozen=True)
class Table:
    """One table: what a row is, its columns, its key and its sort order."""

    name: str
    row: str
    columns: dict[str, Column]
    key: tuple[str, ...] = field(default=())

    @property
    def schema(self) -> pl.Schema:
        return pl.Schema({name: column.dtype for name, column in self.columns.items()})

    def empty(self) -> pl.DataFrame:
        """Return the table without rows."""
        return self.schema.to_frame()

    def conform(self, frame: Frame, where: str = "") -> Frame:
        """Return `frame` with exactly this table's columns, in order, cast strictly.

        Further columns are dropped. `where` names the frame in errors (a file, an asset).

        Raises:
            SchemaError: A column is missing.
        """
        have = frame.collect_schema()
        if missing := [name for name in self.columns if name not in have]:
            raise SchemaError(
                f"{where or self.name}: lacks the columns {missing} of {self.name}; it has "
                f"{list(have)}"
            )
        return frame.select(
            pl.col(name) if have[name] == column.dtype else pl.col(name).cast(column.dtype)
            for name, column in self.columns.items()
        )


def _columns(
    *columns: tuple[str, pl.DataType | type[pl.DataType], str],
) -> dict[str, Column]:
    return {name: Column(dtype, meaning) for name, dtype, meaning in columns}


def _some(table: Table, *names: str) -> dict[str, Column]:
    return {name: table.columns[name] for name in names}


def select_missing(frame: pl.DataFrame | pl.LazyFrame, names: Sequence[str]) -> list[str]:
    """List those of `names` that `frame` lacks."""
    have = frame.collect_schema()
    return [name for name in names if name not in have]


# universe -------------------------------------------------------------------------------------

TICKER_DETAILS = Table(
    "ticker_details",
    "one stock as the provider describes it on `as_of`",
    _columns(
        ("symbol", STR, "ticker"),
        ("name", STR, "company"),
        ("type", STR, "provider's ticker type, CS = common stock"),
        ("primary_exchange", STR, "MIC of the primary exchange"),
        ("active", BOOL, "listed on as_of"),
        ("list_date", DATE, "first listing"),
        ("delisted_at", UTC_US, "end of the listing, null while listed"),
        ("market_cap", F64, "USD; null where unknown"),
        ("shares_outstanding", F64, "shares of the class; null where unknown"),
        ("float_shares", F64, "free float, shares; null where unknown"),
        ("round_lot", F64, "shares in a round lot"),
        ("as_of", DATE, "date that the facts describe"),
    ),
    ("symbol",),
)

SHORT_INTEREST = Table(
    "short_interest",
    "one stock and FINRA settlement date",
    _columns(
        ("symbol", STR, "ticker"),
        ("settlement_date", DATE, "date that the figures describe; published later"),
        ("short_interest", F64, "shares sold short"),
        ("avg_daily_volume", F64, "shares per day"),
        ("days_to_cover", F64, "short interest / average daily volume, days"),
    ),
    ("symbol", "settlement_date"),
)

SPLITS = Table(
    "splits",
    "one split",
    _columns(
        ("symbol", STR, "ticker"),
        ("execution_date", DATE, "first trading day at the new price"),
        ("split_from", F64, "old shares"),
        ("split_to", F64, "new shares; below split_from for a reverse split"),
    ),
    ("symbol", "execution_date"),
)

NEWS = Table(
    "news",
    "one news item and symbol that it names",
    _columns(
        ("symbol", STR, "ticker"),
        ("published_at", UTC_US, "publication"),
        ("news_id", STR, "provider's id"),
        ("title", STR, "headline"),
    ),
    ("symbol", "published_at", "news_id"),
)

FLOAT_SHARES = Table(
    "float_shares",
    "one stock's free float, the latest known: it has no history",
    _columns(
        ("symbol", STR, "ticker"),
        ("effective_date", DATE, "date that the figures describe"),
        ("float_shares", F64, "free float, shares"),
        ("float_pct", F64, "free float / shares outstanding, percent; null where not given"),
    ),
    ("symbol",),
)

DIVIDENDS = Table(
    "dividends",
    "one cash dividend",
    _columns(
        ("symbol", STR, "ticker"),
        ("ex_dividend_date", DATE, "first trading day without the dividend"),
        ("cash_amount", F64, "per share as paid, in `currency`"),
        ("currency", STR, "ISO code; null where not given"),
        ("dividend_id", STR, "provider's id"),
    ),
    ("dividend_id",),
)

CONDITIONS = Table(
    "conditions",
    "one condition code of trades or quotes, with what a print that carries it may update",
    _columns(
        ("condition_id", I32, "code; trades and quotes have namespaces of their own"),
        ("type", STR, "kind of condition, e.g. sale_condition"),
        ("name", STR, "meaning"),
        ("data_types", pl.List(STR), "trade, bbo, nbbo"),
        ("updates_high_low", BOOL, "counts for high and low; null = no rule"),
        ("updates_open_close", BOOL, "counts for open and close; null = no rule"),
        ("updates_volume", BOOL, "counts for volume; null = no rule"),
    ),
)

EXCHANGES = Table(
    "exchanges",
    "one venue; the id alone is no key",
    _columns(
        ("exchange_id", I32, "provider's venue id, as in trades and quotes"),
        ("type", STR, "exchange, TRF, SIP or ORF"),
        ("name", STR, "name"),
        ("mic", STR, "MIC; null where it has none"),
        ("participant_id", STR, "letter on the tape; null where it has none"),
    ),
)

HOLIDAYS = Table(
    "holidays",
    "one coming day and exchange that is closed or closes early",
    _columns(
        ("date", DATE, "trading day"),
        ("exchange", STR, "NYSE, NASDAQ or OTC"),
        ("name", STR, "holiday"),
        ("status", STR, "closed or early-close"),
        ("opens_at", UTC_US, "open of an early-close day, else null"),
        ("closes_at", UTC_US, "close of an early-close day, else null"),
    ),
    ("date", "exchange"),
)

DAILY_BARS = Table(
    "daily_bars",
    "one symbol and trading day, prices as traded",
    _columns(
        ("symbol", STR, "ticker"),
        ("date", DATE, "trading day"),
        ("open", F64, "USD"),
        ("high", F64, "USD"),
        ("low", F64, "USD"),
        ("close", F64, "USD"),
        ("volume", F64, "shares, possibly fractional"),
        ("vwap", F64, "USD; null where not given"),
        ("transactions", I64, "trades; null where not given"),
    ),
    ("date", "symbol"),
)

PREVIOUS_CLOSE = Table(
    "previous_close",
    "one symbol and trading day: the last close before it",
    _columns(
        ("symbol", STR, "ticker"),
        ("date", DATE, "trading day"),
        ("previous_close", F64, "last close before the day on the day's price basis, USD; or null"),
        ("previous_date", DATE, "trading day of that close; null where there is none"),
    ),
    ("symbol", "date"),
)

UNIVERSE = Table(
    "universe",
    "one symbol of the universe as of a date",
    _columns(
        ("symbol", STR, "ticker"),
        ("universe_rank", I64, "1 = moves most often and hardest"),
        ("tier", I64, "1 = ranks 1-500, 2 = 501-1000, 3 = beyond"),
        ("gap_days", I64, "days of the look-back with a gap of at least gap_pct"),
        ("range_days", I64, "days with a range of at least range_pct"),
        ("volume_days", I64, "days with a multiple of the usual volume"),
        ("median_dollar_volume", F64, "USD per day"),
        ("mean_percentile", F64, "mean percentile of the four, 0 to 1"),
        ("as_of", DATE, "date of the ranking"),
    ),
    ("symbol",),
)

# bars -----------------------------------------------------------------------------------------

BARS = Table(
    "bars_1m",
    "one symbol and traded minute; a minute without a trade has no row",
    _columns(
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

SET_ASIDE = Table(
    "bars_set_aside",
    "one bar that is not used, with the reason",
    {**BARS.columns, **_columns(("reason", STR, "why it was set aside"))},
)

# events ---------------------------------------------------------------------------------------

EVENTS = Table(
    "intraday_events",
    "one event; its knowledge ends with its bar, a user acts at timestamp + 1 min",
    _columns(
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
        **_some(EVENTS, "event_type", "direction", "session"),
        **_columns(
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
    _columns(
        ("symbol", STR, "ticker"),
        ("known_from", DATE, "first trading day on which the facts were public"),
        ("float_shares", F64, "shares; null where unknown"),
        ("short_interest_shares", F64, "shares; null where unknown"),
        ("days_to_cover", F64, "days; null where unknown"),
        ("tier", I64, "tier of the universe; null where unknown"),
    ),
    ("symbol", "known_from"),
)

# manifest -------------------------------------------------------------------------------------

MANIFEST = Table(
    "event_manifest",
    "one event chosen for download; rows by rank",
    {
        **EVENTS.columns,
        **_columns(
            ("profile", STR, "core, plus or premium"),
            ("rank", I64, "1 = best, over all rows"),
            ("rank_score", F64, "score x type priority x liquidity, 12 decimals"),
            ("fill", STR, "quota or overflow: the pass that took it"),
            ("time_bucket", STR, "opening, midday, power_hour, PM or AH"),
            ("cohort", STR, "cohorts it belongs to, comma-separated; null = none"),
            ("nbbo_by_change", BOOL, "quotes that repeat prices and sizes are dropped"),
            ("nbbo_max_hz", I64, "quotes per second kept; null = no limit"),
            ("window_start", UTC_US, "start of the window, included"),
            ("window_end", UTC_US, "end of the window, not included"),
        ),
    },
    ("event_id",),
)

FUNNEL = Table(
    "funnel",
    "one stage of the manifest",
    _columns(
        ("stage", STR, "asked, score, liquidity, group or selection"),
        ("n_in", I64, "events in"),
        ("n_out", I64, "events out"),
    ),
    ("stage",),
)

# windows --------------------------------------------------------------------------------------

STORED = Table(
    "stored",
    "one stored interval of one symbol and kind",
    _columns(
        ("symbol", STR, "ticker"),
        ("kind", STR, "trades or quotes"),
        ("window_start", UTC_US, "included"),
        ("window_end", UTC_US, "not included"),
        ("nbbo", STR, "NBBO reduction of quotes (`all`, `change`, `change@5Hz`); null for trades"),
    ),
)

PLAN = Table(
    "window_plan",
    "one interval of one symbol and kind to be fetched",
    _columns(
        ("symbol", STR, "ticker"),
        ("kind", STR, "trades or quotes"),
        ("window_start", UTC_US, "included"),
        ("window_end", UTC_US, "not included"),
        ("events_merged", pl.List(STR), "event_ids by timestamp, then event_id"),
        ("priority", I64, "best rank of its events"),
        ("nbbo", STR, "NBBO reduction of quotes; null for trades"),
        ("requests_min", I64, "requests at least"),
        ("requests_expected", F64, "requests expected"),
        ("bytes_expected", F64, "bytes on disk expected"),
        ("merged_start", UTC_US, "start of the merged window of which this is what is missing"),
        ("merged_end", UTC_US, "its end, not included"),
        ("refetched_seconds", F64, "seconds of quotes that are stored, but at a coarser NBBO"),
    ),
    ("symbol", "kind", "window_start"),
)

WINDOW_FILES = Table(
    "window_files",
    "one stored window file: the trades or the quotes of a window",
    {
        **_some(STORED, "symbol", "kind", "window_start", "window_end"),
        **_columns(
            ("event_id", STR, "event that names the folder"),
            ("events_merged", pl.List(STR), "event_ids by timestamp, then event_id"),
            ("nbbo", STR, "NBBO reduction of quotes, several where parts differ; null for trades"),
            ("rows", I64, "rows in the file"),
            ("pages", I64, "pages that were fetched for it"),
            ("source", STR, "who gave the ticks"),
            ("extended", BOOL, "a hot edge has widened it"),
            ("file", STR, "path"),
        ),
    },
    ("file",),
)

TRADES = Table(
    "trades",
    "one reported print, sorted by SIP timestamp, then sequence number",
    _columns(
        ("timestamp", UTC_NS, "SIP timestamp"),
        ("participant_timestamp", UTC_NS, "the venue's own clock; null where not given"),
        ("price", F64, "USD"),
        ("size", F64, "shares, possibly fractional"),
        ("exchange", I32, "provider's venue id"),
        ("conditions", pl.List(I32), "condition codes; empty = regular, null = not known"),
        ("correction", I32, "0 as reported, 1 corrected, others cancelled or in error"),
        ("trade_id", STR, "the venue's id"),
        ("sequence_number", I64, "order on the tape"),
        ("tape", I32, "1 = A, 2 = B, 3 = C; null where not given"),
    ),
    ("sequence_number", "timestamp", "exchange", "trade_id"),
)

QUOTES = Table(
    "quotes",
    "one NBBO update, sorted by SIP timestamp, then sequence number",
    _columns(
        ("timestamp", UTC_NS, "SIP timestamp"),
        ("participant_timestamp", UTC_NS, "the venue's own clock; null where not given"),
        ("bid_price", F64, "USD; 0 or null = no bid"),
        ("bid_size", F64, "raw number, unit in the file's metadata"),
        ("bid_exchange", I32, "provider's venue id"),
        ("ask_price", F64, "USD; 0 or null = no ask"),
        ("ask_size", F64, "raw number, unit in the file's metadata"),
        ("ask_exchange", I32, "provider's venue id"),
        ("conditions", pl.List(I32), "quote condition codes; null = not known"),
        ("indicators", pl.List(I32), "indicator codes; null = not known"),
        ("sequence_number", I64, "order on the tape"),
        ("tape", I32, "1 = A, 2 = B, 3 = C; null where not given"),
    ),
    ("sequence_number", "timestamp", "bid_exchange", "ask_exchange"),
)

# micro ----------------------------------------------------------------------------------------

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
        **_some(EVENTS, "event_id", "symbol", "date", "timestamp", "event_type", "direction"),
        **_some(EVENTS, "session"),
        **_some(MANIFEST, "profile", "window_start", "window_end"),
        **_columns(
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
