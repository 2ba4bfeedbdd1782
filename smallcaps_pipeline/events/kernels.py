"""Compiled loops over bars: windows of minutes and running figures of a day.

Belongs here: what a column expression cannot say exactly and fast. A window's sum is added up anew
for every bar, so no error of a large bar stays behind when it has left the window.
Keep out: what a figure is used for (`features`, `detectors`).

All arrays are one row per bar, sorted by symbol, day and minute. `clock` rises by the minute within
a day and by more than a day's minutes from one symbol-day to the next, so that a window never
reaches across. `first` holds each row's first row of its window W(t, m): the window is
[first[i], i), and empty where first[i] == i.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

Array = np.ndarray[Any, Any]


@njit(cache=True)
def window_first(clock: Array, minutes: int) -> Array:
    """Return the first row of W(t, minutes) of each row: the first with clock >= t - minutes."""
    first = np.empty(clock.size, np.int64)
    start = 0
    for i in range(clock.size):
        while clock[start] < clock[i] - minutes:
            start += 1
        first[i] = start
    return first


@njit(cache=True)
def last_row_at(clock: Array, day_start: Array, minutes: int) -> Array:
    """Return the last row of the day with clock <= t - minutes, or -1 where there is none."""
    found = np.empty(clock.size, np.int64)
    after = 0
    for i in range(clock.size):
        while clock[after] <= clock[i] - minutes:
            after += 1
        found[i] = after - 1 if after - 1 >= day_start[i] else -1
    return found


@njit(cache=True)
def window_sum(values: Array, first: Array) -> Array:
    """Return the sum over each row's window; 0 where it is empty."""
    sums = np.empty(values.size, np.float64)
    for i in range(values.size):
        total = 0.0
        for j in range(first[i], i):
            total += values[j]
        sums[i] = total
    return sums


@njit(cache=True)
def window_max(values: Array, first: Array) -> Array:
    """Return the greatest value of each row's window; -inf where it is empty."""
    greatest = np.empty(values.size, np.float64)
    for i in range(values.size):
        best = -np.inf
        for j in range(first[i], i):
            best = max(best, values[j])
        greatest[i] = best
    return greatest


@njit(cache=True)
def window_median(values: Array, first: Array, wanted: Array) -> Array:
    """Return the median of each wanted row's window; nan elsewhere and where it is empty."""
    medians = np.full(values.size, np.nan)
    for i in range(values.size):
        if wanted[i] and first[i] < i:
            medians[i] = np.median(values[first[i] : i])
    return medians


@njit(cache=True)
def running_sum(values: Array, day_start: Array) -> Array:
    """Return the sum of the day's values up to and including each row."""
    sums = np.empty(values.size, np.float64)
    total = 0.0
    for i in range(values.size):
        if day_start[i] == i:
            total = 0.0
        total += values[i]
        sums[i] = total
    return sums


@njit(cache=True)
def running_max(values: Array, day_start: Array) -> Array:
    """Return the greatest of the day's values up to and including each row."""
    greatest = np.empty(values.size, np.float64)
    best = -np.inf
    for i in range(values.size):
        best = values[i] if day_start[i] == i else max(best, values[i])
        greatest[i] = best
    return greatest


@njit(cache=True)
def greedy_windows(series: Array, clock: Array, minutes: int) -> Array:
    """Number the windows of rows: one opens at the first row not yet in one.

    Args:
        series: A number per series; rows of one series stand together, by time.
        clock: Minutes; a window holds the rows less than `minutes` after the row that opened it.
        minutes: Length of a window.
    """
    numbers = np.empty(series.size, np.int64)
    number = -1
    opened = 0
    for i in range(series.size):
        if i == 0 or series[i] != series[i - 1] or clock[i] - opened >= minutes:
            number += 1
            opened = clock[i]
        numbers[i] = number
    return numbers
