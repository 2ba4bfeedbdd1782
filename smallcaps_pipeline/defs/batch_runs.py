"""What unfinished runs are working on, or are queued for: which assets, which batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import dagster as dg
from dagster import DagsterRun, DagsterRunStatus, RunsFilter

from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.partitions import BATCH
from smallcaps_pipeline.defs.schedules import RANGE_END, RANGE_START

PARTITION_TAG = "dagster/partition"
RUN_KEY_TAG = "dagster/run_key"
UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
FINISHED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
WINDOW_ASSETS = ("trade_windows", "quote_windows")


def is_busy(instance: dg.DagsterInstance, assets: Collection[str]) -> bool:
    """Say whether an unfinished run materializes one of some assets."""
    return any(makes(run, assets) for run in instance.get_runs(RunsFilter(statuses=UNFINISHED)))


def makes(run: DagsterRun, assets: Collection[str]) -> bool:
    """Say whether a run materializes one of some assets; of a run that does not tell, yes.

    Only a run over a selection names its assets; a job's own are known by its name.
    """
    keys = {dg.AssetKey(name) for name in assets}
    return bool(keys & (run.asset_selection or jobs.assets_of(run.job_name) or keys))


def batches_under_way(instance: dg.DagsterInstance) -> list[str]:
    """List the batches of unfinished runs that fetch windows."""
    runs = instance.get_runs(RunsFilter(statuses=UNFINISHED))
    fetching = (run for run in runs if makes(run, WINDOW_ASSETS))
    return sorted({batch for run in fetching for batch in _batches_of(run, instance)})


def tries_of_batches(instance: dg.DagsterInstance) -> Counter[str]:
    """Count the finished downloads of each batch that a sensor asked for."""
    runs = instance.get_runs(RunsFilter(job_name=jobs.DOWNLOAD, statuses=FINISHED))
    return Counter(
        run.tags[PARTITION_TAG]
        for run in runs
        if RUN_KEY_TAG in run.tags and PARTITION_TAG in run.tags
    )


def _batches_of(run: DagsterRun, instance: dg.DagsterInstance) -> list[str]:
    """Return the batches of a run; a backfill names a range, also where that is one batch."""
    if PARTITION_TAG in run.tags:
        return [run.tags[PARTITION_TAG]]
    first, last = run.tags.get(RANGE_START), run.tags.get(RANGE_END)
    if first is None or last is None:
        return []
    there = instance.get_dynamic_partitions(BATCH)
    if first not in there or last not in there:
        return [first, last]
    return list(there[there.index(first) : there.index(last) + 1])
