"""Trades of a simulated day as plain arrays: when, at what price, how many shares, what sort.

Belongs here: the prints that bars are aggregated from, and the NBBO that they trade against.
Keep out: what only the tape shows (venues, ids, venue clocks: `tape`) and other quotes (`quotes`).

Arrays instead of frames, because a daily bar needs nothing else: one day of a quiet name takes
about a millisecond, so the daily bars of a year are aggregated from the very trades that the
trades endpoint gives out.

Prices are whole numbers of $0.0001, sizes whole numbers of a millionth of a share, times
nanoseconds since 04:00 New York time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from functools import cached_property
from typing import Final

import numpy as np

from smallcaps_pipeline.emulator.curve import Curve, Grid, draw_curve, grid_of
from smallcaps_pipeline.emulator.daily_path import PRICE_UNITS, DayPlan, round_to_tick
from smallcaps_pipeline.emulator.episodes import OPEN_MINUTE
from smallcaps_pipeline.emulator.roster import Company
from smallcaps_pipeline.emulator.seeding import Codes, Floats, Ints, Mask, Rng, stable_rng

MINUTE_NS: Final = 60 * 10**9
SHARE: Final = 1_000_000  # sizes are whole numbers of a millionth of a share
ROUND_LOT: Final = 100 * SHARE
FRACTIONAL_FROM: Final = date(2026, 2, 23)  # the SIPs print fractions of a share from this day
_MOST_TRADES: Final = 45_000  # of a day; a busier one has larger trades instead
_OFF_EXCHANGE: Final = 0.36  # share of trades that a TRF reports
_SWEEP: Final = 0.09  # share of trades that share the time of the one before
_SIZE_SPREAD: Final = 1.05  # standard deviation of the log of a size


class PrintKind(IntEnum):
    """What sort of print it is; decides its conditions and what it updates."""

    ORDINARY = 0
    SWEEP = 1
    OPENING = 2
    OFFICIAL_OPEN = 3
    CLOSING = 4
    OFFICIAL_CLOSE = 5
    REOPENING = 6
    LATE = 7
    CANCELLED = 8


def _of_kinds(*kinds: PrintKind) -> Mask:
    return np.array([kind in kinds for kind in PrintKind])


_CLOSING: Final = _of_kinds(PrintKind.CLOSING, PrintKind.OFFICIAL_CLOSE)
_MAY_BE_ODD: Final = _of_kinds(PrintKind.ORDINARY, PrintKind.SWEEP)
_COUNTS: Final = ~_of_kinds(PrintKind.OFFICIAL_OPEN, PrintKind.OFFICIAL_CLOSE, PrintKind.CANCELLED)
_SETS_CLOSE: Final = ~_of_kinds(PrintKind.OPENING, PrintKind.LATE)


@dataclass(frozen=True)
class Prints:
    """The prints of one symbol-day, in tape order."""

    grid: Grid
    time: Ints
    price: Ints
    size: Ints
    kind: Codes
    off_exchange: Mask

    @cached_property
    def minute(self) -> Ints:
        """Return the minute of each print."""
        return self.time // MINUTE_NS

    @cached_property
    def is_regular_hours(self) -> Mask:
        """Mark prints that carry no Form T: regular hours, and the closing cross after them."""
        inside = (self.minute >= OPEN_MINUTE) & (self.minute < self.grid.close)
        crossed: Mask = _CLOSING[self.kind]
        return inside | crossed

    @cached_property
    def is_odd_lot(self) -> Mask:
        """Mark odd lots."""
        small: Mask = (self.size < ROUND_LOT) & _MAY_BE_ODD[self.kind]
        return small

    @cached_property
    def counts_for_volume(self) -> Mask:
        """Mark trades: official open and close are messages, a cancelled print is none."""
        counts: Mask = _COUNTS[self.kind]
        return counts

    @cached_property
    def sets_high_low(self) -> Mask:
        """Mark what sets high and low: every trade that is no odd lot."""
        return self.counts_for_volume & ~self.is_odd_lot

    @cached_property
    def sets_open_close(self) -> Mask:
        """Mark what sets open and close: not the market centre's opening, not a late print."""
        sets: Mask = self.sets_high_low & _SETS_CLOSE[self.kind]
        return sets


@dataclass(frozen=True)
class Nbbo:
    """Best bid and ask at given times, price units."""

    bid: Ints
    ask: Ints


@dataclass(frozen=True)
class DrawnDay:
    """Prints, and what the quotes of the same day are made from."""

    prints: Prints
    curve: Curve
    mid_time: Ints
    mid: Floats


def draw_day(seed: int, company: Company, plan: DayPlan, day: date) -> DrawnDay:
    """Draw the prints of one company and trading day."""
    rng = stable_rng(seed, company.symbol, day.isoformat(), "prints")
    curve = draw_curve(rng, company, plan, grid_of(day))
    time = _draw_times(rng, curve, plan)
    knots, mid = _mid_path(rng, curve, plan, time)
    ordinary = _draw_ordinary(rng, curve, time, mid[: len(time)], day)
    order = np.argsort(knots, kind="stable")
    extra = _draw_special(rng, curve, plan, ordinary)
    return DrawnDay(_merged(ordinary, extra), curve, knots[order], mid[order])


def nbbo_at(curve: Curve, time: Ints, mid: Floats) -> Nbbo:
    """Return the quote around a mid (price units): on ticks, at least one tick wide."""
    half = curve.half_spread[np.minimum(time // MINUTE_NS, curve.grid.end - 1)]
    tick = np.where(mid >= PRICE_UNITS, PRICE_UNITS // 100, 1)
    bid = np.maximum(np.rint(mid * (1 - half) / tick).astype(np.int64), 1) * tick
    ask = np.rint(mid * (1 + half) / tick).astype(np.int64) * tick
    return Nbbo(bid, np.maximum(ask, bid + tick))


def _draw_times(rng: Rng, curve: Curve, plan: DayPlan) -> Ints:
    """Draw when trades happen: clumps of activity, and sweeps that share one instant."""
    usd = plan.previous_close / PRICE_UNITS * np.exp(curve.price[:-1])
    shares = curve.dollars / usd
    expected = shares / _mean_size(shares)
    expected *= min(1.0, _MOST_TRADES / expected.sum())
    count = rng.poisson(expected * rng.gamma(3.0, 1 / 3.0, len(expected)))
    minute = np.repeat(np.arange(len(count), dtype=np.int64), count)
    within = rng.integers(0, MINUTE_NS, len(minute))
    for halt in curve.halts:  # nothing trades before the reopening print
        resumed = minute == halt.end
        within[resumed] = within[resumed] // 2 + MINUTE_NS // 2
    time = np.sort(minute * MINUTE_NS + within)
    at = np.arange(len(time))
    swept = rng.random(len(time)) < _SWEEP
    swept[:1] = False
    first: Ints = time[np.maximum.accumulate(np.where(swept, 0, at))]
    return first


def _mean_size(shares: Floats) -> Floats:
    """Return the mean size of a trade in a minute with so many shares expected."""
    size: Floats = 90.0 + 1.6 * np.sqrt(shares)
    return size


def _mid_path(rng: Rng, curve: Curve, plan: DayPlan, time: Ints) -> tuple[Ints, Floats]:
    """Draw the mid at each trade, and take it from the curve at each minute's edge.

    Between two edges it is a Brownian bridge over the trades of the minute.
    """
    edges = np.arange(curve.grid.end + 1, dtype=np.int64) * MINUTE_NS
    minute = time // MINUTE_NS
    per_minute = np.bincount(minute, minlength=curve.grid.end)
    step = 0.8 * curve.noise / np.sqrt(np.maximum(per_minute, 1))
    walk = np.cumsum(rng.standard_normal(len(time)) * step[minute])
    at_edge = np.concatenate([[0.0], walk])[np.concatenate([[0], np.cumsum(per_minute)])]
    log_mid = np.interp(time, edges, curve.price - at_edge) + walk
    usual = float(plan.previous_close)
    return np.concatenate([time, edges]), usual * np.exp(np.concatenate([log_mid, curve.price]))


def _draw_ordinary(rng: Rng, curve: Curve, time: Ints, mid: Floats, day: date) -> Prints:
    off_exchange = rng.random(len(time)) < _OFF_EXCHANGE
    repeated = np.concatenate([[False], time[1:] == time[:-1]]) if len(time) else off_exchange
    kind = np.where(repeated, PrintKind.SWEEP, PrintKind.ORDINARY).astype(np.uint8)
    off_exchange &= ~repeated
    return Prints(
        grid=curve.grid,
        time=time,
        price=_draw_prices(rng, curve, time, mid, off_exchange),
        size=_draw_sizes(rng, curve, time, mid, off_exchange, day),
        kind=kind,
        off_exchange=off_exchange,
    )


def _draw_prices(rng: Rng, curve: Curve, time: Ints, mid: Floats, off_exchange: Mask) -> Ints:
    """Trade at the touch; off exchange often at the midpoint, which may be half a tick."""
    nbbo = nbbo_at(curve, time, mid)
    drift = np.diff(curve.price)[time // MINUTE_NS]
    buys = rng.random(len(time)) < 0.5 + 0.32 * np.tanh(drift / 0.006)
    price = np.where(buys, nbbo.ask, nbbo.bid)
    at_mid = off_exchange & (rng.random(len(time)) < 0.35)
    return np.where(at_mid, (nbbo.bid + nbbo.ask) // 2, price)


def _draw_sizes(
    rng: Rng, curve: Curve, time: Ints, mid: Floats, off_exchange: Mask, day: date
) -> Ints:
    """Draw sizes: half of them whole round lots, the rest any number; fractions from 2026."""
    minute = time // MINUTE_NS
    shares = curve.dollars[minute] / (mid / PRICE_UNITS)
    expected = np.maximum(shares / np.maximum(_counts(minute), 1), _mean_size(shares))
    size = expected * np.exp(
        _SIZE_SPREAD * rng.standard_normal(len(time)) - 0.5 * _SIZE_SPREAD * _SIZE_SPREAD
    )
    in_lots = rng.random(len(time)) < 0.55
    whole = np.where(in_lots, np.ceil(size / 150.0) * 100.0, np.ceil(size)).astype(np.int64)
    micro = np.maximum(whole, 1) * SHARE
    fraction = rng.integers(1, SHARE, len(time))
    split = off_exchange & ~in_lots & (rng.random(len(time)) < 0.06)
    if day < FRACTIONAL_FROM:
        return micro  # a fraction was printed as one share more
    return np.where(split, micro - fraction, micro)


def _counts(minute: Ints) -> Ints:
    """Return for each trade how many its minute has; a capped day has larger trades."""
    counts: Ints = np.bincount(minute)[minute] if len(minute) else minute
    return counts


def _draw_special(rng: Rng, curve: Curve, plan: DayPlan, ordinary: Prints) -> Prints:
    """Draw crosses, official prices, reopening prints, a few late and cancelled prints."""
    rows = [*_crosses(rng, curve, plan, ordinary), *_reopenings(rng, curve, plan)]
    rows += _late_and_cancelled(rng, curve.grid, ordinary)
    time, price, size, kind = (
        np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)
    )
    return Prints(
        curve.grid, time, price, size, kind.astype(np.uint8), np.zeros(len(rows), dtype=np.bool_)
    )


_Row = tuple[int, int, int, int]  # time, price, size, kind


def _crosses(rng: Rng, curve: Curve, plan: DayPlan, ordinary: Prints) -> list[_Row]:
    volume = int(ordinary.size.sum()) // SHARE
    rows: list[_Row] = []
    for minute, share, cross, official in (
        (OPEN_MINUTE, 0.012, PrintKind.OPENING, PrintKind.OFFICIAL_OPEN),
        (curve.grid.close, 0.03, PrintKind.CLOSING, PrintKind.OFFICIAL_CLOSE),
    ):
        at = minute * MINUTE_NS + int(rng.integers(10**8, 2 * 10**9))
        price = _price_at(curve, plan, minute)
        size = max(100, int(volume * share * rng.uniform(0.5, 1.5))) * SHARE
        rows += [(at, price, size, cross), (at + int(rng.integers(10**6)), price, size, official)]
    return rows


def _price_at(curve: Curve, plan: DayPlan, minute: int) -> int:
    units = plan.previous_close * np.exp(curve.price[minute : minute + 1])
    return int(round_to_tick(units)[0])


def _reopenings(rng: Rng, curve: Curve, plan: DayPlan) -> list[_Row]:
    return [
        (
            halt.end * MINUTE_NS + int(rng.integers(5 * 10**8, 20 * 10**9)),
            _price_at(curve, plan, halt.end),
            int(rng.integers(80, 600)) * ROUND_LOT,
            PrintKind.REOPENING,
        )
        for halt in curve.halts
    ]


def _late_and_cancelled(rng: Rng, grid: Grid, ordinary: Prints) -> list[_Row]:
    """Print a few regular-hours trades once more: late, or in error and cancelled."""
    first, last = np.searchsorted(ordinary.time, [OPEN_MINUTE * MINUTE_NS, grid.close * MINUTE_NS])
    rows: list[_Row] = []
    for _ in range(min(int(last - first) // 900, 4)):
        chosen = int(rng.integers(first, last))
        time, price = int(ordinary.time[chosen]), int(ordinary.price[chosen])
        late = time + int(rng.integers(10**9, 90 * 10**9))
        if late < grid.close * MINUTE_NS:
            rows.append((late, price, int(rng.integers(1, 9)) * ROUND_LOT, PrintKind.LATE))
        wrong = price + price // 10
        rows.append((time, wrong, int(ordinary.size[chosen]), PrintKind.CANCELLED))
    return rows


def _merged(ordinary: Prints, extra: Prints) -> Prints:
    """Put two sets of prints in tape order: by time, ordinary ones first."""
    time = np.concatenate([ordinary.time, extra.time])
    order = np.argsort(time, kind="stable")
    return Prints(
        grid=ordinary.grid,
        time=time[order],
        price=np.concatenate([ordinary.price, extra.price])[order],
        size=np.concatenate([ordinary.size, extra.size])[order],
        kind=np.concatenate([ordinary.kind, extra.kind])[order],
        off_exchange=np.concatenate([ordinary.off_exchange, extra.off_exchange])[order],
    )
