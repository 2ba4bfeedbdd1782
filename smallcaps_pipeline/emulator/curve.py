"""The minute curve of a simulated day: where the price goes and how much is traded on the way.

Belongs here: log price at each minute's edge, dollars per minute, spread, halts.
Keep out: which episodes come (`episodes`), single trades and quotes (`prints`, `quotes`).

The curve starts at the previous close, is at the day's gap at 09:30, ends regular hours on the
daily path's close and comes back to it by the end of after-hours, so that the next day joins on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

import numpy as np

from smallcaps_pipeline import sessions
from smallcaps_pipeline.emulator.daily_path import DayKind, DayPlan
from smallcaps_pipeline.emulator.episodes import (
    OPEN_MINUTE,
    Anchor,
    Episode,
    draw_episodes,
    news_minute,
)
from smallcaps_pipeline.emulator.roster import Company
from smallcaps_pipeline.emulator.seeding import Floats, Rng
from smallcaps_pipeline.sessions import Session

_LEAD: Final = 15  # minutes in which the price is led to an anchor
_HOVER: Final = 4  # minutes that it stays there
_RANGE_MINUTES: Final = 15  # of the opening range
_CALM: Final = 0.06  # of the usual noise in a flat base
_CALM_DOLLARS: Final = 7_000.0  # a base needs several trades a minute to be seen as one


@dataclass(frozen=True)
class Grid:
    """The minutes of a trading day, counted from 04:00 New York time; ends not included."""

    day: date
    start_ns: int  # UTC instant of 04:00
    close: int
    end: int


@lru_cache(maxsize=4096)
def grid_of(day: date) -> Grid:
    """Return the minutes of a trading day; early closes and clock changes are in it."""
    bounds = sessions.session_bounds(day)
    start = bounds[Session.PM][0]

    def minutes(session: Session, end: int) -> int:
        return int((bounds[session][end] - start).total_seconds()) // 60

    start_ns = int(start.timestamp()) * 10**9
    return Grid(day, start_ns, close=minutes(Session.RTH, 1), end=minutes(Session.AH, 1))


@dataclass(frozen=True)
class Halt:
    """A trading pause: minutes [start, end) without trades; it reopens in minute `end`."""

    start: int
    end: int


@dataclass(frozen=True)
class Curve:
    """One symbol-day by the minute; all but `price` have one value a minute.

    `price` has one value at each minute's edge: the log return from the previous close. `dollars`
    is the dollar volume expected, `half_spread` half the quoted spread as a share of the mid,
    `noise` the standard deviation of the minute's log return.
    """

    grid: Grid
    price: Floats
    dollars: Floats
    half_spread: Floats
    noise: Floats
    halts: tuple[Halt, ...]


def draw_curve(rng: Rng, company: Company, plan: DayPlan, grid: Grid) -> Curve:
    """Draw the minute curve of one symbol-day."""
    news = news_minute(rng, plan.kind)
    usual = company.quiet_dollars * plan.volume * _volume_profile(grid)
    noise = company.sigma * _noise_profile(grid) * (1.6 if plan.kind else 1.0)
    draft = _Draft(grid, _drift(rng, plan, grid, news, noise), usual.copy(), noise)
    for episode in draw_episodes(rng, plan.kind, news, grid.close):
        draft.play(episode, small=plan.kind is DayKind.QUIET)
    draft.join_ends(plan, news)
    return Curve(
        grid=grid,
        price=draft.price,
        dollars=draft.dollars,
        half_spread=_half_spread(rng, company, grid, draft.dollars / usual),
        noise=noise,
        halts=tuple(draft.halts),
    )


@lru_cache(maxsize=4)
def _profiles(close: int, end: int) -> tuple[Floats, Floats]:
    """Return the share of the day's volume, and the relative noise, of each minute."""
    volume, noise = np.empty(end), np.empty(end)
    volume[:OPEN_MINUTE] = 0.03 * _normal(np.linspace(0.15, 1.0, OPEN_MINUTE) ** 2)
    at = np.linspace(-1.0, 1.0, close - OPEN_MINUTE)
    volume[OPEN_MINUTE:close] = 0.93 * _normal(0.45 + at**2 + 1.4 * np.exp(-(at + 1) * 14))
    volume[close:] = 0.04 * _normal(np.exp(-np.arange(end - close) / 45.0) + 0.05)
    noise[:OPEN_MINUTE], noise[close:] = 0.6, 0.5
    noise[OPEN_MINUTE:close] = 0.85 + 1.1 * np.exp(-(at + 1) * 9)
    return volume, noise


def _normal(weights: Floats) -> Floats:
    share: Floats = weights / weights.sum()
    return share


def _volume_profile(grid: Grid) -> Floats:
    return _profiles(grid.close, grid.end)[0]


def _noise_profile(grid: Grid) -> Floats:
    return _profiles(grid.close, grid.end)[1]


def _drift(rng: Rng, plan: DayPlan, grid: Grid, news: int | None, noise: Floats) -> Floats:
    """Draw the curve without episodes, not yet joined at its ends."""
    steps = rng.standard_normal(grid.end) * noise
    price = np.concatenate([[0.0], np.cumsum(steps)])
    start = OPEN_MINUTE - 60 if news is None else news  # the gap opens with the news, if any
    price[start : OPEN_MINUTE + 1] += plan.gap * np.linspace(0, 1, OPEN_MINUTE + 1 - start)
    price[OPEN_MINUTE + 1 :] += plan.gap
    return price


def _half_spread(rng: Rng, company: Company, grid: Grid, busy: Floats) -> Floats:
    """Draw half the spread: wide outside regular hours and at the open, tight when busy."""
    half = np.full(grid.end, company.spread_bps / 2e4)
    half[:OPEN_MINUTE] *= 1.8
    half[OPEN_MINUTE : OPEN_MINUTE + 5] *= 1.5
    half[grid.close :] *= 2.0
    half *= np.clip(busy, 1.0, 400.0) ** -0.12
    spread: Floats = half * np.exp(0.25 * rng.standard_normal(grid.end))
    return spread


class _Draft:
    """A curve while its episodes are being played."""

    def __init__(self, grid: Grid, price: Floats, dollars: Floats, noise: Floats) -> None:
        self.grid = grid
        self.price = price
        self.dollars = dollars
        self.noise = noise
        self.halts: list[Halt] = []
        self.last = OPEN_MINUTE

    def play(self, episode: Episode, *, small: bool) -> None:
        """Bend the curve by one episode; those before it have been played."""
        if episode.anchor is not Anchor.NONE:
            self._lead(episode.start, self._level(episode.anchor, episode.start) + episode.offset)
        if episode.flat:
            self._calm(episode.start, episode.flat)
        self._move(episode)
        self._trade(episode, episode.dollars * (0.6 if small else 1.0))
        if episode.pause:
            self._halt(episode)
        if episode.start < self.grid.close:
            self.last = max(self.last, episode.start + episode.ramp + episode.pause + 10)

    def _level(self, anchor: Anchor, minute: int) -> float:
        if anchor is Anchor.VWAP:
            price = np.exp(self.price[OPEN_MINUTE:minute])
            shares = self.dollars[OPEN_MINUTE:minute] / price
            return float(np.log((price * shares).sum() / shares.sum()))
        opening = self.price[OPEN_MINUTE : OPEN_MINUTE + _RANGE_MINUTES + 1]
        return float(opening.max() if anchor is Anchor.RANGE_HIGH else opening.min())

    def _lead(self, minute: int, target: float) -> None:
        """Move the price to a level some minutes before, and leave it there."""
        there = minute - _HOVER
        first = max(there - _LEAD, OPEN_MINUTE + min(_RANGE_MINUTES, there - OPEN_MINUTE - 1))
        shift = target - self.price[there]
        self.price[first:there] += shift * np.linspace(0.0, 1.0, there - first, endpoint=False)
        self.price[there:] += shift

    def _calm(self, minute: int, minutes: int) -> None:
        """Press a stretch of the curve flat and quiet."""
        first = minute - minutes
        stretch = self.price[first : minute + 1]
        flat = stretch[0] + _CALM * (stretch - stretch[0])
        self.price[minute + 1 :] += flat[-1] - stretch[-1]
        self.price[first : minute + 1] = flat
        self.noise[first:minute] *= _CALM
        self.dollars[first:minute] = np.maximum(0.8 * self.dollars[first:minute], _CALM_DOLLARS)

    def _move(self, episode: Episode) -> None:
        ramp, room = episode.ramp, self.grid.end - episode.start
        weights = _normal(np.arange(1.0, ramp + 1) ** 0.6)
        path = np.full(room, episode.move)
        path[:ramp] = episode.move * np.cumsum(weights)[:room]
        after = np.arange(max(room - ramp, 0)) / max(episode.fade, 1)
        path[ramp:] -= episode.move * (1 - episode.keep) * (1 - np.exp(-3.0 * after))
        self.price[episode.start + 1 :] += path
        self.noise[episode.start : episode.start + ramp + 20] *= 1.5

    def _trade(self, episode: Episode, peak: float) -> None:
        ramp, room = episode.ramp, self.grid.end - episode.start
        shape = 0.55 * np.exp(-np.arange(1 - ramp, room - ramp + 1) / 7.0)
        shape[:ramp] = (np.arange(1, ramp + 1) / ramp)[:room]
        self.dollars[episode.start :] += peak * shape

    def _halt(self, episode: Episode) -> None:
        start = episode.start + episode.ramp
        end = start + episode.pause
        if end >= self.grid.close - 1:
            return  # a pause that would run into the close is not played
        self.dollars[start:end] = 0.0
        self.price[start + 1 : end] = self.price[start]
        self.price[end:] += self.price[start] + episode.reopen - self.price[end]
        self.halts.append(Halt(start, end))

    def join_ends(self, plan: DayPlan, news: int | None) -> None:
        """Tie the curve to the gap at 09:30, to the day's close, and to it again at the end."""
        close, end = self.grid.close, self.grid.end
        self._tie(OPEN_MINUTE - 60 if news is None else news + 12, OPEN_MINUTE, plan.gap)
        since = self.last if close - self.last >= 45 else OPEN_MINUTE
        self._tie(since, close, plan.day_return)
        self._tie(close + 90, end, plan.day_return)

    def _tie(self, since: int, minute: int, target: float) -> None:
        """Spread what is missing at `minute` evenly over the minutes from `since` to it."""
        shift = target - self.price[minute]
        self.price[since : minute + 1] += shift * np.linspace(0.0, 1.0, minute + 1 - since)
        self.price[minute + 1 :] += shift
