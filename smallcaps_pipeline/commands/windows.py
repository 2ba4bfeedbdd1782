"""The `fetch` command: the batches of a profile that are not complete, best first."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from smallcaps_pipeline.commands.project import Project, check_profile, open_project
from smallcaps_pipeline.console import Console
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.batch_runs import is_busy
from smallcaps_pipeline.defs.launch import RunFailedError
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.report.escalation import require_release
from smallcaps_pipeline.schemas import MICRO_FEATURES
from smallcaps_pipeline.windows import Kind, batch_names, missing_rows, stored


def fetch_windows(console: Console, profile: str, only: str | None) -> None:
    """Fetch the batches of a profile that are not complete, best first.

    A batch that fails does not keep the others waiting, unless the provider refuses the key.
    """
    failures = []
    with open_project(console) as project:
        check_profile(project, profile)
        require_release(project.lake, profile, project.settings)
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
    console.table("batches", batch_rows(project.lake, batches))
    console.finish()
    if failures:
        raise RunFailedError("\n".join(failures))


def _is_complete(project: Project, batch: str, only: str | None, there: pl.DataFrame) -> bool:
    missing = missing_rows(project.lake, batch, there)
    if only is None:
        return missing.is_empty() and project.lake.batch(MICRO_FEATURES.name, batch).exists()
    kind = Kind.TRADES if only == "trade_windows" else Kind.QUOTES
    return missing.filter(pl.col("kind") == kind.value).is_empty()


def batch_rows(lake: Lake, batches: Sequence[str]) -> list[dict[str, object]]:
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
