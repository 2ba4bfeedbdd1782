"""The sections of the GO / NO-GO page on windows: what is on disk, what it cost, what is next.

Keep out: the order of sections (`page`), how costs are computed (`costs`).
"""

from __future__ import annotations

from html import escape
from typing import Final

import polars as pl

from smallcaps_pipeline.report.evidence import Evidence
from smallcaps_pipeline.report.figures import histogram
from smallcaps_pipeline.report.text import number, section, share_of, short, table, words
from smallcaps_pipeline.windows import Cost, Estimate

MISSING_SHOWN: Final = 20


def coverage(evidence: Evidence) -> str:
    """Show which bars there are, and how much of the manifest is on disk."""
    bars = evidence.coverage
    lines = ""
    if bars is not None:
        shown = ", ".join(bars.missing[:MISSING_SHOWN])
        more = (
            f" and {len(bars.missing) - MISSING_SHOWN:,} more"
            if len(bars.missing) > MISSING_SHOWN
            else ""
        )
        lacking = f"; of the universe without bars: {shown}{more}" if bars.missing else ""
        lines = (
            f"<p>Bars: {number(bars.symbols)} symbols, {number(bars.cells)} cells"
            f"{escape(lacking)}.</p>"
        )
    manifest, features = evidence.manifest, evidence.features
    if manifest is None or features is None or features.is_empty():
        return section("Coverage", lines, '<p class="note">No window has been fetched yet.</p>')
    found = features.select("event_id", "label_trades", "label_quotes")
    done = manifest.join(found, on="event_id", how="left")
    spread = histogram(
        features["label_spread_mean_bps"],
        "quoted spread, mean of the window, bps",
        of="windows",
        logarithmic=True,
    )
    speed = histogram(
        features["label_tape_speed"], "trades per minute", of="windows", logarithmic=True
    )
    return section(
        "Coverage",
        lines,
        '<div class="two"><div>',
        _covered(done, "session", "Session"),
        "</div><div>",
        _covered(done, "event_type", "Type"),
        f"</div></div><div class='two'><div>{spread}</div><div>{speed}</div></div>",
        lead="How much of the manifest is on disk: a window without a trade or quote is no "
        "failure of the download, but says nothing.",
    )


def costs(evidence: Evidence) -> str:
    """Show what was spent, and what the next profile would cost."""
    header = ("So far, all profiles", "Windows", "Rows", "Requests", "Hours at the limit", "GB")
    rows = [
        [
            kind.value,
            number(spent.windows),
            number(spent.rows),
            number(spent.requests),
            _hours(spent.hours),
            _gigabytes(spent.bytes),
        ]
        for kind, spent in evidence.spent.items()
    ]
    parts = [table(header, rows, numeric=(1, 2, 3, 4, 5))] if rows else []
    if evidence.next_cost is not None and evidence.release is not None:
        parts.append(_next_cost(evidence.next_cost, evidence.release.profile))
    if not parts:
        return ""
    return section("Costs", *parts)


def _covered(done: pl.DataFrame, dimension: str, title: str) -> str:
    counted = (
        done.group_by(dimension)
        .agg(
            chosen=pl.len(),
            stored=pl.col("label_trades").is_not_null().sum(),
            traded=(pl.col("label_trades") > 0).sum(),
            quoted=(pl.col("label_quotes") > 0).sum(),
        )
        .sort("chosen", dimension, descending=[True, False])
    )
    rows = [
        [
            words(name),
            number(chosen),
            share_of(stored, chosen, bare=True),
            share_of(traded, stored, bare=True),
            share_of(quoted, stored, bare=True),
        ]
        for name, chosen, stored, traded, quoted in counted.rows()
    ]
    header = (title, "Chosen", "Stored", "With a trade", "With a quote")
    return table(header, rows, numeric=(1, 2, 3, 4))


def _next_cost(cost: Estimate, profile: str) -> str:
    of: list[tuple[str, Cost]] = [(kind.value, found) for kind, found in cost.by_kind.items()]
    rows = [
        [
            name,
            number(found.requests_min),
            number(round(found.requests_expected)),
            _hours(found.hours_expected),
            _gigabytes(found.bytes_expected),
        ]
        for name, found in [*of, ("both", cost.total)]
    ]
    header = ("", "Requests, at least", "Expected", "Hours at the limit", "GB, at most")
    once_more = ""
    if cost.refetched_intervals:
        hours = short(cost.refetched.total_seconds() / 3600)
        once_more = f", but for {hours} hours of quotes that it wants finer"
    note = (
        f"{number(cost.events)} events in {number(cost.windows)} windows of which something is "
        f"missing; what is stored is not asked for again{once_more}."
    )
    return (
        f"<h3>What {escape(profile)} would cost</h3>"
        + table(header, rows, numeric=(1, 2, 3, 4))
        + f'<p class="note">{escape(note)}</p>'
    )


def _hours(hours: float | None) -> str:
    return "no limit" if hours is None else number(hours)


def _gigabytes(count: float) -> str:
    return number(round(count / 1e9, 3))
