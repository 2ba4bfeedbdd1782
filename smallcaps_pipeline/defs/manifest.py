"""Manifest: the events worth paying for, one manifest per profile."""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import polars as pl

from smallcaps_pipeline.defs.batch_runs import batches_under_way
from smallcaps_pipeline.defs.describe import OWNER, described, figures, image, table_of
from smallcaps_pipeline.defs.partitions import Grid
from smallcaps_pipeline.lake import Lake, read_metadata
from smallcaps_pipeline.manifest import build_manifest
from smallcaps_pipeline.report.figures import bar_chart_svg
from smallcaps_pipeline.schemas import EVENTS, FUNNEL, MANIFEST
from smallcaps_pipeline.settings import Settings
from smallcaps_pipeline.windows import held_events

GROUP = "manifest"


def assets(grid: Grid, settings: Settings) -> Sequence[dg.AssetsDefinition]:
    """Return the assets of the stage."""

    @dg.asset(
        partitions_def=grid.profiles,
        group_name=GROUP,
        deps=[dg.AssetDep("intraday_events", partition_mapping=dg.AllPartitionMapping())],
        owners=[OWNER],
        kinds={"parquet", "polars"},
        metadata=described(MANIFEST),
        description=(
            "The events chosen for download by a profile (core, plus, premium): ranked, within "
            "caps and quotas. Events whose windows are stored or under way keep their place."
        ),
    )
    def event_manifest(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]
    ) -> dg.MaterializeResult:
        profile = context.partition_key
        events = lake.scan(lake.files(EVENTS.name), EVENTS)
        held = held_events(lake, batches_under_way(context.instance))
        manifest = build_manifest(events, profile, held=held, settings=settings)
        file = lake.profile(MANIFEST.name, profile)
        lake.write(
            manifest.frame,
            file,
            metadata={"funnel": manifest.funnel.to_dicts(), "notes": manifest.notes},
        )
        return dg.MaterializeResult(
            metadata={
                **figures(manifest.frame, "timestamp"),
                "profile": profile,
                "funnel": table_of(manifest.funnel),
                "notes": dg.MetadataValue.md("\n".join(f"- {note}" for note in manifest.notes)),
                "by type": _by_type(manifest.frame),
                "file": dg.MetadataValue.path(file),
            }
        )

    return [event_manifest]


def stored_funnel(file: Path) -> pl.DataFrame:
    """Return the funnel (`schemas.FUNNEL`) that a manifest's file carries."""
    return pl.DataFrame((read_metadata(file) or {})["funnel"], schema=FUNNEL.schema)


def _by_type(frame: pl.DataFrame) -> dg.MetadataValue:
    counted = frame["event_type"].value_counts(sort=True)
    svg = bar_chart_svg(
        counted["event_type"].to_list(), counted["count"].to_list(), "Events by type"
    )
    return image(svg)
