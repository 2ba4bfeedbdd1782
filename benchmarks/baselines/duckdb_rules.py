"""The rules in SQL: windows by time over partitions of symbol and day, run by DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import duckdb
import polars as pl

from smallcaps_pipeline.schemas import BARS, EVENTS
from smallcaps_pipeline.sessions import NEW_YORK, RTH_OPEN_MINUTE, calendar
from smallcaps_pipeline.settings import BarsBySession, BySession, Events
from smallcaps_pipeline.thresholds import TOLERANCE

MACROS: Final = f"""
CREATE MACRO at_least(a, b) AS coalesce(a >= b - {TOLERANCE} * abs(b), false);
CREATE MACRO at_most(a, b) AS coalesce(a <= b + {TOLERANCE} * abs(b), false);
CREATE MACRO above(a, b) AS coalesce(a > b + {TOLERANCE} * abs(b), false);
CREATE MACRO below(a, b) AS coalesce(a < b - {TOLERANCE} * abs(b), false);
"""
OF_DAY: Final = "PARTITION BY symbol, date ORDER BY timestamp"


def events(files: Sequence[Path], settings: Events) -> pl.DataFrame:
    """Find the raw events of files of bars.

    Args:
        files: Parquet files of `schemas.BARS`: together each symbol and minute once.
        settings: The section `events`.

    Returns:
        `EVENTS.key` of each event, sorted.
    """
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        db.execute(MACROS)
        db.register("days", calendar().select("date", "close_minute").to_arrow())
        found: pl.DataFrame = db.sql(
            query(settings), params={"files": [str(file) for file in files]}
        ).pl()
    return found.cast({"timestamp": BARS.schema["timestamp"]}).sort(EVENTS.key)


def query(settings: Events) -> str:
    """Return the query: bars, their features, the conditions, and the bars that are events."""
    return f"""
WITH labelled AS ({_labelled(settings)}),
first_features AS ({_first_features(settings)}),
features AS ({_features(settings)}),
conditions AS ({_conditions(settings)}),
edges AS ({_EDGES}),
firsts AS ({_FIRSTS})
SELECT symbol, timestamp, unnest(event_types) AS event_type, unnest(directions) AS direction
FROM (SELECT symbol, timestamp, {_LISTS} FROM firsts)
"""


def _labelled(settings: Events) -> str:
    """Bars within sessions, with day, minute and opening range."""
    start = settings.premarket_start.hour * 60 + settings.premarket_start.minute
    t = settings.detectors["opening_range_break"]
    opening = f"minute >= {RTH_OPEN_MINUTE} AND minute < {RTH_OPEN_MINUTE + t.range_minutes}"
    return f"""
    SELECT *, minute - {start} AS minutes_traded,
        minute >= {RTH_OPEN_MINUTE} AND minute < close_minute AS in_rth,
        below(close, open) AS red, above(close, open) AS green,
        (high - low) / open AS bar_range,
        min(low) FILTER ({opening}) OVER day AS or_low,
        max(high) FILTER ({opening}) OVER day AS or_high,
        count(*) FILTER ({opening}) OVER day >= {t.min_bars} AS has_range,
        CASE WHEN minute >= {RTH_OPEN_MINUTE} THEN volume ELSE 0 END AS traded,
        CASE WHEN at_least(vwap, low) AND at_most(vwap, high) THEN vwap
            ELSE (high + low + close) / 3 END AS price
    FROM (
        SELECT *, local::DATE AS date, hour(local) * 60 + minute(local) AS minute
        FROM (
            SELECT *, timestamp AT TIME ZONE '{NEW_YORK}' AS local
            FROM read_parquet($files, hive_partitioning = false)
        )
    ) JOIN days USING (date)
    WHERE minute >= {start} AND minute < close_minute + {settings.hours_after_close * 60}
    WINDOW day AS (PARTITION BY symbol, date)"""


def _first_features(settings: Events) -> str:
    """Features that need no other: sums, extremes, closes of before, numbers of runs."""
    features, t = settings.features, settings.detectors
    momentum = t["price_momentum"]
    consolidation, flush = t["consolidation_break"], t["flush"]
    return f"""
    SELECT *,
        coalesce(sum(volume) OVER baseline, 0) AS volume_before,
        coalesce(sum(transactions) OVER baseline, 0) AS transactions_before,
        coalesce(bool_or(transactions IS NULL) OVER baseline, false) AS transactions_missing,
        sum(price * traded) OVER so_far / nullif(sum(traded) OVER so_far, 0) AS vwap_rth,
        max(high) OVER so_far AS day_high,
        lag(close) OVER day AS close_before,
        lag(volume) OVER day AS volume_of_last,
        count(*) OVER base AS base_bars,
        max(high) OVER base - min(low) OVER base AS base_height,
        median(bar_range) OVER base AS atr_base,
        last_value(close) OVER recent AS close_recent,
        last_value(close) OVER earlier AS close_earlier,
        max(high) OVER momentum AS momentum_high,
        min(low) OVER momentum AS momentum_low,
        max(high) OVER extreme AS extreme_high,
        min(low) OVER extreme AS extreme_low,
        greatest(high, max(high) OVER falling) AS peak,
        sum((NOT red)::INT) OVER so_far AS red_run_id
    FROM labelled
    WINDOW day AS ({OF_DAY}),
        so_far AS ({OF_DAY} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
        baseline AS ({_window(features.baseline_minutes)}),
        base AS ({_window(features.base_minutes)}),
        recent AS ({_as_of(momentum.change_minutes)}),
        earlier AS ({_as_of(2 * momentum.change_minutes)}),
        momentum AS ({_window(momentum.extreme_minutes)}),
        extreme AS ({_window(consolidation.extreme_minutes)}),
        falling AS ({_window(flush.fall_minutes)})"""


def _features(settings: Events) -> str:
    """Features that need others, and the numbers of the runs above and below VWAP."""
    f = settings.features
    length = f.baseline_minutes
    least = _by_session(f.base_min_bars)
    t = settings.detectors["opening_range_break"]
    return f"""
    SELECT *,
        CASE WHEN minutes_traded > 0 THEN volume / greatest(
            volume_before / least({length}, minutes_traded), {f.baseline_floor_shares}
        ) END AS spike_x,
        CASE WHEN minutes_traded > 0 AND NOT transactions_missing THEN transactions / greatest(
            transactions_before / least({length}, minutes_traded), {f.tape_floor}
        ) END AS tape_x,
        (day_high - close) / day_high AS drop_from_high,
        (peak - close) / peak AS fall,
        close / close_recent - 1 AS change,
        coalesce(close_recent / close_earlier - 1, 0) AS change_before,
        CASE WHEN base_bars >= {least} AND atr_base > 0
            THEN base_height / close_before / (atr_base * sqrt(base_bars)) END AS base_ratio,
        close / vwap_rth - 1 AS vwap_distance,
        above(close, vwap_rth) AS is_above,
        below(close, vwap_rth) AS is_below,
        below(open, vwap_rth) AND at_least(high, vwap_rth) AND below(close, vwap_rth) AS failed,
        sum(red::INT) OVER (
            PARTITION BY symbol, date, red_run_id ORDER BY timestamp ROWS UNBOUNDED PRECEDING
        ) AS run_red,
        sum((NOT above(close, vwap_rth))::INT) OVER so_far AS above_run_id,
        sum((NOT below(close, vwap_rth))::INT) OVER so_far AS below_run_id,
        bool_or(below(close, vwap_rth)) OVER so_far AS lost,
        has_range AND in_rth AND minute >= {RTH_OPEN_MINUTE + t.range_minutes} AS after_range,
        sum((
            has_range AND in_rth AND minute >= {RTH_OPEN_MINUTE + t.range_minutes}
            AND at_least(close, or_low) AND at_most(close, or_high)
        )::INT) OVER so_far AS armed_id
    FROM first_features
    WINDOW so_far AS ({OF_DAY} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"""


def _conditions(settings: Events) -> str:
    """On which bars each rule holds."""
    d = settings.detectors
    spike, vwap, momentum = d["volume_spike"], d["vwap_break"], d["price_momentum"]
    base, opening, tape = d["consolidation_break"], d["opening_range_break"], d["tape_speed"]
    flush = d["flush"]
    failed = f"coalesce(bool_or(failed) OVER ({_window(vwap.failed_reclaim_minutes)}), false)"
    is_spike = f"""at_least(spike_x, {_by_session(spike.spike_x)})
            AND at_least(volume, {_by_session(spike.volume_shares)})
            AND at_least(close * volume, {_by_session(spike.dollar_volume)})
            AND NOT (minute >= {RTH_OPEN_MINUTE}
                AND minute < {RTH_OPEN_MINUTE + spike.skip_after_open_minutes})
            AND NOT (minute >= close_minute
                AND minute < close_minute + {spike.skip_after_close_minutes})"""
    is_base = f"at_most(base_ratio, {base.max_base_ratio}) AND at_least(spike_x, {base.spike_x})"
    breaks_range = f"after_range AND at_least(spike_x, {opening.spike_x})"
    is_fast = f"""coalesce(transactions >= {tape.min_transactions}, false)
            AND at_least(tape_x, {tape.tape_x})"""
    return f"""
    SELECT *,
        {is_spike} AND green AS volume_spike_up,
        {is_spike} AND run_red >= {spike.down_run_red}
            AND at_least(drop_from_high, {spike.down_drop_from_high_pct / 100})
            AS volume_spike_down,
        lost AND is_above AND sum(is_above::INT) OVER above_run
                BETWEEN {vwap.reclaim_first_bar} AND {vwap.reclaim_last_bar}
            AND at_least(vwap_distance, {vwap.reclaim_distance_pct / 100})
            AND at_least(spike_x, {vwap.reclaim_spike_x}) AS reclaims,
        sum(is_below::INT) OVER below_run >= {vwap.rejection_first_bar}
            AND at_most(vwap_distance, {-vwap.rejection_distance_pct / 100})
            AND at_least(spike_x, {vwap.rejection_spike_x})
            AND {failed if vwap.require_failed_reclaim else "true"} AS vwap_break_down,
        at_least(change, {momentum.up_change_pct / 100}) AND above(close, momentum_high)
            AND at_least(spike_x, {momentum.up_spike_x}) AS price_momentum_up,
        at_most(change, {-momentum.down_change_pct / 100}) AND below(close, momentum_low)
            AND at_most(change, {momentum.down_acceleration} * least(change_before, 0))
            AS price_momentum_down,
        {is_base} AND at_least(close, extreme_high * {1 + base.break_pct / 100})
            AS consolidation_break_up,
        {is_base} AND at_most(close, extreme_low * {1 - base.break_pct / 100})
            AS consolidation_break_down,
        {breaks_range} AND at_least(close, or_high * {1 + opening.break_pct / 100}) AS breaks_up,
        {breaks_range} AND at_most(close, or_low * {1 - opening.break_pct / 100}) AS breaks_down,
        {is_fast} AND green AS tape_speed_up,
        {is_fast} AND red AS tape_speed_down,
        at_least(drop_from_high, {flush.drop_from_high_pct / 100})
            AND at_least(fall, {flush.fall_pct / 100}) AND at_least(spike_x, {flush.spike_x})
            AND run_red >= {flush.run_red} AND above(volume, volume_of_last) AS flush_down
    FROM features
    WINDOW above_run AS (
            PARTITION BY symbol, date, above_run_id ORDER BY timestamp ROWS UNBOUNDED PRECEDING),
        below_run AS (
            PARTITION BY symbol, date, below_run_id ORDER BY timestamp ROWS UNBOUNDED PRECEDING)"""


RISING: Final = tuple(
    (event_type, direction)
    for event_type, directions in (
        ("volume_spike", ("up", "down")),
        ("vwap_break", ("down",)),
        ("price_momentum", ("up", "down")),
        ("consolidation_break", ("up", "down")),
        ("tape_speed", ("up", "down")),
        ("flush", ("down",)),
    )
    for direction in directions
)
# Of the others the first in its part of the day is the event: event, condition, number of the part.
ONCE: Final = (
    ("vwap_break", "up", "reclaims", "above_run_id"),
    ("opening_range_break", "up", "breaks_up", "armed_id"),
    ("opening_range_break", "down", "breaks_down", "armed_id"),
)

_EDGES: Final = f"""
    SELECT * REPLACE ({
    ", ".join(
        f"{name} AND NOT coalesce(lag({name}) OVER day, false) AS {name}"
        for name in ("_".join(rule) for rule in RISING)
    )
}) FROM conditions WINDOW day AS ({OF_DAY})"""

_FIRSTS: Final = f"""
    SELECT *, {
    ", ".join(
        f"{condition} AND sum({condition}::INT) OVER (PARTITION BY symbol, date, {part} "
        f"ORDER BY timestamp ROWS UNBOUNDED PRECEDING) = 1 AS {event_type}_{direction}"
        for event_type, direction, condition, part in ONCE
    )
} FROM edges"""


def _list_of(place: int) -> str:
    """Return a list of the event types or directions of a bar's events."""
    rules = (*RISING, *((event_type, direction) for event_type, direction, *_ in ONCE))
    names = ", ".join(f"CASE WHEN {'_'.join(rule)} THEN '{rule[place]}' END" for rule in rules)
    return f"list_filter([{names}], lambda name: name IS NOT NULL)"


_LISTS: Final = f"{_list_of(0)} AS event_types, {_list_of(1)} AS directions"


def _window(minutes: int) -> str:
    """Return W(t, minutes): whole minutes, so [t - minutes, t - 1]."""
    first, last = f"INTERVAL {minutes} MINUTE PRECEDING", "INTERVAL 1 MINUTE PRECEDING"
    return f"{OF_DAY} RANGE BETWEEN {first} AND {last}"


def _as_of(minutes: int) -> str:
    """Return all bars of the day up to some minutes ago."""
    return f"{OF_DAY} RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL {minutes} MINUTE PRECEDING"


def _by_session(threshold: BySession | BarsBySession) -> str:
    return f"CASE WHEN in_rth THEN {threshold.rth} ELSE {threshold.extended} END"
