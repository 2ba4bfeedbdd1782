"""What makes a single 1-minute bar impossible (SPEC §1), and the loop that applies it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import numpy as np

from smallcaps_pipeline.compiled import Array, at_most, compiled


class Reason(StrEnum):
    """Why a bar was set aside."""

    NO_SYMBOL = "no symbol"
    NO_TIMESTAMP = "no timestamp"
    NOT_A_WHOLE_MINUTE = "timestamp is not a whole minute"
    NOT_FINITE = "a price or the volume is missing or not finite"
    PRICE_NOT_POSITIVE = "a price is not above zero"
    OUT_OF_ORDER = "low <= open, close <= high does not hold"
    VOLUME_NEGATIVE = "volume is below zero"
    DUPLICATE = "equal copy of another bar of the minute"
    CONFLICT = "differs from the bar of the minute that was kept"


# What `judge` says of a bar: 0, or the place of its first reason among these, from 1.
SOUND: Final = 0
JUDGED: Final = (
    Reason.NOT_A_WHOLE_MINUTE,
    Reason.NOT_FINITE,
    Reason.PRICE_NOT_POSITIVE,
    Reason.OUT_OF_ORDER,
    Reason.VOLUME_NEGATIVE,
)


@compiled
def judge(
    instants: Array,
    unit: int,
    opened: Array,
    high: Array,
    low: Array,
    close: Array,
    volume: Array,
    verdicts: Array,
) -> tuple[bool, bool]:
    """Judge bars, each by itself.

    Args:
        instants: Since the epoch; `unit` of them are a minute.
        unit: See `instants`.
        opened: USD; NaN where missing.
        high: USD; NaN where missing.
        low: USD; NaN where missing.
        close: USD; NaN where missing.
        volume: Shares; NaN where missing.
        verdicts: Filled in: `SOUND`, or the first of `JUDGED` that speaks against the bar.

    Returns:
        Whether all bars are sound, and whether each is later than the one before.
    """
    all_sound = rising = True
    for i in range(instants.size):
        verdict = SOUND
        prices = opened[i] + high[i] + low[i] + close[i]
        if instants[i] % unit:
            verdict = 1
        elif not np.isfinite(prices) or not np.isfinite(volume[i]):
            verdict = 2
        elif min(opened[i], high[i], low[i], close[i]) <= 0:
            verdict = 3
        elif not _in_order(opened[i], high[i], low[i], close[i]):
            verdict = 4
        elif volume[i] < 0:
            verdict = 5
        verdicts[i] = verdict
        all_sound &= verdict == SOUND
        rising &= i == 0 or instants[i] > instants[i - 1]
    return all_sound, rising


@compiled
def _in_order(opened: float, high: float, low: float, close: float) -> bool:
    return (
        at_most(low, min(opened, close))
        and at_most(max(opened, close), high)
        and at_most(low, high)
    )
