"""Realistic 1-minute bars at any size, the same for the same symbol and days.

A quiet name with bursts: prices walk in cents, minutes of premarket and after-hours are missing,
volume follows the clock and the size of the move, a few times a week something happens. Prices,
volumes and trade counts are made column by column, a year of one symbol in some 30 ms, so that the
generator does not drown what is measured.
"""

from __future__ import annotations

import zlib
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from smallcaps_pipeline.schemas import BARS
from smallcaps_pipeline.sessions import NEW_YORK, calendar

Array = np.ndarray[Any, Any]

FIRST_DAY: Final = date(2022, 1, 3)  # 750 trading days from here are three yearly cells
PM, RTH, AH = slice(0, 330), slice(330, 720), slice(720, 960)  # minutes after 04:00
MINUTES: Final = 960
TRADED: Final = {"PM": 0.42, "RTH": 0.97, "AH": 0.50}  # share of the minutes with a bar
BURSTS_A_DAY: Final = 0.7
BURST_MINUTES: Final = 18


def bars_of(symbol: str, days: int, first: date = FIRST_DAY) -> pl.DataFrame:
    """Return the bars of one symbol on some trading days: `schemas.BARS`, sorted by time."""
    rng = np.random.default_rng(zlib.crc32(symbol.encode()))
    traded_days = trading_days(days, first)
    shape = (days, MINUTES)
    usual = float(np.exp(rng.uniform(np.log(4_000), np.log(60_000))))
    heat = _heat(rng, shape)
    volume = np.ceil(usual * _clock_volume() * heat * rng.lognormal(0, 0.8, shape))
    close = _closes(rng, heat, shape)
    opened, high, low = _wicks(rng, close, heat)
    vwap = np.round(low + (high - low) * rng.beta(4, 4, shape), 4)
    fraction = rng.random(shape) < 0.01  # fractional shares
    volume = np.where(fraction, np.round(volume + rng.random(shape), 4), volume)
    there = rng.random(shape) < np.maximum(_share_traded(), np.minimum(1.0, heat / 8))
    there &= np.arange(MINUTES) < traded_days["minutes"].to_numpy()[:, None]
    day, minute = np.nonzero(there)
    midnights = traded_days["premarket"].to_numpy()
    return BARS.conform(
        pl.DataFrame(
            {
                "timestamp": midnights[day] + minute.astype("timedelta64[m]"),
                "open": opened[there],
                "high": high[there],
                "low": low[there],
                "close": close[there],
                "volume": volume[there],
                "vwap": np.clip(vwap, low, high)[there],
                "transactions": np.maximum(1, volume[there] / rng.uniform(60, 220)).astype(int),
            }
        ).select(
            pl.lit(symbol).alias("symbol"),
            pl.col("timestamp").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            pl.exclude("timestamp"),
        )
    )


def trading_days(days: int, first: date = FIRST_DAY) -> pl.DataFrame:
    """Return the trading days from `first` on.

    Columns: `date`, `premarket` (04:00 New York in UTC), `minutes` (from then to the end of AH).
    """
    found = calendar().filter(pl.col("date") >= first).head(days)
    found = found.select("date", minutes=pl.col("close_minute"))  # AH is as long as PM's 4 hours
    premarket = pl.col("date").cast(pl.Datetime("us")) + timedelta(hours=4)
    return found.with_columns(
        premarket=premarket.dt.replace_time_zone(NEW_YORK)
        .dt.convert_time_zone("UTC")
        .dt.replace_time_zone(None)
    )


def _share_traded() -> Array:
    share = np.empty(MINUTES)
    share[PM], share[RTH], share[AH] = TRADED["PM"], TRADED["RTH"], TRADED["AH"]
    return share


def _clock_volume() -> Array:
    """Return the usual volume of each minute: a smile in RTH, little outside."""
    volume = np.full(MINUTES, 0.05)
    at = np.linspace(-1, 1, RTH.stop - RTH.start)
    volume[RTH] = 0.35 + 1.2 * at**4
    volume[RTH.start] = volume[RTH.stop] = 8.0  # the crosses
    return volume


def _heat(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Return how hot each minute is: 1 is quiet, a burst rises fast and decays."""
    heat = np.ones(shape)
    count = rng.poisson(BURSTS_A_DAY * shape[0])
    day, minute = rng.integers(0, shape[0], count), rng.integers(0, shape[1] - BURST_MINUTES, count)
    size = rng.lognormal(2.3, 0.8, count)
    for step in range(BURST_MINUTES):
        np.add.at(heat, (day, minute + step), size * np.exp(-step / 5))
    return heat


def _closes(rng: np.random.Generator, heat: Array, shape: tuple[int, int]) -> Array:
    """Return closes in cents: within a day a walk with bursts, from day to day around a level."""
    usual = np.full(MINUTES, 0.0005)
    usual[RTH] = 0.0012
    calm = usual * rng.standard_normal(shape) * np.sqrt(heat)
    drift = np.sign(rng.standard_normal(shape[0]))[:, None] * 0.0006 * (heat - 1)
    level = 0.02 * np.cumsum(rng.standard_normal(shape[0]))
    path = np.log(rng.uniform(2.0, 15.0)) + level[:, None] + np.cumsum(calm + drift, axis=1)
    cents: Array = np.round(np.exp(path), 2)
    return np.maximum(cents, 0.05)


def _wicks(rng: np.random.Generator, close: Array, heat: Array) -> tuple[Array, Array, Array]:
    before = np.concatenate([close.ravel()[:1], close.ravel()[:-1]]).reshape(close.shape)
    opened = np.round(before * (1 + 0.0004 * rng.standard_normal(close.shape)), 2)
    reach = 0.0007 * np.sqrt(heat) * close
    high = np.round(np.maximum(opened, close) + reach * rng.exponential(1, close.shape), 2)
    low = np.round(np.minimum(opened, close) - reach * rng.exponential(1, close.shape), 2)
    return opened, high, np.maximum(low, 0.01)
