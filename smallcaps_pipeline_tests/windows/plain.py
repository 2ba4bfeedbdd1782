"""SPEC §6 read word by word: slow, obvious, and sharing no code with the package.

Instants are whole minutes (integers) in the plan and nanoseconds (integers) in ticks; arithmetic is
in Python's integers and fractions, so nothing is rounded.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

NS = 1_000_000_000
MINUTE = 60 * NS
Level = tuple[bool, int | None]  # by_change, max_hz
Quote = tuple[int, float | None, float | None, float, float]  # ns, bid, ask, bid size, ask size


@dataclass(frozen=True)
class Event:
    """What the plan reads of a manifest row; minutes."""

    symbol: str
    event_id: str
    at: int
    start: int
    end: int
    rank: int
    level: Level


@dataclass(frozen=True)
class Held:
    """A stored interval; `level` is None for trades."""

    symbol: str
    kind: str
    start: int
    end: int
    level: Level | None


@dataclass(frozen=True)
class Row:
    """One row of the plan."""

    symbol: str
    kind: str
    start: int
    end: int
    events: tuple[str, ...]
    priority: int
    level: Level | None
    merged: tuple[int, int]
    refetched: int
    requests_min: int
    requests_expected: int


# plan -----------------------------------------------------------------------------------------


def hull(events: Iterable[Event]) -> tuple[int, int]:
    events = list(events)
    return min(e.start for e in events), max(e.end for e in events)


def belong_together(a: list[Event], b: list[Event], merge_minutes: int) -> bool:
    if a[0].symbol != b[0].symbol:
        return False
    (a_start, a_end), (b_start, b_end) = hull(a), hull(b)
    overlap = any(a_start <= t < a_end and b_start <= t < b_end for t in range(b_start, b_end))
    near = any(abs(x.at - y.at) < merge_minutes for x in a for y in b)
    return overlap or near


def merged(events: list[Event], merge_minutes: int) -> list[list[Event]]:
    """Merge any two windows that must be one, until nothing changes."""
    windows = [[event] for event in events]
    while True:
        pair = next(
            (
                (i, j)
                for i in range(len(windows))
                for j in range(i)
                if belong_together(windows[i], windows[j], merge_minutes)
            ),
            None,
        )
        if pair is None:
            return [sorted(w, key=lambda e: (e.at, e.event_id)) for w in windows]
        i, j = pair
        windows[j] += windows.pop(i)


def finest(levels: Sequence[Level]) -> Level:
    """Every row if one wants every row, the highest rate, no limit if one wants none."""
    rates = [hz for _, hz in levels]
    known = [hz for hz in rates if hz is not None]
    return all(change for change, _ in levels), max(known) if len(known) == len(rates) else None


def is_as_fine(have: Level, want: Level) -> bool:
    rows = want[0] or not have[0]
    rate = have[1] is None or (want[1] is not None and have[1] >= want[1])
    return rows and rate


def plan(
    events: list[Event],
    stored: list[Held],
    *,
    merge_minutes: int,
    per_minute: dict[str, int],
    page: int,
) -> list[Row]:
    """List what is missing, minute by minute: a minute is missing or it is not."""
    rows = []
    for window in merged(events, merge_minutes):
        start, end = hull(window)
        for kind in ("trades", "quotes"):
            level = finest([e.level for e in window]) if kind == "quotes" else None
            there = [h for h in stored if h.symbol == window[0].symbol and h.kind == kind]
            enough = [
                h for h in there if level is None or is_as_fine(h.level or (False, None), level)
            ]
            missing = [
                t for t in range(start, end) if not any(h.start <= t < h.end for h in enough)
            ]
            for first, last in runs(missing):
                minutes = range(first, last + 1)
                again = sum(any(h.start <= t < h.end for h in there) for t in minutes)
                state = kind == "quotes"
                expected = ceil(Fraction(len(minutes) * per_minute[kind], page))
                rows.append(
                    Row(
                        symbol=window[0].symbol,
                        kind=kind,
                        start=first,
                        end=last + 1,
                        events=tuple(e.event_id for e in window),
                        priority=min(e.rank for e in window),
                        level=level,
                        merged=(start, end),
                        refetched=60 * again,
                        requests_min=1 + state,
                        requests_expected=max(expected, 1) + state,
                    )
                )
    return sorted(rows, key=lambda r: (r.priority, r.symbol, r.kind == "quotes", r.start))


def runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Return the first and the last of each stretch of consecutive numbers."""
    return [
        (n, next(m for m in range(n, n + len(numbers)) if m in numbers and m + 1 not in numbers))
        for n in numbers
        if n - 1 not in numbers
    ]


# quotes ---------------------------------------------------------------------------------------


def is_valid(quote: Quote) -> bool:
    bid, ask = quote[1], quote[2]
    return bid is not None and ask is not None and bid > 0 and ask > 0 and ask >= bid


def in_force(quotes: list[Quote], at: int, lag: int = 0) -> int | None:
    """Return the position of the last valid quote strictly before an instant less the lag."""
    before = [i for i, quote in enumerate(quotes) if quote[0] < at - lag and is_valid(quote)]
    return before[-1] if before else None


def reduce(
    quotes: list[Quote], by_change: bool, max_hz: int | None, trades: list[int], lag: int = 0
) -> list[int]:
    """Return the positions of the quotes that stay; `quotes` are in tape order."""
    left: list[int] = []
    for i, quote in enumerate(quotes):
        if by_change and left and quotes[left[-1]][1:] == quote[1:]:
            continue
        left.append(i)
    if max_hz is None or not left:
        return left
    buckets = {i: Fraction(quotes[i][0] * max_hz, NS).__floor__() for i in left}
    stay = {left[0]}
    for i in left:
        if not any(j > i and buckets[j] == buckets[i] for j in left):
            stay.add(i)
    for trade in trades:
        place = in_force([quotes[i] for i in left], trade, lag)
        if place is not None:
            stay.add(left[place])
    return sorted(stay)


# extension ------------------------------------------------------------------------------------


def percentile(values: list[Fraction], percent: int) -> Fraction:
    """Return the linear percentile: position percent/100 x (n - 1) between sorted values."""
    ordered = sorted(values)
    position = Fraction(percent, 100) * (len(ordered) - 1)
    low = position.__floor__()
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (position - low) * (ordered[high] - ordered[low])


def hot_edges(
    start: int, end: int, trades: list[int], quotes: list[Quote] | None, lag: int = 0
) -> tuple[bool, bool]:
    """Say of the first and the last minute of [start, end) ns whether it is hot."""
    edges = [*range(start, end, MINUTE), end]
    minutes = list(itertools.pairwise(edges))
    counts = [Fraction(sum(a <= t < b for t in trades)) for a, b in minutes]
    busy = [count >= percentile(counts, 90) and count >= 50 for count in counts]
    if quotes is None:
        return busy[0], busy[-1]
    moves: list[Fraction | None] = []
    for a, b in minutes:
        places = in_force(quotes, a, lag), in_force(quotes, b, lag)
        mids = [
            Fraction(str(quotes[p][1])) + Fraction(str(quotes[p][2]))
            for p in places
            if p is not None
        ]
        moves.append(abs(mids[1] / mids[0] - 1) if len(mids) == 2 else None)
    known = [move for move in moves if move is not None]
    moved = [
        move is not None and move >= percentile(known, 90) and move >= Fraction(1, 100)
        for move in moves
    ]
    return busy[0] or moved[0], busy[-1] or moved[-1]
