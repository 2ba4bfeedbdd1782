"""The download of one batch within a run: which rows, how it is watched, how failures are told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import dagster as dg
import polars as pl

from smallcaps_pipeline.defs.progress import Display, ProgressLog
from smallcaps_pipeline.defs.window_records import SET_ASIDE, record
from smallcaps_pipeline.lake import DiskFullError, Lake
from smallcaps_pipeline.polygon.errors import KeyRefused, RequestRefused
from smallcaps_pipeline.schemas import PLAN
from smallcaps_pipeline.settings import Settings
from smallcaps_pipeline.windows import (
    FetchResult,
    FetchStatus,
    Kind,
    TickSource,
    TradesMissingError,
    WindowOutcome,
    batch_names,
    best_per_symbol,
    fetch_quotes,
    fetch_trades,
    missing_windows,
    plan_extensions,
    profile_of,
    read_batch,
    rows_of,
    stored,
)

FAILURES_SHOWN: Final = 20
FAILED: Final = "failed windows"


class FetchConfig(dg.Config):
    """A part of a batch for a first look; without it, all of it.

    Attributes:
        limit: At most so many windows, the best of those of which something is missing.
        one_per_symbol: Only the best window of each symbol of the profile.
        kind: Only what is missing of `trades` or `quotes` counts for the limit.
    """

    limit: int | None = None
    one_per_symbol: bool = False
    kind: str | None = None


@dataclass
class BatchFetch:
    """The download of one batch within a run."""

    context: dg.AssetExecutionContext
    config: FetchConfig
    lake: Lake
    client: TickSource
    source_name: str
    settings: Settings
    display: Display

    @property
    def profile(self) -> str:
        return profile_of(self.context.partition_key)

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The plan rows of the batch that this run is about."""
        rows = read_batch(self.lake, self.context.partition_key)
        if self.config.one_per_symbol:
            names = batch_names(self.lake, self.profile)
            planned = pl.concat([read_batch(self.lake, name) for name in names])
            rows = rows_of(rows, best_per_symbol(planned))
        if self.config.limit is not None:
            kind = None if self.config.kind is None else Kind(self.config.kind)
            missing = missing_windows(rows, stored(self.lake), kind=kind)
            rows = rows_of(rows, missing.head(self.config.limit))
        return rows

    def extensions(self) -> pl.DataFrame:
        """Return the new parts of windows with hot edges, where the profile extends."""
        if not self.settings.manifest.profiles[self.profile].extend:
            return PLAN.empty()
        planned = pl.concat([read_batch(self.lake, name) for name in batch_names(self.lake)])
        return plan_extensions(self.rows, self.lake, planned=planned, settings=self.settings)

    def fetch(self, kind: Kind, rows: pl.DataFrame) -> FetchResult:
        """Fetch the rows of a kind.

        Raises:
            dagster.Failure: Some windows failed, or the provider gives none of them; the others
                are stored.
        """
        of_kind = rows.filter(pl.col("kind") == kind.value)
        watch = Watch(self.context, len(of_kind), kind, self.display)
        fetch = fetch_trades if kind == Kind.TRADES else fetch_quotes
        result = fetch(
            of_kind,
            self.client,
            self.lake,
            settings=self.settings,
            profile=self.profile,
            source_name=self.source_name,
            on_window=watch,
            fatal=(KeyRefused, DiskFullError),
            set_aside=(RequestRefused, TradesMissingError),
        )
        if result.failed:
            raise _failure(result.failed, len(of_kind), kind)
        if result.set_aside and len(result.set_aside) == len(result.outcomes):
            raise _failure(result.set_aside, len(of_kind), kind)
        return result

    def figures(self, kind: Kind, results: Sequence[FetchResult]) -> dict[str, Any]:
        """Return what was fetched for the batch and, second, for its extensions; and what is there.

        Writes a record where 500 more windows are stored.
        """
        new = sum(result.done + result.empty for result in results[:1])
        warn_pct = self.settings.kpis.windows.disk_warning_pct
        there = record(self.context, self.lake, kind, new=new, warn_pct=warn_pct)
        return {**fetched(results), **there}


class Watch:
    """Counts windows, rows and bytes as they come, and says so: in the log and on the display."""

    def __init__(
        self, context: dg.AssetExecutionContext, total: int, kind: Kind, display: Display
    ) -> None:
        self._context = context
        self._rows = self._bytes = 0
        self._progress = ProgressLog(
            context.log.info,
            total=total,
            unit=f"windows of {kind.value}",
            clock=time.monotonic,
            display=display,
        )

    def __call__(self, outcome: WindowOutcome) -> None:
        """Count a window that has ended."""
        self._rows += outcome.rows
        self._bytes += outcome.bytes
        if outcome.status == FetchStatus.SET_ASIDE:
            self._context.log.warning(f"set aside: {told(outcome)}")
        self._progress.advance(note=f"{self._rows:,} rows, {self._bytes / 1e6:,.1f} MB")


def told(outcome: WindowOutcome) -> str:
    """Return which window ended badly, and why."""
    start = f"{outcome.window_start:%Y-%m-%d %H:%M}"
    return f"{outcome.symbol} {start} UTC: {outcome.reason}"


def fetched(results: Sequence[FetchResult]) -> dict[str, Any]:
    """Return the figures of what was fetched for a batch and, second, for its extensions."""
    planned, extended = results
    aside = [told(outcome) for result in results for outcome in result.set_aside]
    found = {
        "dagster/row_count": planned.rows + extended.rows,
        "windows fetched": planned.done,
        "windows truly empty": planned.empty,
        "windows stored before": planned.skipped,
        "parts added by extension": extended.done + extended.empty,
        "pages": planned.pages + extended.pages,
        "bytes": planned.bytes + extended.bytes,
    }
    return found | ({SET_ASIDE: dg.MetadataValue.json(aside)} if aside else {})


def _failure(failed: Sequence[WindowOutcome], total: int, kind: Kind) -> dg.Failure:
    lines = [told(outcome) for outcome in failed]
    shown = "\n".join(lines[:FAILURES_SHOWN])
    return dg.Failure(
        description=(
            f"{len(failed)} of {total} windows of {kind.value} failed, the others are stored and "
            f"will not be asked for again:\n{shown}"
        ),
        metadata={FAILED: dg.MetadataValue.json(lines)},
    )
