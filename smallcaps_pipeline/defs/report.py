"""Report: the review sample, and the GO / NO-GO page of a profile."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import polars as pl

from smallcaps_pipeline.defs.describe import OWNER, described, figures, table_of
from smallcaps_pipeline.defs.manifest import stored_funnel
from smallcaps_pipeline.defs.partitions import Grid
from smallcaps_pipeline.defs.resources import Source
from smallcaps_pipeline.lake import Lake, read_metadata
from smallcaps_pipeline.report import build_report, decide, evaluate_criteria
from smallcaps_pipeline.report.evidence import bars_of, features_of, sources, ticks_of
from smallcaps_pipeline.report.journal import read_labels
from smallcaps_pipeline.report.origin import origin
from smallcaps_pipeline.report.sample import STRATA, draw_sample
from smallcaps_pipeline.schemas import EVENTS, MANIFEST, REVIEW_SAMPLE
from smallcaps_pipeline.settings import Settings
from smallcaps_pipeline.windows import Kind

GROUP = "report"


def assets(grid: Grid, settings: Settings) -> Sequence[dg.AssetsDefinition]:
    """Return the assets of the stage."""
    return [_review_sample(grid, settings), _go_no_go(grid, settings)]


def _review_sample(grid: Grid, settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        partitions_def=grid.profiles,
        group_name=GROUP,
        deps=["event_manifest"],
        owners=[OWNER],
        kinds={"parquet", "polars"},
        metadata=described(REVIEW_SAMPLE),
        description=(
            "The events whose charts are judged by eye (`smallcaps review`): drawn by chance, with "
            "each type, session, time of day and month in its share. Judged ones stay."
        ),
    )
    def review_sample(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]
    ) -> dg.MaterializeResult:
        profile = context.partition_key
        manifest = lake.read(lake.profile(MANIFEST.name, profile), MANIFEST)
        file = lake.profile(REVIEW_SAMPLE.name, profile)
        sample = draw_sample(manifest, settings, judged=_judged(lake, profile, settings))
        lake.write(sample, file, metadata={"seed": settings.report.sample_seed})
        return dg.MaterializeResult(
            metadata={
                **figures(sample, "timestamp"),
                "of events": len(manifest),
                "kept, as judged": int(sample["is_kept"].sum()),
                "strata": table_of(sample.group_by(STRATA[:-1]).len("events").sort(STRATA[:-1])),
                "file": dg.MetadataValue.path(file),
            }
        )

    return review_sample


def _judged(lake: Lake, profile: str, settings: Settings) -> list[str]:
    """Return the judged events of the sample that was drawn before; none with another seed."""
    file = lake.profile(REVIEW_SAMPLE.name, profile)
    if (read_metadata(file) or {}).get("seed") != settings.report.sample_seed:
        return []
    labels = read_labels(lake).filter(pl.col("label").is_not_null())
    drawn = lake.read(file, REVIEW_SAMPLE)["event_id"]
    return drawn.filter(drawn.is_in(labels["event_id"].implode())).to_list()


def _go_no_go(grid: Grid, settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        partitions_def=grid.profiles,
        group_name=GROUP,
        deps=[
            dg.AssetDep("intraday_events", partition_mapping=dg.AllPartitionMapping()),
            "event_manifest",
            "review_sample",
            dg.AssetDep("micro_features", partition_mapping=dg.AllPartitionMapping()),
        ],
        owners=[OWNER],
        kinds={"plotly"},
        description=(
            "GO or NO-GO for paying for more: each criterion with its figure, its threshold and "
            "how many events it rests on. Missing evidence reads `not yet`, never a pass."
        ),
    )
    def go_no_go(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]
    ) -> dg.MaterializeResult:
        profile = context.partition_key
        events = lake.scan(lake.files(EVENTS.name), EVENTS).collect()
        features = features_of(lake, profile)
        file, found = lake.report(profile), sources(lake)
        page = build_report(
            events,
            profile=profile,
            features=features,
            simulated=Source.SIMULATED in found,
            emulated=Source.EMULATOR in found,
            settings=settings,
            **_manifest(lake, profile, grid, settings),
        )
        lake.write_text(page, file)
        criteria = evaluate_criteria(events, features, settings=settings)
        return dg.MaterializeResult(
            metadata={
                "decision": decide(criteria).value,
                "events": len(events),
                "events with windows": 0 if features is None else len(features),
                "page": dg.MetadataValue.path(file),
            }
        )

    return go_no_go


def _manifest(lake: Lake, profile: str, grid: Grid, settings: Settings) -> dict[str, Any]:
    """Return what the page shows of the manifest, and the data of its best events."""
    file = lake.profile(MANIFEST.name, profile)
    if not file.exists():
        return {}
    manifest, stored = lake.read(file, MANIFEST), read_metadata(file) or {}
    best = manifest.head(settings.report.best_and_worst)
    return {
        "manifest": manifest,
        "funnel": stored_funnel(file),
        "notes": stored["notes"],
        "bars": bars_of(lake, best, grid.cadence),
        "trades": ticks_of(lake, best, Kind.TRADES),
        "quotes": ticks_of(lake, best, Kind.QUOTES),
    }


def banner_of(lake: Lake) -> str:
    """Return what is said on top of data that are not the provider's own; empty for those."""
    found = sources(lake)
    return origin(simulated=Source.SIMULATED in found, emulated=Source.EMULATOR in found)
