"""SPEC §0 read aloud: the ranking as a loop over plain rows, to hold the real one against.

Written from the SPEC's text alone, with none of the package's code but the exchange calendar:
lists, dicts and sums, no frames. Slow, and meant to be read beside the page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from statistics import median
from typing import Any

from smallcaps_pipeline.sessions import trading_days

Row = dict[str, Any]


def holds(a: float, b: float) -> bool:
    """Return a >= b within 1e-9 relative, as the SPEC's preface says."""
    return a >= b - 1e-9 * abs(b)


def basis(splits: Sequence[tuple[str, date, float, float]], symbol: str, day: date) -> float:
    """Return by what a price of the beginning is multiplied to stand on a day's basis."""
    factor = 1.0
    for name, executed, old, new in set(splits):
        if name == symbol and executed <= day:
            factor *= old / new
    return factor


def figures(
    bars: Sequence[Row],
    splits: Sequence[tuple[str, date, float, float]],
    symbol: str,
    as_of: date,
    sessions: Sequence[date],
    counted: Sequence[date],
    rules: Row,
) -> tuple[int, int, int, float]:
    """Return gap days, range days, volume days, median dollar volume of one symbol."""
    own = {row["date"]: row for row in bars if row["symbol"] == symbol and row["date"] <= as_of}
    first = min(own)
    life = [day for day in sessions if day >= first]
    gaps = ranges = volumes = 0
    dollars = []
    for place, day in enumerate(life):
        if day not in counted:
            continue
        row = own.get(day)
        dollars.append(row["close"] * row["volume"] if row else 0.0)
        if row is None:
            continue
        here = basis(splits, symbol, day)
        earlier = [d for d in life[:place] if d in own]
        if earlier:
            last = earlier[-1]
            previous = own[last]["close"] * here / basis(splits, symbol, last)
            gaps += holds(abs(row["open"] / previous - 1), rules["gap_pct"] / 100)
            ranges += holds((row["high"] - row["low"]) / previous, rules["range_pct"] / 100)
        span = rules["volume_mean_sessions"]
        if place >= span and row["volume"] > 0:
            # Shares of other days in shares of this day: a 1-for-10 makes 1,000 of them 100.
            before = [
                own[d]["volume"] * basis(splits, symbol, d) / here if d in own else 0.0
                for d in life[place - span : place]
            ]
            volumes += holds(row["volume"], rules["volume_ratio"] * math.fsum(before) / span)
    return gaps, ranges, volumes, median(dollars) if dollars else 0.0


def universe(
    bars: Sequence[Row],
    stocks: Sequence[Row],
    splits: Sequence[tuple[str, date, float, float]],
    as_of: date,
    rules: Row,
) -> list[tuple[str, int, int]]:
    """Return (symbol, universe_rank, tier) of the universe as of a date, by rank."""
    until = trading_days(date(as_of.year - 2, 1, 1), as_of)
    look_back = until[-(rules["sessions"] + rules["volume_mean_sessions"]) :]
    counted = set(until[-rules["sessions"] :])
    inside = [row for row in bars if row["date"] in set(look_back)]
    sessions = sorted({row["date"] for row in inside})
    playing = []
    for stock in stocks:
        symbol = stock["symbol"]
        own = [row for row in inside if row["symbol"] == symbol]
        if not own:
            continue
        close = max(own, key=lambda row: row["date"])["close"]
        gone = stock["delisted_at"].date() if stock.get("delisted_at") else None
        if (
            stock["type"] in rules["types"]
            and stock["primary_exchange"] in rules["exchanges"]
            and stock["list_date"] <= as_of
            and (gone is None or gone >= as_of)
            and rules["min_price"] <= close <= rules["max_price"]
            and stock["market_cap"] <= rules["max_market_cap"]
        ):
            playing.append(symbol)
    found = {
        symbol: figures(inside, splits, symbol, as_of, sessions, sorted(counted), rules)
        for symbol in playing
    }

    def percentile(symbol: str, figure: int) -> float:
        """Return the average rank among the playing, ascending, over their number."""
        mine = found[symbol][figure]
        below = sum(one[figure] < mine for one in found.values())
        same = sum(one[figure] == mine for one in found.values())
        return (below + (same + 1) / 2) / len(found)

    score = {symbol: sum(percentile(symbol, n) for n in range(4)) / 4 for symbol in playing}
    ranked = sorted(playing, key=lambda symbol: (-round(score[symbol], 12), symbol))
    first, second = rules["tiers"]
    return [
        (symbol, rank, 1 if rank <= first else 2 if rank <= second else 3)
        for rank, symbol in enumerate(ranked[: rules["size"]], 1)
    ]
