"""The NBBO of a simulated day.

Belongs here: a day's mid and spread → the rows of the quotes endpoint (`source.WIRE_QUOTES`).
Keep out: trades, which were drawn before from the same mid and spread.

Each ordinary trade is preceded by an update at the very prices it was made against, so that the
quote in force at a trade is the one it traded at. Further updates come in between.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import numpy as np
import polars as pl

from smallcaps_pipeline.emulator.daily_path import PRICE_UNITS
from smallcaps_pipeline.emulator.episodes import OPEN_MINUTE
from smallcaps_pipeline.emulator.prints import MINUTE_NS, DrawnDay, nbbo_at
from smallcaps_pipeline.emulator.roster import Company
from smallcaps_pipeline.emulator.seeding import Floats, Ints, Mask, Rng, stable_rng
from smallcaps_pipeline.emulator.source import WIRE_QUOTES
from smallcaps_pipeline.emulator.tape import draw_sequence, draw_venues
from smallcaps_pipeline.schemas import UTC_NS

SHARES_FROM: Final = date(2025, 11, 3)  # quote sizes are shares from this day, before round lots
_ROUND_LOT: Final = 100  # shares, of a stock up to 250 USD
_PER_TRADE: Final = 1.6  # further updates per trade
_QUIET_RTH, _QUIET_EXTENDED = 3.0, 0.4  # updates of a minute without trades
_ONE_SIDED: Final = 0.0015  # share of updates without a bid or without an ask
_LOCKED: Final = 0.001
_NBBO_INDICATOR: Final = 604


def draw_quotes(seed: int, company: Company, drawn: DrawnDay) -> pl.DataFrame:
    """Draw the NBBO updates of a symbol-day (`source.WIRE_QUOTES`, in tape order)."""
    grid = drawn.curve.grid
    rng = stable_rng(seed, company.symbol, grid.day.isoformat(), "quotes")
    time, mid = _draw_times(rng, drawn)
    nbbo = nbbo_at(drawn.curve, time, mid)
    ask = np.where(rng.random(len(time)) < _LOCKED, nbbo.bid, nbbo.ask)
    bid_missing, ask_missing = _draw_missing(rng, drawn, time)
    sip = grid.start_ns + time
    columns = {
        "timestamp": pl.Series(sip).cast(UTC_NS),
        "participant_timestamp": pl.Series(sip - rng.integers(120_000, 900_000, len(time))).cast(
            UTC_NS
        ),
        **_side(rng, grid.day, "bid", nbbo.bid, bid_missing),
        **_side(rng, grid.day, "ask", ask, ask_missing),
        "conditions": _codes(rng.random(len(time)) < 0.1, 1),
        "indicators": _codes(rng.random(len(time)) < 0.03, _NBBO_INDICATOR),
        "sequence_number": draw_sequence(rng, len(time)),
        "tape": np.full(len(time), company.tape),
    }
    return WIRE_QUOTES.conform(pl.DataFrame(columns))


def _draw_times(rng: Rng, drawn: DrawnDay) -> tuple[Ints, Floats]:
    """Draw when the quote changes, and the mid then; sorted, none while trading is halted."""
    curve = drawn.curve
    edges = np.arange(curve.grid.end, dtype=np.int64) * MINUTE_NS
    at_trade = drawn.mid_time % MINUTE_NS != 0
    traded = drawn.mid_time[at_trade]
    before = np.maximum(traded - rng.integers(1_000, 2_000_000, len(traded)), 0)
    count = rng.poisson(_expected(drawn))
    extra = np.repeat(edges, count) + rng.integers(0, MINUTE_NS, int(count.sum()))
    time = np.concatenate([before, extra])
    mid = np.concatenate([drawn.mid[at_trade], np.interp(extra, drawn.mid_time, drawn.mid)])
    order = np.argsort(time, kind="stable")
    time, mid = time[order], mid[order]
    open_ = time < curve.grid.end * MINUTE_NS
    for halt in curve.halts:
        start = halt.start * MINUTE_NS
        inside = (time >= start) & (time < halt.end * MINUTE_NS)
        inside[np.flatnonzero(inside)[:1]] = False  # the update that empties the book
        open_ &= ~inside
    return time[open_], mid[open_]


def _expected(drawn: DrawnDay) -> Floats:
    grid = drawn.curve.grid
    trades = np.bincount(drawn.prints.time // MINUTE_NS, minlength=grid.end)[: grid.end]
    quiet = np.full(grid.end, _QUIET_EXTENDED)
    quiet[OPEN_MINUTE : grid.close] = _QUIET_RTH
    expected: Floats = quiet + _PER_TRADE * trades
    return expected


def _draw_missing(rng: Rng, drawn: DrawnDay, time: Ints) -> tuple[Mask, Mask]:
    """Draw updates without bid, without ask, and, at a halt, without either."""
    draw = rng.random(len(time))
    halted = np.zeros(len(time), dtype=np.bool_)
    for halt in drawn.curve.halts:
        halted |= (time >= halt.start * MINUTE_NS) & (time < halt.end * MINUTE_NS)
    return (draw < _ONE_SIDED) | halted, (draw > 1 - _ONE_SIDED) | halted


def _side(rng: Rng, day: date, side: str, price: Ints, missing: Mask) -> dict[str, Floats | Ints]:
    """Draw one side; where it is missing, price, size and venue are 0, as on the wire."""
    lots = rng.geometric(0.3, len(price))
    size = lots * _ROUND_LOT if day >= SHARES_FROM else lots
    there = ~missing
    return {
        f"{side}_price": price / PRICE_UNITS * there,
        f"{side}_size": size * there,
        f"{side}_exchange": draw_venues(rng, day, len(price)) * there,
    }


def _codes(shown: Mask, code: int) -> pl.Series:
    """Give the marked rows one code; None elsewhere."""
    lists = pl.Series([None, [code]], dtype=pl.List(pl.Int32))
    return lists.gather(shown.astype(np.int64))
