"""Features of a bar (SPEC §2): what is known when its minute is over.

Belongs here: every figure that a rule may ask for; what makes an event is not (`detectors`).

All functions are compiled and take `(b, i, ...)`: the bars of any symbols and days as arrays, and
the row of the bar in question. Figures that every bar needs are filled in once (`fill`), in one
pass; all others are computed when a rule asks for them, which few bars make it do. Undefined is
NaN: any comparison with it is false.

W(t, m) is the set of bars of the same symbol and trading day with t - m min <= timestamp < t, the
bar itself never among them. Nothing looks past t, nothing looks across trading days. A window is
added up anew for every bar, so no error of a large bar stays behind when it has left the window.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np

from smallcaps_pipeline.compiled import Array, above, at_least, at_most, below, compiled
from smallcaps_pipeline.events.records import Record
from smallcaps_pipeline.session_kernel import RTH_CODE
from smallcaps_pipeline.sessions import RTH_OPEN_MINUTE

UNDEFINED: Final = math.nan


class Bars(NamedTuple):
    """Clean bars within sessions, sorted by symbol and time: an array per column, a row per bar.

    Attributes:
        day_start: Row of the first bar of the symbol and trading day.
        minute: Minutes after New York midnight.
        close_minute: Minute at which RTH of the day ends.
        session: Code of PM, RTH or AH (`sessions`).
        open, high, low, close: USD.
        volume: Shares.
        vwap: USD as the provider gives it; NaN where not given.
        transactions: Trades; NaN where not given.
        premarket_minute: Minute after New York midnight at which the premarket begins.
        settings: One record that holds the section `features` of the settings.
        scratch: Room for the ranges of a base's bars.
        rth_start: Filled in: row of the day's first bar from 09:30 on; -1 before there is one.
        spike_x: Filled in: volume / max(baseline, floor); undefined as the premarket begins.
        day_high: Filled in: highest high of the day up to and including the bar.
        dollar_volume_so_far: Filled in: sum of close x volume of the day, the bar included.
        vwap_rth: Filled in: VWAP from 09:30; undefined before and while no share has traded.
    """

    day_start: Array
    minute: Array
    close_minute: Array
    session: Array
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    vwap: Array
    transactions: Array
    premarket_minute: int
    settings: Record
    scratch: Array
    rth_start: Array
    spike_x: Array
    day_high: Array
    dollar_volume_so_far: Array
    vwap_rth: Array


# on every bar ---------------------------------------------------------------------------------


@compiled
def fill(b: Bars) -> int:
    """Fill in the figures of every bar; return how many have a vwap that is not within the bar."""
    settings = b.settings[0].features
    first = vwap_outside = 0
    for i in range(b.minute.size):
        if b.day_start[i] == i:
            high, so_far, shares, dollars, rth_start = -np.inf, 0.0, 0.0, 0.0, -1
            first = i
        while b.minute[first] < b.minute[i] - settings.baseline_minutes:
            first += 1
        b.spike_x[i] = b.volume[i] / _baseline(
            b.volume, first, i, _minutes_traded(b, i), settings.baseline_floor_shares
        )
        high = max(high, b.high[i])
        so_far += dollar_volume(b, i)
        if b.minute[i] >= RTH_OPEN_MINUTE:
            if rth_start < 0:
                rth_start = i
            shares += b.volume[i]
            dollars += _price(b, i) * b.volume[i]
        b.rth_start[i] = rth_start
        b.day_high[i] = high
        b.dollar_volume_so_far[i] = so_far
        b.vwap_rth[i] = dollars / shares if shares > 0 else UNDEFINED
        vwap_outside += not np.isnan(b.vwap[i]) and not _is_within(b, i, b.vwap[i])
    return vwap_outside


@compiled
def _baseline(values: Array, first: int, i: int, minutes: int, floor: float) -> float:
    """Return the mean of rows [first, i) per minute, at least `floor`; undefined for no minute."""
    if minutes == 0:
        return UNDEFINED
    total = 0.0
    for row in range(first, i):
        total += values[row]
    mean = total / minutes
    return floor if mean < floor else mean  # undefined stays undefined


@compiled
def _minutes_traded(b: Bars, i: int) -> int:
    """Return the minutes of the baseline that lie after the premarket's start."""
    return min(b.settings[0].features.baseline_minutes, b.minute[i] - b.premarket_minute)


@compiled
def _price(b: Bars, i: int) -> float:
    """Return the bar's vwap where it is given and within the bar, else its typical price."""
    if _is_within(b, i, b.vwap[i]):
        return b.vwap[i]
    return (b.high[i] + b.low[i] + b.close[i]) / 3


@compiled
def _is_within(b: Bars, i: int, price: float) -> bool:
    return at_least(price, b.low[i]) and at_most(price, b.high[i])


# of the bar itself ----------------------------------------------------------------------------


@compiled
def dollar_volume(b: Bars, i: int) -> float:
    """Return close x volume, USD."""
    return b.close[i] * b.volume[i]


@compiled
def is_green(b: Bars, i: int) -> bool:
    """Say whether the bar closed above its open."""
    return above(b.close[i], b.open[i])


@compiled
def is_red(b: Bars, i: int) -> bool:
    """Say whether the bar closed below its open."""
    return below(b.close[i], b.open[i])


@compiled
def in_rth(b: Bars, i: int) -> bool:
    """Say whether the bar lies in regular hours."""
    return b.session[i] == RTH_CODE


@compiled
def by_session(b: Bars, i: int, threshold: Any) -> float:
    """Return the threshold that holds in the bar's session."""
    return threshold.rth if in_rth(b, i) else threshold.extended


@compiled
def drop_from_high(b: Bars, i: int) -> float:
    """Return how far the close lies below the day's high, as a share of it."""
    return (b.day_high[i] - b.close[i]) / b.day_high[i]


@compiled
def vwap_distance(b: Bars, i: int) -> float:
    """Return close / vwap_rth - 1."""
    return b.close[i] / b.vwap_rth[i] - 1


@compiled
def closed_above_vwap(b: Bars, i: int) -> bool:
    """Say whether the bar closed above vwap_rth; equal within the tolerance is neither."""
    return above(b.close[i], b.vwap_rth[i])


@compiled
def closed_below_vwap(b: Bars, i: int) -> bool:
    """Say whether the bar closed below vwap_rth."""
    return below(b.close[i], b.vwap_rth[i])


# of runs of bars ------------------------------------------------------------------------------


@compiled
def run_green(b: Bars, i: int) -> int:
    """Return how many consecutive bars of the day, this one the last, are green."""
    row = i
    while row >= b.day_start[i] and is_green(b, row):
        row -= 1
    return i - row


@compiled
def run_red(b: Bars, i: int) -> int:
    """Return how many consecutive bars of the day, this one the last, are red."""
    row = i
    while row >= b.day_start[i] and is_red(b, row):
        row -= 1
    return i - row


@compiled
def run_above_vwap(b: Bars, i: int, most: int) -> int:
    """Return the bar's position in its run of closes above vwap_rth; counted up to `most`."""
    row = i
    while row >= b.day_start[i] and i - row < most and closed_above_vwap(b, row):
        row -= 1
    return i - row


@compiled
def run_below_vwap(b: Bars, i: int, most: int) -> int:
    """Return the bar's position in its run of closes below vwap_rth; counted up to `most`."""
    row = i
    while row >= b.day_start[i] and i - row < most and closed_below_vwap(b, row):
        row -= 1
    return i - row


@compiled
def was_below_vwap(b: Bars, i: int) -> bool:
    """Say whether an earlier bar of the day closed below vwap_rth."""
    row = i - 1
    while row >= b.day_start[i] and not closed_below_vwap(b, row):
        row -= 1
    return row >= b.day_start[i]


# of windows of minutes ------------------------------------------------------------------------


@compiled
def window_first(b: Bars, i: int, minutes: int) -> int:
    """Return the first row of W(t, minutes): the window is [first, i), empty where first == i."""
    first = i
    while first > b.day_start[i] and b.minute[first - 1] >= b.minute[i] - minutes:
        first -= 1
    return first


@compiled
def window_high(b: Bars, i: int, minutes: int) -> float:
    """Return the highest high over W(t, minutes); undefined where the window is empty."""
    first = window_first(b, i, minutes)
    return highest(b.high, first, i)


@compiled
def window_low(b: Bars, i: int, minutes: int) -> float:
    """Return the lowest low over W(t, minutes); undefined where the window is empty."""
    first = window_first(b, i, minutes)
    return lowest(b.low, first, i)


@compiled
def breaks_above(b: Bars, i: int, minutes: int, times: float) -> bool:
    """Say whether close >= `times` x the highest high over W(t, minutes), which is not empty.

    Asked bar after bar, the latest first: most bars are answered by the one before them.
    """
    row = i - 1
    while row >= b.day_start[i] and b.minute[row] >= b.minute[i] - minutes:
        if not at_least(b.close[i], b.high[row] * times):
            return False
        row -= 1
    return row < i - 1


@compiled
def breaks_below(b: Bars, i: int, minutes: int, times: float) -> bool:
    """Say whether close <= `times` x the lowest low over W(t, minutes), which is not empty."""
    row = i - 1
    while row >= b.day_start[i] and b.minute[row] >= b.minute[i] - minutes:
        if not at_most(b.close[i], b.low[row] * times):
            return False
        row -= 1
    return row < i - 1


@compiled
def highest(values: Array, first: int, end: int) -> float:
    """Return the greatest value of the rows [first, end); undefined where there is none."""
    if first >= end:
        return UNDEFINED
    found = values[first]
    for row in range(first + 1, end):
        found = max(found, values[row])
    return found


@compiled
def lowest(values: Array, first: int, end: int) -> float:
    """Return the smallest value of the rows [first, end); undefined where there is none."""
    if first >= end:
        return UNDEFINED
    found = values[first]
    for row in range(first + 1, end):
        found = min(found, values[row])
    return found


@compiled
def close_ago(b: Bars, i: int, minutes: int) -> float:
    """Return the close of the day's last bar with timestamp <= t - minutes; undefined if none."""
    row = i
    while row >= b.day_start[i] and b.minute[row] > b.minute[i] - minutes:
        row -= 1
    return b.close[row] if row >= b.day_start[i] else UNDEFINED


@compiled
def change(b: Bars, i: int, minutes: int) -> float:
    """Return close / close as of t - minutes - 1."""
    return b.close[i] / close_ago(b, i, minutes) - 1


@compiled
def tape_x(b: Bars, i: int) -> float:
    """Return transactions / max(baseline, floor), built like spike_x.

    Undefined also where transactions is not given, on the bar or anywhere in the window.
    """
    settings = b.settings[0].features
    first = window_first(b, i, settings.baseline_minutes)
    minutes = _minutes_traded(b, i)
    return b.transactions[i] / _baseline(b.transactions, first, i, minutes, settings.tape_floor)


@compiled
def base_ratio(b: Bars, i: int) -> float:
    """Return the height of the base before the bar, scaled by its bars' range (SPEC §2)."""
    settings = b.settings[0].features
    first = window_first(b, i, settings.base_minutes)
    count = i - first
    if count < by_session(b, i, settings.base_min_bars) or count == 0:
        return UNDEFINED
    atr = _median_range(b, first, i)
    if atr == 0:
        return UNDEFINED
    height = (highest(b.high, first, i) - lowest(b.low, first, i)) / b.close[i - 1]
    return height / (atr * math.sqrt(count))


@compiled
def opening_range(b: Bars, i: int, minutes: int, least: int) -> tuple[float, float]:
    """Return low and high of the day's bars in the first minutes of RTH, once these are over.

    Undefined before, and where there are fewer bars than `least`.
    """
    first, end = b.rth_start[i], RTH_OPEN_MINUTE + minutes
    if first < 0 or b.minute[i] < end:
        return UNDEFINED, UNDEFINED
    low, high, row = np.inf, -np.inf, first
    while row < i and b.minute[row] < end:
        low, high = min(low, b.low[row]), max(high, b.high[row])
        row += 1
    return (low, high) if row - first >= least else (UNDEFINED, UNDEFINED)


@compiled
def _median_range(b: Bars, first: int, end: int) -> float:
    """Return the median of (high - low) / open over the rows [first, end), at least one."""
    count = end - first
    ranges = b.scratch
    for at in range(count):
        value = (b.high[first + at] - b.low[first + at]) / b.open[first + at]
        place = at
        while place > 0 and ranges[place - 1] > value:
            ranges[place] = ranges[place - 1]
            place -= 1
        ranges[place] = value
    middle = count // 2
    return ranges[middle] if count % 2 else (ranges[middle - 1] + ranges[middle]) / 2
