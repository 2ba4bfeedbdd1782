"""The `status` command: what is there, under way and failed."""

from __future__ import annotations

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter

from smallcaps_pipeline.bars.update import TABLE as BARS_TABLE
from smallcaps_pipeline.commands.project import open_project
from smallcaps_pipeline.commands.windows import batch_rows
from smallcaps_pipeline.console import Console
from smallcaps_pipeline.defs.batch_runs import PARTITION_TAG, UNFINISHED
from smallcaps_pipeline.defs.launch import why_failed
from smallcaps_pipeline.defs.schedules import RANGE_START
from smallcaps_pipeline.defs.window_records import disk_metadata, set_aside
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.schemas import EVENTS
from smallcaps_pipeline.windows import Kind, batch_names, stored_figures, windows_index

RUNS_SHOWN = 10


def show_status(console: Console) -> None:
    """Print what the lake holds, which runs are unfinished, and which failed last."""
    with open_project(console) as project:
        lake, instance = project.lake, project.launcher.instance
        console.fact("data", str(lake.root))
        for name, value in (disk_metadata(lake) if lake.root.exists() else {}).items():
            console.fact(name, value)
        counts = {table: sum(1 for _ in lake.cells(table)) for table in (BARS_TABLE, EVENTS.name)}
        console.table("cells", [{"table": table, "cells": n} for table, n in counts.items()])
        batches = batch_names(lake)
        console.table("windows stored", [_stored_row(lake, kind) for kind in Kind])
        console.table("batches", batch_rows(lake, batches))
        console.lines("windows set aside", set_aside(instance, batches))
        _print_runs(console, instance)
    console.finish()


def _stored_row(lake: Lake, kind: Kind) -> dict[str, object]:
    found = stored_figures(windows_index(lake, [kind]))
    return {
        "kind": kind.value,
        "windows": found.windows,
        "rows": found.rows,
        "MB": round(found.bytes / 1e6, 1),
        "extended, %": round(found.extended_pct, 1),
    }


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
