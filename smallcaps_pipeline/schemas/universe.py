"""Tables of the universe: what is known of stocks, daily bars, the ranking."""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.schemas.table import (
    BOOL,
    DATE,
    F64,
    I32,
    I64,
    STR,
    UTC_NS,
    UTC_US,
    Table,
    columns,
)

TICKER_DETAILS = Table(
    "ticker_details",
    "one stock as the provider describes it on `as_of`",
    columns(
        ("symbol", STR, "ticker"),
        ("name", STR, "company"),
        ("type", STR, "provider's ticker type, CS = common stock"),
        ("primary_exchange", STR, "MIC of the primary exchange"),
        ("active", BOOL, "listed on as_of"),
        ("list_date", DATE, "first listing"),
        ("delisted_at", UTC_US, "end of the listing, null while listed"),
        ("market_cap", F64, "USD; null where unknown"),
        ("shares_outstanding", F64, "shares of the class; null where unknown"),
        ("float_shares", F64, "free float, shares; null from the provider, see float_shares"),
        ("round_lot", F64, "shares in a round lot"),
        ("as_of", DATE, "date that the facts describe"),
    ),
    ("symbol",),
)

SHORT_INTEREST = Table(
    "short_interest",
    "one stock and FINRA settlement date",
    columns(
        ("symbol", STR, "ticker"),
        ("settlement_date", DATE, "date that the figures describe; published later"),
        ("short_interest", F64, "shares sold short"),
        ("avg_daily_volume", F64, "shares per day"),
        ("days_to_cover", F64, "short interest / average daily volume, days"),
    ),
    ("symbol", "settlement_date"),
)

TICKER_EVENTS = Table(
    "ticker_events",
    "one symbol of a company and since when it has it",
    columns(
        ("symbol", STR, "ticker that was asked for"),
        ("date", DATE, "first day under the ticker"),
        ("ticker", STR, "the company's ticker from that day on"),
        ("name", STR, "company as it is called today; null where not given"),
        ("cik", STR, "registrant number; null where not given"),
        ("composite_figi", STR, "FIGI; null where not given"),
    ),
    ("symbol", "date", "ticker"),
)

SPLITS = Table(
    "splits",
    "one split",
    columns(
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
    columns(
        ("symbol", STR, "ticker"),
        ("published_at", UTC_US, "publication"),
        ("news_id", STR, "provider's id"),
        ("title", STR, "headline"),
    ),
    ("symbol", "published_at", "news_id"),
)

FLOAT_SHARES = Table(
    "float_shares",
    "one stock and date: its free float; the provider has the latest only",
    columns(
        ("symbol", STR, "ticker"),
        ("effective_date", DATE, "date that the figures describe"),
        ("float_shares", F64, "free float, shares"),
        ("float_pct", F64, "free float / shares outstanding, percent; null where not given"),
    ),
    ("symbol", "effective_date"),
)

DIVIDENDS = Table(
    "dividends",
    "one cash dividend",
    columns(
        ("symbol", STR, "ticker"),
        ("declaration_date", DATE, "when the company said so; null where not given"),
        ("ex_dividend_date", DATE, "first trading day without the dividend"),
        ("pay_date", DATE, "payment; null where not given"),
        ("cash_amount", F64, "per share as paid, in `currency`"),
        ("currency", STR, "ISO code; null where not given"),
        ("dividend_id", STR, "provider's id"),
    ),
    ("dividend_id",),
)

CONDITIONS = Table(
    "conditions",
    "one condition code of trades or quotes, with what a print that carries it may update",
    columns(
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
    columns(
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
    columns(
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
    columns(
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

SNAPSHOTS = Table(
    "snapshots",
    "one stock as it stands now",
    columns(
        ("symbol", STR, "ticker"),
        ("updated_at", UTC_NS, "last change; null where there was none today"),
        *(
            (f"{of}_{name}", F64, f"{text} of {what}; null before it has traded")
            for of, what in (("day", "today's regular hours"), ("minute", "the last minute"))
            for name, text in (
                ("open", "open, USD,"),
                ("high", "high, USD,"),
                ("low", "low, USD,"),
                ("close", "close, USD,"),
                ("volume", "shares"),
                ("vwap", "VWAP, USD,"),
            )
        ),
        ("minute", UTC_US, "start of the last minute that traded"),
        ("minute_transactions", I64, "trades of the last minute"),
        ("volume_so_far", F64, "shares of the day up to the last minute, premarket included"),
        ("previous_close", F64, "close of the trading day before, USD"),
        ("previous_volume", F64, "shares of the trading day before"),
        ("last_trade_at", UTC_NS, "SIP timestamp of the last trade; null where not in the plan"),
        ("last_price", F64, "its price, USD"),
        ("last_size", F64, "its shares, possibly fractional"),
        ("last_exchange", I32, "its venue, provider's id"),
        ("last_conditions", pl.List(I32), "its condition codes; null = none given"),
        ("last_quote_at", UTC_NS, "SIP timestamp of the NBBO; null where not in the plan"),
        ("bid_price", F64, "USD; 0 or null = no bid"),
        ("bid_size", F64, "raw number: round lots before 2025-11-03, shares from that day"),
        ("ask_price", F64, "USD; 0 or null = no ask"),
        ("ask_size", F64, "raw number: round lots before 2025-11-03, shares from that day"),
    ),
    ("symbol",),
)

PREVIOUS_CLOSE = Table(
    "previous_close",
    "one symbol and trading day: the last close before it",
    columns(
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
    columns(
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
