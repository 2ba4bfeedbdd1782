"""Detection over a whole universe of years: seconds, bars a second, peak memory.

    uv run python -m benchmarks.full_size --lake DIR [--symbols 2000] [--days 750]

The lake is made once (2,000 symbols of 750 days: 6,000 cells, a billion bars, 9 GB) and kept:
started again, the making goes on where it was. To make a market takes longer than to search it, so
the first `--distinct` symbols have bars of their own, and the others the same bars under their own
names, in files of their own, less compressed (which reading does not feel). Then all cells are read
once, so that their files are warm, and every shard is detected anew by `update_shard`, as many
cells at once as there are cores, as the asset `intraday_events` does; first for half of the
symbols, then for all: cost is linear in bars where the rates agree. Each in a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from os import cpu_count
from pathlib import Path
from typing import Final

import polars as pl

from benchmarks.bars import FIRST_DAY, bars_of, trading_days
from benchmarks.measure import Run, fresh, timed
from benchmarks.sample import write_cells
from smallcaps_pipeline.cells import periods_between
from smallcaps_pipeline.defs.progress import NoDisplay, ProgressLog
from smallcaps_pipeline.events.shards import TABLE as SHARDS
from smallcaps_pipeline.events.shards import update_shard
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.schemas import BARS
from smallcaps_pipeline.settings import Settings, load_settings

SYMBOLS, DAYS, DISTINCT = 2_000, 750, 40
MOST_SECONDS, MOST_BYTES = 180.0, 2**30  # the goals, on 2 cores with warm files
READ_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Total:
    """What was detected: cells, bars, events."""

    cells: int
    bars: int
    events: int


def symbols_of(count: int) -> list[str]:
    """Return tickers: four letters, the same ones each time."""
    return ["".join(chr(65 + n // 26**place % 26) for place in (3, 2, 1, 0)) for n in range(count)]


# making the lake --------------------------------------------------------------------------------


def make(lake: Lake, symbols: Sequence[str], days: int, distinct: int, processes: int) -> None:
    """Write the cells of all symbols that are not there yet, in several processes."""
    make_each(lake, symbols[:distinct], days, processes, partial(make_symbol, lake, days))
    models = dict(zip(symbols[distinct:], cycle(symbols[:distinct])))
    make_each(lake, symbols[distinct:], days, processes, partial(copy_symbol, lake, days, models))


def make_each(
    lake: Lake, symbols: Sequence[str], days: int, processes: int, work: Callable[[str], None]
) -> None:
    """Do the work for each symbol that lacks a cell."""
    periods = cells_of(days)
    missing = [
        symbol
        for symbol in symbols
        if not all(lake.cell(BARS.name, symbol, period).exists() for period in periods)
    ]
    print(f"{len(symbols) - len(missing):,} of {len(symbols):,} symbols are there")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        progress = show(len(missing), "symbols made")
        for _ in pool.map(work, missing):
            progress.advance()


def make_symbol(lake: Lake, days: int, symbol: str) -> None:
    """Write the cells of one symbol; each appears in one step, the last one last."""
    write_cells(lake, symbol, bars_of(symbol, days))


def copy_symbol(lake: Lake, days: int, models: Mapping[str, str], symbol: str) -> None:
    """Write the bars of another symbol as those of this one."""
    for period in cells_of(days):
        bars = lake.read(lake.cell(BARS.name, models[symbol], period), BARS)
        named = bars.with_columns(symbol=pl.lit(symbol))
        lake.write(named, lake.cell(BARS.name, symbol, period), level=1)


def cells_of(days: int) -> list[str]:
    """Return the keys of the yearly cells of the generator's first days."""
    dates = trading_days(days)["date"]
    return [period.key for period in periods_between(FIRST_DAY, dates[-1], "year")]


def warm(files: Iterable[Path]) -> None:
    """Read files once."""
    for file in files:
        with file.open("rb") as stream:
            while stream.read(READ_BYTES):
                pass


# detection --------------------------------------------------------------------------------------


def detect_all(lake: Lake, cells: Sequence[tuple[str, str]]) -> Run:
    """Detect the events of cells (symbol, period) whose shards are not there."""
    settings = load_settings()
    with tempfile.TemporaryDirectory() as folder:  # compiled code is loaded, or made
        few = Lake(Path(folder))
        write_cells(few, "FEW", bars_of("FEW", 5))
        update_cell(few, settings, ("FEW", cells_of(5)[0]))
    return timed(lambda: update_all(lake, settings, cells))


def update_all(lake: Lake, settings: Settings, cells: Sequence[tuple[str, str]]) -> Total:
    """Update the shards of cells, as many at once as there are cores."""
    progress = show(len(cells), "cells detected")
    bars = events = 0
    left = iter(cells)
    work = partial(update_cell, lake, settings)
    cores = pl.thread_pool_size() + 1  # as the asset does
    with ThreadPoolExecutor(cores) as pool:
        under_way: set[Future[Total]] = {
            pool.submit(work, cell) for cell in islice(left, 2 * cores)
        }
        while under_way:
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            under_way |= {pool.submit(work, cell) for cell in islice(left, len(done))}
            for future in done:
                bars, events = bars + future.result().bars, events + future.result().events
                progress.advance()
    return Total(len(cells), bars, events)


def update_cell(lake: Lake, settings: Settings, cell: tuple[str, str]) -> Total:
    """Update the shard of one cell."""
    update = update_shard(lake, *cell, settings, None)
    return Total(1, update.bars, update.rows)


def show(total: int, unit: str) -> ProgressLog:
    """Return a progress that prints a line every few seconds: done, rate, time left."""
    return ProgressLog(
        partial(print, flush=True),
        total=total,
        unit=unit,
        clock=time.monotonic,
        display=NoDisplay(),
    )


# the result -------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the lake, detect half of it and all of it, print."""
    parser = argparse.ArgumentParser(description=__doc__, prog="benchmarks.full_size")
    parser.add_argument("--lake", type=Path, required=True, help="folder of the lake, kept")
    parser.add_argument("--symbols", type=int, default=SYMBOLS)
    parser.add_argument("--days", type=int, default=DAYS, help="trading days of each symbol")
    parser.add_argument("--distinct", type=int, default=DISTINCT, help="symbols of own bars")
    parser.add_argument("--processes", type=int, default=cpu_count(), help="that make the lake")
    options = parser.parse_args(arguments)
    lake, symbols = Lake(options.lake), symbols_of(options.symbols)
    make(lake, symbols, options.days, options.distinct, options.processes)
    cells = [(symbol, period) for symbol in symbols for period in cells_of(options.days)]
    warm(lake.cell(BARS.name, *cell) for cell in cells)
    half = cells[: len(cells) // 2]
    runs = [measure(lake, some) for some in (half, cells)]
    print_table(runs)


def measure(lake: Lake, cells: Sequence[tuple[str, str]]) -> Run:
    """Remove the shards of cells and detect them anew in a process of its own."""
    for cell in cells:
        lake.remove(lake.cell(SHARDS, *cell))
    return fresh(detect_all, lake, cells)


def print_table(runs: Sequence[Run]) -> None:
    """Print a line for each run, and how the largest stands to the goals."""
    print("| cells | bars | events | wall s | CPU s | M bars / s | M bars / CPU s | peak MB |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for run in runs:
        total = run.result
        print(
            f"| {total.cells:,} | {total.bars:,} | {total.events:,} | {run.wall_s:.1f} "
            f"| {run.cpu_s:.1f} | {total.bars / run.wall_s / 1e6:.2f} "
            f"| {total.bars / run.cpu_s / 1e6:.2f} | {run.peak_bytes / 1e6:.0f} |"
        )
    half, whole = runs
    bars = whole.result.bars / half.result.bars
    print(f"\n{bars:.2f} x the bars took {whole.wall_s / half.wall_s:.2f} x the time", end=", ")
    print(f"{whole.cpu_s / half.cpu_s:.2f} x the processor time")
    print(f"peak memory {whole.peak_bytes / MOST_BYTES:.2f} GiB (goal: at most 1)")
    full = whole.wall_s * SYMBOLS * 3 / whole.result.cells
    print(f"{full:.0f} s for 6,000 such cells (goal: at most {MOST_SECONDS:g})")


if __name__ == "__main__":
    main()
