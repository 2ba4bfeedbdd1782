"""Detection against reading, and against other ways of writing the same rules.

    uv run python -m benchmarks.detection

One symbol of 750 days (some 500,000 bars) in yearly cells. Every figure is taken in a process of
its own, after a warm-up on fewer days, in rounds in which each row comes once; medians are shown,
and ratios are medians of the ratios within a round, so a busy machine moves both alike. Before
anything is timed, the baselines must find the very events that the product finds.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, Final

import polars as pl

from benchmarks.baselines import day_loop, duckdb_rules, pandas_rules
from benchmarks.measure import Run, fresh, timed
from benchmarks.sample import Sample, make_sample
from smallcaps_pipeline.events import detect_events
from smallcaps_pipeline.events.detect import detect, in_session, raw_events
from smallcaps_pipeline.events.shards import TABLE as SHARDS
from smallcaps_pipeline.events.shards import update_shard
from smallcaps_pipeline.schemas import BARS, EVENTS
from smallcaps_pipeline.settings import Settings, load_settings

SYMBOL: Final = "BNCH"
DAYS: Final = 750
CHECKED_DAYS: Final = 40  # on which the baselines are held to the product, and all are warmed up
MOST_READS, LEAST_DAY_LOOP, MOST_BYTES = 3.0, 200.0, 9.5  # goals: x read, day loop / it, a bar
MEGABYTE: Final = 1e6


class DisagreementError(AssertionError):
    """A baseline finds other events than the product: what it takes says nothing."""


@cache
def shipped() -> Settings:
    """Return the settings, read once in a process, as a run does."""
    return load_settings()


# what is measured -------------------------------------------------------------------------------


def read_one_by_one(sample: Sample) -> int:
    """Read the cells, one after the other."""
    for file in sample.cells:
        sample.lake.read(file, BARS)
    return 0


def read_together(sample: Sample) -> int:
    """Read all cells as one frame."""
    pl.scan_parquet(sample.cells, hive_partitioning=False).collect()
    return 0


def detect_one_by_one(sample: Sample) -> int:
    """Read and detect the cells, one after the other."""
    return sum(len(detect(sample.lake.read(file, BARS), shipped()).events) for file in sample.cells)


def update_shards(sample: Sample) -> int:
    """Read, detect and store the cells, as many at once as there are cores: as the asset does."""
    settings = shipped()
    for period in sample.periods:
        sample.lake.remove(sample.lake.cell(SHARDS, sample.symbol, period))

    def work(period: str) -> int:
        return update_shard(sample.lake, sample.symbol, period, settings, None).rows

    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        return sum(pool.map(work, sample.periods))


def read_frame(sample: Sample) -> pl.DataFrame:
    """Return all bars as one frame."""
    return pl.concat([sample.lake.read(file, BARS) for file in sample.cells])


def detect_frame(bars: pl.DataFrame) -> int:
    """Detect in one frame that has been read."""
    return len(detect_events(bars, shipped()))


def run_day_loop(sample: Sample) -> int:
    """Run the old way."""
    return len(day_loop.events(sample.day_files, shipped().events))


def run_pandas(sample: Sample) -> int:
    """Run the rules in pandas."""
    return len(pandas_rules.events(sample.cells, shipped().events))


def run_duckdb(sample: Sample) -> int:
    """Run the rules in SQL."""
    return len(duckdb_rules.events(sample.cells, shipped().events))


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        label: What it is, in the table.
        work: What is timed; returns the events found.
        prepare: Makes what `work` takes, untimed; the sample itself where None.
        repeats: How often it is timed in one process.
        rounds: In how many rounds it takes part at most.
    """

    label: str
    work: Callable[[Any], int]
    prepare: Callable[[Sample], Any] | None = None
    repeats: int = 5
    rounds: int = 99


ROWS: Final = {
    "read": Row("read, one cell after the other (floor)", read_one_by_one),
    "scan": Row("read, all cells by one scan", read_together),
    "each": Row("read + detect, one cell after the other", detect_one_by_one),
    "shards": Row("read + detect + store, cells on all cores", update_shards),
    "frame": Row("detect_events on one frame, read before", detect_frame, prepare=read_frame),
    "pandas": Row("pandas, whole frame", run_pandas, repeats=1, rounds=3),
    "duckdb": Row("DuckDB, SQL windows", run_duckdb, repeats=1, rounds=3),
    "days": Row("day loop, eager polars chains", run_day_loop, repeats=1, rounds=3),
}
FLOOR, OLD_WAY = "read", "days"
BASELINES: Final = ("pandas", "duckdb", "days")


# in a process of its own ------------------------------------------------------------------------


def measure(name: str, warm_up: Sample, sample: Sample) -> Run:
    """Measure one row after a warm-up on fewer days."""
    row = ROWS[name]
    prepare = row.prepare or (lambda it: it)
    row.work(prepare(warm_up))
    given = prepare(sample)
    return timed(lambda: row.work(given), row.repeats)


def raw(sample: Sample) -> pl.DataFrame:
    """Return the keys of the product's events before filters, duplicates and groups."""
    settings = shipped().events
    inside, labels = in_session(read_frame(sample), settings)
    return raw_events(inside, labels, settings)[0].select(EVENTS.key)


def count_raw(sample: Sample) -> int:
    """Count the events before filters, duplicates and groups."""
    return len(raw(sample))


def check(sample: Sample) -> None:
    """Hold the baselines to the product.

    Raises:
        DisagreementError: One of them finds other events.
    """
    settings, expected = shipped().events, raw(sample)
    for module, files in (
        (day_loop, sample.day_files),
        (pandas_rules, sample.cells),
        (duckdb_rules, sample.cells),
    ):
        found = module.events(files, settings)
        if not found.equals(expected):
            missing = expected.join(found, on=EVENTS.key, how="anti")
            wrong = found.join(expected, on=EVENTS.key, how="anti")
            raise DisagreementError(
                f"{module.__name__} lacks {len(missing)} of {len(expected)} events and finds "
                f"{len(wrong)} that are none: {missing.head(3)} {wrong.head(3)}"
            )


def first_use(sample: Sample) -> tuple[float, float]:
    """Return seconds of processor of the first detection in this process, and of the second."""
    first, second = (timed(lambda: detect_one_by_one(sample)) for _ in range(2))
    return first.cpu_s, second.cpu_s


# the table --------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the sample, check, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, prog="benchmarks.detection")
    parser.add_argument("--days", type=int, default=DAYS, help="trading days of the sample")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of measurements")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        warm_up = fresh(make_sample, root / "few", SYMBOL, CHECKED_DAYS)
        sample = fresh(make_sample, root / "all", SYMBOL, options.days)
        fresh(check, warm_up)
        print(f"the baselines find the product's raw events on {CHECKED_DAYS} days")
        compiling = compile_seconds(root / "numba", warm_up)
        runs: dict[str, list[Run]] = {name: [] for name in ROWS}
        for done in range(options.rounds):
            for name in (name for name, row in ROWS.items() if done < row.rounds):
                runs[name].append(fresh(measure, name, warm_up, sample))
            print(f"round {done + 1} of {options.rounds}", flush=True)
        check_counts(runs, fresh(count_raw, sample))
        bars, stored = fresh(size, sample)
    print(f"\n{bars:,} bars of {options.days} days, {stored / bars:.2f} bytes a bar on disk")
    print(
        f"compilation on first use, and after a change of the rules: {compiling:.1f} CPU s, once\n"
    )
    print_table(runs)
    print_goals(runs, stored / bars)


def size(sample: Sample) -> tuple[int, int]:
    """Return the bars of a sample and the bytes that its cells take on disk."""
    return len(read_frame(sample)), sum(file.stat().st_size for file in sample.cells)


def compile_seconds(folder: Path, sample: Sample) -> float:
    """Return how much more processor time detection takes where no machine code is kept yet."""
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    try:
        first, second = fresh(first_use, sample)
    finally:
        del os.environ["NUMBA_CACHE_DIR"]
    return first - second


def check_counts(runs: dict[str, list[Run]], expected: int) -> None:
    """Hold the baselines' counts on the whole sample to the product's."""
    for name in BASELINES:
        for run in runs[name]:
            if run.result != expected:
                raise DisagreementError(f"{name} found {run.result} events, not {expected}")


def ratio(of: list[Run], to: list[Run], figure: str = "wall_s") -> float:
    """Return the median of the ratios of two rows within a round."""
    pairs = zip(of, to, strict=False)  # slow rows take part in fewer rounds
    return float(median(getattr(a, figure) / getattr(b, figure) for a, b in pairs))


def print_table(runs: dict[str, list[Run]]) -> None:
    """Print a line for each row, as markdown."""
    head = "what | wall s | CPU s | x read, wall | x read, CPU | day loop / it, CPU"
    print(f"| {head} | events | peak MB |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, row in ROWS.items():
        mine = runs[name]
        figures = [
            f"{median(run.wall_s for run in mine):.3f}",
            f"{median(run.cpu_s for run in mine):.3f}",
            f"{ratio(mine, runs[FLOOR]):.2f}",
            f"{ratio(mine, runs[FLOOR], 'cpu_s'):.2f}",
            f"{ratio(runs[OLD_WAY], mine, 'cpu_s'):.1f}",
            f"{mine[0].result:,}" if mine[0].result else "-",
            f"{median(run.peak_bytes for run in mine) / MEGABYTE:.0f}",
        ]
        print(f"| {row.label} | {' | '.join(figures)} |")


def print_goals(runs: dict[str, list[Run]], bytes_a_bar: float) -> None:
    """Print each goal with its figure."""
    print()
    for name in ("each", "shards"):
        for figure in ("wall_s", "cpu_s"):
            reads = ratio(runs[name], runs[FLOOR], figure)
            times = ratio(runs[OLD_WAY], runs[name], figure)
            goal(f"{ROWS[name].label}, {figure}: x read", reads, reads <= MOST_READS)
            goal(f"{ROWS[name].label}, {figure}: day loop / it", times, times >= LEAST_DAY_LOOP)
    goal("bytes a bar", bytes_a_bar, bytes_a_bar <= MOST_BYTES)


def goal(text: str, figure: float, is_met: bool) -> None:
    """Print whether a goal is met."""
    print(f"{'met    ' if is_met else 'NOT MET'} {text}: {figure:.2f}")


if __name__ == "__main__":
    main()
