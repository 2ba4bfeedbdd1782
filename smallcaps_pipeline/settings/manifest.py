"""Section `manifest`: ranking, quotas and the profiles."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from smallcaps_pipeline.settings.base import (
    ClockTime,
    Percent,
    Section,
)


class Cohort(Section):
    """The top rows of a filter on the manifest, with their own window and NBBO."""

    name: Annotated[str, Field(pattern=r"^[^,]+$")]  # the column `cohort` separates names by comma
    event_types: tuple[str, ...] | None = None
    directions: tuple[Literal["up", "down"], ...] | None = None
    sessions: tuple[Literal["PM", "RTH", "AH"], ...] | None = None
    from_time: ClockTime | None = None
    to_time: ClockTime | None = None
    min_values: Mapping[str, float] = Field(default_factory=dict)
    max_values: Mapping[str, float] = Field(default_factory=dict)
    top: PositiveInt
    minutes_before: NonNegativeInt
    minutes_after: PositiveInt
    nbbo_by_change: bool
    nbbo_max_hz: PositiveInt | None


class Profile(Section):
    """One budget: how many events, which, and what is fetched around each."""

    total: PositiveInt
    max_per_symbol: PositiveInt | None
    max_per_symbol_day: PositiveInt | None
    max_per_symbol_year: PositiveInt | None
    max_per_month: PositiveInt | None
    monthly_best: bool
    min_score_percentile: Percent | None
    min_dollar_volume_bar: NonNegativeFloat | None
    max_bar_range_pct: PositiveFloat | None
    extended_hours_min_spike_x: PositiveFloat | None
    minutes_before: Annotated[int, Field(ge=0, le=24 * 60)]
    minutes_after: Annotated[int, Field(ge=1, le=24 * 60)]
    nbbo_by_change: bool
    nbbo_max_hz: PositiveInt | None
    all_fields: bool
    extend: bool
    cohorts: tuple[Cohort, ...]

    @model_validator(mode="after")
    def _cohorts_differ(self) -> Self:
        names = [cohort.name for cohort in self.cohorts]
        if len(set(names)) < len(names):
            raise ValueError(f"cohorts {names} must have different names")
        return self


class Manifest(Section):
    """Ranking, quotas and the profiles."""

    active_profile: str
    from_date: date | None
    to_date: date | None
    event_types: tuple[str, ...] | None
    strict_quotas: bool
    balance_weekdays: bool
    weekday_tolerance_pct: Percent
    type_priority: Mapping[str, PositiveFloat]
    rank_dollar_volume: PositiveFloat
    rank_full_multiple: PositiveFloat
    min_dollar_volume_so_far: Mapping[Literal["PM", "RTH", "AH"], NonNegativeFloat]
    flush_max_bar_range_pct: PositiveFloat
    type_quotas_pct: Mapping[str, Annotated[int, Field(ge=0, le=100)]]
    session_quotas_pct: Mapping[Literal["PM", "RTH"], Annotated[int, Field(ge=0, le=100)]]
    bucket_floors_pct: Mapping[
        Literal["opening", "midday", "power_hour", "PM", "AH"], Annotated[int, Field(ge=0, le=100)]
    ]
    opening_until: ClockTime
    midday_until: ClockTime
    profiles: Mapping[str, Profile]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.active_profile not in self.profiles:
            raise ValueError(
                f"active_profile {self.active_profile!r} is none of {list(self.profiles)}"
            )
        if self.from_date and self.to_date and self.from_date > self.to_date:
            raise ValueError(f"from_date {self.from_date} is after to_date {self.to_date}")
        for name in ("type_quotas_pct", "session_quotas_pct", "bucket_floors_pct"):
            if (total := sum(getattr(self, name).values())) > 100:
                raise ValueError(f"{name} add up to {total} %, more than 100 %")
        if not time(9, 30) < self.opening_until < self.midday_until:
            raise ValueError("opening_until must lie after 09:30 and before midday_until")
        return self
