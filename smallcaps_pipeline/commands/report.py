"""The `report` command: the GO / NO-GO page."""

from __future__ import annotations

from smallcaps_pipeline.commands.project import check_profile, open_project
from smallcaps_pipeline.console import Console
from smallcaps_pipeline.defs import jobs


def write_report(console: Console, profile: str) -> None:
    """Write the report of a profile and say where it is."""
    with open_project(console) as project:
        check_profile(project, profile)
        project.run(jobs.REPORT, partition=profile)
        file = project.lake.report(profile)
    console.fact("report", str(file))
    console.finish()
