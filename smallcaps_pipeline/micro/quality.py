"""What is wrong with the rows and bars of each event's window: the stage's second table.

Belongs here: the assembly. Counts only: what share is allowed is said by config (kpis.windows) and
judged in report/. Nothing is corrected here, and nothing is cleaned before it is counted.

Keep out: rules on rows (`quality_rows`), bars against prints (`quality_bars`).
"""

from __future__ import annotations

from datetime import date

import polars as pl

from smallcaps_pipeline.micro.features import require_manifest, with_symbol
from smallcaps_pipeline.micro.halts import probable_halts
from smallcaps_pipeline.micro.prices import MICRO_SHARES
from smallcaps_pipeline.micro.quality_bars import bar_counts, halts_with_bars
from smallcaps_pipeline.micro.quality_rows import quote_counts, trade_counts
from smallcaps_pipeline.micro.quotes_in_force import with_mid
from smallcaps_pipeline.micro.slices import event_bounds, slice_rows
from smallcaps_pipeline.micro.tape import prepare_book, prepare_tape
from smallcaps_pipeline.schemas import MICRO_QUALITY, QUOTES
from smallcaps_pipeline.settings import Micro, Settings, load_settings
from smallcaps_pipeline.thresholds import at_least

_OF_QUOTES = [
    *(name for name in MICRO_QUALITY.columns if name.startswith("quote")),
    "shares_off_market",
]
_IDENTITY = ("event_id", "symbol", "date", "timestamp", "session", "profile")
_WINDOW = ("window_start", "window_end")


def window_quality(
    manifest_rows: pl.DataFrame,
    trades: pl.DataFrame,
    quotes: pl.DataFrame | None,
    *,
    bars: pl.DataFrame | None = None,
    files: pl.DataFrame | None = None,
    shares_from: date | None = None,
    settings: Settings | None = None,
) -> pl.DataFrame:
    """Count what is wrong in the window of each event.

    Args:
        manifest_rows: One row per event, of `schemas.MANIFEST`; any symbols, any order.
        trades: Rows of `schemas.TRADES` **in the order of the file**, with `symbol` where the
            manifest rows name more than one. May hold more than the windows.
        quotes: The same of `schemas.QUOTES`. None = not fetched: every column of quotes is null.
        bars: Rows of `schemas.BARS`, cleaned. None, or no bar of a symbol's day: not compared.
        files: `event_id`, `bytes` and `extended` of the stored windows; None = not known.
        shares_from: First trading day whose quote sizes are shares and not round lots; None = the
            unit is not judged.
        settings: None takes `load_settings()`.

    Returns:
        Rows of `schemas.MICRO_QUALITY`, one per manifest row, in its order.

    Raises:
        SchemaError: A column is missing, `symbol` among them where it is needed.
        NaiveTimestampError: A timestamp has no time zone.
        CalendarRangeError: A trade lies beyond the exchange calendar.
    """
    micro = (settings or load_settings()).micro
    require_manifest(manifest_rows)
    if manifest_rows.is_empty():
        return MICRO_QUALITY.empty()
    symbols = manifest_rows["symbol"].unique().to_list()
    events = event_bounds(manifest_rows)
    own_trades = with_symbol(trades, symbols, "trades")
    own_quotes = with_symbol(QUOTES.empty() if quotes is None else quotes, symbols, "quotes")
    joined = events.select("event", "date")
    for part in _parts(events, own_trades, own_quotes, bars, micro):
        joined = joined.join(part, on="event", how="left", validate="1:1", maintain_order="left")
    counted = joined.with_columns(**_joint_figures(shares_from)).drop("date")
    rows = pl.concat(
        [manifest_rows.select(*_IDENTITY, *_WINDOW), counted.drop("event")], how="horizontal"
    )
    return MICRO_QUALITY.conform(
        _with_absent(_with_files(rows, files), quotes_known=quotes is not None),
        where="window_quality",
    )


def _parts(
    events: pl.DataFrame,
    trades: pl.DataFrame,
    quotes: pl.DataFrame,
    bars: pl.DataFrame | None,
    micro: Micro,
) -> list[pl.DataFrame]:
    """Return the counts of each subject, at most one row per event."""
    tape = slice_rows(events, prepare_tape(trades))
    book = slice_rows(events, prepare_book(quotes), row_before=True)
    halts = probable_halts(tape, book, events, micro, end="end_ns")
    parts = [
        trade_counts(events, trades),
        quote_counts(events, quotes),
        _volumes(tape, book, micro),
        halts_with_bars(events, halts, bars),
    ]
    return parts if bars is None else [*parts, bar_counts(events, trades, bars)]


def _volumes(tape: pl.DataFrame, book: pl.DataFrame, micro: Micro) -> pl.DataFrame:
    """Return per event with a trade its shares, and those printed far from the mid in force.

    Such a print is late, an average, or agreed upon elsewhere: where its condition codes do not
    say so it costs a whole day's figures (one of 1.5 million shares has doubled an effective
    spread).
    """
    real = with_mid(tape, book, by=["event"], lag_ns=micro.quote_lag_ns).filter("counts_volume")
    mid_x2, units = pl.col("mid_x2"), pl.col("size_micro")
    distance = (2 * pl.col("price_micro") - mid_x2).abs() * 100 / mid_x2
    far = at_least(distance, micro.off_market_pct) & (pl.col("price_micro") > 0)
    return real.group_by("event").agg(
        shares=units.sum() / MICRO_SHARES, shares_off_market=units.filter(far).sum() / MICRO_SHARES
    )


def _joint_figures(shares_from: date | None) -> dict[str, pl.Expr]:
    """Return what rests on trades and quotes together, or on the event's day."""
    as_shares = pl.col("sizes_as_shares")
    unit = pl.lit(None, pl.Boolean) if shares_from is None else pl.col("date") >= shares_from
    both = {
        f"latency_{name}": pl.sum_horizontal(f"trades_latency_{name}", f"quotes_latency_{name}")
        for name in ("known", "negative")
    }
    return {
        **both,
        "quote_unit_differs": as_shares != unit,
        "time_rounded": pl.col("trades_rounded") | pl.col("quotes_rounded"),
        "shares": pl.col("shares").fill_null(0.0),
        "shares_off_market": pl.col("shares_off_market").fill_null(0.0),
        "halts": pl.col("halts").fill_null(0),
        "halts_confirmed": pl.col("halts_confirmed").fill_null(0),
    }


def _with_files(rows: pl.DataFrame, files: pl.DataFrame | None) -> pl.DataFrame:
    if files is None:
        return rows
    return rows.join(
        files.select("event_id", "bytes", "extended"),
        on="event_id",
        how="left",
        validate="m:1",
        maintain_order="left",
    )


def _with_absent(rows: pl.DataFrame, *, quotes_known: bool) -> pl.DataFrame:
    """Add what could not be told as null; without quotes nothing of quotes was."""
    absent = [name for name in MICRO_QUALITY.columns if name not in rows.columns]
    unknown = absent if quotes_known else [*absent, *_OF_QUOTES]
    whole = rows.with_columns(
        pl.lit(None, MICRO_QUALITY.schema[name]).alias(name) for name in dict.fromkeys(unknown)
    )
    # Without a halt none is contradicted; without bars of the day nobody can say.
    compared = pl.col("minutes_compared").is_not_null()
    contradicted = pl.when(compared).then(pl.col("halts_with_bars").fill_null(0))
    return whole.with_columns(
        halts_with_bars=pl.when(pl.col("halts") == 0).then(0).otherwise(contradicted)
    )
