"""Names: which symbol a company traded under on a day.

Bars, trades and cells are keyed by the symbol of their day, so a renamed company lies under
several, and a symbol may have been another company's before. Belongs here: the spans of a company's
names, and one continuous series of its rows. Keep out: asking the provider for them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Final

import polars as pl

from smallcaps_pipeline.schemas import STR, SchemaError, select_missing
from smallcaps_pipeline.sessions import trading_day

NAME_SPANS: Final = pl.Schema(
    {"symbol": STR, "ticker": STR, "first_date": pl.Date, "last_date": pl.Date}
)


def name_spans(changes: pl.DataFrame) -> pl.DataFrame:
    """Return from when to when a company had each of its symbols.

    Args:
        changes: `symbol` (the company, by its symbol today), `date` (first day under a ticker) and
            `ticker`; the provider's ticker events, any order, each any number of times.

    Returns:
        One row per company and span, sorted by both: `symbol`, `ticker`, `first_date`, `last_date`
        (both included; null = still so). A company that takes a name back has two spans of it.

    Raises:
        SchemaError: A column is missing, or a company has two names from one day on.
    """
    if missing := select_missing(changes, ["symbol", "date", "ticker"]):
        raise SchemaError(f"ticker events: lack the columns {missing}; they have {changes.columns}")
    rows = changes.select("symbol", "ticker", "date").unique().sort("symbol", "date")
    twice = rows.filter(pl.struct("symbol", "date").is_duplicated())
    if twice.height:
        symbol, _, day = twice.row(0)
        names = twice.filter(symbol=symbol, date=day)["ticker"].sort().to_list()
        raise SchemaError(f"ticker events: {symbol} is called {names} from {day} on, expected one")
    before = pl.col("ticker").shift(1).over("symbol")
    kept = rows.filter(pl.col("ticker").ne_missing(before))  # said again is no change
    until = pl.col("date").shift(-1).over("symbol") - pl.duration(days=1)
    return kept.select("symbol", "ticker", first_date="date", last_date=until).cast(
        dict(NAME_SPANS)  # type: ignore[arg-type]
    )


def symbol_on(spans: pl.DataFrame, symbol: str, day: date) -> str | None:
    """Return the symbol that a company traded under on a day.

    Args:
        spans: What `name_spans` gave.
        symbol: The company, by its symbol today.
        day: Trading day.

    Returns:
        None before its first known name. A company of which nothing is known has its symbol.
    """
    own = spans.filter(pl.col("symbol") == symbol)
    if own.is_empty():
        return symbol
    found = own.filter(_holds(day))["ticker"]
    return None if found.is_empty() else str(found[0])


def under_one_name(
    scan: Callable[[str], pl.LazyFrame], spans: pl.DataFrame, symbol: str
) -> pl.LazyFrame:
    """Return a company's rows of all its names, relabelled with its symbol today.

    Rows of a name's other days are another company's and are left out.

    Args:
        scan: Gives the rows of one symbol (`symbol`, `timestamp`), such as bars of the lake.
        spans: What `name_spans` gave.
        symbol: The company, by its symbol today.

    Returns:
        Lazy rows in the order of the names, `symbol` being the company's.
    """
    own = spans.filter(pl.col("symbol") == symbol)
    if own.is_empty():
        return scan(symbol)
    day = trading_day(pl.col("timestamp"))
    parts = []
    for _, ticker, first, last in own.iter_rows():
        inside = day >= first if last is None else day.is_between(first, last)
        parts.append(scan(ticker).filter(inside).with_columns(symbol=pl.lit(symbol)))
    return pl.concat(parts)


def _holds(day: date) -> pl.Expr:
    return (pl.col("first_date") <= day) & (
        pl.col("last_date").is_null() | (pl.col("last_date") >= day)
    )
