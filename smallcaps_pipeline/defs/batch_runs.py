"""Which batches a run is working on, or is queued for."""

from __future__ import annotations

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter

PARTITION_TAG = "dagster/partition"
UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
WINDOW_ASSETS = frozenset({dg.AssetKey("trade_windows"), dg.AssetKey("quote_windows")})


def batches_under_way(instance: dg.DagsterInstance) -> list[str]:
    """List the batches of unfinished runs that fetch windows."""
    runs = instance.get_runs(RunsFilter(statuses=UNFINISHED))
    return sorted(
        {
            run.tags[PARTITION_TAG]
            for run in runs
            if PARTITION_TAG in run.tags and WINDOW_ASSETS & (run.asset_selection or WINDOW_ASSETS)
        }
    )
