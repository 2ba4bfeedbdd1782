"""What happens inside a simulated day: bursts, flushes, flat bases, halts, and where they come.

Belongs here: the vocabulary of episodes, and which ones a kind of day draws.
Keep out: how an episode bends the minute curve (`curve`), and trades (`prints`).

Minutes are counted from 04:00 New York time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from smallcaps_pipeline.emulator.daily_path import DayKind
from smallcaps_pipeline.emulator.seeding import Rng

OPEN_MINUTE: Final = 330  # 09:30


class Anchor(Enum):
    """A price that the curve is led to before an episode begins."""

    NONE = auto()
    VWAP = auto()
    RANGE_HIGH = auto()
    RANGE_LOW = auto()


@dataclass(frozen=True)
class Episode:
    """One move: where it starts, how far and how fast it goes, what is traded, what remains.

    `move` is a log return over `ramp` minutes; a share `keep` of it remains after `fade` minutes.
    `dollars` is traded in the busiest minute. Before `start`, the curve is led to `anchor` plus
    `offset` (log), or lies still for `flat` minutes. `pause` is the length of a halt after the
    ramp, and `reopen` the log return over it.
    """

    start: int
    move: float
    ramp: int
    dollars: float
    keep: float = 0.6
    fade: int = 60
    anchor: Anchor = Anchor.NONE
    offset: float = 0.0
    flat: int = 0
    pause: int = 0
    reopen: float = 0.0


Draw = Callable[[Rng, int], Episode]


def _busy(rng: Rng, median: float = 220_000.0) -> float:
    return float(min(max(rng.lognormal(0.0, 0.6) * median, 70_000.0), 1.2e6))


def _burst(rng: Rng, start: int) -> Episode:
    return Episode(
        start, rng.uniform(0.04, 0.11), int(rng.integers(4, 9)), _busy(rng), rng.uniform(0.3, 0.8)
    )


def _flush(rng: Rng, start: int) -> Episode:
    return Episode(
        start,
        -rng.uniform(0.09, 0.16),
        int(rng.integers(5, 9)),
        _busy(rng, 300_000),
        rng.uniform(0.5, 0.9),
    )


def _base_up(rng: Rng, start: int) -> Episode:
    return Episode(
        start,
        rng.uniform(0.025, 0.05),
        int(rng.integers(1, 4)),
        _busy(rng, 150_000),
        flat=int(rng.integers(34, 48)),
    )


def _base_down(rng: Rng, start: int) -> Episode:
    return Episode(
        start,
        -rng.uniform(0.025, 0.05),
        int(rng.integers(1, 4)),
        _busy(rng, 170_000),
        flat=int(rng.integers(34, 48)),
    )


def _reclaim(rng: Rng, start: int) -> Episode:
    return Episode(
        start,
        rng.uniform(0.03, 0.055),
        int(rng.integers(4, 7)),
        _busy(rng),
        keep=0.9,
        anchor=Anchor.VWAP,
        offset=-rng.uniform(0.008, 0.016),
    )


def _rejection(rng: Rng, start: int) -> Episode:
    return Episode(
        start,
        -rng.uniform(0.025, 0.05),
        int(rng.integers(4, 7)),
        _busy(rng),
        keep=0.9,
        anchor=Anchor.VWAP,
        offset=-0.0015,
    )


def _range_up(rng: Rng, start: int) -> Episode:
    return Episode(
        start,
        rng.uniform(0.02, 0.04),
        int(rng.integers(2, 6)),
        _busy(rng),
        anchor=Anchor.RANGE_HIGH,
        offset=-0.004,
    )


def _range_down(rng: Rng, start: int) -> Episode:
    return Episode(
        start,
        -rng.uniform(0.02, 0.04),
        int(rng.integers(2, 6)),
        _busy(rng),
        anchor=Anchor.RANGE_LOW,
        offset=0.004,
    )


def _halt_up(rng: Rng, start: int) -> Episode:
    pause = 5 if rng.random() < 0.7 else 10  # pauses are extended in steps of five minutes
    return Episode(
        start,
        rng.uniform(0.13, 0.22),
        4,
        _busy(rng, 500_000),
        pause=pause,
        reopen=rng.uniform(-0.04, 0.06),
    )


def _halt_down(rng: Rng, start: int) -> Episode:
    return Episode(
        start,
        -rng.uniform(0.13, 0.2),
        4,
        _busy(rng, 500_000),
        pause=5,
        reopen=rng.uniform(-0.05, 0.03),
    )


def _extended(rng: Rng, start: int) -> Episode:
    """Draw a burst outside regular hours, as news brings it."""
    return Episode(
        start,
        rng.choice([1.0, 1.0, -1.0]) * rng.uniform(0.05, 0.14),
        int(rng.integers(4, 10)),
        _busy(rng, 260_000),
        keep=0.5,
        fade=90,
    )


_OPENING: Final[dict[DayKind, tuple[Draw, ...]]] = {
    DayKind.RUNNER: (_range_up,),
    DayKind.GAPPER: (_range_down,),
}
_LATER: Final[dict[DayKind, tuple[Draw, ...]]] = {
    DayKind.RUNNER: (_burst, _flush, _reclaim, _base_up),
    DayKind.GAPPER: (_flush, _rejection, _reclaim),
    DayKind.FLUSH: (_flush, _rejection, _base_down),
    DayKind.BASE: (_base_up, _base_down, _base_up),
    DayKind.HALT: (_halt_up, _burst, _halt_down),
}
_ANY: Final[tuple[Draw, ...]] = (
    _burst,
    _flush,
    _base_up,
    _base_down,
    _reclaim,
    _rejection,
    _range_up,
    _range_down,
)
_SLOT: Final = 62  # minutes that an episode of regular hours has for itself
_FIRST_SLOT: Final = OPEN_MINUTE + 55
_PREMARKET_SHARE: Final = {DayKind.RUNNER: 0.85, DayKind.GAPPER: 0.9, DayKind.HALT: 0.6}
_SMALL_NEWS: Final = 0.05  # quiet days on which one thing happens all the same


def news_minute(rng: Rng, kind: DayKind) -> int | None:
    """Draw the premarket minute in which a day's news comes out; None without any."""
    if rng.random() >= _PREMARKET_SHARE.get(kind, 0.08 if kind else 0.0):
        return None
    return int(rng.integers(75, 300))  # 05:15 to 09:00


def draw_episodes(rng: Rng, kind: DayKind, news: int | None, close: int) -> list[Episode]:
    """Draw a day's episodes, sorted by start.

    Args:
        rng: The day's generator, after `news_minute`.
        kind: What sort of day.
        news: Premarket minute of the news, or None.
        close: Minute of the close (720, on early closes 540).
    """
    episodes = [_extended(rng, news)] if news is not None else []
    opening, later = _OPENING.get(kind, ()), list(_LATER.get(kind, ()))
    if kind is DayKind.ACTIVE or (kind is DayKind.QUIET and rng.random() < _SMALL_NEWS):
        drawn = rng.permutation(len(_ANY))[: int(rng.integers(2, 4)) if kind else 1]
        later = [_ANY[i] for i in drawn]
    for draw in opening:
        episodes.append(draw(rng, OPEN_MINUTE + int(rng.integers(17, 40))))
    slots = range(_FIRST_SLOT, close - 25, _SLOT)
    for at, draw in zip(_some_slots(rng, len(slots), len(later)), later, strict=False):
        episodes.append(draw(rng, slots[at] + int(rng.integers(0, _SLOT - 22))))
    if rng.random() < (0.25 if kind else 0.008):
        episodes.append(_extended(rng, close + int(rng.integers(3, 100))))
    return sorted(episodes, key=lambda episode: episode.start)


def _some_slots(rng: Rng, slots: int, wanted: int) -> list[int]:
    chosen: list[int] = rng.permutation(slots)[:wanted].tolist()
    return sorted(chosen)
