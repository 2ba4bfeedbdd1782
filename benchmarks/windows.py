"""How fast windows are fetched and reduced, and how small they are.

Run: uv run python benchmarks/windows.py [reduce | size | fetch | limit | memory]

`fetch` and `limit` talk to the emulator in a process of its own, on the same machine. `fetch` is
stated as a ratio to decoding the same pages alone; the old plain loop (one request at a time, a
sleep of 12 s after each, nothing stored until the end) is measured over two windows and scaled.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import psutil
from tapes import quote_tape, trade_tape

from smallcaps_pipeline.emulator import Options, SimulatedMarket, running
from smallcaps_pipeline.emulator.source import WIRE_TRADES
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.polygon import frames, wire
from smallcaps_pipeline.polygon.connect import connect
from smallcaps_pipeline.polygon.transport import Answer, Request
from smallcaps_pipeline.settings import Settings, load_settings
from smallcaps_pipeline.windows import (
    fetch_quotes,
    fetch_trades,
    plan_windows,
    reduce_nbbo,
    windows_index,
)

DAY = date(2025, 10, 7)
OPEN = datetime(2025, 10, 7, 13, 30, tzinfo=UTC)
OPEN_NS = int(OPEN.timestamp()) * 10**9
MINUTES = 390
OLD_SLEEP_S = 12.0
MB = 2**20


def best_of(runs: int, work: Callable[[], object]) -> float:
    """Return the shortest time, in seconds."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


# reduction ------------------------------------------------------------------------------------


def measure_reduction(rows: int = 5_000_000) -> None:
    """Print quotes a second, per level, and as a ratio to copying the rows once."""
    quotes = quote_tape(1, rows, OPEN_NS, MINUTES)
    trades = trade_tape(2, rows // 10, OPEN_NS, MINUTES)["timestamp"]
    floor = best_of(5, lambda: quotes[np.arange(rows)])
    reduce_nbbo(quotes.head(10), by_change=True, max_hz=5, trade_times=trades)  # compile
    for name, level in (
        ("core: change@5Hz", {"by_change": True, "max_hz": 5}),
        ("plus: all@20Hz", {"by_change": False, "max_hz": 20}),
        ("change", {"by_change": True}),
    ):
        took = best_of(5, lambda level=level: reduce_nbbo(quotes, trade_times=trades, **level))
        print(f"reduce {name:20} {rows / took / 1e6:7.1f} M quotes/s  {took / floor:5.2f} x a copy")


# size -----------------------------------------------------------------------------------------


def measure_size() -> None:
    """Print bytes a row of files as they are stored, footers included."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        file = lake.root / "window.parquet"
        print("size, bytes a row                      trades  quotes  without venue clock, number")
        for name, minutes, trades_a_minute, quotes_a_minute in (
            ("10 minutes, calm", 10, 120, 900),
            ("10 minutes, hot", 10, 3_000, 12_000),
            ("2 hours, hot", 120, 1_500, 9_000),
        ):
            trades = trade_tape(1, minutes * trades_a_minute, OPEN_NS, minutes)
            quotes = quote_tape(2, minutes * quotes_a_minute, OPEN_NS, minutes)
            lean = quotes.drop("participant_timestamp", "sequence_number")
            sizes = [lake.write(rows, file) / rows.height for rows in (trades, quotes, lean)]
            print(f"  {name:36} {sizes[0]:6.2f}  {sizes[1]:6.2f}  {sizes[2]:6.2f}")


# fetching -------------------------------------------------------------------------------------


class DenseMarket(SimulatedMarket):
    """The simulated market with much denser tapes from 09:30 to 16:00."""

    def __init__(self, trades: int, quotes: int, symbols: int) -> None:
        super().__init__(symbols=symbols, first=DAY, last=DAY)
        self.trades = cache(lambda symbol, day: self._trades(symbol, trades))  # type: ignore[method-assign]
        self.quotes = cache(lambda symbol, day: self._quotes(symbol, quotes))  # type: ignore[method-assign]

    def _trades(self, symbol: str, rows: int) -> pl.DataFrame:
        tape = trade_tape(len(symbol), rows, OPEN_NS, MINUTES)
        absent = [name for name in WIRE_TRADES.columns if name not in tape.columns]
        return WIRE_TRADES.conform(tape.with_columns(pl.lit(None).alias(n) for n in absent))

    def _quotes(self, symbol: str, rows: int) -> pl.DataFrame:
        return quote_tape(len(symbol), rows, OPEN_NS, MINUTES)


def serve_dense(pipe: Any, market: tuple[int, int, int], rate_limit: int | None) -> None:
    """Serve a dense market until the pipe says so; its tapes are made before the first request."""
    source = DenseMarket(*market)
    for company in source.companies[: market[2]]:
        source.trades(company.symbol, DAY)
        source.quotes(company.symbol, DAY)
    with running(source, options=Options(rate_limit=rate_limit)) as emulator:
        pipe.send((emulator.base_url, [c.symbol for c in source.companies[: market[2]]]))
        pipe.recv()


@contextmanager
def served(
    market: tuple[int, int, int], rate_limit: int | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Serve a dense market from another process; yield its address and symbols."""
    ours, theirs = multiprocessing.Pipe()
    start = multiprocessing.get_context("spawn").Process
    process = start(target=serve_dense, args=(theirs, market, rate_limit))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("end")
        process.join()


def settings_for(calls_per_minute: int | None = None) -> Settings:
    """Return settings with a limit or without."""
    settings = load_settings()
    limits = {"calls_per_minute": calls_per_minute, "calls_per_second": None}
    return settings.model_copy(update={"provider": settings.provider.model_copy(update=limits)})


def plan_of(symbols: list[str], minutes: int, settings: Settings) -> pl.DataFrame:
    """Return a plan of windows that tile the session of each symbol, unreduced."""
    rows = []
    for symbol in symbols:
        for number in range(MINUTES // minutes):
            start = OPEN + timedelta(minutes=number * minutes)
            rows.append(
                {
                    "symbol": symbol,
                    "timestamp": start,
                    "event_id": f"{symbol}_{start:%Y%m%d_%H%M%S}_flush_down",
                    "rank": len(rows) + 1,
                    "nbbo_by_change": False,
                    "nbbo_max_hz": None,
                    "window_start": start,
                    "window_end": start + timedelta(minutes=minutes),
                }
            )
    return plan_windows(
        pl.DataFrame(rows, schema_overrides={"nbbo_max_hz": pl.Int64}), settings=settings
    )


def fetch(url: str, plan: pl.DataFrame, settings: Settings, folder: Path) -> tuple[int, int, float]:
    """Fetch a plan; return rows, requests and seconds."""
    lake = Lake(folder / "data")
    with connect(
        settings.provider, base_url=url, api_key="any", budget_address=folder / "limiter"
    ) as client:
        start = time.perf_counter()
        results = [
            step(plan, client, lake, settings=settings, profile="premium")
            for step in (fetch_trades, fetch_quotes)
        ]
        took = time.perf_counter() - start
    assert not any(result.failed for result in results)
    return sum(r.rows for r in results), sum(r.pages for r in results), took


def pages_of(url: str, symbol: str) -> list[bytes]:
    """Return the bodies of every page of one symbol's trades and quotes."""
    bodies = []
    with httpx.Client(base_url=url, headers={"Authorization": "Bearer any"}) as http:
        for kind in ("trades", "quotes"):
            at: str | None = f"/v3/{kind}/{symbol}?timestamp.gte={OPEN_NS}&limit=50000&order=asc"
            while at is not None:
                answer = http.get(at)
                bodies.append(answer.content)
                following = answer.json().get("next_url")
                at = following and httpx.URL(following).raw_path.decode()
    return bodies


def decode(bodies: list[bytes]) -> int:
    """Decode pages, as the client does; return their rows."""
    rows = 0
    for body in bodies:
        kind = wire.QUOTES if b'"bid_price"' in body[:5_000] else wire.TRADES
        answer = Answer(Request.of("/v3"), body, {})
        rows += frames.read_page(answer, kind, {}).frame.height
    return rows


def measure_fetching() -> None:
    """Print rows a second end to end, beside decoding alone and beside the old loop."""
    settings = settings_for()
    with served((300_000, 900_000, 3)) as (url, symbols), tempfile.TemporaryDirectory() as folder:
        bodies = pages_of(url, symbols[0])
        start = time.perf_counter()
        alone = decode(bodies) / (time.perf_counter() - start)
        print(f"decode alone                {alone:12,.0f} rows/s, one thread")
        for minutes in (130, 10):
            plan = plan_of(symbols, minutes, settings)
            rows, requests, took = fetch(url, plan, settings, Path(folder) / str(minutes))
            rate = rows / took
            print(
                f"fetch, windows of {minutes:3} min  {rate:12,.0f} rows/s, {requests} requests, "
                f"{rate / alone:.2f} x decoding alone, emulator included"
            )
        old = old_loop(url, plan_of(symbols[:1], 10, settings).head(2), settings)
        print(f"the old loop                {old:12,.0f} rows/s, the same windows of 10 min")


def old_loop(url: str, plan: pl.DataFrame, settings: Settings) -> float:
    """Fetch one window after the other with a fixed sleep after each request; rows a second."""
    rows, start = 0, time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        connect(
            settings.provider, base_url=url, api_key="any", budget_address=Path(folder)
        ) as client,
    ):
        for row in plan.to_dicts():
            ask = client.trades if row["kind"] == "trades" else client.quotes
            ticks = ask(symbol=row["symbol"], start=row["window_start"], end=row["window_end"])
            rows += ticks.frame.height
            time.sleep(OLD_SLEEP_S * ticks.pages)
    return rows / (time.perf_counter() - start)


def measure_limit(calls_per_minute: int = 300) -> None:
    """Print how much of a rate limit a fetch uses: two minutes' calls and a few more."""
    settings = settings_for(calls_per_minute)
    with served((3_000, 9_000, 24), calls_per_minute) as (url, symbols):
        plan = plan_of(symbols, 10, settings)
        enough = 2 * calls_per_minute // 3 + 1  # a window takes three calls
        best = plan.filter(pl.col("priority") <= enough)
        with tempfile.TemporaryDirectory() as folder:
            _, requests, took = fetch(url, best, settings, Path(folder))
    least = (requests - 1) // calls_per_minute * 60
    print(
        f"limit {calls_per_minute}/min: {requests} calls in {took:.1f} s, {least / took:.1%} used"
    )


def measure_memory(quotes: int = 6_000_000) -> None:
    """Print the most memory that a fetch of one long window takes."""
    settings = settings_for()
    with (
        served((quotes // 10, quotes, 1)) as (url, symbols),
        tempfile.TemporaryDirectory() as folder,
    ):
        before = psutil.Process().memory_info().rss
        rows, _, _ = fetch(url, plan_of(symbols, MINUTES, settings), settings, Path(folder))
        peak = _peak_bytes()
        print(f"one window of {rows:,} rows: {before / MB:.0f} MiB before, {peak / MB:.0f} at most")
        print(windows_index(Lake(Path(folder) / "data")).select("kind", "rows", "pages", "bytes"))


def _peak_bytes() -> int:
    import resource  # noqa: PLC0415  not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


PARTS = {
    "reduce": measure_reduction,
    "size": measure_size,
    "fetch": measure_fetching,
    "limit": measure_limit,
    "memory": measure_memory,
}


def main() -> None:
    """Measure the parts that are named, or all of them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    for part in options.parse_args().parts or PARTS:
        PARTS[part]()


if __name__ == "__main__":
    main()
