"""What the commands do: gather, run the job in the project's instance, print.

Keep out: argument parsing (`cli`), looks (`console`), and any computation of the chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

import dagster as dg
import polars as pl
from dagster import DagsterRunStatus, RunsFilter

from smallcaps_pipeline.bars.importing import import_bars
from smallcaps_pipeline.bars.update import TABLE as BARS_TABLE
from smallcaps_pipeline.cells import period_from_key, periods_between
from smallcaps_pipeline.console import Console, WrongUseError
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.batch_runs import PARTITION_TAG, UNFINISHED, is_busy
from smallcaps_pipeline.defs.build import build_definitions
from smallcaps_pipeline.defs.instance import project_instance
from smallcaps_pipeline.defs.launch import Launcher, RunFailedError, why_failed
from smallcaps_pipeline.defs.manifest import stored_funnel
from smallcaps_pipeline.defs.partitions import Cell, Grid, build_grid
from smallcaps_pipeline.defs.processes import fail_dead_runs
from smallcaps_pipeline.defs.reference import read_reference
from smallcaps_pipeline.defs.resources import Provider
from smallcaps_pipeline.defs.schedules import RANGE_START
from smallcaps_pipeline.defs.windows import cost_metadata
from smallcaps_pipeline.environment import Environment, World, claim, world_of
from smallcaps_pipeline.events import detect
from smallcaps_pipeline.lake import Lake, read_metadata
from smallcaps_pipeline.report import event_summary
from smallcaps_pipeline.schemas import BARS, EVENTS, MANIFEST, MICRO_FEATURES, PLAN
from smallcaps_pipeline.settings import Settings, load_settings
from smallcaps_pipeline.windows import Kind, batch_names, missing_rows, stored, stored_windows

SESSIONS = ("PM", "RTH", "AH")
RUNS_SHOWN = 10


@dataclass(frozen=True)
class Project:
    """The project as the environment says: settings, lake, grid, and a launcher of runs."""

    settings: Settings
    environment: Environment
    lake: Lake
    grid: Grid
    provider: Provider
    launcher: Launcher

    @property
    def cannot_fetch(self) -> bool:
        """Whether there is no key and the lake holds real data: nothing simulated may join them."""
        return self.environment.is_simulated and world_of(self.lake.root) == World.REAL

    def run(self, job: str, partition: str | None = None, only: str | None = None) -> None:
        """Run a job in this process."""
        self.launcher.run(job, partition=partition, assets=[only] if only else None)


@contextmanager
def open_project(console: Console) -> Iterator[Project]:
    """Open the project's Dagster instance with progress bars on this console."""
    settings, environment = load_settings(), Environment()
    provider = Provider(settings, environment)
    with project_instance() as instance, console.display() as display:
        fail_dead_runs(instance)
        definitions = build_definitions(
            settings=settings, environment=environment, provider=provider, display=display
        )
        yield Project(
            settings,
            environment,
            Lake(environment.data_root),
            build_grid(settings),
            provider,
            Launcher(definitions, instance),
        )


@dataclass(frozen=True)
class Selection:
    """Symbols, days and sessions that were asked for; None is all."""

    symbols: frozenset[str] | None = None
    first: date | None = None
    last: date | None = None
    sessions: tuple[str, ...] = SESSIONS

    @classmethod
    def of(
        cls,
        symbols: str | None,
        symbols_file: Path | None,
        first: date | None,
        last: date | None,
        sessions: str,
    ) -> Self:
        """Read the options of a command.

        Raises:
            WrongUseError: The dates are in the wrong order, or a session is unknown.
        """
        names = [] if symbols is None else symbols.split(",")
        if symbols_file is not None:
            names += symbols_file.read_text(encoding="utf-8").split()
        wanted = tuple(name.strip().upper() for name in sessions.split(","))
        if unknown := set(wanted) - set(SESSIONS):
            raise WrongUseError(f"--sessions {sorted(unknown)}: there are {', '.join(SESSIONS)}")
        if first and last and first > last:
            raise WrongUseError(f"--from {first} is after --to {last}")
        chosen = frozenset(name.strip() for name in names if name.strip())
        return cls(chosen or None, first, last, wanted)

    def cells(self, project: Project) -> list[Cell]:
        """List the cells that have bars and overlap the selection."""
        cells = (
            Cell(symbol, period_from_key(key, project.grid.cadence))
            for symbol, key, _ in project.lake.cells(BARS_TABLE)
            if self.symbols is None or symbol in self.symbols
        )
        return [
            cell
            for cell in cells
            if (self.last is None or cell.period.first <= self.last)
            and (self.first is None or cell.period.last >= self.first)
        ]

    def missing(self, project: Project) -> list[Cell]:
        """List the cells without bars among symbols and days that were asked for by name."""
        if self.symbols is None or self.first is None:
            return []
        there = {(symbol, key) for symbol, key, _ in project.lake.cells(BARS_TABLE)}
        last = self.last or project.provider.last_finished_day()
        periods = periods_between(self.first, last, project.grid.cadence)
        return [
            Cell(symbol, period)
            for symbol in sorted(self.symbols)
            for period in periods
            if (symbol, period.key) not in there
        ]

    def rows(self, events: pl.LazyFrame) -> pl.DataFrame:
        """Return the events of the selection."""
        wanted = pl.col("session").is_in(self.sessions)
        if self.symbols is not None:
            wanted &= pl.col("symbol").is_in(sorted(self.symbols))
        if self.first is not None:
            wanted &= pl.col("date") >= str(self.first)
        if self.last is not None:
            wanted &= pl.col("date") <= str(self.last)
        return events.filter(wanted).collect()


def import_into_lake(console: Console, source: Path, timezone: str | None) -> None:
    """Import bars and record the cells as materialized."""
    with open_project(console) as project:
        claim(project.lake.root, simulated=False)
        done = import_bars(source, project.lake, cadence=project.grid.cadence, timezone=timezone)
        project.launcher.add_symbols(symbol for symbol, _ in done.cells)
        for symbol, key in sorted(set(done.cells)):
            cell = Cell(symbol, period_from_key(key, project.grid.cadence))
            file = project.lake.cell(BARS_TABLE, symbol, key)
            project.launcher.instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    BARS_TABLE,
                    partition=cell.key,
                    metadata={"dagster/row_count": (read_metadata(file) or {})["rows"]},
                )
            )
    console.fact("files", done.files)
    console.fact("bars", done.rows)
    console.fact("cells", len(set(done.cells)))
    console.table(
        "set aside",
        [
            {"reason": reason, "bars": bars, "file": file}
            for file, by_reason in done.set_aside.items()
            for reason, bars in by_reason.items()
        ],
    )
    console.table("files left out", [{"file": f, "why": why} for f, why in done.failed.items()])
    console.finish()
    if done.failed and not done.files:
        raise ValueError(f"none of the {len(done.failed)} files could be used")


def detect_cells(console: Console, selection: Selection, *, summary_only: bool) -> None:
    """Detect the events of the selected cells and count them.

    Bars of symbols and days that were asked for by name and are not there are fetched first.
    """
    with open_project(console) as project:
        size = project.settings.partitions.cells_per_run
        missing = selection.missing(project)
        if missing and project.cannot_fetch:
            console.say(f"{len(missing)} cells have no bars, and without a key none are fetched")
        elif missing:
            console.stage(f"bars of {len(missing)} cells that are not there yet")
            project.launcher.run_cells(jobs.BARS, missing, project.grid, size)
        cells = selection.cells(project)
        if not cells:
            raise LookupError(
                f"no bars of that selection in {project.lake.root}; `smallcaps import-bars` or "
                "the asset bars_1m bring them in"
            )
        if summary_only:
            counted = _count_only(project, cells, selection)
        else:
            project.launcher.run_cells(jobs.EVENTS, cells, project.grid, size)
            files = [project.lake.cell(EVENTS.name, c.symbol, c.period.key) for c in cells]
            counted = event_summary(selection.rows(project.lake.scan(files, EVENTS)))
    _print_counts(console, counted, len(cells))
    console.finish()


def _count_only(project: Project, cells: list[Cell], selection: Selection) -> pl.DataFrame:
    """Count the events of cells, one cell in memory at a time, without writing them."""
    reference = read_reference(project.lake)
    counted = []
    for cell in cells:
        bars = project.lake.read(project.lake.cell(BARS_TABLE, cell.symbol, cell.period.key), BARS)
        found = detect(bars, project.settings, reference=reference).events
        counted.append(event_summary(selection.rows(found.lazy())))
    keys = ["event_type", "direction", "session", "month"]
    return pl.concat(counted).group_by(keys).agg(pl.col("events", "symbols").sum()).sort(keys)


def _print_counts(console: Console, counted: pl.DataFrame, cells: int) -> None:
    by_type = (
        counted.pivot(
            "session", index=["event_type", "direction"], values="events", aggregate_function="sum"
        )
        .fill_null(0)
        .sort("event_type", "direction")
    )
    there = [name for name in SESSIONS if name in by_type.columns]
    rows = by_type.select("event_type", "direction", *there, total=pl.sum_horizontal(there or [0]))
    console.table("events", rows.to_dicts())
    console.fact("cells", cells)
    console.fact("events in all", int(counted["events"].sum()))


def make_manifest(console: Console, profile: str) -> None:
    """Build a manifest and print its funnel and notes."""
    with open_project(console) as project:
        _check_profile(project, profile)
        project.run(jobs.MANIFEST, partition=profile)
        file = project.lake.profile(MANIFEST.name, profile)
        notes = (read_metadata(file) or {})["notes"]
        rows = project.lake.read(file, MANIFEST)
    console.table("funnel", stored_funnel(file).to_dicts())
    console.lines("notes", notes)
    best = rows.head(10).select("rank", "event_id", "session", "score", "rank_score", "fill")
    console.table("best", best.to_dicts())
    console.fact("events chosen", len(rows))
    console.fact("file", str(file))
    console.finish()


def estimate_cost(console: Console, profile: str) -> None:
    """Plan a profile's downloads and print what they cost."""
    with open_project(console) as project:
        _check_profile(project, profile)
        project.run(jobs.MANIFEST, partition=profile)
        plan = project.lake.read(project.lake.profile(PLAN.name, profile), PLAN)
        cost = cost_metadata(plan, project.settings)
    for name, value in cost.items():
        console.fact(name, value)
    console.finish()


def fetch_windows(console: Console, profile: str, only: str | None) -> None:
    """Fetch the batches of a profile that are not complete, best first.

    A batch that fails does not keep the others waiting, unless the provider refuses the key.
    """
    failures = []
    with open_project(console) as project:
        _check_profile(project, profile)
        if is_busy(project.launcher.instance, ["trade_windows", "quote_windows"]):
            raise RuntimeError("a download is under way already; `smallcaps status` shows it")
        batches = batch_names(project.lake, profile)
        if not batches:
            project.run(jobs.MANIFEST, partition=profile)
            batches = batch_names(project.lake, profile)
        there = stored(project.lake)
        for batch in batches:
            if _is_complete(project, batch, only, there):
                continue
            console.stage(batch)
            try:
                project.run(jobs.DOWNLOAD, partition=batch, only=only)
            except RunFailedError as error:
                failures.append(f"{batch}: {error}")
                if error.is_hopeless:
                    break
    console.table("batches", _batch_rows(project.lake, batches))
    console.finish()
    if failures:
        raise RunFailedError("\n".join(failures))


def _is_complete(project: Project, batch: str, only: str | None, there: pl.DataFrame) -> bool:
    missing = missing_rows(project.lake, batch, there)
    if only is None:
        return missing.is_empty() and project.lake.batch(MICRO_FEATURES.name, batch).exists()
    kind = Kind.TRADES if only == "trade_windows" else Kind.QUOTES
    return missing.filter(pl.col("kind") == kind.value).is_empty()


def _batch_rows(lake: Lake, batches: Sequence[str]) -> list[dict[str, object]]:
    """Return per batch what is still missing of it."""
    there = stored(lake)
    rows: list[dict[str, object]] = []
    for batch in batches:
        left = dict(missing_rows(lake, batch, there)["kind"].value_counts().iter_rows())
        rows.append(
            {
                "batch": batch,
                "trade windows missing": left.get(Kind.TRADES.value, 0),
                "quote windows missing": left.get(Kind.QUOTES.value, 0),
                "figures": lake.batch(MICRO_FEATURES.name, batch).exists(),
            }
        )
    return rows


def show_status(console: Console) -> None:
    """Print what the lake holds, which runs are unfinished, and which failed last."""
    with open_project(console) as project:
        lake, instance = project.lake, project.launcher.instance
        console.fact("data", str(lake.root))
        counts = {table: sum(1 for _ in lake.cells(table)) for table in (BARS_TABLE, EVENTS.name)}
        console.table("cells", [{"table": table, "cells": n} for table, n in counts.items()])
        windows = {kind: stored_windows(lake, kind) for kind in Kind}
        console.table(
            "windows stored",
            [
                {"kind": kind.value, "windows": len(found), "rows": sum(w.rows for w in found)}
                for kind, found in windows.items()
            ],
        )
        console.table("batches", _batch_rows(lake, batch_names(lake)))
        _print_runs(console, instance)
    console.finish()


def _print_runs(console: Console, instance: dg.DagsterInstance) -> None:
    under_way = instance.get_runs(RunsFilter(statuses=UNFINISHED), limit=RUNS_SHOWN)
    failed = instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.FAILURE]), limit=RUNS_SHOWN)
    console.table(
        "runs under way", [_run_row(run) | {"status": run.status.value} for run in under_way]
    )
    console.table(
        "last failed runs",
        [_run_row(run) | {"why": why_failed(instance, run.run_id)} for run in failed],
    )


def _run_row(run: dg.DagsterRun) -> dict[str, str]:
    partition = run.tags.get(PARTITION_TAG) or run.tags.get(RANGE_START) or "-"
    return {"run": run.run_id[:8], "job": run.job_name, "partition": partition}


def write_report(console: Console, profile: str) -> None:
    """Write the report of a profile and say where it is."""
    with open_project(console) as project:
        _check_profile(project, profile)
        project.run(jobs.REPORT, partition=profile)
        file = project.lake.report(profile)
    console.fact("report", str(file))
    console.finish()


def _check_profile(project: Project, profile: str) -> None:
    if profile not in project.settings.manifest.profiles:
        known = ", ".join(project.settings.manifest.profiles)
        raise WrongUseError(f"profile {profile!r} is none of manifest.profiles: {known}")
