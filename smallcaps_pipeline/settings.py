"""Settings: frozen models of config/config.yaml.

Belongs here: the shape of the configuration, and what is a contradiction in it.
Keep out: default numbers (they stand once, in config/config.yaml, which every user file overlays)
and detector thresholds (each detector declares its own beside its rule, events/detectors.py).

A user's file holds only the keys that it changes. An unknown key, a wrong type or a contradiction
raises one `SettingsError` that names every offending key by its path.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

if TYPE_CHECKING:
    from smallcaps_pipeline.events.detectors import Detector

PACKAGE = Path(__file__).resolve().parent
SHIPPED_CONFIG = next(
    path
    for path in (PACKAGE.parent / "config" / "config.yaml", PACKAGE / "config.yaml")
    if path.exists()
)
CONFIG_VARIABLE = "SMALLCAPS_CONFIG"
ADVISED_CELLS = 100_000  # partitions an asset, Dagster's advice
CELL_COST_S = 0.036  # book-keeping of one materialized cell in Dagster's event log, SQLite


class SettingsError(ValueError):
    """The configuration is wrong; the message names each key by its path."""


class Section(BaseModel):
    """A part of the configuration: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


CalendarDay = date  # a name of its own: Partitions has a field called `date`
Percent = Annotated[float, Field(ge=0, le=100)]


def _clock(value: object) -> object:
    """Take "09:30" and also 09:30 unquoted, which YAML 1.1 reads as base-60 minutes."""
    return time(*divmod(value, 60)) if isinstance(value, int) else value


ClockTime = Annotated[time, BeforeValidator(_clock)]


class BySession(Section):
    """A threshold with one value in regular hours and one in PM and AH."""

    rth: float
    extended: float


class BarsBySession(Section):
    """A number of bars in regular hours, and in PM and AH."""

    rth: PositiveInt
    extended: PositiveInt


class ByDirection(Section):
    """A threshold for up and one for down events."""

    up: NonNegativeFloat
    down: NonNegativeFloat


class Range(Section):
    """An allowed range, both ends included; null is unbounded."""

    low: float | None
    high: float | None


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
        if self.tiers[0] > self.tiers[1]:
            raise ValueError(f"tiers {list(self.tiers)} must ascend")
        return self


class Partitions(Section):
    """The date dimension of the symbol x date grid."""

    date: Literal["year", "quarter", "month", "week", "day"]
    start: CalendarDay
    cells_per_run: PositiveInt


class Provider(Section):
    """How the provider is called: limits, retries, time-outs."""

    calls_per_minute: PositiveInt | None
    calls_per_second: PositiveInt | None
    connections: PositiveInt
    timeout_s: PositiveFloat
    retries: NonNegativeInt
    retry_wait_s: NonNegativeFloat
    retry_wait_max_s: NonNegativeFloat
    page_limit: Annotated[int, Field(ge=1, le=50_000)]
    adjusted: bool


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
        from smallcaps_pipeline.events.detectors import read_detectors  # noqa: PLC0415

        return read_detectors(value)

    @model_validator(mode="after")
    def _session_lengths(self) -> Self:
        if not time(0) <= self.premarket_start < time(9, 30):
            raise ValueError(f"premarket_start {self.premarket_start} must lie before 09:30")
        if self.hours_after_close > 8:
            raise ValueError("hours_after_close above 8 would run into the next trading day")
        return self


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


class Extension(Section):
    """When a hot edge widens a window, and how far."""

    percentile: Percent
    min_trades: NonNegativeInt
    min_move_pct: NonNegativeFloat
    minutes_before: PositiveInt
    minutes_after: PositiveInt


class Windows(Section):
    """Merging, batches, thinning and what the estimate expects."""

    merge_minutes: NonNegativeInt
    batch_windows: PositiveInt
    keep_at_trades: bool
    extension: Extension
    expected_trades_per_minute: PositiveFloat
    expected_quotes_per_minute: PositiveFloat
    bytes_per_trade: PositiveFloat
    bytes_per_quote: PositiveFloat


class Micro(Section):
    """Aggressor, blocks, halts, short-sale restriction, news."""

    aggressor: Literal["lee_ready", "tick"]
    quote_lag_ns: NonNegativeInt
    block_shares: PositiveFloat
    tape_window_s: PositiveInt
    halt_silence_s: PositiveInt
    halt_minutes_before: PositiveInt
    halt_range_pct: NonNegativeFloat
    ssr_drop_pct: Annotated[int, Field(ge=1, le=99)]
    news_hours: PositiveInt


class EventKpis(Section):
    """Allowed ranges of an event shard's figures."""

    spike_quantile: Annotated[float, Field(gt=0, lt=1)]
    duplicates_minutes: PositiveInt
    max_duplicates_pct: Percent
    max_events_per_hour_mean: PositiveFloat
    max_events_per_hour_p99: PositiveFloat
    max_one_minute_pct: Percent
    pm_share_pct: Range
    rth_share_pct: Range
    ah_share_pct: Range
    median_dollar_volume: Range


class WindowKpis(Section):
    """Allowed ranges of a download batch's figures."""

    min_rth_with_trades_pct: Percent
    max_crossed_or_locked_pct: Percent
    max_empty_quotes_pct: Percent
    disk_warning_pct: Percent


class Kpis(Section):
    """Allowed ranges of what the asset checks measure."""

    events: EventKpis
    windows: WindowKpis


class Report(Section):
    """The review sample and the thresholds of GO / NO-GO."""

    sample_size: PositiveInt
    sample_seed: int
    min_precision_pct: Percent
    confidence: Annotated[float, Field(gt=0, lt=1)]
    min_liquid_windows_pct: Percent
    liquid_dollar_volume_per_minute: NonNegativeFloat
    max_spread_multiple: PositiveFloat
    best_and_worst: PositiveInt


class Settings(Section):
    """The whole configuration: one field per section of config/config.yaml."""

    universe: Universe
    partitions: Partitions
    provider: Provider
    events: Events
    manifest: Manifest
    windows: Windows
    micro: Micro
    kpis: Kpis
    report: Report

    @model_validator(mode="after")
    def _event_types_exist(self) -> Self:
        from smallcaps_pipeline.events.detectors import EVENT_TYPES  # noqa: PLC0415  as above

        known = set(EVENT_TYPES)
        for name in ("type_priority", "type_quotas_pct", "event_types"):
            if unknown := set(getattr(self.manifest, name) or ()) - known:
                raise ValueError(
                    f"manifest.{name} names {sorted(unknown)}, the detectors are {sorted(known)}"
                )
        if missing := known - set(self.manifest.type_priority):
            raise ValueError(f"manifest.type_priority lacks {sorted(missing)}")
        return self


def load_settings(path: str | Path | None = None) -> Settings:
    """Read the configuration: the shipped config/config.yaml, overlaid by the user's file.

    Args:
        path: The user's YAML file; None takes the one that SMALLCAPS_CONFIG names, if any.

    Raises:
        SettingsError: The file is absent or is no YAML mapping, or a value is wrong. The message
            names the file and each key by its path (`manifest.profiles.core.total`).
    """
    if path is None:
        path = os.environ.get(CONFIG_VARIABLE) or SHIPPED_CONFIG
    path = Path(path)
    values = _read_mapping(SHIPPED_CONFIG)
    if path.resolve() != SHIPPED_CONFIG.resolve():
        values = _overlay(values, _read_mapping(path))
    return read_settings(values, source=str(path))


def read_settings(values: Mapping[str, Any], *, source: str = "settings") -> Settings:
    """Validate a complete mapping of settings; `source` names it in the error."""
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        lines = "\n".join(f"  {line}" for line in _explain(error))
        raise SettingsError(f"{source}:\n{lines}") from None


def _explain(error: ValidationError) -> list[str]:
    """One line per problem: the key's path, what is wrong, and what was given."""
    lines = []
    for problem in error.errors(include_url=False):
        where = ".".join(str(part) for part in problem["loc"]) or "(top)"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "unknown key"
        elif problem["type"] == "missing":
            message = "is missing"
        elif not isinstance(problem["input"], dict | BaseModel):
            message = f"{message}, got {problem['input']!r}"
        lines.append(f"{where}: {message}")
    return lines


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: is not valid YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: expected a mapping of sections, got {type(values).__name__}")
    return values


def _overlay(base: dict[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the leaves of `top` put over it; lists are replaced whole."""
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = _overlay(below, value) if both else value  # type: ignore[arg-type]
    return merged
