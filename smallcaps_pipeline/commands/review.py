"""The `review` command: a local page on which the sample's charts are judged."""

from __future__ import annotations

import re
import webbrowser
from datetime import UTC, datetime

from smallcaps_pipeline.commands.project import Project, check_profile, open_project
from smallcaps_pipeline.commands.report import user_name
from smallcaps_pipeline.console import Console, WrongUseError
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.report import banner_of
from smallcaps_pipeline.report.journal import Journal
from smallcaps_pipeline.review import Desk, ReviewServer, serve
from smallcaps_pipeline.schemas import MANIFEST, REVIEW_SAMPLE


def review_events(
    console: Console, profile: str, reviewer: str | None, port: int, *, open_browser: bool
) -> None:
    """Draw the sample, serve the page until Ctrl-C, then write the GO / NO-GO page anew."""
    with open_project(console) as project:
        check_profile(project, profile)
        desk = _desk(project, profile, reviewer or _user())
        before = desk.judged

        def ready(page: ReviewServer) -> None:
            console.say(f"[bold]{page.url}[/]")
            console.say("Open it in a browser on this machine. Ctrl-C ends it; nothing is lost.")
            if open_browser:
                webbrowser.open(page.url)

        try:
            serve(desk, port=port, ready=ready)
        except KeyboardInterrupt:  # Ctrl-C is how it is meant to end
            pass
        except OSError as error:
            raise WrongUseError(f"port {port} cannot be taken ({error}); try --port 0") from error
        console.fact("judged", f"{desk.judged} of {desk.size}")
        if desk.judged != before:
            console.stage("GO / NO-GO page")
            project.run(jobs.REPORT, partition=profile)
        console.fact("report", str(project.lake.report(profile)))


def _desk(project: Project, profile: str, reviewer: str) -> Desk:
    """Draw the sample, which keeps what was judged, and take a seat before it."""
    lake = project.lake
    try:
        journal = Journal(lake, reviewer.lower())
    except ValueError as error:
        raise WrongUseError(str(error)) from error
    if not lake.profile(MANIFEST.name, profile).exists():
        raise RuntimeError(
            f"there is no manifest of {profile} yet: run `smallcaps manifest --profile {profile}`"
        )
    project.run(jobs.REPORT, partition=profile, only=[REVIEW_SAMPLE.name])
    sample = lake.read(lake.profile(REVIEW_SAMPLE.name, profile), REVIEW_SAMPLE)
    return Desk(
        lake,
        sample,
        journal,
        project.settings,
        clock=lambda: datetime.now(UTC),
        banner=banner_of(lake),
    )


def _user() -> str:
    """Return the user's name as a reviewer's name."""
    return re.sub(r"[^a-z0-9_-]", "", user_name().lower()).lstrip("_-")[:32] or "reviewer"
