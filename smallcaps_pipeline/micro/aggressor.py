"""The side of each trade: who took liquidity.

tick       +1 above the last different price, -1 below it, carried over equal prices.
quote      +1 above the midpoint of the quote in force, -1 below it.
lee_ready  the quote rule; at the midpoint or without a quote, the tick rule.
emo        +1 at the ask, -1 at the bid; elsewhere, or where the quote is locked, the tick rule.
clnv       +1 from the ask to 30 % of the spread below it, -1 from the bid to 30 % above it, both
           ends included; between, outside the quotes, or where it is locked, the tick rule.

    price  bid    ask    aggressor  aggressor_rule
    10.00  -      -      null       null    first trade, nothing to compare with
    10.02  10.00  10.02  +1         quote
    10.01  10.00  10.02  -1         tick    at the midpoint, below 10.02
    10.01  10.00  10.02  -1         tick    equal price: carried

The side is never guessed: null where neither rule speaks. Only trades that count for price move
the tick rule's reference; the others (odd lots, average prices) are compared with it and get a
side of their own. Trades that do not exist (cancelled, in error) get none.

Keep out: volumes by side (`flow`).

Source: Lee and Ready (1991), doi:10.1111/j.1540-6261.1991.tb02683.x; Ellis, Michaely and O'Hara
(2000), doi:10.2307/2676254; Chakrabarty, Li, Nguyen and Van Ness (2007),
doi:10.1016/j.jbankfin.2007.03.003. On the last quote in force: `quotes_in_force`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

import polars as pl

from smallcaps_pipeline.micro import kernels
from smallcaps_pipeline.micro.conditions import counts_for_price, exists, has_form_t
from smallcaps_pipeline.micro.prices import array_of, micro_dollars, nanoseconds
from smallcaps_pipeline.micro.quotes_in_force import groups_of, with_quote
from smallcaps_pipeline.micro.tape import in_rth, require_columns, with_absent, with_hours
from smallcaps_pipeline.schemas import TRADES, SchemaError


class Method(StrEnum):
    """How a side is found."""

    LEE_READY = "lee_ready"
    TICK = "tick"
    QUOTE = "quote"
    EMO = "emo"
    CLNV = "clnv"


ALONE: Final = frozenset({Method.QUOTE})  # leave a trade unknown rather than ask the tick rule
CLNV_TENTHS: Final = 3  # of the spread, from either quote


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
        method: `lee_ready`, `tick` (which looks at no quote), `quote`, `emo` or `clnv`.
        quote_lag_ns: Extra age that a quote needs to be in force, ns.

    Returns:
        The trades in their order with `aggressor` (Int8: +1 buyer, -1 seller, null unknown) and
        `aggressor_rule` (String: quote or tick, null where the side is).

    Raises:
        ValueError: `method` is none of these, or `quote_lag_ns` is negative.
        SchemaError: A column is missing.
        NaiveTimestampError: A timestamp has no time zone.
    """
    chosen = _read_method(method)
    if quote_lag_ns < 0:
        raise ValueError(f"quote_lag_ns must be 0 or more, got {quote_lag_ns}")
    by = ["symbol"] if "symbol" in trades.columns else []
    tape = _sides_tape(trades, by)
    book = None
    if quotes is not None and chosen is not Method.TICK:
        book = _sides_book(quotes, by)
    sided = with_side(tape, book, by=by, method=chosen, lag_ns=quote_lag_ns)
    if not sided["row"].is_sorted():
        sided = sided.sort("row")
    return trades.with_columns(sided["aggressor"], sided["aggressor_rule"])


def with_side(
    tape: pl.DataFrame,
    book: pl.DataFrame | None,
    *,
    by: Sequence[str],
    method: Method = Method.LEE_READY,
    lag_ns: int = 0,
) -> pl.DataFrame:
    """Add sides to a tape that is in order.

    Args:
        tape: Trades with `at_ns`, `price_micro` (null: gets no side), `counts_price`, and the
            columns `by`, sorted by them.
        book: Quotes as `with_mid` takes them; None = no quote is in force.
        by: The column within which trades follow each other (symbol, event); may be empty.
        method: What decides.
        lag_ns: Extra age that a quote needs, ns.

    Returns:
        The tape with `mid_x2`, `aggressor` (Int8) and `aggressor_rule` (String).
    """
    if book is None:
        none = pl.lit(None, dtype=pl.Int64)
        quoted = tape.with_columns(bid_in_force=none, ask_in_force=none)
    else:
        quoted = with_quote(tape, book, by=by, lag_ns=lag_ns)
    group, _ = groups_of(tape, tape, by)
    ticks = kernels.tick_sides(
        array_of(tape["price_micro"]), tape["counts_price"].to_numpy(), group
    )
    by_tick = pl.Series("_tick", ticks)
    bid, ask = pl.col("bid_in_force"), pl.col("ask_in_force")
    by_quote = _QUOTE_RULES[method](pl.col("price_micro"), bid, ask)
    if method in ALONE:
        by_tick = by_tick * 0
    return (
        quoted.with_columns(by_tick, _quote=by_quote.fill_null(0).cast(pl.Int8), mid_x2=bid + ask)
        .with_columns(_side=pl.when(pl.col("_quote") != 0).then("_quote").otherwise("_tick"))
        .with_columns(aggressor=_unless_zero(pl.col("_side")), aggressor_rule=_rule())
        .drop("_quote", "_tick", "_side", "bid_in_force", "ask_in_force")
    )


def _rule() -> pl.Expr:
    """Return which rule decided."""
    return (
        pl.when(pl.col("_quote") != 0)
        .then(pl.lit(AggressorRule.QUOTE.value))
        .when(pl.col("_side") != 0)
        .then(pl.lit(AggressorRule.TICK.value))
    )


# the quote's part of each method: +1, -1; 0 or null leaves the trade to the tick rule -------------


def _against_mid(price: pl.Expr, bid: pl.Expr, ask: pl.Expr) -> pl.Expr:
    """Above the midpoint +1, below it -1, compared as integers."""
    return (2 * price - bid - ask).sign()


def _at_the_quotes(price: pl.Expr, bid: pl.Expr, ask: pl.Expr) -> pl.Expr:
    """At the ask +1, at the bid -1; a locked quote tells nothing."""
    return (price == ask).cast(pl.Int8) - (price == bid).cast(pl.Int8)


def _near_the_quotes(price: pl.Expr, bid: pl.Expr, ask: pl.Expr) -> pl.Expr:
    """Within 30 % of the spread from the ask +1, from the bid -1, ends included, as integers."""
    near = CLNV_TENTHS * (ask - bid)
    upper = (price <= ask) & (10 * (ask - price) <= near)
    lower = (price >= bid) & (10 * (price - bid) <= near)
    return upper.cast(pl.Int8) - lower.cast(pl.Int8)


def _nothing(price: pl.Expr, bid: pl.Expr, ask: pl.Expr) -> pl.Expr:
    del bid, ask
    return price * 0


QuoteRule = Callable[[pl.Expr, pl.Expr, pl.Expr], pl.Expr]
_QUOTE_RULES: Final[dict[Method, QuoteRule]] = {
    Method.LEE_READY: _against_mid,
    Method.QUOTE: _against_mid,
    Method.TICK: _nothing,
    Method.EMO: _at_the_quotes,
    Method.CLNV: _near_the_quotes,
}


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


def _unless_zero(number: pl.Expr) -> pl.Expr:
    return pl.when(number != 0).then(number)
