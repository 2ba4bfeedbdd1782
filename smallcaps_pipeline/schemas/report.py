"""Tables of the report."""

from __future__ import annotations

from smallcaps_pipeline.schemas.manifest import MANIFEST
from smallcaps_pipeline.schemas.table import BOOL, F64, I64, STR, UTC_US, Table, columns

REVIEW_SAMPLE = Table(
    "review_sample",
    "one event to be judged by its chart; rows in the order in which they are shown",
    {
        **columns(
            ("place", I64, "1 = shown first; the order is random, so a part is a sample too"),
            ("month", STR, "YYYY-MM of the trading day"),
            ("is_kept", BOOL, "judged before, and kept when the sample was drawn anew"),
        ),
        **MANIFEST.columns,
    },
    ("event_id",),
)

LABELS = Table(
    "labels",
    "what one reviewer says of one event, after undone judgements",
    columns(
        ("event_id", STR, "event of a review sample"),
        ("reviewer", STR, "who says it"),
        ("label", STR, "good, bad, unsure; null = a note only"),
        ("note", STR, "the reviewer's words; empty = none"),
        ("said_at", UTC_US, "when it was said"),
    ),
    ("event_id", "reviewer"),
)

CRITERIA = Table(
    "criteria",
    "one criterion of GO / NO-GO",
    columns(
        ("name", STR, "as in asset checks"),
        ("title", STR, "in the trader's words"),
        ("figure", F64, "null = cannot be told yet"),
        ("unit", STR, "of the figure"),
        ("low", F64, "lowest allowed figure; null = unbounded"),
        ("high", F64, "highest allowed figure; null = unbounded"),
        ("interval_low", F64, "lower end of the confidence interval; null = none"),
        ("interval_high", F64, "upper end of the confidence interval; null = none"),
        ("n", I64, "events, windows or symbol-days it rests on"),
        ("status", STR, "pass, fail or not yet"),
        ("note", STR, "what to know about the figure"),
    ),
    ("name",),
)
