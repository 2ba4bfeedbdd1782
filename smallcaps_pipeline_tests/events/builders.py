"""Synthetic bars for the tests of detection: a table by hand, and a random market.

Belongs here: how bars are made. Keep out: what is expected of them.

`bars` makes a few bars of a New York day, written as a table in the test. `Market` makes whole days
that hold what real days hold: flat bases, trends, bursts, flushes, a lost and reclaimed VWAP, and
the awkward things beside them (missing minutes, late prints, copies, holes in vwap and counts).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from smallcaps_pipeline.schemas import BARS

NEW_YORK = ZoneInfo("America/New_York")
UTC = ZoneInfo("UTC")
Bar = dict[str, Any]
Array = np.ndarray[Any, Any]

DAY = date(2025, 10, 7)  # a Tuesday, full session
DAYS = (
    DAY,
    date(2025, 3, 7),  # the Friday before clocks go forward, and the Monday after
    date(2025, 3, 10),
    date(2025, 10, 31),  # the Friday before clocks go back, and the Monday after
    date(2025, 11, 3),
    date(2025, 11, 28),  # closes at 13:00, the day after Thanksgiving
    date(2015, 12, 24),  # closes at 13:00, Christmas Eve
    date(2025, 7, 4),  # Independence Day: closed
    date(2025, 10, 11),  # a Saturday
)
OPEN_MINUTE, CLOSE_MINUTE = 570, 960


def instant(clock: str, day: date = DAY) -> datetime:
    """Return the UTC instant of a New York clock time such as "09:45"."""
    at = datetime.combine(day, time.fromisoformat(clock), tzinfo=NEW_YORK)
    return at.astimezone(UTC)


def bar(
    clock: str,
    close: float,
    volume: float = 100.0,
    *,
    open_: float | None = None,
    high: float | None = None,
    low: float | None = None,
    vwap: float | None = None,
    transactions: int | None = None,
    symbol: str = "AEMD",
    day: date = DAY,
) -> Bar:
    """Return one bar; open = close, and high and low no wider than needed, where not given."""
    opened = close if open_ is None else open_
    return {
        "symbol": symbol,
        "timestamp": instant(clock, day),
        "open": opened,
        "high": max(opened, close) if high is None else high,
        "low": min(opened, close) if low is None else low,
        "close": close,
        "volume": float(volume),
        "vwap": vwap,
        "transactions": transactions,
    }


def clock_after(clock: str, minutes: int) -> str:
    """Return the clock time some minutes after another of the same day."""
    hours, mins = map(int, clock.split(":"))
    total = hours * 60 + mins + minutes
    return f"{total // 60:02}:{total % 60:02}"


def quiet(first: str, count: int, close: float, volume: float = 100.0, **values: Any) -> list[Bar]:
    """Return `count` equal bars of consecutive minutes."""
    return [bar(clock_after(first, i), close, volume, **values) for i in range(count)]


def frame(rows: list[Bar]) -> pl.DataFrame:
    """Return bars as the frame that detection takes."""
    return pl.DataFrame(rows, schema=BARS.schema)


# a random market ------------------------------------------------------------------------------

# Drift and noise of the log price a minute, volume multiple, whether price stays at its level.
REGIMES: dict[str, tuple[float, float, float, bool]] = {
    "walk": (0.0, 0.004, 1.0, False),
    "flat": (0.0, 0.0007, 0.7, True),
    "rise": (0.002, 0.003, 1.3, False),
    "fall": (-0.002, 0.003, 1.3, False),
    "burst": (0.012, 0.006, 9.0, False),
    "flush": (-0.014, 0.005, 8.0, False),
}
SPELL_MINUTES = {"burst": (1, 7), "flush": (3, 9), "flat": (35, 70)}
SUDDEN = {"burst": 0.012, "flush": -0.012}  # the first move of the log price, on top of the drift


@dataclass(frozen=True)
class Market:
    """A random market, the same for the same seed and traits.

    Attributes:
        seed: Seed of all that is random.
        symbols: Tickers; each trades on every day.
        days: New York dates, closed ones included: their bars must not matter.
        density: Share of the minutes that trade, in PM, RTH and AH.
        coarse: Prices in steps of half a percent of 100 and volumes in hundreds, so that values
            fall exactly onto thresholds.
        shuffled: Whether the rows come in random order.
    """

    seed: int
    symbols: tuple[str, ...] = ("AEMD",)
    days: tuple[date, ...] = (DAY,)
    density: tuple[float, float, float] = (0.2, 0.6, 0.2)
    coarse: bool = False
    shuffled: bool = True
    rng: np.random.Generator = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rng", np.random.default_rng(self.seed))

    def bars(self) -> list[Bar]:
        """Return the bars, with copies and bad rows among them."""
        object.__setattr__(self, "rng", np.random.default_rng(self.seed))
        rows = [row for s in self.symbols for d in self.days for row in self._day(s, d)]
        rows += self._copies(rows) + self._bad(rows)
        if self.shuffled:
            rows = [rows[i] for i in self.rng.permutation(len(rows))]
        return rows

    def _day(self, symbol: str, day: date) -> list[Bar]:
        rng = self.rng
        minutes = self._minutes()
        log_price, multiple, wicks = self._path()
        start = 100.0 if self.coarse else float(np.exp(rng.uniform(np.log(0.7), np.log(60.0))))
        usual = 100.0 if self.coarse else float(np.exp(rng.uniform(np.log(80), np.log(40_000))))
        with_counts, with_vwap = rng.random() < 0.7, rng.random() < 0.6
        midnight = datetime.combine(day, time(), tzinfo=NEW_YORK)
        rows, last = [], start
        for minute in minutes:
            opened = last if rng.random() < 0.7 else self._price(last, 0.001)
            close = self._tick(start * float(np.exp(log_price[minute])))
            wick = rng.exponential(0.002, 2) * (rng.random() < 0.6) + wicks[minute]
            high = max(opened, close, self._tick(max(opened, close) * (1 + wick[0])))
            low = min(opened, close, self._tick(min(opened, close) * (1 - wick[1])))
            volume = self._volume(usual * multiple[minute])
            rows.append(
                {
                    "symbol": symbol,
                    "timestamp": (midnight + timedelta(minutes=int(minute))).astimezone(UTC),
                    "open": opened,
                    "high": high,
                    "low": low,
                    "close": close,
                    "volume": volume,
                    "vwap": self._vwap(low, high) if with_vwap else None,
                    "transactions": self._count(volume) if with_counts else None,
                }
            )
            last = close
        return rows

    def _minutes(self) -> list[int]:
        """Minutes of the day that trade; some at night, and one-bar days among them."""
        rng = self.rng
        if rng.random() < 0.03:
            return [int(rng.integers(200, 1300))]
        share = np.full(1440, 0.01)
        share[240:570], share[570:960], share[960:1200] = self.density
        return [int(m) for m in np.flatnonzero(rng.random(1440) < share)]

    def _path(self) -> tuple[Array, Array, Array]:
        """Return log price, volume multiple and least wick of each minute, in spells of regimes."""
        rng = self.rng
        price, multiple, wick = np.empty(1440), np.empty(1440), np.zeros(1440)
        now, minute, regime = 0.0, 0, ""
        while minute < 1440:
            sudden = regime == "flat" and rng.random() < 0.7  # a base often ends in a break
            regime = str(rng.choice(list(SUDDEN) if sudden else [*REGIMES, "flat", "flat"]))
            drift, noise, volume, pull = REGIMES[regime]
            length = int(rng.integers(*SPELL_MINUTES.get(regime, (5, 60))))
            ends = min(minute + length, 1440)
            level, moves = now, rng.normal(drift, noise, ends - minute)
            moves[0] += SUDDEN.get(regime, 0.0)
            steps = moves if pull else np.cumsum(moves)
            price[minute:ends] = level + steps
            grows = 1.15 ** np.arange(1, length + 1) if regime in SUDDEN else np.ones(length)
            multiple[minute:ends] = volume * grows[: ends - minute]
            wick[minute:ends] = 0.002 if pull else 0.0
            now = 0.95 * float(price[ends - 1])  # back towards the start: prices stay prices
            minute = ends
        return price, multiple, wick

    def _price(self, around: float, spread: float) -> float:
        return self._tick(around * (1 + float(self.rng.normal(0, spread))))

    def _tick(self, price: float) -> float:
        if self.coarse:
            return max(round(price * 2) / 2, 0.5)
        return max(round(price, 2 if price >= 1 else 4), 0.0001)

    def _volume(self, mean: float) -> float:
        rng = self.rng
        if self.coarse:
            return float(100 * rng.choice([0, 1, 1, 1, 2, 6, 8, 100, 150]) * rng.choice([1, 1, 2]))
        if rng.random() < 0.02:
            return 0.0
        volume = mean * float(rng.lognormal(0, 0.6))
        return round(volume, 3) if rng.random() < 0.1 else float(round(volume) + 1)

    def _vwap(self, low: float, high: float) -> float | None:
        rng = self.rng
        kind = rng.random()
        if kind < 0.1:
            return None
        if kind < 0.2:  # outside its bar: counts as not given
            return float(high * 1.02 if rng.random() < 0.5 else low * 0.97)
        return float(rng.uniform(low, high)) if kind < 0.9 else float(rng.choice([low, high]))

    def _count(self, volume: float) -> int | None:
        if self.rng.random() < 0.005:
            return None
        return max(1, int(volume / 150 * self.rng.uniform(0.5, 2)))

    def _copies(self, rows: list[Bar]) -> list[Bar]:
        """Equal copies, and late prints that differ."""
        copies = []
        for row in rows:
            kind = self.rng.random()
            if kind < 0.01:
                copies.append(dict(row))
            elif kind < 0.02:
                copies.append({**row, "volume": row["volume"] + 50.0})
            elif kind < 0.025:
                copies.append({**row, "high": row["high"] * 1.01})
            elif kind < 0.03:
                copies.append({**row, "transactions": None})
            elif kind < 0.035:
                copies.append({**row, "vwap": row["low"]})
        return copies

    def _bad(self, rows: list[Bar]) -> list[Bar]:
        """Rows that are no bars: each would move a high, a sum or a run if it were taken in."""
        bad = []
        for row in rows:
            kind = self.rng.random()
            if kind < 0.004:
                bad.append({**row, "high": row["low"] * 0.9, "volume": 1e9})
            elif kind < 0.008:
                bad.append({**row, "close": None, "volume": 1e9})
            elif kind < 0.012:
                bad.append({**row, "timestamp": row["timestamp"] + timedelta(seconds=30)})
            elif kind < 0.016:
                bad.append({**row, "low": -1.0, "volume": 1e9})
        return bad
