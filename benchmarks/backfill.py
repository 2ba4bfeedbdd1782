"""A backfill of `intraday_events` through Dagster on SQLite: runs, seconds, and book-keeping.

    uv run python -m benchmarks.backfill --lake DIR

DIR is a lake that `benchmarks.full_size` has made. The command `smallcaps detect` runs twice in a
fresh Dagster instance: first every cell is detected, then every cell is current, so that all of the
second pass is book-keeping (and a look at each file's footer). The events are removed before.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COUNT_RUNS = """
from smallcaps_pipeline.defs.instance import project_instance
with project_instance() as instance:
    print(instance.get_runs_count())
"""


def detect(environment: dict[str, str]) -> float:
    """Run the command over every cell; return its seconds."""
    started = time.perf_counter()
    command = [sys.executable, "-c", "from smallcaps_pipeline.cli import main; main()"]
    subprocess.run(
        [*command, "detect", "--json"], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - started


def runs_made(environment: dict[str, str]) -> int:
    """Return how many runs the instance has recorded."""
    counted = subprocess.run(
        [sys.executable, "-c", COUNT_RUNS], env=environment, check=True, capture_output=True
    )
    return int(counted.stdout)


def main() -> None:
    """Print what a full backfill takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lake", type=Path, required=True, help="made by benchmarks.full_size")
    lake = parser.parse_args().lake
    cells = sum(1 for _ in (lake / "bars_1m").glob("symbol=*/date=*.parquet"))
    shutil.rmtree(lake / "intraday_events", ignore_errors=True)
    with tempfile.TemporaryDirectory() as state:
        environment = {**os.environ, "SMALLCAPS_DATA": str(lake), "SMALLCAPS_STATE": state}
        whole = detect(environment)
        runs = runs_made(environment)
        again = detect(environment)
    print(f"cells                        {cells:,}")
    print(f"runs                         {runs:,}")
    print(f"whole backfill               {whole:,.0f} s")
    print(f"book-keeping (second pass)   {again:,.0f} s, {again / cells * 1000:.0f} ms a cell")


if __name__ == "__main__":
    main()
