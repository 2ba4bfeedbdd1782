"""The rules on the whole frame with pandas: groupby, rolling by time, merge_asof."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from smallcaps_pipeline.schemas import EVENTS
from smallcaps_pipeline.sessions import NEW_YORK, RTH_OPEN_MINUTE, calendar
from smallcaps_pipeline.settings import Events
from smallcaps_pipeline.thresholds import above, at_least, at_most, below

Frame = Any  # pandas.DataFrame; pandas hands out no types of its own
Series = Any  # pandas.Series
Holds = dict[tuple[str, str], Series]  # by event_type and direction: on which bars


def events(files: Sequence[Path], settings: Events) -> pl.DataFrame:
    """Find the raw events of files of bars.

    Args:
        files: Parquet files of `schemas.BARS`: together each symbol and minute once, sorted.
        settings: The section `events`.

    Returns:
        `EVENTS.key` of each event, sorted.
    """
    bars = pd.concat([pd.read_parquet(file, partitioning=None) for file in files])
    bars = add_sessions(bars.reset_index(drop=True), settings)
    bars = add_features(bars, settings)
    rising = {
        **volume_spike(bars, settings),
        **vwap_rejection(bars, settings),
        **price_momentum(bars, settings),
        **consolidation_break(bars, settings),
        **tape_speed(bars, settings),
        **flush(bars, settings),
    }
    found = {key: holds & ~_before(bars, holds, False) for key, holds in rising.items()}
    found |= vwap_reclaim(bars, settings) | opening_range_break(bars, settings)
    rows = [
        bars.loc[holds, ["symbol", "timestamp"]].assign(event_type=event_type, direction=direction)
        for (event_type, direction), holds in found.items()
    ]
    return pl.from_pandas(pd.concat(rows)).sort(EVENTS.key)


def add_sessions(bars: Frame, settings: Events) -> Frame:
    """Return the bars within sessions with their day, minute and whether they lie in RTH."""
    local = bars["timestamp"].dt.tz_convert(NEW_YORK)
    bars["minute"] = local.dt.hour * 60 + local.dt.minute
    bars["date"] = local.dt.tz_localize(None).dt.normalize()
    closes = calendar().select("date", "close_minute").to_pandas().set_index("date")
    bars["close_minute"] = bars["date"].map(closes["close_minute"]).fillna(0)
    start = settings.premarket_start.hour * 60 + settings.premarket_start.minute
    ends = bars["close_minute"] + settings.hours_after_close * 60
    is_inside = (bars["minute"] >= start) & (bars["minute"] < ends) & (bars["close_minute"] > 0)
    bars = bars[is_inside].reset_index(drop=True)
    bars["day"] = bars.groupby(["symbol", "date"], sort=False).ngroup()
    bars["minutes_traded"] = bars["minute"] - start
    bars["in_rth"] = bars["minute"].between(RTH_OPEN_MINUTE, bars["close_minute"], inclusive="left")
    return bars


def add_features(bars: Frame, settings: Events) -> Frame:
    """Return the bars with the figures that several rules ask for."""
    features = settings.features
    day = bars["day"]
    bars["spike_x"] = _multiple(
        bars, "volume", features.baseline_minutes, features.baseline_floor_shares
    )
    bars["red"], bars["green"] = (
        below(bars["close"], bars["open"]),
        above(bars["close"], bars["open"]),
    )
    bars["run_red"] = _run(bars, bars["red"])
    day_high = bars.groupby("day")["high"].cummax()
    bars["drop_from_high"] = (day_high - bars["close"]) / day_high
    trusted = at_least(bars["vwap"], bars["low"]) & at_most(bars["vwap"], bars["high"])
    typical = (bars["high"] + bars["low"] + bars["close"]) / 3
    traded = bars["volume"].where(bars["minute"] >= RTH_OPEN_MINUTE, 0.0)
    shares = traded.groupby(day).cumsum()
    dollars = (bars["vwap"].where(trusted, typical) * traded).groupby(day).cumsum()
    bars["vwap_rth"] = (dollars / shares).where(shares > 0)
    bars["vwap_distance"] = bars["close"] / bars["vwap_rth"] - 1
    bars["is_below"] = below(bars["close"], bars["vwap_rth"])
    bars["is_above"] = above(bars["close"], bars["vwap_rth"])
    return bars


# detectors --------------------------------------------------------------------------------------


def volume_spike(bars: Frame, settings: Events) -> Holds:
    """Say on which bars the conditions of `volume_spike` hold."""
    t = settings.detectors["volume_spike"]
    opened, closed = bars["minute"] - RTH_OPEN_MINUTE, bars["minute"] - bars["close_minute"]
    auction = opened.between(0, t.skip_after_open_minutes, inclusive="left")
    auction |= closed.between(0, t.skip_after_close_minutes, inclusive="left")
    spike = (
        at_least(bars["spike_x"], _by_session(bars, t.spike_x))
        & at_least(bars["volume"], _by_session(bars, t.volume_shares))
        & at_least(bars["close"] * bars["volume"], _by_session(bars, t.dollar_volume))
        & ~auction
    )
    falls = at_least(bars["drop_from_high"], t.down_drop_from_high_pct / 100)
    return {
        ("volume_spike", "up"): spike & bars["green"],
        ("volume_spike", "down"): spike & (bars["run_red"] >= t.down_run_red) & falls,
    }


def vwap_reclaim(bars: Frame, settings: Events) -> Holds:
    """Say which bars are events of `vwap_break` upward: at most one in a run above VWAP."""
    t = settings.detectors["vwap_break"]
    position = _run(bars, bars["is_above"])
    holds = (
        bars["is_below"].groupby(bars["day"]).cummax()
        & position.between(t.reclaim_first_bar, t.reclaim_last_bar)
        & at_least(bars["vwap_distance"], t.reclaim_distance_pct / 100)
        & at_least(bars["spike_x"], t.reclaim_spike_x)
    )
    return {("vwap_break", "up"): _first_of_each(holds, (position == 1).cumsum())}


def vwap_rejection(bars: Frame, settings: Events) -> Holds:
    """Say on which bars the condition of `vwap_break` downward holds."""
    t = settings.detectors["vwap_break"]
    vwap = bars["vwap_rth"]
    failed = below(bars["open"], vwap) & at_least(bars["high"], vwap) & bars["is_below"]
    holds = (
        (_run(bars, bars["is_below"]) >= t.rejection_first_bar)
        & at_most(bars["vwap_distance"], -t.rejection_distance_pct / 100)
        & at_least(bars["spike_x"], t.rejection_spike_x)
    )
    if t.require_failed_reclaim:
        holds &= _window(bars, failed.astype(float), "max", t.failed_reclaim_minutes) == 1
    return {("vwap_break", "down"): holds}


def price_momentum(bars: Frame, settings: Events) -> Holds:
    """Say on which bars the conditions of `price_momentum` hold."""
    t = settings.detectors["price_momentum"]
    recent = _close_ago(bars, t.change_minutes)
    before = _close_ago(bars, 2 * t.change_minutes)
    change = bars["close"] / recent - 1
    previous = (recent / before - 1).fillna(0.0).clip(upper=0.0)
    highest = _window(bars, bars["high"], "max", t.extreme_minutes)
    lowest = _window(bars, bars["low"], "min", t.extreme_minutes)
    return {
        ("price_momentum", "up"): at_least(change, t.up_change_pct / 100)
        & above(bars["close"], highest)
        & at_least(bars["spike_x"], t.up_spike_x),
        ("price_momentum", "down"): at_most(change, -t.down_change_pct / 100)
        & below(bars["close"], lowest)
        & at_most(change, t.down_acceleration * previous),
    }


def consolidation_break(bars: Frame, settings: Events) -> Holds:
    """Say on which bars the conditions of `consolidation_break` hold."""
    t, features = settings.detectors["consolidation_break"], settings.features
    minutes = features.base_minutes
    count = _window(bars, bars["close"], "count", minutes)
    atr = _window(bars, (bars["high"] - bars["low"]) / bars["open"], "median", minutes)
    top, bottom = (
        _window(bars, bars["high"], "max", minutes),
        _window(bars, bars["low"], "min", minutes),
    )
    height = (top - bottom) / _before(bars, bars["close"], np.nan)
    is_known = (count >= _by_session(bars, features.base_min_bars)) & (atr > 0)
    base_ratio = (height / (atr * np.sqrt(count))).where(is_known)
    base = at_most(base_ratio, t.max_base_ratio) & at_least(bars["spike_x"], t.spike_x)
    highest = _window(bars, bars["high"], "max", t.extreme_minutes)
    lowest = _window(bars, bars["low"], "min", t.extreme_minutes)
    beyond = t.break_pct / 100
    return {
        ("consolidation_break", "up"): base & at_least(bars["close"], highest * (1 + beyond)),
        ("consolidation_break", "down"): base & at_most(bars["close"], lowest * (1 - beyond)),
    }


def opening_range_break(bars: Frame, settings: Events) -> Holds:
    """Say which bars are events of `opening_range_break`: armed again by a close in the range."""
    t = settings.detectors["opening_range_break"]
    ends = RTH_OPEN_MINUTE + t.range_minutes
    opening = bars[bars["minute"].between(RTH_OPEN_MINUTE, ends, inclusive="left")]
    ranges = opening.groupby("day").agg(
        low=("low", "min"), high=("high", "max"), bars=("low", "size")
    )
    ranges = ranges[ranges["bars"] >= t.min_bars]
    low, high = bars["day"].map(ranges["low"]), bars["day"].map(ranges["high"])
    close, is_after = bars["close"], bars["in_rth"] & (bars["minute"] >= ends)
    inside = is_after & at_least(close, low) & at_most(close, high)
    part = (inside | (bars["day"] != bars["day"].shift(1))).cumsum()
    fast, beyond = is_after & at_least(bars["spike_x"], t.spike_x), t.break_pct / 100
    up, down = at_least(close, high * (1 + beyond)), at_most(close, low * (1 - beyond))
    return {
        ("opening_range_break", "up"): _first_of_each(fast & up, part),
        ("opening_range_break", "down"): _first_of_each(fast & down, part),
    }


def tape_speed(bars: Frame, settings: Events) -> Holds:
    """Say on which bars the conditions of `tape_speed` hold."""
    t, features = settings.detectors["tape_speed"], settings.features
    tape_x = _multiple(bars, "transactions", features.baseline_minutes, features.tape_floor)
    fast = (bars["transactions"] >= t.min_transactions) & at_least(tape_x, t.tape_x)
    return {
        ("tape_speed", "up"): fast & bars["green"],
        ("tape_speed", "down"): fast & bars["red"],
    }


def flush(bars: Frame, settings: Events) -> Holds:
    """Say on which bars the condition of `flush` holds."""
    t = settings.detectors["flush"]
    peak = np.fmax(_window(bars, bars["high"], "max", t.fall_minutes), bars["high"])
    return {
        ("flush", "down"): at_least(bars["drop_from_high"], t.drop_from_high_pct / 100)
        & at_least((peak - bars["close"]) / peak, t.fall_pct / 100)
        & at_least(bars["spike_x"], t.spike_x)
        & (bars["run_red"] >= t.run_red)
        & above(bars["volume"], _before(bars, bars["volume"], np.nan))
    }


# parts of a rule --------------------------------------------------------------------------------


def _window(bars: Frame, values: Series, how: str, minutes: int) -> Series:
    """Return a figure over W(t, minutes); NaN where the window is empty."""
    frame = pd.DataFrame(
        {"day": bars["day"], "timestamp": bars["timestamp"], "value": values.astype(float)}
    )
    windows = frame.groupby("day", sort=False).rolling(
        f"{minutes}min", on="timestamp", closed="left"
    )
    return pd.Series(getattr(windows["value"], how)().to_numpy(), index=bars.index)


def _multiple(bars: Frame, name: str, minutes: int, floor: float) -> Series:
    """Return values as a multiple of their mean per minute over W(t, minutes)."""
    values = bars[name].astype(float)
    total = _window(bars, values, "sum", minutes).fillna(0.0)
    baseline = total / bars["minutes_traded"].clip(upper=minutes)
    missing = _window(bars, values.isna(), "max", minutes) == 1
    return (values / baseline.clip(lower=floor)).where((bars["minutes_traded"] > 0) & ~missing)


def _run(bars: Frame, holds: Series) -> Series:
    """Return the position in the run of consecutive bars of the day on which something holds."""
    return holds.astype(int).groupby([bars["day"], (~holds).cumsum()], sort=False).cumsum()


def _before(bars: Frame, values: Series, first: Any) -> Series:
    """Return the value of the previous bar of the day."""
    return values.shift(1).where(bars["day"] == bars["day"].shift(1), first).astype(values.dtype)


def _close_ago(bars: Frame, minutes: int) -> Series:
    """Return the close of the day's last bar with timestamp <= t - minutes."""
    closes = bars[["day", "timestamp", "close"]].sort_values("timestamp", kind="stable")
    then = closes[["day"]].assign(timestamp=closes["timestamp"] - pd.Timedelta(minutes=minutes))
    found = pd.merge_asof(then, closes, on="timestamp", by="day")["close"]
    return pd.Series(found.to_numpy(), index=closes.index).sort_index()


def _first_of_each(holds: Series, part: Series) -> Series:
    """Return the first bar of each part on which something holds."""
    return holds & (holds.astype(int).groupby(part).cumsum() == 1)


def _by_session(bars: Frame, threshold: Any) -> Series:
    return np.where(bars["in_rth"], threshold.rth, threshold.extended)
