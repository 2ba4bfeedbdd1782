"""The simulated market from day to day: what kind of day, the close, the gap.

Belongs here: one row of decisions per company and trading day, for the whole calendar at once.
Keep out: what happens inside a day (`episodes`), and trades.

The path of a company is made over the full exchange calendar in a few vector operations and does
not depend on the days that somebody asks for; so any day's trades can be made without making the
days before it. The daily bar is *not* made here: it is aggregated from the day's trades, which end
on this path's close. (The alternative, drawing the daily bar first and bending the trades into it,
would make two truths that can differ.)

Log closes are a decaying sum of daily shocks, squashed so that a price stays within a factor of
about 2.2 of its level.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from functools import cache
from typing import Final, NamedTuple

import numpy as np

from smallcaps_pipeline import sessions
from smallcaps_pipeline.emulator.roster import Company
from smallcaps_pipeline.emulator.seeding import Floats, Ints, Rng, stable_rng

PRICE_UNITS: Final = 10_000  # prices are whole numbers of $0.0001
REVERSE_SPLIT_FROM: Final = 10  # ten old shares become one
_DECAY: Final = 0.96  # share of a shock that is left a day later
_MEMORY: Final = 160  # days after which nothing of a shock is left
_SQUASH: Final = 0.8  # a log price moves at most this far from its level


class DayKind(IntEnum):
    """What sort of day it is for one company."""

    QUIET = 0
    ACTIVE = 1
    RUNNER = 2
    GAPPER = 3
    FLUSH = 4
    BASE = 5
    HALT = 6


class _Habit(NamedTuple):
    """How days of a kind are drawn; ranges are log returns from the previous close."""

    share: float  # of the lively days
    shock: tuple[float, float]  # to the close
    gap: tuple[float, float]  # to 09:30
    volume: float  # times the quiet volume


_HABITS: Final = {
    DayKind.QUIET: _Habit(0.00, (-0.045, 0.045), (-0.012, 0.012), 1.0),
    DayKind.ACTIVE: _Habit(0.34, (-0.08, 0.08), (-0.03, 0.03), 2.2),
    DayKind.RUNNER: _Habit(0.17, (0.10, 0.45), (0.05, 0.25), 5.0),
    DayKind.GAPPER: _Habit(0.15, (-0.05, 0.12), (0.10, 0.30), 4.0),
    DayKind.FLUSH: _Habit(0.13, (-0.25, -0.08), (-0.06, 0.03), 3.0),
    DayKind.BASE: _Habit(0.13, (-0.05, 0.06), (-0.02, 0.02), 1.6),
    DayKind.HALT: _Habit(0.08, (0.08, 0.40), (0.00, 0.10), 5.0),
}
_SHARES: Final = [_HABITS[kind].share for kind in DayKind]
_SHOCK: Final = np.array([_HABITS[kind].shock for kind in DayKind])
_GAP: Final = np.array([_HABITS[kind].gap for kind in DayKind])
_VOLUME: Final = np.array([_HABITS[kind].volume for kind in DayKind])


@dataclass(frozen=True)
class DayPlan:
    """What one company's day starts from and must end on.

    `previous_close` is in price units on the day's own share basis; `gap` and `day_return` are log
    returns from it to 09:30 and to the close; `volume` multiplies the quiet volume.
    """

    kind: DayKind
    previous_close: int
    gap: float
    day_return: float
    volume: float


@dataclass(frozen=True)
class DailyPath:
    """One company over the whole calendar, indexed by `sessions.calendar()`'s day_number."""

    kind: Ints
    close: Ints
    previous_close: Ints
    gap: Floats
    volume: Floats
    split_days: Ints

    def plan(self, day: date) -> DayPlan:
        """Return the plan of a trading day."""
        at = day_numbers()[day]
        previous, close = int(self.previous_close[at]), int(self.close[at])
        return DayPlan(
            kind=DayKind(int(self.kind[at])),
            previous_close=previous,
            gap=float(self.gap[at]),
            day_return=float(np.log(close / previous)),
            volume=float(self.volume[at]),
        )


@cache
def day_numbers() -> dict[date, int]:
    """Map each trading day of the calendar to its position."""
    return {day: i for i, day in enumerate(calendar_days())}


@cache
def calendar_days() -> tuple[date, ...]:
    """List every trading day of the calendar."""
    return tuple(sessions.calendar()["date"].to_list())


def draw_path(seed: int, company: Company) -> DailyPath:
    """Draw the days of one company over the whole calendar."""
    rng = stable_rng(seed, company.symbol, "daily")
    count = len(calendar_days())
    kind = _draw_kinds(rng, company.lively, count)
    splits = _split_days(rng) if company.reverse_splits else np.zeros(0, dtype=np.int64)
    log_close = np.log(company.level) + _squashed(_draw_shocks(rng, kind))
    log_close += _decline(splits, count)
    close = round_to_tick(np.exp(log_close) * PRICE_UNITS)
    previous = np.concatenate([close[:1], close[:-1]])
    previous[splits] *= REVERSE_SPLIT_FROM
    return DailyPath(
        kind=kind,
        close=close,
        previous_close=previous,
        gap=_uniform(rng, _GAP[kind]),
        volume=_VOLUME[kind] * np.exp(rng.normal(0.0, 0.3, count)),
        split_days=splits,
    )


def round_to_tick(units: Floats) -> Ints:
    """Round prices in units to the tick: one cent, below one dollar $0.0001."""
    tick = np.where(units >= PRICE_UNITS, PRICE_UNITS // 100, 1)
    return np.maximum(np.rint(units / tick).astype(np.int64), 1) * tick


def _draw_kinds(rng: Rng, lively: float, count: int) -> Ints:
    kinds = rng.choice(len(_SHARES), size=count, p=_SHARES)
    return np.where(rng.random(count) < lively, kinds, DayKind.QUIET).astype(np.int64)


def _uniform(rng: Rng, bounds: Floats) -> Floats:
    low, high = bounds[:, 0], bounds[:, 1]
    drawn: Floats = low + (high - low) * rng.random(len(bounds))
    return drawn


def _draw_shocks(rng: Rng, kind: Ints) -> Floats:
    shocks = _uniform(rng, _SHOCK[kind])
    quiet = kind == DayKind.QUIET
    shocks[quiet] -= shocks.sum() / max(int(quiet.sum()), 1)  # no drift over the years
    return shocks


def _squashed(shocks: Floats) -> Floats:
    kernel = _DECAY ** np.arange(_MEMORY)
    wandering = np.convolve(shocks, kernel)[: len(shocks)]
    squashed: Floats = _SQUASH * np.tanh(wandering / _SQUASH)
    return squashed


def _split_days(rng: Rng) -> Ints:
    """Pick one trading day a year between March and October."""
    chosen = []
    for year in range(sessions.FIRST_DATE.year, sessions.LAST_DATE.year + 1):
        days = sessions.trading_days(date(year, 3, 1), date(year, 10, 31))
        chosen.append(day_numbers()[days[int(rng.integers(len(days)))]])
    return np.array(chosen, dtype=np.int64)


def _decline(splits: Ints, count: int) -> Floats:
    """Let the price fall by the split's ratio from one reverse split to the next."""
    if not len(splits):
        return np.zeros(count)
    knots = np.concatenate([[splits[0] - 252], splits, [splits[-1] + 252]])
    days = np.arange(count)
    before = np.clip(np.searchsorted(knots, days, side="right") - 1, 0, len(knots) - 2)
    elapsed = (days - knots[before]) / (knots[before + 1] - knots[before])
    fallen: Floats = np.log(REVERSE_SPLIT_FROM) * (0.5 - np.clip(elapsed, 0.0, 1.0))
    return fallen
