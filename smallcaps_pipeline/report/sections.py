"""The sections of the GO / NO-GO page: each takes the evidence and returns HTML.

Keep out: their order and what is said on top (`page`), the events with charts (`examples`).
"""

from __future__ import annotations

from html import escape
from typing import Final

import polars as pl

from smallcaps_pipeline.report.agreement import agreement
from smallcaps_pipeline.report.breakdown import DIMENSIONS, breakdown
from smallcaps_pipeline.report.decision import label_counts
from smallcaps_pipeline.report.evidence import Evidence
from smallcaps_pipeline.report.figures import bar, bar_rows, histogram
from smallcaps_pipeline.report.kpis import event_kpis, window_kpis
from smallcaps_pipeline.report.labels import ReviewLabel
from smallcaps_pipeline.report.status import Finding, Status
from smallcaps_pipeline.report.text import (
    DASH,
    number,
    section,
    share_of,
    table,
    threshold,
    words,
)
from smallcaps_pipeline.sessions import Session
from smallcaps_pipeline.settings import Settings

UNJUDGED: Final = frozenset(  # figures to be read, without an allowed range
    {
        *("events", "spike_x_quantile", "spike_x_above_quantile"),
        *("trades_per_minute_p50", "trades_per_minute_p99"),
    }
)
BAD_SHOWN: Final = 30
MISSING_SHOWN: Final = 20


def criteria_table(criteria: list[Finding], settings: Settings) -> str:
    """Show each criterion with figure, interval, threshold and the events it rests on."""
    percent = f"{settings.report.confidence * 100:g}"
    rows = [
        [
            _titled(finding),
            badge(finding.status),
            number(finding.figure, finding.unit),
            _interval(finding),
            threshold(finding),
            number(finding.n),
        ]
        for finding in criteria
    ]
    header = ("Criterion", "Status", "Figure", f"{percent} % interval", "Threshold", "Rests on")
    return section(
        "Criteria",
        table(header, rows, numeric=(2, 4, 5), raw=(0, 1, 3)),
        lead="GO only if all pass. A figure that rests on nothing, or on fewer than "
        f"{settings.report.min_events} events, is not yet evidence.",
    )


def review(evidence: Evidence, settings: Settings) -> str:
    """Show what reviewers said, how well they agree, and what they called bad."""
    sample, labels = evidence.sample, evidence.labels
    judged = labels.filter(pl.col("label").is_not_null())
    if sample is None or judged.is_empty():
        size = settings.report.sample_size if sample is None else sample.height
        command = f"smallcaps review --profile {evidence.profile}"
        return section(
            "Review",
            f'<p class="note">Nobody has judged yet: {number(size)} charts wait. '
            f"<code>{escape(command)}</code></p>",
        )
    who = judged.group_by("reviewer", "label").len()
    rows = []
    for (reviewer,), said in sorted(who.partition_by("reviewer", as_dict=True).items()):
        counted = label_counts(judged.filter(pl.col("reviewer") == reviewer))
        total = sum(said["len"])
        rows.append(
            [str(reviewer), *(number(counted[label]) for label in ReviewLabel), number(total)]
        )
    header = ("Reviewer", "Good", "Bad", "Unsure", "Judged")
    short_of = ""
    if sample.height < settings.report.sample_size:
        short_of = (
            f'<p class="note">The manifest holds {number(sample.height)} events, fewer than '
            f"report.sample_size ({number(settings.report.sample_size)}).</p>"
        )
    return section(
        "Review",
        table(header, rows, numeric=(1, 2, 3, 4)),
        _agreement(labels),
        short_of,
        _called_bad(evidence),
        lead="Charts judged by eye. Where several judged an event, most decide; a tie is unsure.",
    )


def funnel(evidence: Evidence) -> str:
    """Show how many events each stage of the manifest let through."""
    stages, manifest = evidence.funnel, evidence.manifest
    if stages is None or manifest is None:
        return section("From events to windows", '<p class="note">No manifest yet.</p>')
    names = ["detected", *(words(stage) for stage in stages["stage"])]
    counts = [*stages["n_in"].head(1), *stages["n_out"]]
    last = len(counts) - 1
    rows = [
        (
            name,
            [(float(count), "quiet" if not n else "pass" if n == last else "rth")],
            f"{number(count)}  {share_of(count, counts[n - 1], bare=True) if n else ''}",
        )
        for n, (name, count) in enumerate(zip(names, counts, strict=True))
    ]
    by_fill = manifest.group_by("fill").len().sort("fill").rows()
    fills = ", ".join(f"{number(count)} by {fill}" for fill, count in by_fill) or "none"
    notes = "".join(f"<li>{escape(note)}</li>" for note in evidence.notes)
    return section(
        "From events to windows",
        bar_rows(rows),
        f'<p class="note">Taken: {escape(fills)}.</p>',
        f"<h3>Notes</h3><ul>{notes}</ul>" if notes else "",
        lead="How many events each stage of the manifest let through, and their share of the "
        "stage before.",
    )


def distributions(evidence: Evidence, settings: Settings) -> str:
    """Show events by type, session, time of day and month, with what was chosen and judged."""
    if evidence.events.is_empty():
        return section("Events", '<p class="note">None were detected.</p>')
    parts = [
        _breakdown(evidence, dimension, title, settings) for dimension, title in DIMENSIONS.items()
    ]
    keys = (
        '<p class="keys"><span><i class="pm"></i>premarket</span><span><i></i>regular hours</span>'
        '<span><i class="ah"></i>after-hours</span></p>'
    )
    dollars = histogram(evidence.events["dollar_volume"], "USD of the event bar", logarithmic=True)
    spikes = histogram(evidence.events["spike_x"], "spike, times the baseline", logarithmic=True)
    return section(
        "Events",
        keys,
        *parts,
        f'<div class="two"><div><h3>Dollar volume</h3>{dollars}</div>'
        f"<div><h3>Volume spike</h3>{spikes}</div></div>",
    )


def health(evidence: Evidence, settings: Settings) -> str:
    """Show the KPIs over all events and windows, as the asset checks measure them."""
    findings = event_kpis(evidence.events, settings)
    findings = [f for f in findings if not f.name.startswith("events_") or "hour" in f.name]
    if evidence.features is not None and not evidence.features.is_empty():
        findings += window_kpis(evidence.features, settings)
    rows = [
        [
            _titled(finding),
            "" if finding.name in UNJUDGED else badge(finding.status),
            number(finding.figure, finding.unit),
            threshold(finding),
            number(finding.n),
        ]
        for finding in findings
    ]
    header = ("Figure", "Status", "Value", "Allowed", "Rests on")
    return section(
        "Health of the data",
        table(header, rows, numeric=(2, 3, 4), raw=(0, 1)),
        lead="What the asset checks measure, over all events. None of it decides above.",
    )


def badge(status: Status | ReviewLabel) -> str:
    """Return a status or a label as a coloured word."""
    return f'<span class="badge {status.value.replace(" ", "-")}">{status.value}</span>'


def _titled(finding: Finding) -> str:
    note = f'<span class="note">{escape(finding.note)}</span>' if finding.note else ""
    return escape(finding.title) + note


def _interval(finding: Finding) -> str:
    """Show an interval in numbers; of a percentage also drawn, with the threshold."""
    if finding.interval is None or finding.figure is None:
        return DASH
    low, high = finding.interval
    text = f"{number(low, finding.unit)} to {number(high, finding.unit)}"
    if finding.unit != "%" or low < 0:
        return escape(text)
    limits = [limit for limit in (finding.low, finding.high) if limit is not None]
    marks = "".join(f'<i class="limit" style="left:{limit:.1f}%"></i>' for limit in limits)
    return (
        f"{escape(text)}"
        f'<span class="range"><i></i><i class="span" style="left:{low:.1f}%;'
        f'right:{100 - high:.1f}%"></i>{marks}'
        f'<i class="at" style="left:{finding.figure:.1f}%"></i></span>'
    )


def _agreement(labels: pl.DataFrame) -> str:
    found = agreement(labels)
    if found is None:
        return '<p class="note">One reviewer: agreement needs two.</p>'
    who = ", ".join(found.reviewers)
    if found.share is None:
        return f'<p class="note">{escape(who)} have judged no event in common yet.</p>'
    kappa = "cannot be told" if found.kappa is None else f"{found.kappa:.2f}"
    return (
        f"<p>Agreement of {escape(who)} on {number(found.events)} events: "
        f"{number(found.share * 100, '%')} of pairs, {found.method}'s kappa <b>{kappa}</b>.</p>"
    )


def _called_bad(evidence: Evidence) -> str:
    """List the events that somebody called bad, or noted something on."""
    bad = pl.col("label").eq_missing(pl.lit(ReviewLabel.BAD.value))
    said = evidence.labels.filter(bad | (pl.col("note") != "")).sort("event_id", "reviewer")
    if said.is_empty():
        return ""
    rows = [
        [event, who, "" if label is None else badge(ReviewLabel(label)), note]
        for event, who, label, note in said.head(BAD_SHOWN)
        .select("event_id", "reviewer", "label", "note")
        .rows()
    ]
    more = (
        f"<p class='note'>{said.height - BAD_SHOWN:,} more.</p>" if said.height > BAD_SHOWN else ""
    )
    header = ("Event", "Reviewer", "Label", "Note")
    return "<h3>Called bad, or with a note</h3>" + table(header, rows, raw=(2,)) + more


def _breakdown(evidence: Evidence, dimension: str, title: str, settings: Settings) -> str:
    found = breakdown(evidence.events, evidence.manifest, evidence.standing, dimension, settings)
    full = float(max(found["detected"], default=0))
    kinds = {Session.PM: "pm", Session.RTH: "rth", Session.AH: "ah"}
    rows = [
        [
            words(row[dimension]),
            bar([(float(row[session.value]), kind) for session, kind in kinds.items()], full),
            number(row["detected"]),
            number(row["chosen"]),
            _judged(row),
            _precision(row),
        ]
        for row in found.rows(named=True)
    ]
    header = (title, "", "Detected", "Chosen", "Good / bad / unsure", "Precision")
    return table(header, rows, numeric=(2, 3, 4, 5), raw=(1,), kind="spread")


def _judged(row: dict[str, int]) -> str:
    said = [row[label.value] for label in ReviewLabel]
    return " / ".join(map(str, said)) if any(said) else DASH


def _precision(row: dict[str, int]) -> str:
    told = row["good"] + row["bad"]
    return number(row["good"] / told * 100, "%") if told else DASH
