"""Sections from the universe to the events: universe, partitions, provider, events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from smallcaps_pipeline.settings.base import (
    BarsBySession,
    ByDirection,
    CalendarDay,
    ClockTime,
    Percent,
    Section,
)

if TYPE_CHECKING:
    from smallcaps_pipeline.events.detectors import Detector


class Universe(Section):
    """Which stocks, and how they are ranked."""

    as_of: date | None
    types: tuple[str, ...]
    exchanges: tuple[str, ...]
    min_price: NonNegativeFloat
    max_price: PositiveFloat
    min_market_cap: NonNegativeFloat | None
    max_market_cap: PositiveFloat | None
    sessions: PositiveInt
    gap_pct: NonNegativeFloat
    range_pct: NonNegativeFloat
    volume_ratio: NonNegativeFloat
    volume_mean_sessions: PositiveInt
    size: PositiveInt
    tiers: tuple[PositiveInt, PositiveInt]

    @model_validator(mode="after")
    def _limits_in_order(self) -> Self:
        if self.min_price > self.max_price:
            raise ValueError(f"min_price {self.min_price} is above max_price {self.max_price}")
        low, high = self.min_market_cap, self.max_market_cap
        if low is not None and high is not None and low > high:
            raise ValueError(f"min_market_cap {low} is above max_market_cap {high}")
        if self.tiers[0] > self.tiers[1]:
            raise ValueError(f"tiers {list(self.tiers)} must ascend")
        return self


class Partitions(Section):
    """The date dimension of the symbol x date grid."""

    date: Literal["year", "quarter", "month", "week", "day"]
    start: CalendarDay
    cells_per_run: PositiveInt


class FlatFiles(Section):
    """Where the day files lie, and how often they are looked at again."""

    bucket: str
    prefix: str
    region: str
    timeout_s: PositiveFloat
    recheck_sessions: NonNegativeInt


class Provider(Section):
    """How the provider is called: limits, retries, time-outs."""

    bars_source: Literal["rest", "flat_files"]
    flat_files: FlatFiles
    calls_per_minute: PositiveInt | None
    calls_per_second: PositiveInt | None
    connections: PositiveInt
    timeout_s: PositiveFloat
    retries: NonNegativeInt
    retry_wait_s: NonNegativeFloat
    retry_wait_max_s: NonNegativeFloat
    page_limit: Annotated[int, Field(ge=1, le=50_000)]
    look_back_sessions: NonNegativeInt
    adjusted: bool

    @model_validator(mode="after")
    def _waits_in_order(self) -> Self:
        if self.retry_wait_s > self.retry_wait_max_s:
            raise ValueError(
                f"retry_wait_s {self.retry_wait_s} is above retry_wait_max_s "
                f"{self.retry_wait_max_s}"
            )
        return self


class Features(Section):
    """Windows and floors of the bars' features."""

    baseline_minutes: Annotated[int, Field(ge=1, le=1440)]
    baseline_floor_shares: PositiveFloat
    tape_floor: PositiveFloat
    base_minutes: Annotated[int, Field(ge=1, le=1440)]
    base_min_bars: BarsBySession


class Filters(Section):
    """What an event bar, its day and its stock must fulfil."""

    min_close: NonNegativeFloat
    max_close: PositiveFloat
    min_dollar_volume_day: ByDirection
    dollar_volume_basis: Literal["day", "so_far"]
    min_float_shares: ByDirection
    max_short_interest_pct: NonNegativeFloat
    max_days_to_cover: NonNegativeFloat

    @model_validator(mode="after")
    def _prices_in_order(self) -> Self:
        if self.min_close > self.max_close:
            raise ValueError(f"min_close {self.min_close} is above max_close {self.max_close}")
        return self


class ScoreWeights(Section):
    """Weight of each part of the score."""

    volume_spike_magnitude: NonNegativeFloat
    price_change_magnitude: NonNegativeFloat
    volume_confirm: NonNegativeFloat
    consecutive_bars: NonNegativeFloat
    distance_from_vwap: NonNegativeFloat


class Score(Section):
    """The parts of the score and where each is full."""

    weights: ScoreWeights
    full_spike_x: PositiveFloat
    full_change_pct: PositiveFloat
    confirm_bars: PositiveInt
    confirm_spike_x: NonNegativeFloat
    full_run: PositiveInt
    full_vwap_distance_pct: PositiveFloat


class Duplicates(Section):
    """Which of several like events in a few minutes stay."""

    window_minutes: PositiveInt
    keep: Literal["best", "first"]
    near_best_pct: Percent


class Events(Section):
    """Sessions, features, detectors, filters, score, duplicates, groups."""

    premarket_start: ClockTime
    hours_after_close: PositiveInt
    features: Features
    detectors: Mapping[str, Any]  # event_type -> its Detector, see `_read_detectors`
    filters: Filters
    score: Score
    duplicates: Duplicates
    group_minutes: PositiveInt

    @field_validator("detectors")
    @classmethod
    def _read_detectors(cls, value: Mapping[str, Any]) -> Mapping[str, Detector]:
        # The detectors' module needs this one; and thresholds stand beside the rule they serve.
        from smallcaps_pipeline.events.catalogue import read_detectors  # noqa: PLC0415

        return read_detectors(value)

    @model_validator(mode="after")
    def _session_lengths(self) -> Self:
        if not time(0) <= self.premarket_start < time(9, 30):
            raise ValueError(f"premarket_start {self.premarket_start} must lie before 09:30")
        if self.hours_after_close > 8:
            raise ValueError("hours_after_close above 8 would run into the next trading day")
        return self
