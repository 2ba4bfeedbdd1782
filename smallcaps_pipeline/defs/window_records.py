"""What is known of a download as it goes on: figures of all that is stored, windows set aside.

Belongs here: the record that is written every 500 windows, and reading records back.
Keep out: what one batch fetched (`window_fetch`).

The record is an observation of `trade_windows` or `quote_windows` with plain numbers, which the UI
plots over time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import dagster as dg
import psutil

from smallcaps_pipeline.defs.batch_runs import WINDOW_ASSETS
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.windows import Kind, StoredFigures, stored_figures, windows_index

SET_ASIDE: Final = "windows set aside"
EVERY_WINDOWS: Final = 500


def stored_metadata(found: StoredFigures, lake: Lake) -> dict[str, Any]:
    """Return figures of all stored windows and of the disk, as numbers that the UI plots."""
    return {
        "windows stored": found.windows,
        "rows stored": found.rows,
        "bytes stored": found.bytes,
        "bytes of a window, p99": round(found.bytes_p99),
        "windows extended, %": round(found.extended_pct, 2),
        **disk_metadata(lake),
    }


def disk_metadata(lake: Lake) -> dict[str, float]:
    """Return how full the disk of an existing lake is."""
    free = psutil.disk_usage(str(lake.root)).free
    return {
        "disk left, GB": round(free / 1e9, 3),
        "disk used, %": round(disk_used_pct(lake), 1),
    }


def disk_used_pct(lake: Lake) -> float:
    """Return how full the disk of an existing lake is, of what a user may fill."""
    disk = psutil.disk_usage(str(lake.root))
    return 100 * disk.used / (disk.used + disk.free)


def record(
    context: dg.AssetExecutionContext, lake: Lake, kind: Kind, *, new: int, warn_pct: float
) -> dict[str, Any]:
    """Return figures of all that is stored; observe them where 500 more windows are there.

    Args:
        context: The run of `trade_windows` or `quote_windows`.
        lake: Where windows are stored.
        kind: What the asset stores.
        new: Windows that this run has added.
        warn_pct: A disk that is used by so much is a warning in the log.
    """
    found = stored_figures(windows_index(lake, [kind]))
    metadata = stored_metadata(found, lake)
    if metadata["disk used, %"] >= warn_pct:
        context.log.warning(
            f"the disk of {lake.root} is used by {metadata['disk used, %']} %, "
            f"{metadata['disk left, GB']} GB are left"
        )
    if found.windows // EVERY_WINDOWS > max(found.windows - new, 0) // EVERY_WINDOWS:
        context.log_event(
            dg.AssetObservation(
                context.asset_key, partition=context.partition_key, metadata=metadata
            )
        )
    return metadata


def set_aside(instance: dg.DagsterInstance, batches: Sequence[str]) -> list[str]:
    """List the windows that the last download of each batch set aside, with their reasons."""
    return [
        f"{batch}, {line}"
        for batch in batches
        for asset in WINDOW_ASSETS
        for line in _last_lines(instance, asset, batch)
    ]


def _last_lines(instance: dg.DagsterInstance, asset: str, batch: str) -> list[str]:
    only = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[batch])
    found = instance.fetch_materializations(only, limit=1).records
    event = found[0].asset_materialization if found else None
    lines = event.metadata.get(SET_ASIDE) if event is not None else None
    if not isinstance(lines, dg.JsonMetadataValue):
        return []
    return [str(line) for line in lines.value or ()]
