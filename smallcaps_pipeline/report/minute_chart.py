"""The minutes of an event: candles, VWAP, opening range, volume, the event and its window.

Belongs here: which rows of the bars a chart shows, and how. VWAP and opening range are those of
the detectors (`events.scan`).
Keep out: the ticks (`tape_chart`), which events are shown (`page`, the review).

Time runs in New York minutes. A minute without a trade is a gap, as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from smallcaps_pipeline.events.detect import in_session
from smallcaps_pipeline.events.scan import with_figures
from smallcaps_pipeline.report import svg
from smallcaps_pipeline.report.svg import Scale
from smallcaps_pipeline.report.text import clock, money, short, words
from smallcaps_pipeline.sessions import (
    NEW_YORK_TZ,
    Session,
    session_bounds,
    trading_day,
)
from smallcaps_pipeline.settings import Settings, load_settings

Row = Mapping[str, Any]
NEAR_MINUTES: Final = 45  # shown before and after the event bar
FAR: Final = 0.6  # a level further off than this share of the bars' range does not squash them
WIDTH, PRICE_HEIGHT, VOLUME_HEIGHT = 720, 322, 96
LEFT, RIGHT, TOP, GAP, BOTTOM = 6, 58, 42, 12, 24
PRICE_BOTTOM: Final = TOP + PRICE_HEIGHT
VOLUME_BOTTOM: Final = PRICE_BOTTOM + GAP + VOLUME_HEIGHT
HEIGHT: Final = VOLUME_BOTTOM + BOTTOM
HALF_LABEL: Final = 18  # pixels of half a time on the axis
NAME_WIDTH: Final = 70  # pixels that a session's name takes


@dataclass(frozen=True)
class Frame:
    """The stretch of a day that a chart shows: New York minutes, both ends included."""

    first: int
    last: int

    @property
    def step(self) -> float:
        """Pixels of a minute."""
        return (WIDTH - LEFT - RIGHT) / (self.last - self.first + 1)

    def x(self, minute: float) -> float:
        """Return the coordinate of a minute's start, at the edge for one beyond it."""
        return LEFT + (min(max(minute, self.first), self.last + 1) - self.first) * self.step


def chart_bars(event: Row, bars: pl.DataFrame, settings: Settings | None = None) -> pl.DataFrame:
    """Return the bars of an event's symbol and trading day with what a chart shows.

    Args:
        event: A row with symbol and date.
        bars: Rows of `schemas.BARS`; those of other symbols and days are left out.
        settings: None takes `load_settings()`.

    Returns:
        The day's bars within sessions, by time, with `minute` (New York minutes after midnight),
        `vwap_rth`, `spike_x`, `or_high`, `or_low` (null before the range is complete).
    """
    rules = (settings or load_settings()).events
    day = trading_day(pl.col("timestamp")).dt.strftime("%Y-%m-%d")
    of_day = bars.filter((pl.col("symbol") == event["symbol"]) & (day == event["date"]))
    return with_figures(*in_session(of_day.sort("timestamp"), rules), rules)


def minute_chart(
    event: Row,
    day: pl.DataFrame,
    *,
    whole_day: bool = False,
    events: pl.DataFrame | None = None,
) -> str:
    """Draw an event among its minutes as SVG.

    Args:
        event: A row of `schemas.MANIFEST`.
        day: What `chart_bars` gave.
        whole_day: All of the day's bars instead of those near the event.
        events: Rows of `schemas.EVENTS`; the others of the event's symbol and day are marked.
    """
    frame = _frame(event, day, whole_day=whole_day)
    shown = day.filter(pl.col("minute").is_between(frame.first, frame.last))
    price = Scale(*_price_range(shown), PRICE_BOTTOM, TOP)
    most = max([float(v) for v in shown["volume"]], default=0.0) * 1.08 or 1.0
    volume = Scale(0, most, VOLUME_BOTTOM, PRICE_BOTTOM + GAP)
    parts = [
        *_sessions(event, frame),
        *_axes(price, volume, frame, is_empty=shown.is_empty()),
        _event_band(event, frame),
        *_levels(shown, price, frame),
        *_candles(shown, price, volume, frame),
        *_marks(event, price, frame),
        *(others := _others(event, events, frame)),
        *_legend(shown, has_others=bool(others)),
    ]
    title = f"{event['symbol']} {words(event['event_type'])} {event['direction']}, {event['date']}"
    data = (
        f' data-first="{frame.first}" data-step="{frame.step:.4f}" data-left="{LEFT}"'
        f' data-top="{TOP}" data-bottom="{VOLUME_BOTTOM}"'
    )
    return svg.drawing(parts, WIDTH, HEIGHT, f"Minutes of {title}", data)


def minute_of(instant: datetime) -> int:
    """Return New York minutes after midnight."""
    local = instant.astimezone(NEW_YORK_TZ)
    return local.hour * 60 + local.minute


def _frame(event: Row, day: pl.DataFrame, *, whole_day: bool) -> Frame:
    at = minute_of(event["timestamp"])
    if whole_day and not day.is_empty():
        minutes = day["minute"].to_list()
        return Frame(min(*minutes, at) - 2, max(*minutes, at) + 2)
    return Frame(at - NEAR_MINUTES, at + NEAR_MINUTES)


def _price_range(shown: pl.DataFrame) -> tuple[float, float]:
    """Return the range of the bars, with levels that lie near enough."""
    if shown.is_empty():
        return 0.0, 1.0
    low, high = float(shown["low"].to_numpy().min()), float(shown["high"].to_numpy().max())
    reach = max(high - low, high * 0.002) * FAR
    levels = [
        level
        for name in ("vwap_rth", "or_high", "or_low")
        for level in shown[name].drop_nulls()
        if low - reach <= level <= high + reach
    ]
    return svg.padded([low, high, *levels])


def _sessions(event: Row, frame: Frame) -> list[str]:
    """Shade what is not regular hours, and name it."""
    bounds = session_bounds(datetime.strptime(event["date"], "%Y-%m-%d").date())  # noqa: DTZ007
    parts = []
    for session, name in ((Session.PM, "premarket"), (Session.AH, "after-hours")):
        start, end = (minute_of(instant) for instant in bounds[session])
        left, right = frame.x(start), frame.x(end)
        if right - left >= 1:
            parts.append(svg.box(left, TOP, right - left, VOLUME_BOTTOM - TOP, "ext"))
        if right - left > NAME_WIDTH:
            parts.append(svg.words(name, left + 6, PRICE_BOTTOM - 6, "t faint"))
    return parts


def _axes(price: Scale, volume: Scale, frame: Frame, *, is_empty: bool) -> list[str]:
    right = WIDTH - RIGHT
    parts = []
    if is_empty:
        parts.append(svg.words("no bars", WIDTH / 2, TOP + 40, "t faint", "middle"))
    for value in [] if is_empty else price.ticks(6):
        y = price(value)
        parts += [svg.rule(y, LEFT, right), svg.words(money(value), right + 6, y + 4)]
    for value in [] if is_empty else volume.ticks(2)[1:]:
        y = volume(value)
        parts += [svg.rule(y, LEFT, right), svg.words(short(value), right + 6, y + 4)]
    parts.append(svg.rule(VOLUME_BOTTOM, LEFT, right, "axis"))
    every = next(m for m in (15, 30, 60, 120) if m * frame.step >= 58 or m == 120)
    first = -(-frame.first // every) * every
    for minute in range(first, frame.last + 1, every):
        x = frame.x(minute)
        parts.append(svg.strokes([(x, TOP, VOLUME_BOTTOM)], "grid"))
        if x >= HALF_LABEL:
            parts.append(svg.words(clock(minute), x, HEIGHT - 7, "t", "middle"))
    return parts


def _event_band(event: Row, frame: Frame) -> str:
    """Mark the event bar through both panels."""
    left = frame.x(minute_of(event["timestamp"]))
    return svg.box(left, TOP, max(frame.step, 2), VOLUME_BOTTOM - TOP, "eventband")


def _levels(shown: pl.DataFrame, price: Scale, frame: Frame) -> list[str]:
    """Draw VWAP, and the opening range where it is within the picture."""
    parts = [
        svg.line(
            (
                (frame.x(minute + 0.5), price(level))
                if level is not None and price.low <= level <= price.high
                else None
                for minute, level in shown.select("minute", name).rows()
            ),
            kind,
        )
        for name, kind in (("or_high", "range"), ("or_low", "range"), ("vwap_rth", "vwap"))
    ]
    return [part for part in parts if part]


def _candles(shown: pl.DataFrame, price: Scale, volume: Scale, frame: Frame) -> list[str]:
    parts = []
    width = max(frame.step * 0.68, 0.8)
    up = pl.col("close") >= pl.col("open")
    for kind, rows in (("up", shown.filter(up)), ("down", shown.filter(~up))):
        columns = rows.select("minute", "open", "high", "low", "close", "volume").rows()
        wicks, bodies, volumes = [], [], []
        for minute, open_, high, low, close, shares in columns:
            x = frame.x(minute + 0.5)
            top, bottom = price(max(open_, close)), price(min(open_, close))
            wicks.append((x, price(high), price(low)))
            bodies.append((x - width / 2, top, width, max(bottom - top, 1.0)))
            y = volume(float(shares))
            volumes.append((x - width / 2, y, width, VOLUME_BOTTOM - y))
        parts += [
            svg.strokes(wicks, f"wick {kind}"),
            svg.boxes(bodies, f"body {kind}"),
            svg.boxes(volumes, f"vol {kind}"),
        ]
    return parts


def _marks(event: Row, price: Scale, frame: Frame) -> list[str]:
    """Point at the event bar, and show the window that is fetched."""
    start, end = event["window_start"], event["window_end"]
    left = frame.x(_minutes_since(event, start))
    right = frame.x(_minutes_since(event, end))
    x = frame.x(minute_of(event["timestamp"]) + 0.5)
    up = event["direction"] == "up"
    tip = price.clamp(event["low"]) + 5 if up else price.clamp(event["high"]) - 5
    base = tip + (11 if up else -11)
    r = svg.rounded
    return [
        svg.box(left, TOP - 5, right - left, 3, "window"),
        svg.words("window", (left + right) / 2, TOP - 9, "t windowname", "middle"),
        f'<path class="arrow" d="M{r(x)} {r(tip)}L{r(x - 6)} {r(base)}H{r(x + 6)}z"/>',
    ]


def _others(event: Row, events: pl.DataFrame | None, frame: Frame) -> list[str]:
    """Mark the minutes of the day's other events, above the volume."""
    if events is None:
        return []
    same_day = (pl.col("symbol") == event["symbol"]) & (pl.col("date") == event["date"])
    times = events.filter(same_day & (pl.col("timestamp") != event["timestamp"]))["timestamp"]
    minutes = sorted({minute_of(instant) for instant in times})
    shown = [frame.x(m + 0.5) for m in minutes if frame.first <= m <= frame.last]
    drawn = svg.dots(((x, PRICE_BOTTOM + GAP / 2) for x in shown), "other")
    return [drawn] if drawn else []


def _minutes_since(event: Row, instant: datetime) -> float:
    """Return an instant in New York minutes of the event's day; it may lie beyond the day."""
    passed: timedelta = instant - event["timestamp"]
    return minute_of(event["timestamp"]) + passed.total_seconds() / 60


def _legend(shown: pl.DataFrame, *, has_others: bool) -> list[str]:
    parts, x = [], float(LEFT)
    for name, kind, label in (
        ("vwap_rth", "vwap", "VWAP from 09:30"),
        ("or_high", "range", "opening range"),
    ):
        if shown[name].null_count() < shown.height:
            parts += [svg.rule(9, x, x + 20, kind), svg.words(label, x + 26, 13)]
            x += 40 + 6.4 * len(label)
    if has_others:
        parts += [
            svg.dots([(x + 4, 9)], "other"),
            svg.words("other events of the day", x + 14, 13),
        ]
    return parts
