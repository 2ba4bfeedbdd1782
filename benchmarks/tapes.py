"""Made-up tapes with realistic nanosecond times, as dense as asked for.

Gaps are log-normal (bursts and silences), venue clocks run before the tape's by a lag of their own,
off-exchange prints by more; prices walk in cents, each quote moves one side, ids count per venue.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from smallcaps_pipeline.schemas import QUOTES, TRADES, Table

Array = np.ndarray[Any, Any]
VENUES = np.array([8, 11, 12, 15, 16, 19, 21])
OFF_EXCHANGE = 4
CODES = ([], [37], [14, 37], [41], [14, 41])


def tape_times(rng: np.random.Generator, rows: int, start_ns: int, minutes: float) -> Array:
    """Return ascending instants that fill some minutes."""
    reached = np.cumsum(rng.lognormal(0, 1.5, rows))
    return (reached / reached[-1] * (minutes * 60e9 - 1)).astype(np.int64) + start_ns


def trade_tape(seed: int, rows: int, start_ns: int, minutes: float) -> pl.DataFrame:
    """Return `schemas.TRADES`."""
    rng = np.random.default_rng(seed)
    times = tape_times(rng, rows, start_ns, minutes)
    off = rng.random(rows) < 0.45
    lag = np.where(off, rng.lognormal(15.4, 1.5, rows), rng.lognormal(12.6, 0.5, rows))
    step = (rng.random(rows) < 0.3) * rng.integers(-1, 2, rows)
    half_cent = np.where(off & (rng.random(rows) < 0.3), 0.005, 0.0)
    lots, odd = 100.0 * rng.integers(1, 20, rows), rng.integers(1, 100, rows)
    venue = np.where(off, OFF_EXCHANGE, rng.choice(VENUES, rows))
    ids = np.zeros(rows, np.int64)
    for one in np.unique(venue):
        own = venue == one
        ids[own] = rng.integers(1, 3_000) + np.cumsum(rng.integers(1, 4, own.sum()))
    codes = rng.choice(len(CODES), rows, p=[0.35, 0.35, 0.1, 0.1, 0.1])
    return _conform(
        TRADES,
        timestamp=times,
        participant_timestamp=times - lag.astype(np.int64),
        price=np.round(5 + np.cumsum(step) * 0.01 % 3 + half_cent, 4),
        size=np.where(rng.random(rows) < 0.5, 100.0, np.where(rng.random(rows) < 0.5, odd, lots)),
        exchange=venue,
        conditions=pl.Series([CODES[code] for code in codes], dtype=pl.List(pl.Int32)),
        correction=np.zeros(rows, np.int32),
        trade_id=ids.astype(str),
        sequence_number=np.cumsum(rng.integers(1, 400, rows)),
        tape=np.full(rows, 3),
    )


def quote_tape(seed: int, rows: int, start_ns: int, minutes: float) -> pl.DataFrame:
    """Return `schemas.QUOTES`."""
    rng = np.random.default_rng(seed)
    times = tape_times(rng, rows, start_ns, minutes)
    bid_moves = rng.random(rows) < 0.5
    mid = 500 + np.cumsum((rng.random(rows) < 0.15) * rng.integers(-1, 2, rows)) % 300
    sizes = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 8.0, 10.0, 20.0])
    return _conform(
        QUOTES,
        timestamp=times,
        participant_timestamp=times - rng.lognormal(12.6, 0.5, rows).astype(np.int64),
        bid_price=_held(mid / 100, bid_moves),
        bid_size=_held(rng.choice(sizes, rows), bid_moves),
        bid_exchange=_held(rng.choice(VENUES, rows), bid_moves),
        ask_price=_held((mid + rng.integers(1, 3, rows)) / 100, ~bid_moves),
        ask_size=_held(rng.choice(sizes, rows), ~bid_moves),
        ask_exchange=_held(rng.choice(VENUES, rows), ~bid_moves),
        conditions=pl.Series([[1]], dtype=pl.List(pl.Int32)).new_from_index(0, rows),
        indicators=pl.Series([None], dtype=pl.List(pl.Int32)).new_from_index(0, rows),
        sequence_number=np.cumsum(rng.integers(1, 80, rows)),
        tape=np.full(rows, 3),
    )


def _held(values: Array, moves: Array) -> pl.Series:
    """Return values that stay as they are until they move."""
    moved = pl.select(pl.when(pl.Series(moves)).then(pl.Series(values))).to_series()
    return moved.forward_fill().backward_fill()


def _conform(table: Table, **columns: Any) -> pl.DataFrame:
    times = ("timestamp", "participant_timestamp")
    frame = pl.DataFrame(columns).with_columns(
        pl.col(name).cast(pl.Datetime("ns", "UTC")) for name in times
    )
    return table.conform(frame)
