"""The best and the worst events of a manifest, each with its charts.

Keep out: the drawings (`minute_chart`, `tape_chart`).
"""

from __future__ import annotations

from html import escape
from typing import Any

import polars as pl

from smallcaps_pipeline.report.evidence import Evidence, best_and_worst
from smallcaps_pipeline.report.facts import event_facts, why_no_tape
from smallcaps_pipeline.report.labels import ReviewLabel
from smallcaps_pipeline.report.minute_chart import chart_bars, minute_chart
from smallcaps_pipeline.report.sections import badge
from smallcaps_pipeline.report.tape_chart import tape_chart
from smallcaps_pipeline.report.text import number, section, words
from smallcaps_pipeline.sessions import NEW_YORK_TZ
from smallcaps_pipeline.settings import Settings

Row = dict[str, Any]


def examples(evidence: Evidence, settings: Settings) -> str:
    """Show the first and the last events by rank."""
    if evidence.manifest is None or evidence.manifest.is_empty():
        return ""
    best, worst = best_and_worst(evidence.manifest, settings.report.best_and_worst)
    parts = [
        section(
            f"The {number(best.height)} best by rank",
            *_events(evidence, best, settings),
            lead="Times are New York. Left the minutes, right trades and quotes where the window "
            "is stored; the event bar is shaded, the bar above shows the window.",
        )
    ]
    if not worst.is_empty():
        parts.append(
            section(
                f"The {number(worst.height)} worst by rank",
                *_events(evidence, worst, settings),
                lead="The last events that were still chosen: what the money buys at the margin.",
            )
        )
    return "".join(parts)


def _events(evidence: Evidence, rows: pl.DataFrame, settings: Settings) -> list[str]:
    labels = dict(evidence.standing.iter_rows())
    known = {}
    if evidence.features is not None:
        known = {row["event_id"]: row for row in evidence.features.rows(named=True)}
    return [
        '<article class="event">'
        + _heading(row, labels.get(row["event_id"]))
        + _facts(row, known.get(row["event_id"]))
        + _charts(evidence, row, known.get(row["event_id"]), settings)
        + "</article>"
        for row in rows.rows(named=True)
    ]


def _heading(row: Row, label: str | None) -> str:
    at = row["timestamp"].astimezone(NEW_YORK_TZ)
    said = "" if label is None else f" {badge(ReviewLabel(label))}"
    arrow = "▲" if row["direction"] == "up" else "▼"
    title = (
        f"{number(row['rank'])}. {row['symbol']} {arrow} {words(row['event_type'])} "
        f"{row['direction']}, {row['date']} {at:%H:%M} {row['session']}"
    )
    return f"<h3>{escape(title)}{said}</h3>"


def _facts(row: Row, features: Row | None) -> str:
    named = (
        f"{escape(name)} <b>{escape(value)}</b>"
        for name, value in event_facts(row, features)
        if name != "rank"
    )
    return f'<p class="facts">{" · ".join(named)}</p>'


def _charts(evidence: Evidence, row: Row, features: Row | None, settings: Settings) -> str:
    if evidence.bars is None:
        return ""
    minutes = minute_chart(row, chart_bars(row, evidence.bars, settings), events=evidence.events)
    tape = ""
    if evidence.trades is not None:
        tape = tape_chart(row, evidence.trades, evidence.quotes)
    right = tape or f'<p class="note">{why_no_tape(features)}</p>'
    return f'<div class="charts"><div>{minutes}</div><div>{right}</div></div>'
