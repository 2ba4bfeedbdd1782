"""How fast sides are found and windows are described.

Run: uv run python benchmarks/micro.py

Measured in one process, best of several runs, and each as a ratio to a floor measured in the same
run: what a plain numpy pass over the same rows takes (`floor`). Figures of a busy machine move
together with it. Data are random walks from a fixed seed, made in memory.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from smallcaps_pipeline.micro import classify_aggressor, event_features, window_quality
from smallcaps_pipeline.schemas import MANIFEST
from smallcaps_pipeline.settings import ExtraFeatures, Settings, load_settings

OPENING = datetime(2025, 10, 7, 14, tzinfo=UTC)
NS = 10**9
EXTRAS: tuple[ExtraFeatures, ...] = (
    *("spreads", "order_flow", "vwap_slippage", "sizes", "triple_barrier"),
)
MINUTES_BEFORE, MINUTES_AFTER = 3, 7
SYMBOLS_AT_ONCE = 50


def main() -> None:
    """Print the table of figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--trades", type=int, default=5_000_000)
    options.add_argument("--windows", type=int, default=10_000)
    options.add_argument("--per-symbol", type=int, default=5, help="windows of a symbol")
    options.add_argument("--runs", type=int, default=5)
    chosen = options.parse_args()
    print(f"{'what':58} {'rate':>22} {'time':>9} {'x floor':>8}")
    sides(chosen.trades, chosen.runs)
    windows(chosen.windows, chosen.per_symbol)


def sides(count: int, runs: int) -> None:
    """Measure the side of trades, alone and with the join to quotes, one and two to a trade."""
    trades = make_trades(count, seconds=6 * 3600)
    plain = trades.drop("conditions")
    for ratio in (1, 2):
        quotes = make_quotes(ratio * count, seconds=6 * 3600)
        floor = best(runs, lambda q=quotes: one_pass(trades, q))  # type: ignore[misc]
        name = f"{ratio} quote{'s' * (ratio > 1)} a trade"
        for what, tape in (("", plain), (", with conditions", trades)):
            took = best(runs, lambda t=tape, q=quotes: classify_aggressor(t, q))  # type: ignore[misc]
            report(
                f"side by Lee-Ready, {name}{what}",
                f"{count / took / 1e6:.1f} M trades/s",
                took,
                floor,
            )
    floor = best(runs, lambda: one_pass(trades, None))
    took = best(runs, lambda: classify_aggressor(plain, method="tick"))
    report("side by tick rule", f"{count / took / 1e6:.1f} M trades/s", took, floor)


def windows(count: int, per_symbol: int) -> None:
    """Measure all figures of `count` windows, some symbols at a time as the asset does."""
    at_once = max(min(SYMBOLS_AT_ONCE, count // per_symbol), 1)
    calls = max(count // per_symbol // at_once, 1)
    starts = [OPENING + timedelta(minutes=30 * number) for number in range(per_symbol)]
    seconds = 60 * (30 * (per_symbol - 1) + MINUTES_AFTER + MINUTES_BEFORE)
    per_minute = seconds // 60
    one = make_trades(per_minute * 60, seconds), make_quotes(per_minute * 180, seconds)
    names = [f"S{number:04d}" for number in range(at_once)]
    rows = pl.concat([manifest(name, starts) for name in names])
    trades, quotes = (
        pl.concat([frame.with_columns(symbol=pl.lit(name)) for name in names]) for frame in one
    )
    base = load_settings()
    micro = base.micro.model_copy(update={"extra_features": EXTRAS})
    asked = base.model_copy(update={"micro": micro})
    floor = best(3, lambda: one_pass(trades, quotes)) * calls
    works: dict[str, Callable[[], object]] = {
        "event_features": lambda: features(rows, trades, quotes, base),
        "event_features, all extra_features": lambda: features(rows, trades, quotes, asked),
        "window_quality": lambda: window_quality(rows, trades, quotes, settings=base),
    }
    for what, work in works.items():
        work()  # compiles
        began = time.perf_counter()
        for _ in range(calls):
            work()
        took = time.perf_counter() - began
        done = calls * rows.height
        report(f"{what}, {done:,} windows", f"{done / took:,.0f} windows/s", took, floor)


def features(
    rows: pl.DataFrame, trades: pl.DataFrame, quotes: pl.DataFrame, settings: Settings
) -> pl.DataFrame:
    """Describe the windows of some symbols."""
    return event_features(rows, trades, quotes, previous_close=10.0, settings=settings)


def one_pass(trades: pl.DataFrame, quotes: pl.DataFrame | None) -> float:
    """Read every number of both tables once: nothing that looks at all rows can be faster."""
    total = float(trades["price"].to_numpy().sum()) + float(trades["timestamp"].to_physical().sum())
    if quotes is None:
        return total
    for name in ("bid_price", "ask_price"):
        total += float(quotes[name].to_numpy().sum())
    return total + float(quotes["timestamp"].to_physical().sum())


def best(runs: int, work: Callable[[], object]) -> float:
    """Return the least seconds of several runs, after one that compiles."""
    work()
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took)


def report(what: str, rate: str, took: float, floor: float) -> None:
    """Print one line."""
    print(f"{what:58} {rate:>22} {took:8.2f}s {took / floor:8.1f}")


def make_trades(count: int, seconds: int) -> pl.DataFrame:
    """Make a tape: a random walk in cents, every third print with condition codes."""
    random = np.random.default_rng(7)
    codes = pl.Series([[], [], [14], [14, 41], [37], [12, 37]], dtype=pl.List(pl.Int32))
    return pl.DataFrame(
        {
            "timestamp": instants(random, count, seconds),
            "price": walk(random, count) / 100,
            "size": random.integers(1, 20, count) * 50.0,
            "sequence_number": np.arange(count),
            "exchange": 12,
            "conditions": codes.gather(random.integers(0, 6, count)),
        }
    )


def make_quotes(count: int, seconds: int) -> pl.DataFrame:
    """Make a book around a random walk, one to four cents wide."""
    random = np.random.default_rng(11)
    mid = walk(random, count)
    return pl.DataFrame(
        {
            "timestamp": instants(random, count, seconds),
            "bid_price": (mid - random.integers(1, 3, count)) / 100,
            "ask_price": (mid + random.integers(0, 3, count)) / 100,
            "bid_size": random.integers(1, 20, count) * 1.0,
            "ask_size": random.integers(1, 20, count) * 1.0,
            "sequence_number": np.arange(count),
        }
    )


def instants(random: np.random.Generator, count: int, seconds: int) -> pl.Series:
    """Return sorted ns instants from three minutes before the opening bar on."""
    first = int(OPENING.timestamp()) * NS - MINUTES_BEFORE * 60 * NS
    at = np.sort(random.integers(0, seconds * NS, count)) + first
    return pl.Series(at).cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")


def walk(random: np.random.Generator, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return a random walk in cents that stays between 5 and 15 dollars."""
    steps = np.cumsum(random.integers(-1, 2, count))
    return 1000 + np.abs((steps + 500) % 2000 - 1000) - 500


def manifest(symbol: str, starts: list[datetime]) -> pl.DataFrame:
    """Make manifest rows of core windows."""
    rows = {
        "event_id": [f"{symbol}_{at:%Y%m%d_%H%M%S}_volume_spike_up" for at in starts],
        "symbol": symbol,
        "date": "2025-10-07",
        "timestamp": starts,
        "event_type": "volume_spike",
        "direction": "up",
        "session": "RTH",
        "profile": "core",
        "close": 10.0,
        "window_start": [at - timedelta(minutes=MINUTES_BEFORE) for at in starts],
        "window_end": [at + timedelta(minutes=MINUTES_AFTER) for at in starts],
    }
    frame = pl.DataFrame(rows)
    absent = [name for name in MANIFEST.columns if name not in frame.columns]
    return MANIFEST.conform(frame.with_columns(pl.lit(None).alias(name) for name in absent))


if __name__ == "__main__":
    main()
