"""The `manifest` and `estimate` commands: what is worth paying for, and what it costs."""

from __future__ import annotations

from smallcaps_pipeline.commands.project import check_profile, open_project
from smallcaps_pipeline.console import Console
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.manifest import stored_funnel
from smallcaps_pipeline.defs.windows import cost_metadata
from smallcaps_pipeline.lake import read_metadata
from smallcaps_pipeline.schemas import MANIFEST, PLAN


def make_manifest(console: Console, profile: str) -> None:
    """Build a manifest and print its funnel and notes."""
    with open_project(console) as project:
        check_profile(project, profile)
        project.run(jobs.MANIFEST, partition=profile)
        file = project.lake.profile(MANIFEST.name, profile)
        notes = (read_metadata(file) or {})["notes"]
        rows = project.lake.read(file, MANIFEST)
    console.table("funnel", stored_funnel(file).to_dicts())
    console.lines("notes", notes)
    best = rows.head(10).select("rank", "event_id", "session", "score", "rank_score", "fill")
    console.table("best", best.to_dicts())
    console.fact("events chosen", len(rows))
    console.fact("file", str(file))
    console.finish()


def estimate_cost(console: Console, profile: str) -> None:
    """Plan a profile's downloads and print what they cost."""
    with open_project(console) as project:
        check_profile(project, profile)
        project.run(jobs.MANIFEST, partition=profile)
        plan = project.lake.read(project.lake.profile(PLAN.name, profile), PLAN)
        cost = cost_metadata(plan, project.settings)
    for name, value in cost.items():
        console.fact(name, value)
    console.finish()
