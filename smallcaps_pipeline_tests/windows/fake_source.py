"""A source of ticks in memory that logs what it is asked for, and can fail or die."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

import numpy as np
import polars as pl

from smallcaps_pipeline_tests.windows.make import at, ns, quotes, trades

PAGE = 100  # rows


class KilledError(BaseException):
    """Stands for the end of the process: nobody catches it."""


@dataclass(frozen=True)
class Page:
    """Rows and the number of pages they took."""

    frame: pl.DataFrame
    pages: int


@dataclass
class FakeSource:
    """A market in memory.

    Attributes:
        tapes: Trades and quotes of each symbol; a symbol without them never trades.
        broken: Symbols whose requests fail.
        dies_at: Number of the request (from 0) at which the process dies.
        log: What was answered: (symbol, kind, start, end), start null for the quote before end.
    """

    tapes: dict[str, tuple[pl.DataFrame, pl.DataFrame]]
    broken: set[str] = field(default_factory=set)
    dies_at: int | None = None
    log: list[tuple[str, str, datetime | None, datetime]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)
    asked: int = 0

    def trades(self, *, symbol: str, start: datetime, end: datetime) -> Page:
        return self._answer(symbol, "trades", start, end)

    def quotes(self, *, symbol: str, start: datetime, end: datetime) -> Page:
        return self._answer(symbol, "quotes", start, end)

    def last_quote_before(self, *, symbol: str, before: datetime) -> pl.DataFrame:
        return self._answer(symbol, "quotes", None, before).frame.tail(1)

    def _answer(self, symbol: str, kind: str, start: datetime | None, end: datetime) -> Page:
        with self.lock:
            number, self.asked = self.asked, self.asked + 1
        if number == self.dies_at:
            raise KilledError
        if symbol in self.broken:
            raise ConnectionError("the line is down")
        tape = self.tapes.get(symbol, (trades([]), quotes([], [], [])))[kind == "quotes"]
        time = pl.col("timestamp").to_physical()
        rows = tape.filter(time < ns(end), time >= (ns(start) if start else 0))
        with self.lock:
            self.log.append((symbol, kind, start, end))
        return Page(rows, max(1, -(-rows.height // PAGE)))

    def intervals(self, kind: str) -> list[tuple[str, datetime, datetime]]:
        """List the answered intervals of a kind, sorted."""
        return sorted((s, start, end) for s, k, start, end in self.log if k == kind and start)


def tape(seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return trades and quotes of 13:00-15:00: a random walk in cents, with repeats and gaps."""
    rng = np.random.default_rng(seed)
    start, end = ns(at("13:00")), ns(at("15:00"))
    quote_times = np.sort(rng.integers(start, end, 6_000))
    bid = 10 + np.cumsum(rng.integers(-1, 2, quote_times.size)) / 100
    ask = bid + rng.integers(0, 4, quote_times.size) / 100
    ask[rng.random(quote_times.size) < 0.02] = 0.0
    trade_times = np.sort(rng.integers(start, end, 800))
    return (
        trades(trade_times.tolist()),
        quotes(quote_times.tolist(), bid.round(2).tolist(), ask.round(2).tolist()),
    )
