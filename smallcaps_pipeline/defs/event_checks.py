"""Checks of event shards: one per KPI that has an allowed range, over the shards of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import dagster as dg
import polars as pl

from smallcaps_pipeline.defs.describe import image, table_of
from smallcaps_pipeline.report import event_kpis
from smallcaps_pipeline.report.figures import bar_chart_svg
from smallcaps_pipeline.report.status import Finding, Status
from smallcaps_pipeline.report.text import number, threshold
from smallcaps_pipeline.schemas import EVENTS
from smallcaps_pipeline.settings import Settings

SHARDS_SHOWN: Final = 20
BINS: Final = 10


def event_check_specs(asset: str, settings: Settings) -> list[dg.AssetCheckSpec]:
    """Return the checks of an asset of event shards."""
    return [
        dg.AssetCheckSpec(
            name,
            asset=asset,
            description=f"{finding.title}: {threshold(finding)} in every shard of the run.",
        )
        for name, finding in _bounded(event_kpis(EVENTS.empty(), settings)).items()
    ]


def event_check_results(
    findings: Mapping[str, Sequence[Finding]], settings: Settings
) -> list[dg.AssetCheckResult]:
    """Judge the shards of a run: a check fails if one of them is out of its range.

    Args:
        findings: What `event_kpis` says of each shard, by cell key.
        settings: The allowed ranges.
    """
    by_shard = {key: _bounded(found) for key, found in findings.items()}
    return [
        _result(name, {key: found[name] for key, found in by_shard.items()})
        for name in _bounded(event_kpis(EVENTS.empty(), settings))
    ]


def kpi_metadata(findings: Sequence[Finding]) -> dict[str, float]:
    """Return the figures of one shard as numbers, which the UI plots over partitions."""
    there = {finding.title: finding.figure for finding in _bounded(findings).values()}
    return {title: round(figure, 4) for title, figure in there.items() if figure is not None}


def _bounded(findings: Sequence[Finding]) -> dict[str, Finding]:
    return {
        finding.name: finding
        for finding in findings
        if finding.low is not None or finding.high is not None
    }


def _result(name: str, shards: Mapping[str, Finding]) -> dg.AssetCheckResult:
    judged = {key: found for key, found in shards.items() if found.status != Status.NOT_YET}
    failed = {key: found for key, found in judged.items() if found.status == Status.FAIL}
    thin = len(shards) - len(judged)
    return dg.AssetCheckResult(
        check_name=name,
        passed=not failed,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"{len(failed):,} of {len(judged):,} shards are out of range"
            + (f"; {thin:,} have too few events to judge" if thin else "")
        ),
        metadata={
            "shards judged": len(judged),
            "shards out of range": len(failed),
            "shards with too few events": thin,
            **_pictures(judged, failed),
        },
    )


def _pictures(
    judged: Mapping[str, Finding], failed: Mapping[str, Finding]
) -> dict[str, dg.MetadataValue]:
    if not judged:
        return {}
    any_one = next(iter(judged.values()))
    figures = {key: found.figure for key, found in judged.items() if found.figure is not None}
    drawn = pl.Series(list(figures.values()), dtype=pl.Float64).hist(bin_count=BINS)
    labels = [f"up to {number(limit, any_one.unit)}" for limit in drawn["breakpoint"].to_list()]
    plot = bar_chart_svg(labels, drawn["count"].to_list(), f"{any_one.title}: shards")
    farthest = sorted(failed, key=lambda key: figures[key], reverse=any_one.high is not None)
    worst = pl.DataFrame(
        {
            "shard": farthest[:SHARDS_SHOWN],
            "figure": [number(figures[key], any_one.unit) for key in farthest[:SHARDS_SHOWN]],
            "events": [failed[key].n for key in farthest[:SHARDS_SHOWN]],
        },
        schema={"shard": pl.String, "figure": pl.String, "events": pl.Int64},
    )
    return {
        "allowed": dg.MetadataValue.text(threshold(any_one)),
        "plot": image(plot),
        **({"out of range": table_of(worst)} if failed else {}),
    }
