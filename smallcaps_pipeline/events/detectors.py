"""The detectors: each one's thresholds and its rule, in one place (SPEC §3).

A detector is a frozen model of its section of config.yaml (`events.detectors.<event_type>`) with
one rule per direction: a list of lines that must all hold on a bar. A line that compares with an
undefined (null) feature does not hold. By default the event is the rising edge of the rule: the
bar on which it holds and did not on the previous bar of the day. A detector with another notion of
its event overrides `raised`.

To add one: write its class here, put it into `DETECTORS`, and give its thresholds in config.yaml
(with a `manifest.type_priority`). Windows of any length come from `features` by being named.

Keep out: global filters, score, duplicates; how features are computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Self

import polars as pl
from pydantic import (
    BaseModel,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    create_model,
    model_validator,
)

from smallcaps_pipeline.events.direction import Direction
from smallcaps_pipeline.events.features import (
    BASE_RATIO,
    CLOSE,
    CLOSE_MINUTE,
    DOLLAR_VOLUME,
    DROP_FROM_HIGH,
    GREEN,
    HIGH,
    IN_RTH,
    MINUTE,
    OPEN,
    RED,
    RUN_RED,
    SPIKE_X,
    TAPE_X,
    TRANSACTIONS,
    VOLUME,
    VWAP_DISTANCE,
    VWAP_RTH,
    change,
    close_ago,
    first_since,
    minutes_since_last,
    opening_bars,
    opening_high,
    opening_low,
    previous,
    run_length,
    run_starts,
    window_high,
    window_low,
)
from smallcaps_pipeline.sessions import RTH_OPEN_MINUTE
from smallcaps_pipeline.settings import BySession, Section
from smallcaps_pipeline.thresholds import above, at_least, at_most, below, between

Rule = list[pl.Expr]
Minutes = Annotated[int, Field(ge=1, le=1440)]

# Equal within the tolerance is neither, and ends both kinds of run.
CLOSE_ABOVE_VWAP = above(CLOSE, VWAP_RTH)
CLOSE_BELOW_VWAP = below(CLOSE, VWAP_RTH)


class Detector(Section):
    """One kind of event: thresholds as fields, a rule per direction."""

    event_type: ClassVar[str]

    def up(self) -> Rule | None:
        """Return the lines that make an upward event, or None where there is no such event."""
        return None

    def down(self) -> Rule | None:
        """Return the lines that make a downward event, or None where there is no such event."""
        return None

    def rules(self) -> dict[Direction, Rule]:
        """Return the rules of the directions that this detector knows."""
        found = {Direction.UP: self.up(), Direction.DOWN: self.down()}
        return {direction: rule for direction, rule in found.items() if rule is not None}

    def raised(self, direction: Direction, holds: pl.Expr) -> pl.Expr:
        """Return the bars that are events, given the bars on which the rule holds."""
        del direction
        return run_starts(holds)


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

    def up(self) -> Rule:
        return [*self._spike(), GREEN]

    def down(self) -> Rule:
        return [
            *self._spike(),
            self.down_run_red <= RUN_RED,
            at_least(DROP_FROM_HIGH, self.down_drop_from_high_pct / 100),
        ]

    def _spike(self) -> Rule:
        return [
            at_least(SPIKE_X, by_session(self.spike_x)),
            at_least(VOLUME, by_session(self.volume_shares)),
            at_least(DOLLAR_VOLUME, by_session(self.dollar_volume)),
            ~self._auction(),
        ]

    def _auction(self) -> pl.Expr:
        """Minutes into which the opening and closing crosses are printed."""
        opened = MINUTE - RTH_OPEN_MINUTE
        closed = MINUTE - CLOSE_MINUTE
        return opened.is_between(0, self.skip_after_open_minutes, closed="left") | (
            closed.is_between(0, self.skip_after_close_minutes, closed="left")
        )


class VwapBreak(Detector):
    """Up: VWAP reclaimed after it was lost. Down: rejected at VWAP from below."""

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

    def up(self) -> Rule:
        was_below = minutes_since_last(
            CLOSE_BELOW_VWAP
        ).is_not_null()  # before the run: it is above
        position = run_length(CLOSE_ABOVE_VWAP)
        return [
            position.is_between(self.reclaim_first_bar, self.reclaim_last_bar),
            at_least(VWAP_DISTANCE, self.reclaim_distance_pct / 100),
            at_least(SPIKE_X, self.reclaim_spike_x),
            was_below,
        ]

    def down(self) -> Rule:
        failed_reclaim = below(OPEN, VWAP_RTH) & at_least(HIGH, VWAP_RTH) & CLOSE_BELOW_VWAP
        lines = [
            run_length(CLOSE_BELOW_VWAP) >= self.rejection_first_bar,
            at_most(VWAP_DISTANCE, -self.rejection_distance_pct / 100),
            at_least(SPIKE_X, self.rejection_spike_x),
        ]
        if self.require_failed_reclaim:
            lines.append(minutes_since_last(failed_reclaim) <= self.failed_reclaim_minutes)
        return lines

    def raised(self, direction: Direction, holds: pl.Expr) -> pl.Expr:
        if direction == Direction.UP:  # at most one event in a run above
            return first_since(holds, run_starts(CLOSE_ABOVE_VWAP))
        return run_starts(holds)


class PriceMomentum(Detector):
    """A fast move to a new extreme; downward only where the fall accelerates."""

    event_type: ClassVar[str] = "price_momentum"

    change_minutes: Minutes
    up_change_pct: NonNegativeFloat
    down_change_pct: NonNegativeFloat
    extreme_minutes: Minutes
    up_spike_x: NonNegativeFloat
    down_acceleration: NonNegativeFloat

    def up(self) -> Rule:
        return [
            at_least(change(self.change_minutes), self.up_change_pct / 100),
            above(CLOSE, window_high(self.extreme_minutes)),
            at_least(SPIKE_X, self.up_spike_x),
        ]

    def down(self) -> Rule:
        recent, before = close_ago(self.change_minutes), close_ago(2 * self.change_minutes)
        previous_change = (recent / before - 1).fill_null(0.0)
        return [
            at_most(change(self.change_minutes), -self.down_change_pct / 100),
            below(CLOSE, window_low(self.extreme_minutes)),
            at_most(
                change(self.change_minutes),
                self.down_acceleration * pl.min_horizontal(previous_change, 0.0),
            ),
        ]


class ConsolidationBreak(Detector):
    """A break out of a base that was flat for its volatility."""

    event_type: ClassVar[str] = "consolidation_break"

    max_base_ratio: NonNegativeFloat
    extreme_minutes: Minutes
    break_pct: NonNegativeFloat
    spike_x: NonNegativeFloat

    def up(self) -> Rule:
        top = window_high(self.extreme_minutes) * (1 + self.break_pct / 100)
        return [*self._base(), at_least(CLOSE, top)]

    def down(self) -> Rule:
        bottom = window_low(self.extreme_minutes) * (1 - self.break_pct / 100)
        return [*self._base(), at_most(CLOSE, bottom)]

    def _base(self) -> Rule:
        return [at_most(BASE_RATIO, self.max_base_ratio), at_least(SPIKE_X, self.spike_x)]


class OpeningRangeBreak(Detector):
    """A break of the opening range; armed again by a close inside the range."""

    event_type: ClassVar[str] = "opening_range_break"

    range_minutes: Minutes
    min_bars: PositiveInt
    break_pct: NonNegativeFloat
    spike_x: NonNegativeFloat

    def up(self) -> Rule:
        top = opening_high(self.range_minutes) * (1 + self.break_pct / 100)
        return [*self._after_range(), at_least(CLOSE, top)]

    def down(self) -> Rule:
        bottom = opening_low(self.range_minutes) * (1 - self.break_pct / 100)
        return [*self._after_range(), at_most(CLOSE, bottom)]

    def _after_range(self) -> Rule:
        return [
            IN_RTH,
            RTH_OPEN_MINUTE + self.range_minutes <= MINUTE,
            opening_bars(self.range_minutes) >= self.min_bars,
            at_least(SPIKE_X, self.spike_x),
        ]

    def raised(self, direction: Direction, holds: pl.Expr) -> pl.Expr:
        del direction
        low, high = opening_low(self.range_minutes), opening_high(self.range_minutes)
        return first_since(holds, IN_RTH & between(CLOSE, low, high))


class TapeSpeed(Detector):
    """Many more trades than usual in a minute."""

    event_type: ClassVar[str] = "tape_speed"

    min_transactions: NonNegativeInt
    tape_x: NonNegativeFloat

    def up(self) -> Rule:
        return [*self._fast(), GREEN]

    def down(self) -> Rule:
        return [*self._fast(), RED]

    def _fast(self) -> Rule:
        return [self.min_transactions <= TRANSACTIONS, at_least(TAPE_X, self.tape_x)]


class Flush(Detector):
    """A heavy fall on rising volume, far below the day's high."""

    event_type: ClassVar[str] = "flush"

    drop_from_high_pct: NonNegativeFloat
    fall_minutes: Minutes
    fall_pct: NonNegativeFloat
    spike_x: NonNegativeFloat
    run_red: PositiveInt

    def down(self) -> Rule:
        peak = pl.max_horizontal(window_high(self.fall_minutes), HIGH)
        return [
            at_least(DROP_FROM_HIGH, self.drop_from_high_pct / 100),
            at_least((peak - CLOSE) / peak, self.fall_pct / 100),
            at_least(SPIKE_X, self.spike_x),
            self.run_red <= RUN_RED,
            above(VOLUME, previous(VOLUME)),
        ]


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


def by_session(threshold: BySession) -> pl.Expr:
    """Return the threshold that holds in the bar's session."""
    return pl.when(IN_RTH).then(threshold.rth).otherwise(threshold.extended)


@cache
def _section() -> type[BaseModel]:
    fields: dict[str, Any] = {cls.event_type: (cls | None, ...) for cls in DETECTORS}
    return create_model("Detectors", __base__=Section, **fields)


def read_detectors(values: Mapping[str, Any]) -> Mapping[str, Detector]:
    """Validate the section `events.detectors`; a detector that is null is switched off.

    Raises:
        pydantic.ValidationError: An unknown detector or threshold, a wrong type.
    """
    section = _section().model_validate(values)
    return {
        name: detector for name in EVENT_TYPES if (detector := getattr(section, name)) is not None
    }
