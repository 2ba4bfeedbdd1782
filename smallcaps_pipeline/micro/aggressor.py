"""The side of each trade: who took liquidity.

tick rule   +1 above the last different price, -1 below it, carried over equal prices.
quote rule  +1 above the midpoint of the quote in force, -1 below it.
Lee-Ready   the quote rule; at the midpoint or without a quote, the tick rule.

    price  bid    ask    aggressor  aggressor_rule
    10.00  -      -      null       null    first trade, nothing to compare with
    10.02  10.00  10.02  +1         quote
    10.01  10.00  10.02  -1         tick    at the midpoint, below 10.02
    10.01  10.00  10.02  -1         tick    equal price: carried

The side is never guessed: null where neither rule speaks. Only trades that count for price move
the tick rule's reference; the others (odd lots, average prices) are compared with it and get a
side of their own. Trades that do not exist (cancelled, in error) get none.

Keep out: volumes by side (`flow`).

Source: Lee and Ready (1991), doi:10.1111/j.1540-6261.1991.tb02683.x.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import polars as pl

from smallcaps_pipeline.micro.conditions import counts_for_price, exists, has_form_t
from smallcaps_pipeline.micro.prices import micro_dollars, nanoseconds
from smallcaps_pipeline.micro.quotes_in_force import with_mid
from smallcaps_pipeline.micro.tape import in_rth, require_columns, with_absent, with_hours
from smallcaps_pipeline.schemas import TRADES, SchemaError


class Method(StrEnum):
    """How a side is found."""

    LEE_READY = "lee_ready"
    TICK = "tick"


class AggressorRule(StrEnum):
    """Which rule decided."""

    QUOTE = "quote"
    TICK = "tick"


def classify_aggressor(
    trades: pl.DataFrame,
    quotes: pl.DataFrame | None = None,
    *,
    method: str = Method.LEE_READY,
    quote_lag_ns: int = 0,
) -> pl.DataFrame:
    """Give each trade the side that took liquidity.

    Uses nothing after a trade: cutting later rows off changes no side.

    Args:
        trades: One row per print, any order: `timestamp` (aware, SIP) and `price` (USD). Used where
            they are there: `sequence_number` (order within an instant, else the order of the rows),
            `conditions` (null = not known, taken as regular), `correction`, `symbol` (each by
            itself).
        quotes: One row per NBBO update, any order: `timestamp`, `bid_price`, `ask_price` (USD), and
            `sequence_number` and `symbol` as above. None leaves the tick rule alone.
        method: `lee_ready` or `tick` (which looks at no quote).
        quote_lag_ns: Extra age that a quote needs to be in force, ns.

    Returns:
        The trades in their order with `aggressor` (Int8: +1 buyer, -1 seller, null unknown) and
        `aggressor_rule` (String: quote or tick, null where the side is).

    Raises:
        ValueError: `method` is neither, or `quote_lag_ns` is negative.
        SchemaError: A column is missing.
        NaiveTimestampError: A timestamp has no time zone.
    """
    chosen = _read_method(method)
    if quote_lag_ns < 0:
        raise ValueError(f"quote_lag_ns must be 0 or more, got {quote_lag_ns}")
    by = ["symbol"] if "symbol" in trades.columns else []
    tape = _sides_tape(trades, by)
    book = None
    if quotes is not None and chosen is Method.LEE_READY:
        book = _sides_book(quotes, by)
    sided = with_side(tape, book, by=by, lag_ns=quote_lag_ns)
    if not sided["row"].is_sorted():
        sided = sided.sort("row")
    return trades.with_columns(sided["aggressor"], sided["aggressor_rule"])


def with_side(
    tape: pl.DataFrame, book: pl.DataFrame | None, *, by: Sequence[str], lag_ns: int = 0
) -> pl.DataFrame:
    """Add sides to a tape that is in order.

    Args:
        tape: Trades with `at_ns`, `price_micro` (null: gets no side), `counts_price`, and the
            columns `by`, sorted by them.
        book: Quotes as `with_mid` takes them; None = tick rule only.
        by: Columns within which trades follow each other (symbol, event); may be empty.
        lag_ns: Extra age that a quote needs, ns.

    Returns:
        The tape with `mid_x2`, `aggressor` (Int8) and `aggressor_rule` (String).
    """
    if book is None:
        quoted = tape.with_columns(mid_x2=pl.lit(None, dtype=pl.Int64))
    else:
        quoted = with_mid(tape, book, by=by, lag_ns=lag_ns)
    against_mid = (2 * pl.col("price_micro") - pl.col("mid_x2")).sign()
    by_quote, by_tick = _unless_zero(against_mid), tick_side(by)
    rule = (
        pl.when(pl.col("_quote").is_not_null())
        .then(pl.lit(AggressorRule.QUOTE.value))
        .when(pl.col("_tick").is_not_null())
        .then(pl.lit(AggressorRule.TICK.value))
    )
    return (
        quoted.with_columns(_quote=by_quote, _tick=by_tick)
        .with_columns(
            aggressor=pl.coalesce("_quote", "_tick").cast(pl.Int8),
            aggressor_rule=rule.cast(pl.String),
        )
        .drop("_quote", "_tick")
    )


def tick_side(by: Sequence[str]) -> pl.Expr:
    """Return the tick rule's side (Int64) of rows in order; null where nothing moved before."""
    price, counts = pl.col("price_micro"), pl.col("counts_price")
    reference = _within(pl.when(counts).then(price).forward_fill().shift(1), by)
    change = (price - reference).sign()
    carried = _within(pl.when(counts).then(_unless_zero(change)).forward_fill(), by)
    return pl.when(price.is_not_null()).then(pl.coalesce(_unless_zero(change), carried))


def _read_method(method: str) -> Method:
    try:
        return Method(method)
    except ValueError:
        known = ", ".join(Method)
        raise ValueError(f"method must be one of {known}, got {method!r}") from None


def _sides_tape(trades: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    require_columns(trades, ["timestamp", "price"], "trades")
    rows = with_absent(trades, TRADES, "conditions", "correction").select(
        *by,
        *_present(trades, "sequence_number"),
        "conditions",
        at_ns=nanoseconds(pl.col("timestamp")),
        price_micro=pl.when(exists(pl.col("correction"))).then(
            micro_dollars(pl.col("price").cast(pl.Float64))
        ),
        row=pl.int_range(pl.len(), dtype=pl.UInt32),
    )
    # Regular hours matter for Form T only, and cost a calendar.
    if rows.select(has_form_t(pl.col("conditions")).any()).item():
        rows, regular = with_hours(rows), in_rth()
    else:
        regular = pl.lit(value=False)
    counted = rows.with_columns(counts_price=counts_for_price(pl.col("conditions"), regular))
    return _in_order(counted, by).select(*by, "at_ns", "price_micro", "counts_price", "row")


def _sides_book(quotes: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    require_columns(quotes, ["timestamp", "bid_price", "ask_price"], "quotes")
    if ("symbol" in quotes.columns) != bool(by):
        raise SchemaError("trades and quotes must both have the column 'symbol', or neither")
    rows = quotes.select(
        *by,
        *_present(quotes, "sequence_number"),
        at_ns=nanoseconds(pl.col("timestamp")),
        bid_micro=micro_dollars(pl.col("bid_price").cast(pl.Float64)),
        ask_micro=micro_dollars(pl.col("ask_price").cast(pl.Float64)),
    ).drop_nulls("at_ns")
    return _in_order(rows, by)


def _in_order(rows: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Sort by instant and sequence number, but only where that is needed: it costs most of all."""
    keys = [*by, "at_ns", *_present(rows, "sequence_number")]
    if not by and _is_in_order(rows):
        return rows
    return rows.sort(keys, maintain_order=True)


def _is_in_order(rows: pl.DataFrame) -> bool:
    step = pl.col("at_ns").diff()
    in_order = step >= 0
    if "sequence_number" in rows.columns:
        in_order = (step > 0) | ((step == 0) & (pl.col("sequence_number").diff() >= 0))
    return bool(rows.select(in_order.slice(1).fill_null(value=False).all()).item())


def _present(frame: pl.DataFrame, name: str) -> list[str]:
    return [name] if name in frame.columns else []


def _within(expression: pl.Expr, by: Sequence[str]) -> pl.Expr:
    return expression.over(list(by)) if by else expression


def _unless_zero(number: pl.Expr) -> pl.Expr:
    return pl.when(number != 0).then(number)
