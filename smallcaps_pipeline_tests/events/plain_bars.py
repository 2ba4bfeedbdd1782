"""The part of the plain reference that turns bars into days: comparisons, cleaning, sessions.

Written from the specification alone, as `plain` is, and used by it.
"""

from __future__ import annotations

import math
from datetime import date, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import exchange_calendars

NEW_YORK = ZoneInfo("America/New_York")
CALENDAR = exchange_calendars.get_calendar("XNYS", start="2003-01-01", end="2035-12-31")
Bar = dict[str, Any]
EPS = 1e-9


def ge(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and a >= b - EPS * abs(b)


def le(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and a <= b + EPS * abs(b)


def gt(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and a > b + EPS * abs(b)


def lt(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and a < b - EPS * abs(b)


# bars -----------------------------------------------------------------------------------------


def clean(bars: list[Bar]) -> list[Bar]:
    best: dict[tuple[str, datetime], Bar] = {}
    for bar in bars:
        prices = [bar[name] for name in ("open", "high", "low", "close")]
        if any(x is None or not math.isfinite(x) for x in [*prices, bar["volume"]]):
            continue
        low_ok = le(bar["low"], min(bar["open"], bar["close"]))
        high_ok = le(max(bar["open"], bar["close"]), bar["high"])
        if min(prices) <= 0 or not low_ok or not high_ok or bar["volume"] < 0:
            continue
        if bar["timestamp"].second or bar["timestamp"].microsecond:
            continue
        key = (bar["symbol"], bar["timestamp"])
        if key not in best or preference(bar) > preference(best[key]):
            best[key] = bar
    return [best[key] for key in sorted(best)]


def preference(bar: Bar) -> tuple[float, ...]:
    n, vwap = bar["transactions"], good_vwap(bar)
    return (
        bar["volume"],
        -1 if n is None else n,
        bar["high"],
        bar["low"],
        bar["close"],
        bar["open"],
        -1 if vwap is None else vwap,
    )


def good_vwap(bar: Bar) -> float | None:
    vwap: float | None = bar["vwap"]
    if vwap is None or not math.isfinite(vwap):
        return None
    return vwap if ge(vwap, bar["low"]) and le(vwap, bar["high"]) else None


@cache
def closing_minute(day: date) -> int | None:
    """Return the minute of the New York day at which RTH ends; None where the exchange is shut."""
    if not CALENDAR.is_session(str(day)):
        return None
    close = CALENDAR.session_close(str(day)).tz_convert(NEW_YORK)
    return int(close.hour * 60 + close.minute)


def split_days(bars: list[Bar]) -> dict[tuple[str, date], list[Bar]]:
    """Label bars with their session; leave out those that belong to none."""
    days: dict[tuple[str, date], list[Bar]] = {}
    for bar in bars:
        local = bar["timestamp"].astimezone(NEW_YORK)
        minute, close_minute = local.hour * 60 + local.minute, closing_minute(local.date())
        if close_minute is None:
            continue
        if 240 <= minute < 570:
            session = "PM"
        elif 570 <= minute < close_minute:
            session = "RTH"
        elif close_minute <= minute < close_minute + 240:
            session = "AH"
        else:
            continue
        labels = {"session": session, "minute": minute, "close_minute": close_minute}
        key = (bar["symbol"], local.date())
        days.setdefault(key, []).append({**bar, **labels, "date": local.date().isoformat()})
    return days
