"""Tables of the manifest."""

from __future__ import annotations

from smallcaps_pipeline.schemas.events import EVENTS
from smallcaps_pipeline.schemas.table import (
    BOOL,
    F64,
    I64,
    STR,
    UTC_US,
    Table,
    columns,
)

MANIFEST = Table(
    "event_manifest",
    "one event chosen for download; rows by rank",
    {
        **EVENTS.columns,
        **columns(
            ("profile", STR, "core, plus or premium"),
            ("rank", I64, "1 = best, over all rows"),
            ("rank_score", F64, "score x type priority x liquidity, 12 decimals"),
            ("fill", STR, "quota or overflow: the pass that took it"),
            ("time_bucket", STR, "opening, midday, power_hour, PM or AH"),
            ("cohort", STR, "cohorts it belongs to, comma-separated; null = none"),
            ("nbbo_by_change", BOOL, "quotes that repeat prices and sizes are dropped"),
            ("nbbo_max_hz", I64, "quotes per second kept; null = no limit"),
            ("window_start", UTC_US, "start of the window, included"),
            ("window_end", UTC_US, "end of the window, not included"),
        ),
    },
    ("event_id",),
)

FUNNEL = Table(
    "funnel",
    "one stage of the manifest",
    columns(
        ("stage", STR, "asked, score, liquidity, group or selection"),
        ("n_in", I64, "events in"),
        ("n_out", I64, "events out"),
    ),
    ("stage",),
)
