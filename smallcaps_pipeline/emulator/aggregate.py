"""Bars of simulated prints, by the provider's update rules.

Belongs here: one symbol-day of prints → its minute bars, its daily bar.
Keep out: recorded data, whose bars are given.

A minute bar: high and low over prints that set them, open and close the first and last of those
that set them, volume and count over all that count for volume, vwap over the same. Form T sets
prices outside regular hours; odd lots never do. A minute in which nothing sets a close has no bar,
whatever volume it had. The daily bar takes prices from regular hours and the closing cross, volume
from the whole day.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import numpy as np
import polars as pl

from smallcaps_pipeline.emulator.daily_path import PRICE_UNITS
from smallcaps_pipeline.emulator.prints import MINUTE_NS, SHARE, Prints
from smallcaps_pipeline.emulator.seeding import Floats, Ints, Mask
from smallcaps_pipeline.schemas import BARS

_VWAP_DECIMALS: Final = 4

DailyRow = tuple[str, date, float, float, float, float, float, float, int]


def minute_bars(symbol: str, prints: Prints) -> pl.DataFrame:
    """Aggregate one symbol-day to minute bars (`schemas.BARS`), sorted by time."""
    minute = prints.minute
    sets_close, sets_high = prints.sets_open_close, prints.sets_high_low
    ends = minute[sets_close]
    if not len(ends):
        return BARS.empty()
    first = np.flatnonzero(np.diff(ends, prepend=-1))
    last = np.append(first[1:], len(ends)) - 1
    at = ends[first]
    price = prints.price[sets_close]
    high, low = _extremes(minute[sets_high], prints.price[sets_high], at)
    volume, count, vwap = _sums(minute, prints, at)
    return pl.DataFrame(
        {
            "symbol": pl.repeat(symbol, len(at), eager=True),
            "timestamp": (prints.grid.start_ns + at * MINUTE_NS) // 1000,
            "open": price[first] / PRICE_UNITS,
            "high": high / PRICE_UNITS,
            "low": low / PRICE_UNITS,
            "close": price[last] / PRICE_UNITS,
            "volume": volume / SHARE,
            "vwap": vwap,
            "transactions": count,
        },
        schema=BARS.schema,
    )


def daily_bar(symbol: str, prints: Prints) -> DailyRow | None:
    """Aggregate one symbol-day to its daily bar, a row of `schemas.DAILY_BARS`.

    Returns:
        None where regular hours saw no print that sets a close.
    """
    regular, counts = prints.is_regular_hours, prints.counts_for_volume
    closes = prints.price[prints.sets_open_close & regular]
    ranged = prints.price[prints.sets_high_low & regular]
    if not len(closes):
        return None
    prices = (closes[0], ranged.max(), ranged.min(), closes[-1])
    open_, high, low, close = (float(price) / PRICE_UNITS for price in prices)
    volume = int(prints.size[counts].sum()) / SHARE
    vwap = _vwap(prints, counts)
    day = prints.grid.day
    return symbol, day, open_, high, low, close, volume, vwap, int(counts.sum())


def _extremes(minute: Ints, price: Ints, at: Ints) -> tuple[Ints, Ints]:
    """Return highest and lowest price of the minutes `at`, each of which has a price."""
    starts = np.flatnonzero(np.diff(minute, prepend=-1))
    here = np.searchsorted(minute[starts], at)
    return (
        np.maximum.reduceat(price, starts)[here],
        np.minimum.reduceat(price, starts)[here],
    )


def _sums(minute: Ints, prints: Prints, at: Ints) -> tuple[Ints, Ints, Floats]:
    """Return volume, count and vwap of the minutes `at`."""
    counts = prints.counts_for_volume
    where, size, price = minute[counts], prints.size[counts], prints.price[counts]
    starts = np.flatnonzero(np.diff(where, prepend=-1))
    here = np.searchsorted(where[starts], at)
    volume = np.add.reduceat(size, starts)[here]
    value = np.add.reduceat(size.astype(np.float64) * price, starts)[here]
    vwap = np.round(value / volume / PRICE_UNITS, _VWAP_DECIMALS)
    return volume, np.diff(np.append(starts, len(where)))[here], vwap


def _vwap(prints: Prints, counts: Mask) -> float:
    size = prints.size[counts].astype(np.float64)
    value = float((size * prints.price[counts]).sum())
    return round(value / float(size.sum()) / PRICE_UNITS, _VWAP_DECIMALS)
