"""The `fetch` command: the batches of a profile that are not complete, best first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from smallcaps_pipeline.commands.project import check_profile, open_project
from smallcaps_pipeline.console import Console
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.batch_runs import WINDOW_ASSETS, is_busy
from smallcaps_pipeline.defs.launch import RunFailedError
from smallcaps_pipeline.defs.window_records import set_aside
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.report.escalation import require_release
from smallcaps_pipeline.schemas import MICRO_FEATURES
from smallcaps_pipeline.windows import (
    Kind,
    batch_names,
    best_per_symbol,
    missing_rows,
    missing_windows,
    read_batch,
    rows_of,
    stored,
)

ASSET_OF: Final = dict(zip(Kind, WINDOW_ASSETS, strict=True))


@dataclass(frozen=True)
class Part:
    """Which windows of a profile are fetched; the default is all.

    Attributes:
        kind: Only trades or only quotes.
        limit: At most so many windows, the best ones.
        one_per_symbol: Only the best window of each symbol.
    """

    kind: Kind | None = None
    limit: int | None = None
    one_per_symbol: bool = False

    @property
    def is_trial(self) -> bool:
        """Whether batches are fetched in part, so that their figures must wait."""
        return self.limit is not None or self.one_per_symbol

    @property
    def assets(self) -> list[str] | None:
        """The assets that are made; None is all of the job."""
        if self.kind is not None:
            return [ASSET_OF[self.kind]]
        return list(WINDOW_ASSETS) if self.is_trial else None

    def config(self, limit: int) -> dict[str, object] | None:
        """Return the configuration of a run that fetches so many windows of a batch."""
        if not self.is_trial:
            return None
        kind = None if self.kind is None else self.kind.value
        return {"limit": limit, "one_per_symbol": self.one_per_symbol, "kind": kind}


def fetch_windows(console: Console, profile: str, part: Part) -> None:
    """Fetch the batches of a profile that are not complete, best first.

    A batch that fails does not keep the others waiting, unless no other would fare better.
    """
    failures = []
    with open_project(console) as project:
        check_profile(project, profile)
        require_release(project.lake, profile, project.settings)
        if is_busy(project.launcher.instance, WINDOW_ASSETS):
            raise RuntimeError("a download is under way already; `smallcaps status` shows it")
        if not batch_names(project.lake, profile):
            project.run(jobs.MANIFEST, partition=profile)
        batches = batch_names(project.lake, profile)
        for batch, limit in list(_to_fetch(project.lake, batches, part)):
            console.stage(batch)
            try:
                project.run(
                    jobs.DOWNLOAD, partition=batch, only=part.assets, config=part.config(limit)
                )
            except RunFailedError as error:
                failures.append(f"{batch}: {error}")
                if error.is_hopeless:
                    break
        aside = set_aside(project.launcher.instance, batches)
    console.table("batches", batch_rows(project.lake, batches))
    console.lines("windows set aside", aside)
    console.finish()
    if failures:
        raise RunFailedError("\n".join(failures))


def _to_fetch(lake: Lake, batches: Sequence[str], part: Part) -> Iterator[tuple[str, int]]:
    """Yield each batch with something to fetch, best first, and how many windows of it."""
    there = stored(lake)
    rows = {batch: read_batch(lake, batch) for batch in batches}
    best = best_per_symbol(pl.concat(rows.values())) if rows and part.one_per_symbol else None
    left = part.limit
    for batch in batches:
        wanted = rows[batch] if best is None else rows_of(rows[batch], best)
        missing = len(missing_windows(wanted, there, kind=part.kind))
        has_figures = lake.batch(MICRO_FEATURES.name, batch).exists()
        if not missing and (part.assets is not None or has_figures):
            continue
        take = missing if left is None else min(missing, left)
        if left is not None:
            if not take:
                return
            left -= take
        yield batch, take


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
