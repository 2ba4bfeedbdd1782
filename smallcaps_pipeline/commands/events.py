"""The `detect` command: bars that are missing are fetched, cells detected, events counted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import polars as pl

from smallcaps_pipeline.bars.update import TABLE as BARS_TABLE
from smallcaps_pipeline.commands.project import Project, open_project
from smallcaps_pipeline.commands.selection import SESSIONS, Selection
from smallcaps_pipeline.console import Console
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.partitions import Cell
from smallcaps_pipeline.defs.reference import read_reference
from smallcaps_pipeline.events import detect
from smallcaps_pipeline.report import event_summary
from smallcaps_pipeline.schemas import BARS, EVENT_SUMMARY, EVENTS


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
    """Count the events of cells without writing them, a cell per core in memory at a time."""
    reference = read_reference(project.lake)
    advance = project.display.start(len(cells), "cells")

    def count(cell: Cell) -> pl.DataFrame:
        bars = project.lake.read(project.lake.cell(BARS_TABLE, cell.symbol, cell.period.key), BARS)
        found = detect(bars, project.settings, reference=reference).events
        advance(1)
        return event_summary(selection.rows(found.lazy()))

    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        counted = pl.concat(pool.map(count, cells))
    keys = EVENT_SUMMARY.key
    return counted.group_by(keys).agg(pl.col("events", "symbols").sum()).sort(keys)


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
