"""The demo's chain on a few made-up symbols and one month, through the same jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import dagster as dg
from pydantic import SecretStr

from smallcaps_pipeline.cells import period_of
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.build import build_definitions
from smallcaps_pipeline.defs.launch import Launcher
from smallcaps_pipeline.defs.partitions import SYMBOL, Cell, Grid, build_grid
from smallcaps_pipeline.defs.resources import Provider
from smallcaps_pipeline.defs.schedules import RANGE_END, RANGE_START
from smallcaps_pipeline.defs.universe import first_day_needed
from smallcaps_pipeline.emulator import MarketSource, Options, Running, running
from smallcaps_pipeline.environment import Environment
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.settings import Settings, load_settings
from smallcaps_pipeline.windows import batch_names

AS_OF = date(2025, 9, 30)
MONTH = period_of(date(2025, 10, 1), "month")

OVERLAY = """
universe: {as_of: 2025-09-30, sessions: 10, volume_mean_sessions: 5, size: 3}
partitions: {date: month, start: 2025-10-01}
provider: {retries: 1, retry_wait_s: 0.01}
manifest:
  profiles:
    core:
      total: 20
      max_per_symbol: 6
      min_score_percentile: 40.0
      min_dollar_volume_bar: 20000
      max_bar_range_pct: 15.0
windows: {batch_windows: 8}
"""


@dataclass(frozen=True)
class FixedDay(Provider):
    """A provider whose last finished day does not move with the clock."""

    last: date = MONTH.last

    def last_finished_day(self, now: datetime | None = None) -> date:
        return self.last


@dataclass(frozen=True)
class Chain:
    """A lake, an instance, an emulator, and the jobs between them."""

    settings: Settings
    lake: Lake
    grid: Grid
    launcher: Launcher
    emulator: Running

    @property
    def instance(self) -> dg.DagsterInstance:
        return self.launcher.instance

    def cells(self) -> list[Cell]:
        return [Cell(symbol, MONTH) for symbol in self.instance.get_dynamic_partitions(SYMBOL)]

    def run_universe(self) -> None:
        first = first_day_needed(self.settings, AS_OF)
        self.launcher.run(jobs.REFERENCE)
        tags = {RANGE_START: str(first), RANGE_END: str(AS_OF)}
        self.launcher.run(jobs.DAILY_BARS, tags=tags)
        self.launcher.run(jobs.UNIVERSE)

    def run_events(self) -> None:
        for job in (jobs.BARS, jobs.EVENTS):
            self.launcher.run_cells(job, self.cells(), self.grid, 200)
        self.launcher.run(jobs.SUMMARY)

    def run_downloads(self) -> None:
        self.launcher.run(jobs.MANIFEST, partition="core")
        for batch in batch_names(self.lake, "core"):
            self.launcher.run(jobs.DOWNLOAD, partition=batch)

    def run_all(self) -> None:
        self.run_universe()
        self.run_events()
        self.run_downloads()
        self.launcher.run(jobs.REPORT, partition="core")

    def asked(self, path: str) -> list[str]:
        """List the requests of a path so far."""
        return [one.target for one in self.emulator.requests if one.target.startswith(path)]


@contextmanager
def chain_in(
    folder: Path,
    market: MarketSource,
    *,
    overlay: str = OVERLAY,
    key: str | None = None,
    options: Options | None = None,
    last: date = MONTH.last,
) -> Iterator[Chain]:
    """Open the graph over an emulator of its own; with a key it is a provider like the real one."""
    config = folder / "config.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    config.write_text(overlay, encoding="utf-8")
    settings = load_settings(config)
    with running(market, options=options) as emulator, dg.DagsterInstance.ephemeral() as instance:
        environment = Environment.model_construct(
            data=folder / "data",
            state=folder / "state",
            api_key=None if key is None else SecretStr(key),
            base_url=None if key is None else emulator.base_url,
        )
        provider = FixedDay(settings, environment, emulator.base_url, last)
        definitions = build_definitions(
            settings=settings, environment=environment, provider=provider
        )
        lake, grid = Lake(environment.data_root), build_grid(settings)
        yield Chain(settings, lake, grid, Launcher(definitions, instance), emulator)
