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

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import polars as pl

from smallcaps_pipeline.compiled import read_only
from smallcaps_pipeline.micro import kernels
from smallcaps_pipeline.micro.conditions import counts_for_price, exists, flags_of, has_form_t
from smallcaps_pipeline.micro.prices import array_of, micro_dollars, nanoseconds
from smallcaps_pipeline.micro.quotes_in_force import groups_of, mids_x2, or_null, quote_rows
from smallcaps_pipeline.micro.tape import in_rth, require_columns, with_absent, with_hours
from smallcaps_pipeline.schemas import TRADES, SchemaError


class Method(StrEnum):
    """How a side is found."""

    LEE_READY = "lee_ready"
    TICK = "tick"
    QUOTE = "quote"
    EMO = "emo"
    CLNV = "clnv"


_CODES: Final = {
    Method.LEE_READY: kernels.LEE_READY,
    Method.TICK: kernels.TICK,
    Method.QUOTE: kernels.QUOTE,
    Method.EMO: kernels.EMO,
    Method.CLNV: kernels.CLNV,
}


class AggressorRule(StrEnum):
    """Which rule decided."""

    QUOTE = "quote"
    TICK = "tick"


# By the kernel's number of the rule.
_RULES: Final = pl.Series([None, AggressorRule.QUOTE.value, AggressorRule.TICK.value])


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
    mids: bool = False,
) -> pl.DataFrame:
    """Add sides to a tape that is in order.

    Args:
        tape: Trades with `at_ns`, `price_micro` (null: gets no side), `counts_price`, and the
            columns `by`, sorted by them.
        book: Quotes as `with_mid` takes them; None = no quote is in force.
        by: The column within which trades follow each other (symbol, event); may be empty.
        method: What decides.
        lag_ns: Extra age that a quote needs, ns.
        mids: Add `mid_x2` too, as `with_mid` does.

    Returns:
        The tape with `aggressor` (Int8) and `aggressor_rule` (String).
    """
    if book is None:
        book = tape.clear().select(*by, "at_ns", bid_micro="price_micro", ask_micro="price_micro")
    price = array_of(tape["price_micro"])
    group, _ = groups_of(tape, book, by)
    quote = quote_rows(tape, book, by=by, lag_ns=lag_ns)
    sides, rules = kernels.decide(
        _CODES[method],
        price,
        kernels.tick_sides(price, read_only(tape["counts_price"].to_numpy()), group),
        quote,
        array_of(book["bid_micro"]),
        array_of(book["ask_micro"]),
    )
    known = tape.with_columns(
        pl.Series("aggressor", sides), _RULES.gather(pl.Series(rules)).alias("aggressor_rule")
    ).with_columns(aggressor=pl.when(pl.col("aggressor") != 0).then("aggressor"))
    if not mids:
        return known
    return known.with_columns(mid_x2=mids_x2(book).gather(or_null(quote)))


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
        flags=flags_of(pl.col("conditions")),
        at_ns=nanoseconds(pl.col("timestamp")),
        price_micro=pl.when(exists(pl.col("correction"))).then(
            micro_dollars(pl.col("price").cast(pl.Float64))
        ),
        row=pl.int_range(pl.len(), dtype=pl.UInt32),
    )
    # Regular hours matter for Form T only, and cost a calendar.
    if bool(rows.select(has_form_t(pl.col("flags")).any()).item()):
        rows, regular = with_hours(rows), in_rth()
    else:
        regular = pl.lit(value=False)
    counted = rows.with_columns(counts_price=counts_for_price(pl.col("flags"), regular))
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
    number = _present(rows, "sequence_number")
    numbers = array_of(rows[number[0]] if number else rows["at_ns"])
    if not by and kernels.is_in_order(array_of(rows["at_ns"]), numbers):
        return rows
    return rows.sort([*by, "at_ns", *number], maintain_order=True)


def _present(frame: pl.DataFrame, name: str) -> list[str]:
    return [name] if name in frame.columns else []
