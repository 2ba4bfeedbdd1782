"""The plan honours what the manifest says: cohorts, strata, profiles that widen, held events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from smallcaps_pipeline.manifest import build_manifest
from smallcaps_pipeline.windows import plan_windows
from smallcaps_pipeline_tests.manifest.tables import NO_QUOTAS, event, events, settings

COHORT: dict[str, Any] = {
    "name": "early_flat",
    "event_types": ["volume_spike"],
    "from_time": "09:30",
    "to_time": "10:15",
    "min_values": {"flatness_score": 0.5},
    "top": 1,
    "minutes_before": 10,
    "minutes_after": 30,
    "nbbo_by_change": False,
    "nbbo_max_hz": None,
}
EVENTS = events(
    event("AAA", "2025-10-07 10:00", flatness_score=0.9, score=0.9),  # the cohort's one
    event("BBB", "2025-10-07 10:00", flatness_score=0.9, score=0.8),  # below its top 1
    event("CCC", "2025-10-07 11:00", flatness_score=0.9, score=0.7),  # too late for it
    event("AAA", "2025-10-07 10:20", flatness_score=0.1, score=0.6),  # runs into the first
)


def spans(plan: pl.DataFrame, kind: str) -> list[tuple[str, int, int, str | None]]:
    """Return symbol, minutes from 14:00 UTC (10:00 New York) to start and end, and NBBO."""

    def minutes(instant: datetime) -> int:
        return instant.hour * 60 + instant.minute - 14 * 60

    rows = plan.filter(pl.col("kind") == kind).to_dicts()
    return [
        (r["symbol"], minutes(r["window_start"]), minutes(r["window_end"]), r["nbbo"]) for r in rows
    ]


def test_a_cohort_s_window_and_nbbo_are_planned_and_spread_to_what_it_merges_with() -> None:
    """AAA: [-10, 30) of the cohort and [17, 27) of the profile become one, all of it at `all`."""
    chosen = settings({"cohorts": [COHORT]}, **NO_QUOTAS)
    frame = build_manifest(EVENTS, "core", settings=chosen).frame
    plan = plan_windows(frame, settings=chosen)
    assert spans(plan, "quotes") == [
        ("AAA", -10, 30, "all"),
        ("BBB", -3, 7, "change@5Hz"),
        ("CCC", 57, 67, "change@5Hz"),
    ]
    assert spans(plan, "trades") == [
        ("AAA", -10, 30, None),
        ("BBB", -3, 7, None),
        ("CCC", 57, 67, None),
    ]
    assert plan["priority"].to_list() == [1, 1, 2, 2, 3, 3]


def test_a_held_event_is_planned_though_better_ones_have_come() -> None:
    """Of a total of 2 the held event keeps one place; its window is stored, so nothing is asked."""
    chosen = settings({"total": 2}, **NO_QUOTAS)
    held = EVENTS.filter(pl.col("symbol") == "CCC")
    frame = build_manifest(EVENTS, "core", held=held, settings=chosen).frame
    assert set(frame["symbol"]) == {"AAA", "CCC"}
    stored = plan_windows(frame.filter(pl.col("symbol") == "CCC"), settings=chosen)
    plan = plan_windows(frame, stored=stored, settings=chosen)
    assert set(plan["symbol"]) == {"AAA"}


def test_a_profile_that_widens_asks_for_the_rest_and_for_coarser_quotes_again() -> None:
    chosen = settings({}, **NO_QUOTAS)
    one = EVENTS.filter(pl.col("symbol") == "BBB")
    stored = plan_windows(build_manifest(one, "core", settings=chosen).frame, settings=chosen)
    for profile, before, after, nbbo in (("plus", -5, 15, "all@20Hz"), ("premium", -30, 90, "all")):
        frame = build_manifest(one, profile, settings=chosen).frame
        plan = plan_windows(frame, stored=stored, settings=chosen)
        assert spans(plan, "quotes") == [("BBB", before, after, nbbo)]
        assert spans(plan, "trades") == [("BBB", before, -3, None), ("BBB", 7, after, None)]
        assert plan["refetched_seconds"].to_list() == [0.0, 0.0, 600.0]
