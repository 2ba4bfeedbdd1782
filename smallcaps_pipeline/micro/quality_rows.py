"""What is wrong with single rows of trades and quotes, counted per event's window.

Belongs here: rules on a row and its neighbour, each a named expression, all in one pass.
Keep out: bars (`quality_bars`), figures of a whole batch and what is allowed (report/).

Rows are taken as they are stored, cancelled and copied ones included: a check that cleans first
finds nothing. Order is that of the file: a row is out of order where its SIP time, or its sequence
number on the same UTC day, lies below that of the row before.

A double holds integers to 2^53; at today's ns since 1970 (1.7e18) its neighbours are 256 apart. So
timestamps that all are multiples of 256 have passed through a double (true tapes: 1 in 256).
"""

from __future__ import annotations

from typing import Final

import polars as pl

from smallcaps_pipeline.micro.conditions import counts_for_volume, exists, has_unknown
from smallcaps_pipeline.micro.prices import nanoseconds
from smallcaps_pipeline.micro.slices import slice_rows
from smallcaps_pipeline.micro.tape import NS_PER_DAY, with_absent
from smallcaps_pipeline.schemas import QUOTES, TRADES, Table

DOUBLE_STEP_NS: Final = 256  # distance of doubles at ns since 1970, from 2006 to 2043
NS_PER_MS: Final = 1_000_000
ENOUGH_ROWS: Final = 20  # fewer tell nothing of a rounding or a unit
OFF_EXCHANGE: Final = 4  # venue id of all TRFs together: their ids may repeat one another's
ROUND_LOT: Final = 100  # shares, up to $250
MOSTLY: Final = 0.95

TRADE_COUNTS: Final = (
    *("trades", "trades_real", "trades_cancelled", "trades_bad", "trades_out_of_order"),
    *("trades_duplicated", "trades_id_repeated", "trades_unknown_condition"),
    "trades_without_conditions",
)
QUOTE_COUNTS: Final = (
    *("quotes", "quotes_empty", "quotes_one_sided", "quotes_crossed", "quotes_locked"),
    *("quotes_out_of_order", "quotes_duplicated"),
)
_LATENCY: Final = ("timestamp", "participant_timestamp", "sequence_number")


def trade_counts(events: pl.DataFrame, trades: pl.DataFrame) -> pl.DataFrame:
    """Return one row per event: its counts of trades, and what `_times` tells.

    Args:
        events: As `slices.event_bounds` gives them.
        trades: Rows of `schemas.TRADES` with `symbol`, as stored; columns may be left out.
    """
    rows = with_absent(trades, TRADES, *TRADES.columns)
    conditions, price, size = pl.col("conditions"), pl.col("price"), pl.col("size")
    venue_id = pl.struct("symbol", "exchange", "trade_id", _day())
    repeated = ~venue_id.is_first_distinct() & pl.col("trade_id").is_not_null()
    flags = {
        "trades_cancelled": ~exists(pl.col("correction")),
        "trades_bad": ~(_positive(price) & _positive(size)),
        "trades_out_of_order": _out_of_order(),
        "trades_duplicated": _copies(TRADES),
        "trades_id_repeated": repeated & (pl.col("exchange") != OFF_EXCHANGE),
        "trades_unknown_condition": has_unknown(conditions),
        "trades_without_conditions": conditions.is_null(),
        "trades_real": exists(pl.col("correction")) & counts_for_volume(conditions),
    }
    flagged = _flagged(rows, flags).with_columns(
        # A copy is one fault, not two.
        trades_id_repeated=pl.col("trades_id_repeated") & ~pl.col("trades_duplicated")
    )
    sliced = slice_rows(events, flagged)
    counted = sliced.group_by("event").agg(
        pl.len().alias("trades"), pl.col(*flags).sum(), *_times("trades")
    )
    return _per_event(events, counted, TRADE_COUNTS)


def quote_counts(events: pl.DataFrame, quotes: pl.DataFrame) -> pl.DataFrame:
    """Return one row per event: its counts of quotes, their unit, and what `_times` tells.

    Args:
        events: As `slices.event_bounds` gives them.
        quotes: Rows of `schemas.QUOTES` with `symbol`, as stored; columns may be left out.

    Returns:
        Besides: sizes_as_shares (the sizes look like shares, not round lots; null where too few
        tell). The quote before a window is none of its quotes.
    """
    rows = with_absent(quotes, QUOTES, *QUOTES.columns)
    bid, ask = pl.col("bid_price").cast(pl.Float64), pl.col("ask_price").cast(pl.Float64)
    has_bid, has_ask = _positive(bid), _positive(ask)
    two = has_bid & has_ask
    flags = {
        "quotes_empty": ~has_bid & ~has_ask,
        "quotes_one_sided": has_bid != has_ask,
        "quotes_crossed": (two & (ask < bid)).fill_null(value=False),
        "quotes_locked": (two & (ask == bid)).fill_null(value=False),
        "quotes_out_of_order": _out_of_order(),
        "quotes_duplicated": _copies(QUOTES),
    }
    sizes = [pl.col(name).cast(pl.Float64) for name in ("bid_size", "ask_size")]
    sizes_of = {
        "_sizes": pl.sum_horizontal((size > 0) for size in sizes),
        "_hundreds": pl.sum_horizontal((size > 0) & (size % ROUND_LOT == 0) for size in sizes),
    }
    sliced = slice_rows(events, _flagged(rows, flags | sizes_of))
    given, in_hundreds = pl.col("_sizes").sum(), pl.col("_hundreds").sum()
    counted = sliced.group_by("event").agg(
        pl.len().alias("quotes"),
        pl.col(*flags).sum(),
        pl.when(given >= ENOUGH_ROWS).then(in_hundreds >= MOSTLY * given).alias("sizes_as_shares"),
        *_times("quotes"),
    )
    return _per_event(events, counted, QUOTE_COUNTS)


def _flagged(rows: pl.DataFrame, flags: dict[str, pl.Expr]) -> pl.DataFrame:
    """Return the rows by symbol and instant with their flags, made in the order of the file."""
    timed = rows.with_columns(at_ns=nanoseconds(pl.col("timestamp"))).drop_nulls("at_ns")
    return timed.select("symbol", "at_ns", *_LATENCY, **flags).sort(
        "symbol", "at_ns", maintain_order=True
    )


def _times(prefix: str) -> list[pl.Expr]:
    """Return latency (participant to SIP) and rounding of an event's rows."""
    sip = pl.col("at_ns")
    latency = (sip - nanoseconds(pl.col("participant_timestamp"))).drop_nulls()
    in_steps = (sip % DOUBLE_STEP_NS == 0).mean() >= MOSTLY
    whole_ms = (sip % NS_PER_MS == 0).mean() >= MOSTLY  # a coarse clock, but an honest one
    return [
        (latency.quantile(0.5, "linear") / NS_PER_MS).alias(f"{prefix}_latency_p50_ms"),
        (latency.quantile(0.99, "linear") / NS_PER_MS).alias(f"{prefix}_latency_p99_ms"),
        latency.len().alias(f"{prefix}_latency_known"),
        (latency < 0).sum().alias(f"{prefix}_latency_negative"),
        pl.when(pl.len() >= ENOUGH_ROWS).then(in_steps & ~whole_ms).alias(f"{prefix}_rounded"),
    ]


def _per_event(events: pl.DataFrame, counted: pl.DataFrame, zeros: tuple[str, ...]) -> pl.DataFrame:
    joined = events.select("event").join(
        counted, on="event", how="left", validate="1:1", maintain_order="left"
    )
    ended = pl.col(*zeros, r"^.*_latency_(known|negative)$")
    return joined.with_columns(ended.fill_null(0).cast(pl.Int64))


def _out_of_order() -> pl.Expr:
    """Say whether a row's time or sequence number lies below that of the symbol's row before."""
    at, number = pl.col("at_ns"), pl.col("sequence_number")
    back = at < at.shift(1)
    lower = (number < number.shift(1)) & (_day() == _day().shift(1))
    return (back | lower.fill_null(value=False)).over("symbol").fill_null(value=False)


def _copies(table: Table) -> pl.Expr:
    """Say whether a row was there before: the same identity (its table's key)."""
    key = pl.struct("symbol", *table.key)
    return ~key.is_first_distinct() & pl.col("sequence_number").is_not_null()


def _day() -> pl.Expr:
    return pl.col("at_ns") // NS_PER_DAY


def _positive(value: pl.Expr) -> pl.Expr:
    number = value.cast(pl.Float64)
    return (number.is_finite() & (number > 0)).fill_null(value=False)
