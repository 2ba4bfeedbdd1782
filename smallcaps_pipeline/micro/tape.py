"""Trades and quotes as the figures need them: integer times and prices, flags, one fixed order.

Belongs here: what callers may leave out, the order of rows, regular hours of a trade's day.
Keep out: any figure.

A *tape* row is a trade: symbol, at_ns, price_micro, price, size, size_micro (0.000001 shares),
counts_price, counts_volume, reopens, open_ns, close_ns (regular hours of that day, null where the
exchange is closed).
A *book* row is a quote: symbol, at_ns, bid_micro, ask_micro, bid_size, ask_size, halt_mark.
Both are sorted by symbol, SIP timestamp, sequence number; rows equal in both keep their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import polars as pl

from smallcaps_pipeline.micro.conditions import (
    counts_for_price,
    counts_for_volume,
    exists,
    flags_of,
    is_reopening,
)
from smallcaps_pipeline.micro.prices import micro_dollars, micro_shares, nanoseconds
from smallcaps_pipeline.schemas import QUOTES, TRADES, SchemaError, Table, select_missing
from smallcaps_pipeline.sessions import (
    Session,
    is_trading_day,
    require_aware,
    session_bounds,
    trading_day,
)

NS_PER_DAY: Final = 86_400_000_000_000
HALT_INDICATORS: Final = (17, 18)  # LULD list of the provider: paused, resumed
_EPOCH: Final = date(1970, 1, 1)


def prepare_tape(trades: pl.DataFrame) -> pl.DataFrame:
    """Return the tape of trades that exist, sorted; copies of one row are taken once.

    Args:
        trades: Rows of `schemas.TRADES` with `symbol`; all but symbol, timestamp, price and size
            may be left out.
    """
    rows = unique_rows(ordered_rows(trades), TRADES)
    flags = pl.col("flags")
    return (
        with_hours(with_absent(rows, TRADES, "conditions", "correction"))
        .filter(exists(pl.col("correction")))
        .with_columns(flags=flags_of(pl.col("conditions")))
        .select(
            "symbol",
            "at_ns",
            "open_ns",
            "close_ns",
            price_micro=micro_dollars(pl.col("price")),
            price=pl.col("price").cast(pl.Float64).fill_nan(None),
            size=pl.col("size").cast(pl.Float64).fill_nan(None),
            size_micro=micro_shares(pl.col("size")),
            counts_price=counts_for_price(flags, in_rth()),
            counts_volume=counts_for_volume(flags),
            reopens=is_reopening(flags),
        )
    )


def prepare_book(quotes: pl.DataFrame) -> pl.DataFrame:
    """Return the book of quotes, valid or not, sorted; copies of one row are taken once.

    Args:
        quotes: Rows of `schemas.QUOTES` with `symbol`; all but symbol, timestamp, bid_price and
            ask_price may be left out.
    """
    rows = with_absent(
        unique_rows(ordered_rows(quotes), QUOTES), QUOTES, "indicators", "bid_size", "ask_size"
    )
    marks = pl.col("indicators").list.eval(pl.element().is_in(HALT_INDICATORS)).list.any()
    return rows.select(
        "symbol",
        "at_ns",
        bid_micro=micro_dollars(pl.col("bid_price").cast(pl.Float64)),
        ask_micro=micro_dollars(pl.col("ask_price").cast(pl.Float64)),
        bid_size=pl.col("bid_size").cast(pl.Float64).fill_nan(None),
        ask_size=pl.col("ask_size").cast(pl.Float64).fill_nan(None),
        halt_mark=marks.fill_null(value=False),
    )


def require_columns(frame: pl.DataFrame, names: Sequence[str], where: str) -> None:
    """Raise where columns are missing or `timestamp` has no time zone.

    Raises:
        SchemaError: A column is missing.
        NaiveTimestampError: `timestamp` has no time zone; it is never guessed.
    """
    if missing := select_missing(frame, names):
        raise SchemaError(f"{where}: lacks the columns {missing}; it has {frame.columns}")
    require_aware(frame.schema, ["timestamp"], where)


def with_absent(frame: pl.DataFrame, table: Table, *names: str) -> pl.DataFrame:
    """Return the frame with those of `names` that it lacks as null columns (unknown)."""
    missing = select_missing(frame, names)
    return frame.with_columns(
        pl.lit(None, dtype=table.columns[name].dtype).alias(name) for name in missing
    )


def in_rth() -> pl.Expr:
    """Say whether `at_ns` lies in regular hours, [open_ns, close_ns) (never null)."""
    at = pl.col("at_ns")
    inside = (at >= pl.col("open_ns")) & (at < pl.col("close_ns"))
    return inside.fill_null(value=False)


def regular_hours(days: Sequence[date]) -> pl.DataFrame:
    """Return regular hours by UTC day: `utc_day` (days since 1970), `open_ns`, `close_ns`.

    09:30 to 16:00 New York never crosses UTC midnight, so the UTC day names the trading day. Days
    on which the exchange is closed have no row.

    Raises:
        CalendarRangeError: A day is beyond the exchange calendar.
    """
    bounds = [(day, *session_bounds(day)[Session.RTH]) for day in days if is_trading_day(day)]
    frame = pl.DataFrame(
        bounds,
        schema={
            "day": pl.Date,
            "open": pl.Datetime("ns", "UTC"),
            "close": pl.Datetime("ns", "UTC"),
        },
        orient="row",
    )
    return frame.select(
        utc_day=pl.col("day").to_physical().cast(pl.Int64),
        open_ns=nanoseconds(pl.col("open")),
        close_ns=nanoseconds(pl.col("close")),
    )


def instant(at_ns: pl.Expr) -> pl.Expr:
    """Return an instant in ns as Datetime(ns, UTC)."""
    return at_ns.cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")


def date_of_ns(at_ns: pl.Expr) -> pl.Expr:
    """Return the New York date (Date) of an instant in ns."""
    return trading_day(instant(at_ns))


def with_hours(rows: pl.DataFrame) -> pl.DataFrame:
    """Add `open_ns`, `close_ns`: regular hours of the day of `at_ns`, null where it is closed."""
    day = pl.col("at_ns") // NS_PER_DAY
    days = rows.select(day.unique()).to_series().drop_nulls().to_list()
    hours = regular_hours([_EPOCH + timedelta(days=number) for number in sorted(days)])
    if len(days) == 1 and not rows["at_ns"].null_count():  # most tapes: no join of every row
        bounds = hours.row(0, named=True) if hours.height else {}
        return rows.with_columns(
            pl.lit(bounds.get(name), pl.Int64).alias(name) for name in ("open_ns", "close_ns")
        )
    return (
        rows.with_columns(utc_day=day)
        .join(hours, on="utc_day", how="left", maintain_order="left", validate="m:1")
        .drop("utc_day")
    )


def ordered_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with `at_ns`, by symbol, instant and sequence number where there is one."""
    by = ["symbol", "at_ns", *(["sequence_number"] if "sequence_number" in rows.columns else [])]
    timed = rows.with_columns(at_ns=nanoseconds(pl.col("timestamp"))).drop_nulls("at_ns")
    return timed.sort(by, maintain_order=True)


def unique_rows(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Take a row once that two stored windows both hold (the quote before a window, say).

    Rows without a sequence number have no identity: they all stay. In ordered rows copies are
    neighbours, so most tapes need no more than one look.
    """
    if "sequence_number" not in rows.columns:
        return rows
    repeats = [pl.col(n) == pl.col(n).shift(1) for n in ("symbol", "at_ns", "sequence_number")]
    suspect = pl.all_horizontal(repeats).fill_null(value=False)
    if not rows.select(suspect.any()).item():
        return rows
    key = ["symbol", *(name for name in table.key if name in rows.columns)]
    copy = pl.struct(key).is_first_distinct().not_() & pl.col("sequence_number").is_not_null()
    return rows.filter(~copy)
