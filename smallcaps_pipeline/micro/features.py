"""One row of figures per event: the stage's assembly.

Belongs here: the shapes that callers pass, and the order of the parts.
Keep out: any definition; each stands in the module of its subject.

What the event knows ends with its bar. A column that uses anything later starts with `label_`, so
that no future leaks into a model unseen: cutting the data at the bar's end changes no other one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

from smallcaps_pipeline.micro.aggressor import Method, with_side
from smallcaps_pipeline.micro.extras import extra_figures
from smallcaps_pipeline.micro.flow import absorption, flow_figures
from smallcaps_pipeline.micro.halts import halt_lists, probable_halts
from smallcaps_pipeline.micro.news import news_latency
from smallcaps_pipeline.micro.prices import micro_dollars
from smallcaps_pipeline.micro.quotes_in_force import with_mid
from smallcaps_pipeline.micro.slices import event_bounds, slice_rows
from smallcaps_pipeline.micro.spread import spread_figures, start_stretch_end
from smallcaps_pipeline.micro.ssr import restriction_figures
from smallcaps_pipeline.micro.tape import prepare_book, prepare_tape, require_columns
from smallcaps_pipeline.schemas import (
    NEWS,
    QUOTES,
    SchemaError,
    micro_features_table,
    select_missing,
)
from smallcaps_pipeline.sessions import require_aware
from smallcaps_pipeline.settings import Micro, Settings, load_settings

PreviousClose = pl.DataFrame | Mapping[str, float] | Mapping[tuple[str, str], float] | float | None

MANIFEST_COLUMNS = (
    *("event_id", "symbol", "date", "timestamp", "event_type", "direction", "session"),
    *("close", "profile", "window_start", "window_end"),
)


def event_features(
    manifest_rows: pl.DataFrame,
    trades: pl.DataFrame,
    quotes: pl.DataFrame | None,
    *,
    previous_close: PreviousClose = None,
    news: pl.DataFrame | None = None,
    settings: Settings | None = None,
) -> pl.DataFrame:
    """Describe each event by the trades and quotes of its own window.

    Args:
        manifest_rows: One row per event, of `schemas.MANIFEST`; any symbols, any order.
        trades: One row per print, of `schemas.TRADES`, any order, with `symbol` (String) where the
            manifest rows name more than one. May hold more than the windows: each event sees its
            own [window_start, window_end) alone. `conditions` null = not known: the trade counts as
            regular. A symbol without a row counts as one that did not trade.
        quotes: The same for NBBO updates, of `schemas.QUOTES`, and besides the one quote before
            each window. None = not fetched: label_quotes and all that rests on quotes is null.
        previous_close: Close of the trading day before, USD, on the basis of the event day's
            prices: a frame (symbol, date, previous_close), a mapping from symbol or from
            (symbol, "YYYY-MM-DD"), or one number for all rows.
        news: Rows of `schemas.NEWS`; None = not known.
        settings: None takes `load_settings()`.

    Returns:
        Rows of `schemas.MICRO_FEATURES`, one per manifest row, in its order, with the columns of
        the groups that `micro.extra_features` names. Undefined is null.

    Raises:
        SchemaError: A column is missing, `symbol` among them where it is needed.
        NaiveTimestampError: A timestamp has no time zone.
        CalendarRangeError: A trade lies beyond the exchange calendar.
    """
    micro = (settings or load_settings()).micro
    table = micro_features_table(micro.extra_features)
    require_manifest(manifest_rows)
    if manifest_rows.is_empty():
        return table.empty()
    events = _with_previous_close(event_bounds(manifest_rows), previous_close)
    symbols = manifest_rows["symbol"].unique().to_list()
    known_quotes = QUOTES.empty() if quotes is None else quotes
    tape = slice_rows(events, prepare_tape(with_symbol(trades, symbols, "trades")))
    book = slice_rows(
        events, prepare_book(with_symbol(known_quotes, symbols, "quotes")), row_before=True
    )
    figures = _figures(events, tape, book, micro).join(
        news_latency(events, _checked_news(news), hours=micro.news_hours), on="event"
    )
    if quotes is None:
        figures = figures.with_columns(label_quotes=pl.lit(None, dtype=pl.Int64))
    rows = pl.concat(
        [manifest_rows.select(MANIFEST_COLUMNS), figures.sort("event")], how="horizontal"
    )
    return table.conform(rows, where="event_features")


def _figures(
    events: pl.DataFrame, tape: pl.DataFrame, book: pl.DataFrame, micro: Micro
) -> pl.DataFrame:
    """Join the figures of all parts: one row per event."""
    method = Method(micro.aggressor)
    sided = with_side(tape, book, by=["event"], method=method, lag_ns=micro.quote_lag_ns, mids=True)
    halts = probable_halts(tape, book, events, micro, end="end_ns")
    halts_before = probable_halts(tape, book, events, micro, end="bar_end_ns")
    spread = spread_figures(book, halts, events, end="end_ns").rename(
        {"spread_mean_bps": "label_spread_mean_bps", "spread_p95_bps": "label_spread_p95_bps"}
    )
    spread_before = spread_figures(book, halts_before, events, end="bar_end_ns").select(
        "event", spread_before_bps="spread_mean_bps"
    )
    spread_at_start = spread_figures(
        book, halts_before, events.with_columns(early_ns=start_stretch_end()), end="early_ns"
    ).select("event", spread_start_bps="spread_mean_bps")
    parts = [
        spread_at_start,
        flow_figures(sided, events, micro),
        _quote_counts(book, events),
        spread,
        spread_before,
        _bar_mids(book, events, lag_ns=micro.quote_lag_ns),
        halt_lists(halts, book, lag_ns=micro.quote_lag_ns),
        restriction_figures(tape, events, drop_pct=micro.ssr_drop_pct),
        *extra_figures(sided, book, events, micro),
    ]
    joined = events.select("event")
    for part in parts:
        joined = joined.join(part, on="event", how="left", validate="1:1", maintain_order="left")
    return joined.with_columns(
        pl.col("label_quotes").fill_null(0),
        pl.col("label_halts").fill_null([]),
        absorption=absorption(pl.col("bar_shares"), pl.col("mid_bar_x2"), pl.col("mid_bar_end_x2")),
    )


def _quote_counts(book: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Count the quotes in each window, without the one before it."""
    inside = book.join(events.select("event", "start_ns"), on="event").filter(
        pl.col("at_ns") >= pl.col("start_ns")
    )
    return inside.group_by("event").agg(label_quotes=pl.len().cast(pl.Int64))


def _bar_mids(book: pl.DataFrame, events: pl.DataFrame, *, lag_ns: int) -> pl.DataFrame:
    """Return twice the mids in force at the event bar's start and end, $0.000001."""
    at_start = with_mid(
        events.select("event", at_ns="bar_ns"), book, by=["event"], lag_ns=lag_ns
    ).select("event", mid_bar_x2="mid_x2")
    at_end = with_mid(
        events.select("event", at_ns="bar_end_ns"), book, by=["event"], lag_ns=lag_ns
    ).select("event", mid_bar_end_x2="mid_x2")
    return at_start.join(at_end, on="event", validate="1:1")


def require_manifest(manifest_rows: pl.DataFrame) -> None:
    """Raise where manifest rows lack what the stage needs, or have naive timestamps."""
    if missing := select_missing(manifest_rows, MANIFEST_COLUMNS):
        raise SchemaError(
            f"manifest_rows: lacks the columns {missing}; it has {manifest_rows.columns}"
        )
    require_aware(
        manifest_rows.schema, ["timestamp", "window_start", "window_end"], "manifest_rows"
    )


def with_symbol(frame: pl.DataFrame, symbols: list[str], what: str) -> pl.DataFrame:
    """Return the rows of the events' symbols, each with its symbol."""
    prices = ("price", "size") if what == "trades" else ("bid_price", "ask_price")
    require_columns(frame, ["timestamp", *prices], what)
    if "symbol" in frame.columns:
        return frame.filter(pl.col("symbol").is_in(symbols))
    if len(symbols) > 1 and not frame.is_empty():
        raise SchemaError(
            f"{what}: needs the column 'symbol', the manifest rows name {len(symbols)} symbols "
            f"({', '.join(sorted(symbols)[:5])}, ...)"
        )
    return frame.with_columns(symbol=pl.lit(symbols[0]))


def _checked_news(news: pl.DataFrame | None) -> pl.DataFrame | None:
    if news is None:
        return None
    if missing := select_missing(news, ["symbol", "published_at"]):
        raise SchemaError(
            f"news: lacks the columns {missing} of {NEWS.name}; it has {news.columns}"
        )
    require_aware(news.schema, ["published_at"], "news")
    return news


def _with_previous_close(events: pl.DataFrame, given: PreviousClose) -> pl.DataFrame:
    """Add `previous_close_micro` ($0.000001; null where not known) to the events."""
    closes = _previous_closes(given)
    if isinstance(closes, pl.DataFrame):
        keys = [name for name in ("symbol", "date") if name in closes.columns]
        joined = events.join(closes, on=keys, how="left", maintain_order="left", validate="m:1")
    else:
        joined = events.with_columns(previous_close=pl.lit(closes, dtype=pl.Float64))
    return joined.with_columns(previous_close_micro=micro_dollars(pl.col("previous_close"))).drop(
        "previous_close"
    )


def _previous_closes(given: PreviousClose) -> pl.DataFrame | float | None:
    """Return previous closes as a frame by symbol (and date), or as one number for all."""
    if isinstance(given, pl.DataFrame):
        day = pl.col("date")
        if given.schema["date"] == pl.String:
            day = day.str.to_date("%Y-%m-%d")
        return given.select("symbol", day, pl.col("previous_close").cast(pl.Float64))
    if isinstance(given, Mapping):
        return _closes_of_mapping(given)
    return given


def _closes_of_mapping(
    given: Mapping[str, float] | Mapping[tuple[str, str], float],
) -> pl.DataFrame:
    by_day = any(isinstance(key, tuple) for key in given)
    keys = [key if isinstance(key, tuple) else (key, None) for key in given]
    frame = pl.DataFrame(
        {
            "symbol": [symbol for symbol, _ in keys],
            "date": [date.fromisoformat(str(day)) if day else None for _, day in keys],
            "previous_close": [float(close) for close in given.values()],
        },
        schema={"symbol": pl.String, "date": pl.Date, "previous_close": pl.Float64},
    )
    return frame if by_day else frame.drop("date")
