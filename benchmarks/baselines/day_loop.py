"""The old way: a loop over day files, and on each a chain of eager polars calls per detector.

Written as the scripts of that time were: every detector is a function of its own that takes the
day's bars and adds each column that it needs, one call after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final

import polars as pl

from smallcaps_pipeline.schemas import EVENTS
from smallcaps_pipeline.sessions import NEW_YORK, RTH_OPEN_MINUTE, calendar
from smallcaps_pipeline.settings import Events
from smallcaps_pipeline.thresholds import above, at_least, at_most, below

Chain = Callable[[pl.DataFrame, Events], pl.DataFrame]

OPEN, HIGH, LOW, CLOSE = pl.col("open"), pl.col("high"), pl.col("low"), pl.col("close")
VOLUME, VWAP, TRANSACTIONS = pl.col("volume"), pl.col("vwap_rth"), pl.col("transactions")
MINUTE, IN_RTH, SPIKE_X = pl.col("minute"), pl.col("in_rth"), pl.col("spike_x")


def events(files: Sequence[Path], settings: Events) -> pl.DataFrame:
    """Find the raw events of day files.

    Args:
        files: Parquet files of `schemas.BARS`, one symbol and trading day each, sorted by time.
        settings: The section `events`.

    Returns:
        `EVENTS.key` of each event, sorted.
    """
    found = []
    for file in files:
        day = pl.read_parquet(file, hive_partitioning=False)
        found += [chain(day, settings) for chain in CHAINS]
    return pl.concat(found).sort(EVENTS.key)


# columns that several detectors add -------------------------------------------------------------


@cache
def _closes() -> dict[date, int]:
    return dict(calendar().select("date", "close_minute").iter_rows())


def add_session(day: pl.DataFrame, settings: Events) -> pl.DataFrame:
    """Return the bars within sessions with `minute`, `close_minute` and `in_rth`."""
    local = pl.col("timestamp").dt.convert_time_zone(NEW_YORK)
    day = day.with_columns(minute=local.dt.hour().cast(pl.Int32) * 60 + local.dt.minute())
    close = _closes().get(day.select(local.dt.date()).row(0)[0], 0) if len(day) else 0
    day = day.with_columns(close_minute=pl.lit(close))
    day = day.with_columns(in_rth=(MINUTE >= RTH_OPEN_MINUTE) & (pl.col("close_minute") > MINUTE))
    ends = close + settings.hours_after_close * 60 if close else 0
    return day.filter(_premarket_minute(settings) <= MINUTE, ends > MINUTE)


def add_spike(day: pl.DataFrame, settings: Events) -> pl.DataFrame:
    """Return the bars with `spike_x`."""
    features = settings.features
    minutes = MINUTE - _premarket_minute(settings)
    day = day.with_columns(window=_window(VOLUME, "sum", features.baseline_minutes).fill_null(0))
    day = day.with_columns(
        baseline=pl.col("window") / pl.min_horizontal(features.baseline_minutes, minutes)
    )
    base = pl.max_horizontal("baseline", pl.lit(features.baseline_floor_shares))
    return day.with_columns(spike_x=pl.when(minutes > 0).then(VOLUME / base))


def add_vwap(day: pl.DataFrame) -> pl.DataFrame:
    """Return the bars with `vwap_rth` and `vwap_distance`."""
    vwap = pl.col("vwap")
    day = day.with_columns(
        price=pl.when(at_least(vwap, LOW) & at_most(vwap, HIGH))
        .then(vwap)
        .otherwise((HIGH + LOW + CLOSE) / 3)
    )
    day = day.with_columns(traded=pl.when(MINUTE >= RTH_OPEN_MINUTE).then(VOLUME).otherwise(0.0))
    day = day.with_columns(shares=pl.col("traded").cum_sum())
    day = day.with_columns(dollars=(pl.col("price") * pl.col("traded")).cum_sum())
    day = day.with_columns(
        vwap_rth=pl.when(pl.col("shares") > 0).then(pl.col("dollars") / pl.col("shares"))
    )
    return day.with_columns(vwap_distance=CLOSE / VWAP - 1)


def add_drop_from_high(day: pl.DataFrame) -> pl.DataFrame:
    """Return the bars with `drop_from_high`."""
    day = day.with_columns(day_high=HIGH.cum_max())
    return day.with_columns(drop_from_high=(pl.col("day_high") - CLOSE) / pl.col("day_high"))


def add_run(day: pl.DataFrame, name: str, condition: pl.Expr) -> pl.DataFrame:
    """Return the bars with the position in the run of consecutive bars that fulfil a condition."""
    day = day.with_columns(holds=condition.fill_null(False))
    day = day.with_columns(run=pl.col("holds").rle_id())
    return day.with_columns(
        pl.when("holds").then(pl.int_range(1, pl.len() + 1).over("run")).otherwise(0).alias(name)
    )


def add_close_ago(day: pl.DataFrame, name: str, minutes: int) -> pl.DataFrame:
    """Return the bars with the close as of some minutes ago."""
    closes = day.select("timestamp", CLOSE.alias(name))
    day = day.with_columns(then=pl.col("timestamp") - pl.duration(minutes=minutes))
    day = day.join_asof(
        closes, left_on="then", right_on="timestamp", strategy="backward", coalesce=False
    )
    return day.drop("then", "timestamp_right")


# detectors --------------------------------------------------------------------------------------


def volume_spike(day: pl.DataFrame, settings: Events) -> pl.DataFrame:
    """Return the events of `volume_spike`."""
    t = settings.detectors["volume_spike"]
    day = add_session(day, settings)
    day = add_spike(day, settings)
    day = add_drop_from_high(day)
    day = add_run(day, "run_red", below(CLOSE, OPEN))
    opened, closed = MINUTE - RTH_OPEN_MINUTE, MINUTE - pl.col("close_minute")
    day = day.with_columns(
        auction=((opened >= 0) & (opened < t.skip_after_open_minutes))
        | ((closed >= 0) & (closed < t.skip_after_close_minutes))
    )
    day = day.with_columns(
        spike=at_least(SPIKE_X, _by_session(t.spike_x))
        & at_least(VOLUME, _by_session(t.volume_shares))
        & at_least(CLOSE * VOLUME, _by_session(t.dollar_volume))
        & ~pl.col("auction")
    )
    day = day.with_columns(up=pl.col("spike") & above(CLOSE, OPEN))
    day = day.with_columns(
        down=pl.col("spike")
        & (pl.col("run_red") >= t.down_run_red)
        & at_least(pl.col("drop_from_high"), t.down_drop_from_high_pct / 100)
    )
    return _edges(day, "volume_spike")


def vwap_break(day: pl.DataFrame, settings: Events) -> pl.DataFrame:
    """Return the events of `vwap_break`."""
    t = settings.detectors["vwap_break"]
    day = add_session(day, settings)
    day = add_spike(day, settings)
    day = add_vwap(day)
    day = add_run(day, "run_below", below(CLOSE, VWAP))
    day = day.with_columns(
        failed=(below(OPEN, VWAP) & at_least(HIGH, VWAP) & below(CLOSE, VWAP)).fill_null(False)
    )
    failed = _window(pl.col("failed").cast(pl.Int8), "max", t.failed_reclaim_minutes) == 1
    day = day.with_columns(
        down=(pl.col("run_below") >= t.rejection_first_bar)
        & at_most(pl.col("vwap_distance"), -t.rejection_distance_pct / 100)
        & at_least(SPIKE_X, t.rejection_spike_x)
        & (failed if t.require_failed_reclaim else pl.lit(True))
    )
    day = day.with_columns(lost=below(CLOSE, VWAP).fill_null(False).cum_max())
    day = add_run(day, "run_above", above(CLOSE, VWAP))
    day = day.with_columns(
        reclaims=(
            pl.col("lost")
            & pl.col("run_above").is_between(t.reclaim_first_bar, t.reclaim_last_bar)
            & at_least(pl.col("vwap_distance"), t.reclaim_distance_pct / 100)
            & at_least(SPIKE_X, t.reclaim_spike_x)
        ).fill_null(False)
    )
    day = day.with_columns(up=_first_of_each("reclaims", "run"))
    return pl.concat(
        [_rows(day, "vwap_break", "up", pl.col("up")), _edge(day, "vwap_break", "down")]
    )


def price_momentum(day: pl.DataFrame, settings: Events) -> pl.DataFrame:
    """Return the events of `price_momentum`."""
    t = settings.detectors["price_momentum"]
    day = add_session(day, settings)
    day = add_spike(day, settings)
    day = add_close_ago(day, "recent", t.change_minutes)
    day = add_close_ago(day, "before", 2 * t.change_minutes)
    day = day.with_columns(change=CLOSE / pl.col("recent") - 1)
    day = day.with_columns(previous=(pl.col("recent") / pl.col("before") - 1).fill_null(0.0))
    day = day.with_columns(highest=_window(HIGH, "max", t.extreme_minutes))
    day = day.with_columns(lowest=_window(LOW, "min", t.extreme_minutes))
    change = pl.col("change")
    day = day.with_columns(
        up=at_least(change, t.up_change_pct / 100)
        & above(CLOSE, pl.col("highest"))
        & at_least(SPIKE_X, t.up_spike_x)
    )
    day = day.with_columns(
        down=at_most(change, -t.down_change_pct / 100)
        & below(CLOSE, pl.col("lowest"))
        & at_most(change, t.down_acceleration * pl.min_horizontal("previous", 0.0))
    )
    return _edges(day, "price_momentum")


def consolidation_break(day: pl.DataFrame, settings: Events) -> pl.DataFrame:
    """Return the events of `consolidation_break`."""
    t, features = settings.detectors["consolidation_break"], settings.features
    minutes = features.base_minutes
    day = add_session(day, settings)
    day = add_spike(day, settings)
    day = day.with_columns(range=(HIGH - LOW) / OPEN)
    day = day.with_columns(count=_window(CLOSE.is_not_null().cast(pl.UInt32), "sum", minutes))
    day = day.with_columns(atr_base=_window(pl.col("range"), "median", minutes))
    day = day.with_columns(
        height=(_window(HIGH, "max", minutes) - _window(LOW, "min", minutes)) / CLOSE.shift(1)
    )
    day = day.with_columns(
        base_ratio=pl.when(
            pl.col("count") >= _by_session(features.base_min_bars), pl.col("atr_base") > 0
        ).then(pl.col("height") / (pl.col("atr_base") * pl.col("count").sqrt()))
    )
    day = day.with_columns(highest=_window(HIGH, "max", t.extreme_minutes))
    day = day.with_columns(lowest=_window(LOW, "min", t.extreme_minutes))
    day = day.with_columns(
        base=at_most(pl.col("base_ratio"), t.max_base_ratio) & at_least(SPIKE_X, t.spike_x)
    )
    beyond = t.break_pct / 100
    day = day.with_columns(up=pl.col("base") & at_least(CLOSE, pl.col("highest") * (1 + beyond)))
    day = day.with_columns(down=pl.col("base") & at_most(CLOSE, pl.col("lowest") * (1 - beyond)))
    return _edges(day, "consolidation_break")


def opening_range_break(day: pl.DataFrame, settings: Events) -> pl.DataFrame:
    """Return the events of `opening_range_break`."""
    t = settings.detectors["opening_range_break"]
    day = add_session(day, settings)
    day = add_spike(day, settings)
    ends = RTH_OPEN_MINUTE + t.range_minutes
    opening = day.filter(MINUTE >= RTH_OPEN_MINUTE, ends > MINUTE)
    if len(opening) < t.min_bars:
        return _rows(day, "opening_range_break", "up", pl.lit(False))
    low, high = opening.select(LOW.min(), HIGH.max()).row(0)
    day = day.filter(IN_RTH, ends <= MINUTE)
    day = day.with_columns(armed=(at_least(CLOSE, low) & at_most(CLOSE, high)).cum_sum())
    beyond, fast = t.break_pct / 100, at_least(SPIKE_X, t.spike_x)
    day = day.with_columns(breaks_up=at_least(CLOSE, high * (1 + beyond)) & fast)
    day = day.with_columns(breaks_down=at_most(CLOSE, low * (1 - beyond)) & fast)
    up, down = _first_of_each("breaks_up", "armed"), _first_of_each("breaks_down", "armed")
    return pl.concat(
        [
            _rows(day, "opening_range_break", "up", up),
            _rows(day, "opening_range_break", "down", down),
        ]
    )


def tape_speed(day: pl.DataFrame, settings: Events) -> pl.DataFrame:
    """Return the events of `tape_speed`."""
    t, features = settings.detectors["tape_speed"], settings.features
    day = add_session(day, settings)
    minutes = MINUTE - _premarket_minute(settings)
    length = features.baseline_minutes
    day = day.with_columns(missing=TRANSACTIONS.is_null().cast(pl.Int32))
    day = day.with_columns(missing=_window(pl.col("missing"), "sum", length).fill_null(0))
    day = day.with_columns(window=_window(TRANSACTIONS, "sum", length).fill_null(0))
    day = day.with_columns(baseline=pl.col("window") / pl.min_horizontal(length, minutes))
    base = pl.max_horizontal("baseline", pl.lit(features.tape_floor))
    is_known = (minutes > 0) & (pl.col("missing") == 0)
    day = day.with_columns(tape_x=pl.when(is_known).then(TRANSACTIONS / base))
    day = day.with_columns(
        fast=(t.min_transactions <= TRANSACTIONS) & at_least(pl.col("tape_x"), t.tape_x)
    )
    day = day.with_columns(up=pl.col("fast") & above(CLOSE, OPEN))
    day = day.with_columns(down=pl.col("fast") & below(CLOSE, OPEN))
    return _edges(day, "tape_speed")


def flush(day: pl.DataFrame, settings: Events) -> pl.DataFrame:
    """Return the events of `flush`."""
    t = settings.detectors["flush"]
    day = add_session(day, settings)
    day = add_spike(day, settings)
    day = add_drop_from_high(day)
    day = add_run(day, "run_red", below(CLOSE, OPEN))
    day = day.with_columns(window=_window(HIGH, "max", t.fall_minutes))
    day = day.with_columns(peak=pl.max_horizontal("window", "high"))
    day = day.with_columns(fall=(pl.col("peak") - CLOSE) / pl.col("peak"))
    day = day.with_columns(
        down=at_least(pl.col("drop_from_high"), t.drop_from_high_pct / 100)
        & at_least(pl.col("fall"), t.fall_pct / 100)
        & at_least(SPIKE_X, t.spike_x)
        & (pl.col("run_red") >= t.run_red)
        & above(VOLUME, VOLUME.shift(1))
    )
    return _edge(day, "flush", "down")


CHAINS: Final[tuple[Chain, ...]] = (
    volume_spike,
    vwap_break,
    price_momentum,
    consolidation_break,
    opening_range_break,
    tape_speed,
    flush,
)


# parts of a chain -------------------------------------------------------------------------------


def _window(values: pl.Expr, how: str, minutes: int) -> pl.Expr:
    """Return a figure over W(t, minutes); null where the window is empty."""
    rolling = getattr(values, f"rolling_{how}_by")
    found: pl.Expr = rolling("timestamp", f"{minutes}m", closed="left")
    return found


def _by_session(threshold: Any) -> pl.Expr:
    return pl.when(IN_RTH).then(threshold.rth).otherwise(threshold.extended)


def _premarket_minute(settings: Events) -> int:
    return settings.premarket_start.hour * 60 + settings.premarket_start.minute


def _first_of_each(condition: str, part: str) -> pl.Expr:
    """Return the first bar of each part of the day on which a condition holds."""
    return pl.col(condition) & (pl.col(condition).cum_sum().over(part) == 1)


def _edges(day: pl.DataFrame, event_type: str) -> pl.DataFrame:
    return pl.concat([_edge(day, event_type, "up"), _edge(day, event_type, "down")])


def _edge(day: pl.DataFrame, event_type: str, direction: str) -> pl.DataFrame:
    """Return the bars on which a condition (the direction's column) becomes true."""
    day = day.with_columns(pl.col(direction).fill_null(False))
    held = pl.col(direction).shift(1, fill_value=False)
    return _rows(day, event_type, direction, pl.col(direction) & ~held)


def _rows(day: pl.DataFrame, event_type: str, direction: str, which: pl.Expr) -> pl.DataFrame:
    return day.filter(which).select(
        "symbol",
        "timestamp",
        event_type=pl.lit(event_type),
        direction=pl.lit(direction),
    )
