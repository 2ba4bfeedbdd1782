"""What was spent so far, and what the next profile would cost.

Belongs here: sums over stored windows, and a plan that is made for the estimate alone: nothing is
written, so the cost of a profile can be read while it is blocked.
Keep out: how a plan and its cost are computed (`windows`).
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.manifest import build_manifest
from smallcaps_pipeline.settings import Settings
from smallcaps_pipeline.windows import (
    Estimate,
    Kind,
    estimate,
    held_events,
    plan_windows,
    stored,
    stored_windows,
    windows_index,
)
from smallcaps_pipeline.windows.rates import Rates


@dataclass(frozen=True)
class Spent:
    """What the stored windows of one kind took.

    Attributes:
        windows: Files.
        rows: Trades or quotes in them.
        requests: Pages that were read for them, retries not counted.
        bytes: On disk.
        hours: What the requests take at the rate limit; None without a limit.
    """

    windows: int
    rows: int
    requests: int
    bytes: int
    hours: float | None


def spent(lake: Lake, settings: Settings) -> dict[Kind, Spent]:
    """Add up what is stored, of all profiles."""
    found = {}
    for kind in Kind:
        windows = stored_windows(lake, kind)
        requests = sum(window.pages for window in windows)
        found[kind] = Spent(
            windows=len(windows),
            rows=sum(window.rows for window in windows),
            requests=requests,
            bytes=sum(window.file.stat().st_size for window in windows),
            hours=_hours(requests, settings),
        )
    return found


def expected_cost(lake: Lake, events: pl.DataFrame, profile: str, settings: Settings) -> Estimate:
    """Estimate what is still to be fetched for a profile, without planning it.

    Args:
        lake: What is stored already is not counted.
        events: Rows of `schemas.EVENTS`, all there are.
        profile: A profile of the settings.
        settings: Configuration.
    """
    manifest = build_manifest(events, profile, held=held_events(lake), settings=settings)
    rates = Rates(windows_index(lake), settings.windows)
    plan = plan_windows(manifest.frame, stored=stored(lake), settings=settings, rates=rates)
    limits = settings.provider
    return estimate(
        plan, calls_per_minute=limits.calls_per_minute, calls_per_second=limits.calls_per_second
    )


def _hours(requests: int, settings: Settings) -> float | None:
    limits = settings.provider
    rates = [
        calls * periods
        for calls, periods in ((limits.calls_per_minute, 60.0), (limits.calls_per_second, 3600.0))
        if calls is not None
    ]
    return requests / min(rates) if rates else None
