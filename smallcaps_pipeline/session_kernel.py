"""The compiled loop that finds the trading day and session of instants, for `sessions` alone."""

from __future__ import annotations

from typing import Final

import numpy as np

from smallcaps_pipeline.compiled import Array, compiled

US_PER_MINUTE: Final = 60_000_000
DAY_MINUTES: Final = 1440
SWITCH_MINUTE: Final = 120  # New York clocks change at 02:00
NO_SESSION: Final = -1
PM_CODE, RTH_CODE, AH_CODE = 0, 1, 2


@compiled
def label(
    instants: Array,
    midnights: Array,
    closes: Array,
    pm_minute: int,
    rth_minute: int,
    ah_minutes: int,
    days: Array,
    clock: Array,
    session: Array,
) -> bool:
    """Find the day, wall-clock minute and session of instants.

    Args:
        instants: Microseconds since the epoch, in any order; fastest in time order.
        midnights: Minutes since the epoch at which each day of the calendar begins in New York,
            rising, and the end of the last one.
        closes: Wall-clock minute at which RTH ends on each day; 0 where the exchange is closed.
        pm_minute: Wall-clock minute at which PM begins.
        rth_minute: Wall-clock minute at which RTH begins.
        ah_minutes: Length of AH.
        days: Filled in: number of the day.
        clock: Filled in: minute after New York midnight, by the clock.
        session: Filled in: code of the session, `NO_SESSION` for none.

    Returns:
        Whether all instants lie within the calendar; if not, the rest is not filled in.
    """
    day = 0
    for i in range(instants.size):
        instant = instants[i] // US_PER_MINUTE
        if not midnights[day] <= instant < midnights[day + 1]:
            day = np.searchsorted(midnights, instant, side="right") - 1
            if not 0 <= day < closes.size:
                return False
        minute = instant - midnights[day]
        if minute >= SWITCH_MINUTE:  # on the two days a year that are an hour shorter or longer
            minute += DAY_MINUTES - (midnights[day + 1] - midnights[day])
        close = closes[day]
        days[i], clock[i], session[i] = day, minute, NO_SESSION
        if close and pm_minute <= minute:
            if minute < min(rth_minute, close):
                session[i] = PM_CODE
            elif minute < close:
                session[i] = RTH_CODE
            elif minute < close + ah_minutes:
                session[i] = AH_CODE
    return True
