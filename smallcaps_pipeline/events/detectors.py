"""The detectors: each one's thresholds and its rules, in one place (SPEC §3).

A detector is a frozen model of its section of config.yaml (`events.detectors.<event_type>`) and,
right below it, a compiled rule per direction: whether its condition holds on bar `i` of the bars
`b`, under its thresholds `t`. A comparison with an undefined feature is false, so a rule is one
`and` of SPEC's terms; those that fail most often and cost least stand first. `holding` at the end
names every rule; `arming` says on which of the bars where one holds it is an event.

To add a detector: write its class and rules here, put them into `DETECTORS` and, in the same order,
into `holding`, and give its thresholds in config.yaml (with a `manifest.type_priority`). Windows of
any length come from `features`.

Keep out: global filters, score, duplicates; how features are computed.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from smallcaps_pipeline.compiled import above, at_least, at_most, below, compiled
from smallcaps_pipeline.events.direction import Direction
from smallcaps_pipeline.events.features import (
    Bars,
    base_ratio,
    breaks_above,
    breaks_below,
    by_session,
    change,
    close_ago,
    closed_below_vwap,
    dollar_volume,
    drop_from_high,
    highest,
    in_rth,
    is_green,
    is_red,
    opening_range,
    run_above_vwap,
    run_below_vwap,
    run_red,
    tape_x,
    vwap_distance,
    was_below_vwap,
    window_first,
    window_high,
    window_low,
)
from smallcaps_pipeline.sessions import RTH_OPEN_MINUTE
from smallcaps_pipeline.settings import BySession, Section

Minutes = Annotated[int, Field(ge=1, le=1440)]
Thresholds = Any  # a record with the fields of the detector's class


class Detector(Section):
    """One kind of event: its thresholds as fields."""

    event_type: ClassVar[str]
    directions: ClassVar[tuple[Direction, ...]] = (Direction.UP, Direction.DOWN)


class VolumeSpike(Detector):
    """Many times the usual volume, upward in a green bar, downward in a run of red ones."""

    event_type: ClassVar[str] = "volume_spike"

    spike_x: BySession
    volume_shares: BySession
    dollar_volume: BySession
    down_run_red: PositiveInt
    down_drop_from_high_pct: NonNegativeFloat
    skip_after_open_minutes: NonNegativeInt
    skip_after_close_minutes: NonNegativeInt


@compiled
def _volume_spike_up(b: Bars, i: int, t: Thresholds) -> bool:
    return is_spike(b, i, t) and is_green(b, i)


@compiled
def _volume_spike_down(b: Bars, i: int, t: Thresholds) -> bool:
    return (
        is_spike(b, i, t)
        and run_red(b, i) >= t.down_run_red
        and at_least(drop_from_high(b, i), t.down_drop_from_high_pct / 100)
    )


@compiled
def is_spike(b: Bars, i: int, t: Thresholds) -> bool:
    """Say whether spike_x, volume and dollar volume are all high, outside the auctions."""
    return (
        at_least(b.spike_x[i], by_session(b, i, t.spike_x))
        and at_least(b.volume[i], by_session(b, i, t.volume_shares))
        and at_least(dollar_volume(b, i), by_session(b, i, t.dollar_volume))
        and not is_auction(b, i, t)
    )


@compiled
def is_auction(b: Bars, i: int, t: Thresholds) -> bool:
    """Say whether the opening or the closing cross may be printed in the minute."""
    opened, closed = b.minute[i] - RTH_OPEN_MINUTE, b.minute[i] - b.close_minute[i]
    return 0 <= opened < t.skip_after_open_minutes or 0 <= closed < t.skip_after_close_minutes


class VwapBreak(Detector):
    """Up, reclaim: soon after VWAP was crossed from below. Down, rejection: after that failed."""

    event_type: ClassVar[str] = "vwap_break"

    reclaim_first_bar: PositiveInt
    reclaim_last_bar: PositiveInt
    reclaim_distance_pct: NonNegativeFloat
    reclaim_spike_x: NonNegativeFloat
    rejection_first_bar: PositiveInt
    rejection_distance_pct: NonNegativeFloat
    rejection_spike_x: NonNegativeFloat
    failed_reclaim_minutes: Minutes
    require_failed_reclaim: bool

    @model_validator(mode="after")
    def _positions_in_order(self) -> Self:
        if self.reclaim_first_bar > self.reclaim_last_bar:
            raise ValueError(
                f"reclaim_first_bar {self.reclaim_first_bar} is after reclaim_last_bar "
                f"{self.reclaim_last_bar}"
            )
        return self


@compiled
def _vwap_break_up(b: Bars, i: int, t: Thresholds) -> bool:
    return (
        at_least(b.spike_x[i], t.reclaim_spike_x)
        and at_least(vwap_distance(b, i), t.reclaim_distance_pct / 100)
        and t.reclaim_first_bar
        <= run_above_vwap(b, i, t.reclaim_last_bar + 1)
        <= t.reclaim_last_bar
        and was_below_vwap(b, i)  # one cannot reclaim what was never lost
    )


@compiled
def starts_run_above_vwap(b: Bars, i: int) -> bool:
    """Say whether a run above VWAP starts: at most one reclaim in a run."""
    return run_above_vwap(b, i, 2) == 1


@compiled
def _vwap_break_down(b: Bars, i: int, t: Thresholds) -> bool:
    return (
        at_least(b.spike_x[i], t.rejection_spike_x)
        and at_most(vwap_distance(b, i), -t.rejection_distance_pct / 100)
        and run_below_vwap(b, i, t.rejection_first_bar) == t.rejection_first_bar
        and (not t.require_failed_reclaim or reclaim_failed(b, i, t.failed_reclaim_minutes))
    )


@compiled
def reclaim_failed(b: Bars, i: int, minutes: int) -> bool:
    """Say whether a bar in W(t, minutes) rose to VWAP from below and closed below it."""
    for row in range(window_first(b, i, minutes), i):
        vwap = b.vwap_rth[row]
        if below(b.open[row], vwap) and at_least(b.high[row], vwap) and closed_below_vwap(b, row):
            return True
    return False


class PriceMomentum(Detector):
    """A fast move to a new extreme; downward only where the fall accelerates."""

    event_type: ClassVar[str] = "price_momentum"

    change_minutes: Minutes
    up_change_pct: NonNegativeFloat
    down_change_pct: NonNegativeFloat
    extreme_minutes: Minutes
    up_spike_x: NonNegativeFloat
    down_acceleration: NonNegativeFloat


@compiled
def _price_momentum_up(b: Bars, i: int, t: Thresholds) -> bool:
    return (
        at_least(b.spike_x[i], t.up_spike_x)
        and at_least(change(b, i, t.change_minutes), t.up_change_pct / 100)
        and above(b.close[i], window_high(b, i, t.extreme_minutes))
    )


@compiled
def _price_momentum_down(b: Bars, i: int, t: Thresholds) -> bool:
    now = change(b, i, t.change_minutes)
    return (
        at_most(now, -t.down_change_pct / 100)
        and below(b.close[i], window_low(b, i, t.extreme_minutes))
        and at_most(now, t.down_acceleration * min(change_before(b, i, t.change_minutes), 0.0))
    )


@compiled
def change_before(b: Bars, i: int, minutes: int) -> float:
    """Return the change over the minutes before the last ones; 0 where undefined."""
    before = close_ago(b, i, minutes) / close_ago(b, i, 2 * minutes) - 1
    return 0.0 if np.isnan(before) else before


class ConsolidationBreak(Detector):
    """A break out of a base that was flat for its volatility."""

    event_type: ClassVar[str] = "consolidation_break"

    max_base_ratio: NonNegativeFloat
    extreme_minutes: Minutes
    break_pct: NonNegativeFloat
    spike_x: NonNegativeFloat


@compiled
def _consolidation_break_up(b: Bars, i: int, t: Thresholds) -> bool:
    return (
        at_least(b.spike_x[i], t.spike_x)
        and breaks_above(b, i, t.extreme_minutes, 1 + t.break_pct / 100)
        and at_most(base_ratio(b, i), t.max_base_ratio)
    )


@compiled
def _consolidation_break_down(b: Bars, i: int, t: Thresholds) -> bool:
    return (
        at_least(b.spike_x[i], t.spike_x)
        and breaks_below(b, i, t.extreme_minutes, 1 - t.break_pct / 100)
        and at_most(base_ratio(b, i), t.max_base_ratio)
    )


class OpeningRangeBreak(Detector):
    """A break of the opening range; armed again by a close inside the range."""

    event_type: ClassVar[str] = "opening_range_break"

    range_minutes: Minutes
    min_bars: PositiveInt
    break_pct: NonNegativeFloat
    spike_x: NonNegativeFloat


@compiled
def _opening_range_break_up(b: Bars, i: int, t: Thresholds) -> bool:
    if not (in_rth(b, i) and at_least(b.spike_x[i], t.spike_x)):
        return False
    _, high = opening_range(b, i, t.range_minutes, t.min_bars)  # undefined until it is over
    return at_least(b.close[i], high * (1 + t.break_pct / 100))


@compiled
def _opening_range_break_down(b: Bars, i: int, t: Thresholds) -> bool:
    if not (in_rth(b, i) and at_least(b.spike_x[i], t.spike_x)):
        return False
    low, _ = opening_range(b, i, t.range_minutes, t.min_bars)
    return at_most(b.close[i], low * (1 - t.break_pct / 100))


@compiled
def closes_inside_range(b: Bars, i: int, t: Thresholds) -> bool:
    """Say whether the bar closes in the opening range: it arms both directions again."""
    low, high = opening_range(b, i, t.range_minutes, t.min_bars)
    return in_rth(b, i) and at_least(b.close[i], low) and at_most(b.close[i], high)


class TapeSpeed(Detector):
    """Many more trades than usual in a minute."""

    event_type: ClassVar[str] = "tape_speed"

    min_transactions: NonNegativeInt
    tape_x: NonNegativeFloat


@compiled
def _tape_speed_up(b: Bars, i: int, t: Thresholds) -> bool:
    return is_green(b, i) and is_fast(b, i, t)


@compiled
def _tape_speed_down(b: Bars, i: int, t: Thresholds) -> bool:
    return is_red(b, i) and is_fast(b, i, t)


@compiled
def is_fast(b: Bars, i: int, t: Thresholds) -> bool:
    """Say whether the bar has many trades, and many times the usual."""
    return b.transactions[i] >= t.min_transactions and at_least(tape_x(b, i), t.tape_x)


class Flush(Detector):
    """A heavy fall on rising volume, far below the day's high."""

    event_type: ClassVar[str] = "flush"
    directions: ClassVar[tuple[Direction, ...]] = (Direction.DOWN,)

    drop_from_high_pct: NonNegativeFloat
    fall_minutes: Minutes
    fall_pct: NonNegativeFloat
    spike_x: NonNegativeFloat
    run_red: PositiveInt


@compiled
def _flush_down(b: Bars, i: int, t: Thresholds) -> bool:
    return (
        at_least(b.spike_x[i], t.spike_x)
        and at_least(drop_from_high(b, i), t.drop_from_high_pct / 100)
        and run_red(b, i) >= t.run_red
        and i > b.day_start[i]
        and above(b.volume[i], b.volume[i - 1])
        and at_least(fall(b, i, t.fall_minutes), t.fall_pct / 100)
    )


@compiled
def fall(b: Bars, i: int, minutes: int) -> float:
    """Return how far the close lies below the highest high of the window and the bar itself."""
    peak = highest(b.high, window_first(b, i, minutes), i + 1)
    return (peak - b.close[i]) / peak


# all of them ----------------------------------------------------------------------------------

DETECTORS: tuple[type[Detector], ...] = (
    VolumeSpike,
    VwapBreak,
    PriceMomentum,
    ConsolidationBreak,
    OpeningRangeBreak,
    TapeSpeed,
    Flush,
)
EVENT_TYPES: tuple[str, ...] = tuple(detector.event_type for detector in DETECTORS)

# Every rule: its number is its place here, and its bit in `holding`.
RULES: tuple[tuple[str, Direction], ...] = tuple(
    (detector.event_type, direction) for detector in DETECTORS for direction in detector.directions
)
RECLAIM = 1 << RULES.index(("vwap_break", Direction.UP))
RANGES = sum(1 << RULES.index(("opening_range_break", way)) for way in Direction)
REARMED = RECLAIM | RANGES  # the others are events on their rising edge


@compiled
def holding(b: Bars, i: int, t: Thresholds) -> int:
    """Return which rules hold on bar `i`, as bits in the order of RULES."""
    return (
        _volume_spike_up(b, i, t.volume_spike)
        | _volume_spike_down(b, i, t.volume_spike) << 1
        | _vwap_break_up(b, i, t.vwap_break) << 2
        | _vwap_break_down(b, i, t.vwap_break) << 3
        | _price_momentum_up(b, i, t.price_momentum) << 4
        | _price_momentum_down(b, i, t.price_momentum) << 5
        | _consolidation_break_up(b, i, t.consolidation_break) << 6
        | _consolidation_break_down(b, i, t.consolidation_break) << 7
        | _opening_range_break_up(b, i, t.opening_range_break) << 8
        | _opening_range_break_down(b, i, t.opening_range_break) << 9
        | _tape_speed_up(b, i, t.tape_speed) << 10
        | _tape_speed_down(b, i, t.tape_speed) << 11
        | _flush_down(b, i, t.flush) << 12
    )


@compiled
def arming(b: Bars, i: int, t: Thresholds, holds: int, disarmed: int) -> int:
    """Return which rules bar `i` arms again, as bits; only disarmed ones are asked.

    A rule that does not hold is armed: so an event is the bar on which it becomes true. Where
    SPEC has another notion of it, the rule is in REARMED and says below what arms it.
    """
    arms = ~holds & ~REARMED
    if disarmed & RECLAIM and starts_run_above_vwap(b, i):
        arms |= RECLAIM
    if disarmed & RANGES and closes_inside_range(b, i, t.opening_range_break):
        arms |= RANGES
    return arms
