"""The events whose windows a download batch holds."""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.schemas import MANIFEST
from smallcaps_pipeline.windows import profile_of, read_batch


def events_of(lake: Lake, batch: str) -> pl.DataFrame:
    """Return the manifest rows of the events in a batch's windows."""
    ids = read_batch(lake, batch)["events_merged"].explode().unique()
    manifest = lake.read(lake.profile(MANIFEST.name, profile_of(batch)), MANIFEST)
    return manifest.filter(pl.col("event_id").is_in(ids.implode()))
