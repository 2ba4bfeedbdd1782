"""Batches of a download: a plan cut into immutable pieces of some hundred windows.

Belongs here: which window goes into which batch, which waiting batches a new plan withdraws.
Keep out: Dagster's partitions (defs/), fetching (`fetch`).

A batch never changes; what a new plan adds gets new numbers. A replanning therefore goes:

    under_way = rows of the batches that were started
    plan      = plan_windows(manifest, stored=concat([stored(lake), as_stored(under_way)]))
    stale     = withdrawn_batches(rows of the batches that wait, plan)
    new       = cut_batches(without_batches(plan, batches that wait and stay), profile=...)

Numbers go on after the highest that ever existed: a withdrawn one is not used again, or the history
of one partition would tell of two different sets of windows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import polars as pl

from smallcaps_pipeline.schemas import STORED
from smallcaps_pipeline.settings import Settings, load_settings

INTERVAL = ["symbol", "kind", "window_start", "window_end", "nbbo"]


def cut_batches(
    plan: pl.DataFrame,
    *,
    profile: str,
    existing: Iterable[str] = (),
    settings: Settings | None = None,
) -> pl.DataFrame:
    """Cut a plan into batches of `windows.batch_windows` merged windows, best first.

    A window with all its intervals, trades and quotes, is in one batch.

    Args:
        plan: schemas.PLAN; only what is not in another batch.
        profile: Name that the batches carry.
        existing: Names of all batches that ever were, of any profile.
        settings: Configuration; None loads it.

    Returns:
        The plan's rows with `batch` (`core-00001`), sorted by batch, in the plan's order within.
    """
    size = (settings or load_settings()).windows.batch_windows
    window = pl.struct("priority", "symbol", "merged_start").rank("dense").cast(pl.Int64) - 1
    number = (window // size + _highest(existing, profile) + 1).cast(pl.String).str.zfill(5)
    return plan.with_columns(batch=pl.format("{}-{}", pl.lit(profile), number)).sort(
        "batch", maintain_order=True
    )


def withdrawn_batches(waiting: pl.DataFrame, plan: pl.DataFrame) -> list[str]:
    """List the batches that a new plan withdraws, sorted.

    A batch that was not started stays if the new plan still wants each of its intervals, exactly
    and at the same NBBO reduction; otherwise it would fetch what nobody wants any more, or the same
    instants as a new batch. Its rows' priorities may have moved: it stays.

    Args:
        waiting: schemas.PLAN with `batch`: the batches that were not started. Batches that are
            started or under way are never withdrawn: leave them out.
        plan: schemas.PLAN, the new plan, with what is stored or under way subtracted.
    """
    unwanted = waiting.join(plan, on=INTERVAL, how="anti", nulls_equal=True)
    return unwanted["batch"].unique().sort().to_list()


def without_batches(plan: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    """Return the plan's rows that no kept batch holds, in the plan's order."""
    return plan.join(kept, on=INTERVAL, how="anti", nulls_equal=True, maintain_order="left")


def as_stored(batches: pl.DataFrame) -> pl.DataFrame:
    """Return the intervals of batches under way as schemas.STORED, for `plan_windows`."""
    return STORED.conform(batches)


def _highest(existing: Iterable[str], profile: str) -> int:
    name = re.compile(rf"{re.escape(profile)}-(\d+)")
    return max((int(found[1]) for text in existing if (found := name.fullmatch(text))), default=0)
