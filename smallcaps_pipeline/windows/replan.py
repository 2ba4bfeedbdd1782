"""The lists of windows that batches of a download hold, and planning anew around them.

A batch is an immutable file `window_batches/batch=core-00001.parquet` and a partition of the same
name. Planning anew keeps the batches that were started (a window stored, or a run under way), keeps
waiting ones that are still wanted as they are, withdraws the others and cuts new ones. The plan's
file is written last: a plan that was killed half-way is made again with the same result.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import polars as pl

from smallcaps_pipeline.lake import Lake, read_metadata
from smallcaps_pipeline.schemas import PLAN
from smallcaps_pipeline.settings import Settings
from smallcaps_pipeline.windows.batches import (
    INTERVAL,
    as_stored,
    cut_batches,
    withdrawn_batches,
    without_batches,
)
from smallcaps_pipeline.windows.plan import plan_windows, subtract_stored
from smallcaps_pipeline.windows.rates import Rates
from smallcaps_pipeline.windows.stored import stored, windows_index

BATCHES: Final = "window_batches"
BATCH_COLUMN: Final = "batch"


@dataclass(frozen=True)
class Replanned:
    """A new plan and what it means for the batches.

    Attributes:
        plan: All that is still to be fetched (`schemas.PLAN`): the rest of the batches that were
            started, those that wait, and the new ones.
        new: Names of the batches cut for it.
        kept: Names of waiting batches that it still wants.
        withdrawn: Names of waiting batches that nobody wants any more.
    """

    plan: pl.DataFrame
    new: list[str]
    kept: list[str]
    withdrawn: list[str]


def profile_of(batch: str) -> str:
    """Return the profile in a batch's name."""
    return re.sub(r"-\d+$", "", batch)


def batch_names(lake: Lake, profile: str | None = None) -> list[str]:
    """List the batches that have a file, of one profile or all, in order."""
    names = (file.stem.removeprefix("batch=") for file in lake.files(BATCHES))
    return [name for name in names if profile in (None, profile_of(name))]


def read_batch(lake: Lake, batch: str) -> pl.DataFrame:
    """Return the plan rows of a batch (`schemas.PLAN`).

    Raises:
        LookupError: There is no such batch; it may have been withdrawn.
    """
    file = lake.batch(BATCHES, batch)
    if not file.exists():
        raise LookupError(
            f"batch {batch} does not exist: a new plan has withdrawn it, or it was never planned"
        )
    return lake.read(file, PLAN)


def missing_rows(lake: Lake, batch: str, there: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return what of a batch is not stored yet (`schemas.PLAN`).

    Args:
        lake: Where windows and batches lie.
        batch: Its name.
        there: What `stored` gave, for callers that ask of many batches: it reads the footer of
            every stored window. None reads it.
    """
    return subtract_stored(read_batch(lake, batch), stored(lake) if there is None else there)


def held_events(lake: Lake, under_way: Collection[str] = ()) -> list[str]:
    """List the events whose windows are stored, or in a batch that was started.

    Args:
        lake: Where windows and batches lie.
        under_way: Batches that a run is working on, or is queued for.
    """
    there = windows_index(lake)
    started, _ = _split(lake, stored(lake), under_way)
    ids = pl.concat([there["events_merged"], started["events_merged"]]).explode()
    return ids.drop_nulls().unique().sort().to_list()


def replan(
    lake: Lake, manifest: pl.DataFrame, profile: str, under_way: Collection[str], settings: Settings
) -> Replanned:
    """Plan the downloads of a profile anew and bring its batch files in line.

    Args:
        lake: Where windows and batches lie.
        manifest: `schemas.MANIFEST` of the profile.
        profile: Its name.
        under_way: Batches that a run is working on, or is queued for.
        settings: Configuration.
    """
    there = stored(lake)
    started, waiting = _split(lake, there, under_way)
    waiting = waiting.filter(pl.col(BATCH_COLUMN).is_in(batch_names(lake, profile)))
    taken = pl.concat([there, as_stored(started)])
    rates = Rates(windows_index(lake), settings.windows)
    plan = plan_windows(manifest, stored=taken, settings=settings, rates=rates)
    withdrawn = withdrawn_batches(waiting, plan)
    kept = waiting.filter(~pl.col(BATCH_COLUMN).is_in(withdrawn))
    existing = [*batch_names(lake), *_last_batch(lake, profile)]
    cut = cut_batches(
        without_batches(plan, kept), profile=profile, existing=existing, settings=settings
    )
    new = cut[BATCH_COLUMN].unique(maintain_order=True).to_list()
    for (name,), rows in cut.partition_by(BATCH_COLUMN, as_dict=True, maintain_order=True).items():
        lake.write(PLAN.conform(rows), lake.batch(BATCHES, str(name)))
    own = [name for name in [*existing, *new] if profile_of(name) == profile]
    rest = [
        PLAN.conform(subtract_stored(rows, there))
        for (name,), rows in started.partition_by(BATCH_COLUMN, as_dict=True).items()
        if profile_of(str(name)) == profile
    ]
    plan = pl.concat([*rest, plan])
    metadata = {"last_batch": max(own, default=None, key=_number)}
    lake.write(plan, lake.profile(PLAN.name, profile), metadata=metadata)
    for name in withdrawn:
        lake.remove(lake.batch(BATCHES, name))
    return Replanned(plan, new, kept[BATCH_COLUMN].unique().sort().to_list(), withdrawn)


def _split(
    lake: Lake, there: pl.DataFrame, under_way: Collection[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of started batches and of waiting ones, with their batch."""
    started, waiting = [_empty()], [_empty()]
    for name in batch_names(lake):
        rows = read_batch(lake, name)
        waits = name not in under_way and _is_untouched(rows, there)
        named = rows.with_columns(pl.lit(name).alias(BATCH_COLUMN))
        (waiting if waits else started).append(named)
    return pl.concat(started), pl.concat(waiting)


def _is_untouched(rows: pl.DataFrame, there: pl.DataFrame) -> bool:
    """Say whether nothing of a batch is stored."""
    missing = subtract_stored(rows, there).select(INTERVAL).sort(INTERVAL)
    return missing.equals(rows.select(INTERVAL).sort(INTERVAL))


def _empty() -> pl.DataFrame:
    return PLAN.empty().with_columns(pl.lit(None, pl.String).alias(BATCH_COLUMN))


def _last_batch(lake: Lake, profile: str) -> list[str]:
    """Return the highest batch that ever was: a withdrawn number is not used again."""
    last = (read_metadata(lake.profile(PLAN.name, profile)) or {}).get("last_batch")
    return [last] if last else []


def _number(batch: str) -> int:
    return int(batch.rpartition("-")[2])
