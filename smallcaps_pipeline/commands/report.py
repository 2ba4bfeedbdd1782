"""The `report` and `override` commands: the GO / NO-GO page, and releasing in spite of it."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime

import dagster as dg

from smallcaps_pipeline.commands.project import Project, check_profile, open_project
from smallcaps_pipeline.console import Console, WrongUseError
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.report.escalation import release_of, stored_decision
from smallcaps_pipeline.report.overrides import Override, record_override
from smallcaps_pipeline.schemas import CRITERIA


def write_report(console: Console, profile: str) -> None:
    """Write the report of a profile; say what it decides and where it is."""
    with open_project(console) as project:
        check_profile(project, profile)
        project.run(jobs.REPORT, partition=profile)
        lake = project.lake
        criteria = lake.read(lake.profile(CRITERIA.name, profile), CRITERIA)
        decision = stored_decision(lake, profile)
    shown = criteria.select("title", "figure", "unit", "n", "status")
    console.table("criteria", shown.to_dicts())
    console.fact("decision", str(decision))
    console.fact("report", str(lake.report(profile)))
    console.finish()


def override_decision(console: Console, profile: str, reason: str) -> None:
    """Release a profile although the one before it is not GO; recorded, and shown on its page."""
    with open_project(console) as project:
        check_profile(project, profile)
        release = release_of(project.lake, profile, project.settings)
        if release.before is None:
            raise WrongUseError(f"{profile} is the first profile: nothing blocks it")
        decision = None if release.decision is None else release.decision.value
        override = Override(profile, reason.strip(), user_name(), datetime.now(UTC), decision)
        try:
            file = record_override(project.lake, override)
        except ValueError as error:
            raise WrongUseError(str(error)) from error
        _log_override(project, release.before, override)
        project.run(jobs.REPORT, partition=release.before)
        released = release_of(project.lake, profile, project.settings)
    console.fact("released", profile)
    console.fact("because", released.reason)
    console.fact("file", str(file))
    console.finish()


def _log_override(project: Project, before: str, override: Override) -> None:
    """Show the override in the UI, among the events of the report that it overrides."""
    project.launcher.instance.report_runless_asset_event(
        dg.AssetObservation(
            asset_key="go_no_go",
            partition=before,
            description=f"override: {override.profile} released by {override.user}",
            metadata={
                "override": override.profile,
                "reason": override.reason,
                "user": override.user,
                "decision then": override.decision or "none",
            },
        )
    )


def user_name() -> str:
    """Return who is at the keyboard, as the operating system says."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such entry: a container's bare user id
        return "unknown"
