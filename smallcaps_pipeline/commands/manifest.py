"""The `manifest` and `estimate` commands: what is worth paying for, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from smallcaps_pipeline.commands.project import Project, check_profile, open_project
from smallcaps_pipeline.console import Console
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.manifest import stored_funnel
from smallcaps_pipeline.defs.windows import cost_by_symbol, cost_facts, cost_metadata
from smallcaps_pipeline.lake import read_metadata
from smallcaps_pipeline.report.costs import expected_cost
from smallcaps_pipeline.report.escalation import release_of
from smallcaps_pipeline.schemas import EVENTS, MANIFEST, PLAN

SYMBOLS_SHOWN: Final = 10


def make_manifest(console: Console, profile: str) -> None:
    """Build a manifest and print its funnel and notes."""
    with open_project(console) as project:
        check_profile(project, profile)
        release = release_of(project.lake, profile, project.settings)
        only = None if release.is_released else [MANIFEST.name]
        project.run(jobs.MANIFEST, partition=profile, only=only)
        file = project.lake.profile(MANIFEST.name, profile)
        notes = (read_metadata(file) or {})["notes"]
        rows = project.lake.read(file, MANIFEST)
    console.table("funnel", stored_funnel(file).to_dicts())
    console.lines("notes", notes)
    best = rows.head(10).select("rank", "event_id", "session", "score", "rank_score", "fill")
    console.table("best", best.to_dicts())
    console.fact("events chosen", len(rows))
    console.fact("file", str(file))
    if not release.is_released:
        console.fact("downloads are blocked", release.reason)
    console.finish()


def estimate_cost(console: Console, profile: str) -> None:
    """Plan a profile's downloads and print what they cost; a blocked one is only estimated."""
    with open_project(console) as project:
        check_profile(project, profile)
        lake, settings = project.lake, project.settings
        release = release_of(lake, profile, settings)
        if release.is_released:
            project.run(jobs.MANIFEST, partition=profile)
        plans = {name: _plan(project, name) for name in settings.manifest.profiles}
        plan = plans[profile] if release.is_released else None
        symbols = [] if plan is None else cost_by_symbol(plan, settings)
        if plan is not None:
            cost = cost_metadata(plan, settings)
        else:
            events = lake.scan(lake.files(EVENTS.name), EVENTS).collect()
            cost = cost_facts(expected_cost(lake, events, profile, settings))
            cost["downloads are blocked"] = release.reason
        rest = [
            {"profile": name, **_in_brief(cost_metadata(other, settings))}
            for name, other in plans.items()
            if other is not None
        ]
    for name, value in cost.items():
        console.fact(name, value)
    shown = symbols if console.as_json else symbols[:SYMBOLS_SHOWN]
    console.table("most expensive symbols", shown)
    console.table("profiles, as last planned", rest)
    console.finish()


def _plan(project: Project, profile: str) -> pl.DataFrame | None:
    file = project.lake.profile(PLAN.name, profile)
    return project.lake.read(file, PLAN) if file.exists() else None


def _in_brief(cost: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of both kinds together."""
    return {name: value for name, value in cost.items() if ":" not in name}
