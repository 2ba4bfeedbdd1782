"""Flat files: one day of the whole market from an S3 server on loopback into the lake.

    uv run python benchmarks/flatfiles.py [--symbols 10000] [--days 3]

Measures, each in its own process (so that the peak of memory is that step's):

    floor    gunzip and parse the CSV, nothing else
    store    download, clean, sort, store the day (`flat_file_days`)
    split    the day into one cell of bars per symbol, cells not there before
    grow     the next day into the same cells
    month    the days after, all at once: each cell is rewritten once

The goal of issue 4 is store + split <= 20 s in <= 1.5 GiB for 10,000 symbols.
"""

from __future__ import annotations

import argparse
import gzip
import logging
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import numpy as np
import polars as pl
from moto.server import ThreadedMotoServer

from smallcaps_pipeline.bars.day_files import (
    DayFiles,
    Splitter,
    needed_days,
    store_day,
    update_from_days,
)
from smallcaps_pipeline.cells import period_of
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.polygon.flatfiles import COLUMNS, FlatFiles, KeyPair, Location
from smallcaps_pipeline.sessions import trading_days

FIRST = date(2025, 3, 3)
BUCKET, PREFIX = "flatfiles", "us_stocks_sip/minute_aggs_v1"
WORKERS = 4
MEDIAN_BARS, SPREAD = 90, 1.2  # of a symbol's day: lognormal, some 170 on average


def symbols_of(count: int) -> list[str]:
    """Return made-up tickers, spread over the alphabet."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return [
        "".join(letters[n // 26**k % 26] for k in (3, 2, 1, 0))
        for n in range(7, 7 + 41 * count, 41)
    ]


def market_day(day: date, symbols: list[str], seed: int) -> bytes:
    """Return a day's CSV of the whole market, gzipped."""
    rng = np.random.default_rng(seed)
    counts = np.clip(rng.lognormal(np.log(MEDIAN_BARS), SPREAD, len(symbols)), 1, 900).astype(int)
    start = datetime.combine(day, datetime.min.time(), ZoneInfo("America/New_York"))
    midnight = int(start.timestamp()) + 4 * 3600
    minutes = np.concatenate([np.sort(rng.choice(960, n, replace=False)) for n in counts])
    closes = np.round(np.repeat(rng.uniform(0.5, 80, len(symbols)), counts), 2)
    moves = np.round(rng.exponential(0.02, (2, len(closes))), 2)
    frame = pl.DataFrame(
        {
            "ticker": np.repeat(np.array(symbols), counts),
            "volume": np.ceil(rng.exponential(2_000, len(closes))),
            "open": closes,
            "close": closes,
            "high": np.round(closes + moves[0], 2),
            "low": np.round(np.maximum(closes - moves[1], 0.01), 2),
            "window_start": (midnight + minutes * 60) * 1_000_000_000,
            "transactions": rng.integers(1, 400, len(closes)),
        }
    )
    return gzip.compress(frame.write_csv().encode(), 6)


def client(url: str) -> FlatFiles:
    """Open the server's files."""
    return FlatFiles(Location(url, BUCKET, PREFIX, "us-east-1"), KeyPair("access", "secret"))


def floor(url: str, root: Path, days: list[date]) -> str:
    """Gunzip and parse one day."""
    del url
    packed = (root / f"{days[0]}.gz").read_bytes()
    types = {name: dtype for name, (dtype, _) in COLUMNS.items()}
    return f"{len(pl.read_csv(gzip.decompress(packed), schema_overrides=types)):,} rows"


def store(url: str, root: Path, days: list[date]) -> str:
    """Download and store days."""
    files, lake = client(url), Lake(root)
    for day in days:
        got = files.read(day)
        stored = store_day(lake, day, got.frame, version=got.version, source="benchmark")
    return f"{got.size / 1e6:.1f} MB zipped, {stored.rows:,} bars, {stored.symbols:,} symbols"


def split(url: str, root: Path, days: list[date]) -> str:
    """Bring every symbol's cell up to date."""
    del url
    lake, period = Lake(root), period_of(days[-1], "year")
    stored = DayFiles.of(lake, period.first, days[-1])
    symbols = sorted(stored.scan(days[-1:], ["A", "ZZZZZ"])["symbol"].unique())
    symbols = symbols or symbols_of(int((root / "symbols").read_text()))
    needs = {
        (s, period.key): needed_days(lake.cell("bars_1m", s, period.key), period, stored, days[-1])
        for s in symbols
    }
    splitter = Splitter(stored, needs)

    def one(symbol: str) -> int:
        return update_from_days(
            lake,
            splitter,
            stored,
            symbol,
            period,
            needs[symbol, period.key],
            source_name="benchmark",
        ).new_rows

    if WORKERS == 1:
        return str(sum(map(one, symbols)))
    with ThreadPoolExecutor(WORKERS) as pool:
        return f"{sum(pool.map(one, symbols)):,} new bars in {len(symbols):,} cells"


def _measure(pipe: Any, step: Callable[..., str], *arguments: Any) -> None:
    start, busy = time.perf_counter(), time.process_time()
    said = step(*arguments)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    pipe.send((seconds, busy, _peak() / 2**30, said))


def _peak() -> int:
    """Return the most memory that this process had, in bytes (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def measure(name: str, step: Callable[..., str], *arguments: Any) -> tuple[float, float]:
    """Run a step in a process of its own; print and return its wall and CPU seconds."""
    context = multiprocessing.get_context("spawn")
    there, here = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(here, step, *arguments))
    process.start()
    seconds, busy, peak, said = there.recv()
    process.join()
    print(f"{name:8}{seconds:8.1f} s {busy:8.1f} s of CPU {peak:6.2f} GiB   {said}")
    return float(seconds), float(busy)


def main() -> None:
    """Make the market, serve it, measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--symbols", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=12)
    chosen = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    days = trading_days(FIRST, FIRST + timedelta(days=60))[: chosen.days]
    symbols = symbols_of(chosen.symbols)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    s3 = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="access",
        aws_secret_access_key="secret",
    )
    s3.create_bucket(Bucket=BUCKET)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "symbols").write_text(str(chosen.symbols))
        for number, day in enumerate(days):
            packed = market_day(day, symbols, number)
            s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{day:%Y/%m}/{day}.csv.gz", Body=packed)
            (root / f"{days[0]}.gz").write_bytes(packed)
        _, least = measure("floor", floor, url, root, days)
        steps = [measure(step.__name__, step, url, root, days[:1]) for step in (store, split)]
        took, busy = (sum(times) for times in zip(*steps, strict=True))
        print(f"store + split: {took:.1f} s (goal 20), CPU {busy / least:.0f} x the floor's")
        measure("store", store, url, root, days[1:2])
        measure("grow", split, url, root, days[:2])
        if len(days) > 2:
            measure("store", store, url, root, days[2:])
            measure("month", split, url, root, days)
    server.stop()


if __name__ == "__main__":
    main()
