"""Simulated prints as the consolidated tape shows them: venue, conditions, ids, three clocks.

Belongs here: `prints` → the rows of the trades endpoint (`source.WIRE_TRADES`).
Keep out: prices and sizes, which are drawn before.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Final

import numpy as np
import polars as pl

from smallcaps_pipeline.emulator.codes import OFF_EXCHANGE_ID, TRF_IDS
from smallcaps_pipeline.emulator.daily_path import PRICE_UNITS
from smallcaps_pipeline.emulator.prints import FRACTIONAL_FROM, SHARE, PrintKind, Prints
from smallcaps_pipeline.emulator.roster import Company
from smallcaps_pipeline.emulator.seeding import Floats, Ints, Rng, stable_rng
from smallcaps_pipeline.emulator.source import WIRE_TRADES
from smallcaps_pipeline.schemas import UTC_NS

NEW_VENUES_FROM: Final = date(2021, 1, 1)  # MEMX and MIAX Pearl began in September 2020
VENUES: Final = np.array([12, 11, 19, 8, 18, 7, 10, 15, 1, 21, 20])
_OLD_VENUES: Final = 9  # of VENUES
_WEIGHTS: Final = np.array([0.28, 0.16, 0.13, 0.13, 0.06, 0.05, 0.05, 0.04, 0.03, 0.05, 0.02])
_LISTING_VENUE: Final = {"XNAS": 12, "XNYS": 10, "XASE": 1, "ARCX": 11}
_CANCELLED: Final = 8  # correction code, NYSE scheme
_CORRECTED: Final = 1
_CORRECTED_SHARE: Final = 0.0004

_BY_KIND: Final[dict[PrintKind, tuple[int, ...]]] = {
    PrintKind.ORDINARY: (),
    PrintKind.SWEEP: (14,),
    PrintKind.OPENING: (17,),
    PrintKind.OFFICIAL_OPEN: (16,),
    PrintKind.CLOSING: (8,),
    PrintKind.OFFICIAL_CLOSE: (15,),
    PrintKind.REOPENING: (28,),
    PrintKind.LATE: (32,),
    PrintKind.CANCELLED: (),
}
_FORM_T, _ODD_LOT = 12, 37
_KINDS: Final = len(PrintKind)


def draw_tape(seed: int, company: Company, prints: Prints) -> pl.DataFrame:
    """Draw what the tape adds to a day's prints (`source.WIRE_TRADES`, in tape order)."""
    day, count = prints.grid.day, len(prints.time)
    rng = stable_rng(seed, company.symbol, day.isoformat(), "tape")
    sip = prints.grid.start_ns + prints.time
    off = prints.off_exchange
    venue = draw_venues(rng, day, count)
    crossed = ~np.isin(prints.kind, (PrintKind.ORDINARY, PrintKind.SWEEP))
    venue[crossed] = _LISTING_VENUE[company.exchange]
    trf_lag = rng.integers(20_000, 400_000, count)
    shares = prints.size / SHARE
    fractional = day >= FRACTIONAL_FROM
    frame = pl.DataFrame(
        {
            "timestamp": pl.Series(sip).cast(UTC_NS),
            "participant_timestamp": pl.Series(sip - _venue_lag(rng, prints)).cast(UTC_NS),
            "price": prints.price / PRICE_UNITS,
            "size": np.maximum(np.floor(shares), 1.0) if fractional else shares,
            "exchange": np.where(off, OFF_EXCHANGE_ID, venue),
            "conditions": _conditions(prints),
            "correction": _corrections(rng, prints),
            "trade_id": np.arange(1, count + 1),
            "sequence_number": draw_sequence(rng, count),
            "tape": np.full(count, company.tape),
            "trf_id": np.where(off, rng.choice(TRF_IDS, count, p=(0.2, 0.65, 0.15)), 0),
            "trf_timestamp": pl.Series(sip - trf_lag).cast(UTC_NS),
        }
    )
    off_exchange = pl.col("trf_id") != 0
    return WIRE_TRADES.conform(
        frame.with_columns(
            pl.when(off_exchange).then(pl.col("trf_id", "trf_timestamp")),
            pl.when(pl.col("correction") != 0).then(pl.col("correction")),
            decimal_size=_decimal_size(shares, fractional),
        )
    )


def draw_venues(rng: Rng, day: date, count: int) -> Ints:
    """Draw exchanges that were open on the day."""
    known = len(VENUES) if day >= NEW_VENUES_FROM else _OLD_VENUES
    edges = np.cumsum(_WEIGHTS[:known])
    drawn: Ints = VENUES[np.searchsorted(edges, rng.random(count) * edges[-1], side="right")]
    return drawn


def draw_sequence(rng: Rng, count: int) -> Ints:
    """Draw increasing sequence numbers with gaps: the tape carries other symbols too."""
    return 1000 + np.cumsum(rng.integers(1, 60, count))


def _venue_lag(rng: Rng, prints: Prints) -> Ints:
    """Draw how long before the SIP the venue had it: microseconds, off exchange far longer."""
    count = len(prints.time)
    on_exchange = rng.integers(150_000, 1_800_000, count)
    off_exchange = rng.integers(900_000, 900_000_000, count)
    return np.where(prints.off_exchange, off_exchange, on_exchange)


def _corrections(rng: Rng, prints: Prints) -> Ints:
    corrected = rng.random(len(prints.time)) < _CORRECTED_SHARE
    as_reported = np.where(corrected, _CORRECTED, 0)
    return np.where(prints.kind == PrintKind.CANCELLED, _CANCELLED, as_reported)


@cache
def _condition_lists() -> pl.Series:
    """List the conditions of each (Form T, odd lot, kind); None where a print has none."""
    lists = []
    for form_t in (False, True):
        for odd in (False, True):
            for kind in PrintKind:
                codes = [*_BY_KIND[kind], *[_FORM_T] * form_t, *[_ODD_LOT] * odd]
                lists.append(sorted(codes))
    return pl.Series(lists, dtype=pl.List(pl.Int32))


def _conditions(prints: Prints) -> pl.Series:
    form_t = (~prints.is_regular_hours).astype(np.int64)
    code = (form_t * 2 + prints.is_odd_lot) * _KINDS + prints.kind
    return _condition_lists().gather(code)


def _decimal_size(shares: Floats, fractional: bool) -> pl.Series | pl.Expr:
    """Write the exact size as the wire does ("100.0", "0.25"); null before fractions came."""
    return pl.Series(shares).cast(pl.String) if fractional else pl.lit(None, pl.String)
