"""Sections after the manifest: windows, micro, kpis, report."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
)

from smallcaps_pipeline.settings.base import (
    Percent,
    Range,
    Section,
)


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


ExtraFeatures = Literal["spreads", "order_flow", "vwap_slippage", "sizes", "triple_barrier"]


class TripleBarrier(Section):
    """How far, and for how long, until an event has gone on or turned."""

    continuation_pct: PositiveFloat
    reversal_pct: PositiveFloat
    minutes: PositiveInt


class Micro(Section):
    """Aggressor, blocks, halts, short-sale restriction, news, and what is computed on request."""

    aggressor: Literal["lee_ready", "tick", "quote", "emo", "clnv"]
    quote_lag_ns: NonNegativeInt
    block_shares: PositiveFloat
    tape_window_s: PositiveInt
    halt_silence_s: PositiveInt
    halt_minutes_before: PositiveInt
    halt_range_pct: NonNegativeFloat
    ssr_drop_pct: Annotated[int, Field(ge=1, le=99)]
    news_hours: PositiveInt
    off_market_pct: PositiveFloat
    extra_features: tuple[ExtraFeatures, ...]
    realized_after_s: PositiveInt
    slippage_shares: PositiveFloat
    round_lot: PositiveInt
    triple_barrier: TripleBarrier

    @field_validator("extra_features")
    @classmethod
    def _named_once(cls, names: tuple[ExtraFeatures, ...]) -> tuple[ExtraFeatures, ...]:
        if len(set(names)) < len(names):
            raise ValueError(f"names a group twice: {list(names)}")
        return names


class BarKpis(Section):
    """What is suspect in bars, and how much of it is allowed."""

    liquid_rth_pct: Percent
    halt_minutes: PositiveInt
    usual_sessions: PositiveInt
    usual_min_bars: PositiveInt
    thin_pct: Percent
    max_missing_days_pct: Percent
    max_hole_pct: Percent
    max_vwap_outside_pct: Percent
    max_thin_days_pct: Percent
    max_odd_days: NonNegativeInt
    compare_symbol_days: PositiveInt
    max_compare_differ_pct: Percent


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
    pm_with_trades_pct: Range
    ah_with_trades_pct: Range
    max_empty_quotes_pct: Percent
    max_one_sided_pct: Percent
    max_crossed_or_locked_pct: Percent
    max_crossed_pct: Percent
    max_quote_unit_differs_pct: Percent
    max_out_of_order_pct: Percent
    max_duplicated_pct: Percent
    max_ids_repeated_pct: Percent
    max_bad_trades_pct: Percent
    max_off_market_pct: Percent
    max_cancelled_pct: Percent
    max_unknown_conditions_pct: Percent
    max_without_conditions_pct: Percent
    max_time_rounded_pct: Percent
    latency_p50_ms: Range
    latency_p99_ms: Range
    max_latency_negative_pct: Percent
    trades_per_minute_p50: Range
    trades_per_minute_p99: Range
    megabytes_p99: Range
    extended_pct: Range
    max_bars_missing_pct: Percent
    max_bars_without_trades_pct: Percent
    max_bar_price_differs_pct: Percent
    max_bar_volume_differs_pct: Percent
    max_bar_vwap_outside_pct: Percent
    max_bars_rescaled_pct: Percent
    max_halts_with_bars_pct: Percent
    disk_warning_pct: Percent


class Kpis(Section):
    """Allowed ranges of what the asset checks measure."""

    bars: BarKpis
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
    above_premarket_first_pct: Percent
    min_events: PositiveInt
    max_spread_multiple: PositiveFloat
    best_and_worst: PositiveInt
