"""NBBO reduction: drop quotes that say nothing new, thin the rest, keep what a trade looks at.

Belongs here: which quotes stay, and which quote is in force at an instant.
Keep out: which level a window wants (manifest/nbbo_level.py), spreads and sides (micro/).

Thinning by rate alone was measured to raise the effective spread by 9-29 % and to cost Lee-Ready
4-6 points, because a trade then meets a quote that had already been replaced. So the quote in force
at each trade stays whatever the rate.

Order: quotes are a sequence. Rows that are not sorted by timestamp, then sequence number, are
sorted so (stably) first; of rows that share both, the order given is the order on the tape.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from smallcaps_pipeline.compiled import read_only
from smallcaps_pipeline.micro.prices import NS_PER_S
from smallcaps_pipeline.micro.quotes_in_force import is_valid
from smallcaps_pipeline.windows.kernels import mark_thinned

NBBO_COLUMNS: Final = ("bid_price", "bid_size", "ask_price", "ask_size")

Times = pl.Series | Sequence[int] | Sequence[datetime] | npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Nanoseconds = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]


def reduce_nbbo(
    quotes: pl.DataFrame,
    *,
    by_change: bool,
    max_hz: int | None = None,
    trade_times: Times | None = None,
) -> pl.DataFrame:
    """Thin a stream of quotes of one symbol.

    First, with `by_change`, a row goes whose (bid price, bid size, ask price, ask size) equals that
    of the row before it; null equals null. Then, with `max_hz`, the last row of each bucket
    floor(ns x hz / 10^9) stays, with its own time, and besides it the first row of all and the
    quote in force at each trade: the last valid one (bid > 0, ask > 0, ask >= bid) with a timestamp
    strictly before the trade.

        ns          bid   ask   by_change    max_hz=1   with a trade at 300 ms
        0           9.9   10.1  stays        stays (first)
        100 ms      9.9   10.1  goes
        200 ms      9.8   10.1  stays        goes       stays (in force)
        900 ms      9.8   10.0  stays        stays (last of its second)

    Args:
        quotes: Rows with `timestamp` (aware Datetime) and NBBO_COLUMNS; `sequence_number` orders
            rows of one instant where present. Further columns pass through.
        by_change: Whether repeats are dropped.
        max_hz: Rate per second, at least 1; None is no limit.
        trade_times: Instants of the trades: a Series of Datetimes, or integers in ns since the
            epoch (UTC), in any order, nulls ignored. None keeps no quote for a trade.

    Returns:
        Those of the rows that stay, sorted by timestamp, then sequence number.

    Raises:
        ValueError: `max_hz` is below 1 or no whole number.
    """
    if max_hz is not None and (max_hz < 1 or max_hz != int(max_hz)):
        raise ValueError(f"max_hz must be a whole number of at least 1 or None, was {max_hz}")
    quotes = in_tape_order(quotes)
    left = _changes(quotes) if by_change else np.ones(quotes.height, dtype=np.bool_)
    if max_hz is not None:
        times = nanoseconds(quotes["timestamp"])
        trades = np.sort(nanoseconds([] if trade_times is None else trade_times))
        # From 10^9 on every nanosecond is a bucket of its own, so a higher rate is the same rate.
        given, valid, times, trades = map(read_only, (left, _valid(quotes), times, trades))
        left = np.zeros(quotes.height, dtype=np.bool_)
        mark_thinned(times, given, valid, trades, min(int(max_hz), NS_PER_S), left)
    rows = np.flatnonzero(left)
    return quotes if rows.size == quotes.height else quotes[rows]


def in_tape_order(ticks: pl.DataFrame) -> pl.DataFrame:
    """Return trades or quotes sorted by timestamp, then sequence number where there is one."""
    keys = [name for name in ("timestamp", "sequence_number") if name in ticks.columns]
    if ticks.height < 2 or _is_in_order(ticks, keys):
        return ticks
    return ticks.sort(keys, maintain_order=True)


def valid_quote() -> pl.Expr:
    """Say whether a quote has two sides that are not crossed; a missing side is invalid."""
    return is_valid("bid_price", "ask_price")


def in_force_positions(valid_times: Nanoseconds, instants: Nanoseconds) -> Rows:
    """Return for each instant the position of the last of `valid_times` strictly before it, or -1.

    Args:
        valid_times: Timestamps of the valid quotes, ns, ascending.
        instants: Instants, ns, in any order.
    """
    return np.searchsorted(valid_times, instants, side="left") - 1


def nanoseconds(times: Any) -> Nanoseconds:
    """Return instants as ns since the epoch; integers are taken to be that already, nulls go."""
    series = times if isinstance(times, pl.Series) else pl.Series(times)
    if isinstance(series.dtype, pl.Datetime):
        series = series.cast(pl.Datetime("ns", series.dtype.time_zone)).to_physical()
    elif series.dtype == pl.Null or series.is_empty():
        return np.empty(0, dtype=np.int64)
    values: Nanoseconds = series.drop_nulls().cast(pl.Int64).to_numpy()
    return values


def _is_in_order(ticks: pl.DataFrame, keys: Sequence[str]) -> bool:
    times = nanoseconds(ticks["timestamp"])
    if (times[1:] < times[:-1]).any():
        return False
    if len(keys) == 1:
        return True
    numbers = ticks["sequence_number"]
    back = (numbers[1:] < numbers[:-1]).fill_null(value=False).to_numpy()
    return not bool((back & (times[1:] == times[:-1])).any())


def _changes(quotes: pl.DataFrame) -> Mask:
    """Mark the first row and each row that differs from the one before it.

    Equality is transitive, so the row before in the input and the row before in the result have
    the same prices and sizes: one pass over neighbours is the rule.
    """
    changed = np.zeros(quotes.height, dtype=np.bool_)
    changed[:1] = True
    for name in NBBO_COLUMNS:
        column = quotes[name]
        differs = column[1:].ne_missing(column[:-1])
        changed[1:] |= differs.to_numpy()
    return changed


def _valid(quotes: pl.DataFrame) -> Mask:
    mask: Mask = quotes.select(valid_quote()).to_series().to_numpy()
    return mask


def mids(quotes: pl.DataFrame, instants: Nanoseconds) -> pl.Series:
    """Return the mid in force at each instant (Float64); null where no valid quote came before.

    Args:
        quotes: Quotes in tape order.
        instants: Instants, ns.
    """
    valid = quotes.filter(valid_quote())
    position = in_force_positions(nanoseconds(valid["timestamp"]), instants)
    row = pl.Series(position).replace(-1, None)
    mid: pl.Series = valid.select((pl.col("bid_price") + pl.col("ask_price")) / 2).to_series()
    return mid.gather(row)
