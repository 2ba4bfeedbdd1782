"""Report: the review sample, and the GO / NO-GO page of a profile."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import polars as pl

from smallcaps_pipeline.defs.describe import OWNER, described, figures, table_of
from smallcaps_pipeline.defs.partitions import Grid
from smallcaps_pipeline.defs.resources import Source
from smallcaps_pipeline.lake import Lake, read_metadata
from smallcaps_pipeline.report import (
    build_report,
    decide,
    draw_sample,
    evaluate_criteria,
    gather,
)
from smallcaps_pipeline.report.escalation import store_decision
from smallcaps_pipeline.report.evidence import sources
from smallcaps_pipeline.report.journal import read_labels
from smallcaps_pipeline.report.origin import origin
from smallcaps_pipeline.report.sample import STRATA
from smallcaps_pipeline.report.status import Finding, Status, findings_frame
from smallcaps_pipeline.report.text import number, threshold
from smallcaps_pipeline.schemas import CRITERIA, EVENTS, MANIFEST, REVIEW_SAMPLE
from smallcaps_pipeline.settings import Settings

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
        there = lake.profile(MANIFEST.name, profile)
        manifest = lake.read(there, MANIFEST) if there.exists() else MANIFEST.empty()
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
        kinds={"html", "parquet"},
        metadata=described(CRITERIA),
        check_specs=[
            dg.AssetCheckSpec(name, asset="go_no_go", description=f"{title}. Not yet is no pass.")
            for name, title in _criteria_titles(settings)
        ],
        description=(
            "GO or NO-GO for paying for more: each criterion with its figure, its threshold and "
            "how many events it rests on. Missing evidence reads `not yet`, never a pass. The next "
            "profile's plan and downloads are blocked until it reads GO."
        ),
    )
    def go_no_go(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]
    ) -> dg.MaterializeResult:
        profile = context.partition_key
        evidence = gather(lake, profile, settings, banner=banner_of(lake))
        criteria = evaluate_criteria(
            evidence.events, evidence.features, evidence.standing, settings
        )
        file = lake.report(profile)
        lake.write_text(build_report(evidence, settings), file)
        store_decision(lake, profile, criteria)  # last: it releases, and the page must be there
        return dg.MaterializeResult(
            metadata={
                "decision": decide(criteria).value,
                "criteria": table_of(_as_shown(criteria)),
                "events": len(evidence.events),
                "events with windows": _rows(evidence.features),
                "events judged": len(evidence.standing),
                "page": dg.MetadataValue.path(file),
            },
            check_results=[_check(criterion) for criterion in criteria],
        )

    return go_no_go


def _criteria_titles(settings: Settings) -> list[tuple[str, str]]:
    """Return name and title of each criterion: those of a report on nothing."""
    criteria = evaluate_criteria(EVENTS.empty(), settings=settings)
    return [(criterion.name, criterion.title) for criterion in criteria]


def _check(criterion: Finding) -> dg.AssetCheckResult:
    """Return a criterion as a check: not yet fails too, as a warning."""
    metadata: dict[str, Any] = {
        "status": criterion.status.value,
        "figure": number(criterion.figure, criterion.unit),
        "threshold": threshold(criterion),
        "rests on": criterion.n,
        "note": criterion.note,
    }
    if criterion.figure is not None:
        metadata["value"] = criterion.figure
    if criterion.interval is not None:
        low, high = criterion.interval
        metadata["interval"] = f"{number(low, criterion.unit)} to {number(high, criterion.unit)}"
    is_failure = criterion.status is Status.FAIL
    return dg.AssetCheckResult(
        check_name=criterion.name,
        passed=criterion.status is Status.PASS,
        severity=dg.AssetCheckSeverity.ERROR if is_failure else dg.AssetCheckSeverity.WARN,
        metadata=metadata,
        description=f"{criterion.title}: {criterion.status.value}",
    )


def _as_shown(criteria: list[Finding]) -> pl.DataFrame:
    frame = findings_frame(criteria)
    return frame.select("title", pl.col("figure").round(3), "low", "high", "n", "status")


def _rows(frame: pl.DataFrame | None) -> int:
    return 0 if frame is None else len(frame)


def banner_of(lake: Lake) -> str:
    """Return what is said on top of data that are not the provider's own; empty for those."""
    found = sources(lake)
    return origin(simulated=Source.SIMULATED in found, emulated=Source.EMULATOR in found)
