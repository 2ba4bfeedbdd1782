"""The GO / NO-GO page: one HTML file that loads nothing and runs nothing.

Belongs here: which parts there are, in which order, and what is said on top.
Keep out: the sections (`sections`, `window_sections`, `examples`), what the figures are
(`decision`, `kpis`), how they look (`style`).

The same evidence gives the same page: no wall-clock time of its making is on it.
"""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import Final

from smallcaps_pipeline.report.decision import Decision, decide, evaluate_criteria
from smallcaps_pipeline.report.escalation import Release
from smallcaps_pipeline.report.evidence import Evidence
from smallcaps_pipeline.report.examples import examples
from smallcaps_pipeline.report.sections import (
    criteria_table,
    distributions,
    funnel,
    health,
    review,
)
from smallcaps_pipeline.report.status import Finding, Status
from smallcaps_pipeline.report.style import STYLE_SHEET
from smallcaps_pipeline.report.text import number, share_of
from smallcaps_pipeline.report.window_sections import costs, coverage
from smallcaps_pipeline.settings import Settings, load_settings

# A file has no headers: the page itself forbids all but its own style.
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
DECISION_TEXT: Final = {
    Decision.GO: "Every criterion passes on the evidence below",
    Decision.NO_GO: "Fails: ",
    Decision.NOT_YET: "Nothing fails, but evidence is missing: ",
}


def build_report(evidence: Evidence, settings: Settings | None = None) -> str:
    """Build the page.

    Args:
        evidence: What `evidence.gather` read, or a part of it.
        settings: None takes `load_settings()`.

    Returns:
        A complete HTML document (UTF-8) that needs no network.

    Raises:
        SchemaError: A frame lacks columns.
    """
    chosen = settings or load_settings()
    criteria = evaluate_criteria(evidence.events, evidence.features, evidence.standing, chosen)
    body = [
        _banner(evidence.banner),
        _headline(evidence),
        _decision(criteria),
        *_releases(evidence, decide(criteria)),
        _tiles(evidence),
        criteria_table(criteria, chosen),
        review(evidence, chosen),
        funnel(evidence),
        distributions(evidence, chosen),
        coverage(evidence),
        costs(evidence),
        health(evidence, chosen),
        examples(evidence, chosen),
    ]
    title = f"{decide(criteria)}, {evidence.profile}"
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE_SHEET}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>"
    )


def _banner(text: str) -> str:
    return f'<div class="simulated" role="note">{escape(text)}</div>' if text else ""


def _headline(evidence: Evidence) -> str:
    events, span = evidence.events, "no events yet"
    if not events.is_empty():
        days = events["date"].unique().sort().to_list()
        span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        span = f"{number(events['symbol'].n_unique())} symbols, trading days {span}"
    return (
        "<h1>Worth the ticks?</h1>"
        f'<p class="sub">GO / NO-GO for profile <b>{escape(evidence.profile)}</b>: '
        f"{escape(span)}</p>"
    )


def _decision(criteria: list[Finding]) -> str:
    decision = decide(criteria)
    kind = decision.value.lower().replace(" ", "-")
    counted = ", ".join(
        f"{sum(c.status is status for c in criteria)} {status.value}" for status in Status
    )
    return (
        f'<div class="decision {kind}"><b class="word">{decision.value}</b><div>'
        f"<p>{escape(_reason(criteria, decision))}</p>"
        f'<p class="note">{len(criteria)} criteria: {counted}.</p></div></div>'
    )


def _reason(criteria: list[Finding], decision: Decision) -> str:
    blamed = {Decision.NO_GO: Status.FAIL, Decision.NOT_YET: Status.NOT_YET}.get(decision)
    named = "; ".join(c.title for c in criteria if c.status is blamed)
    return f"{DECISION_TEXT[decision]}{named}."


def _releases(evidence: Evidence, decision: Decision) -> list[str]:
    """Say whether the next profile may spend, and what this one itself rests on if not on GO.

    The next one is released by what this page decides, whatever the last one decided.
    """
    parts = []
    own, after = evidence.own_release, evidence.release
    if own is not None and own.before is not None and own.decision is not Decision.GO:
        parts.append(_release(own))
    if after is not None:
        parts.append(_release(replace(after, decision=decision)))
    return parts


def _release(release: Release) -> str:
    name = escape(release.profile)
    if not release.is_released:
        return (
            f'<p class="sub after">Downloads of <b>{name}</b> are blocked: '
            f"{escape(release.reason)}.</p>"
        )
    if release.decision is Decision.GO or release.before is None:
        return f'<p class="sub after">Downloads of <b>{name}</b> are released.</p>'
    return (
        f'<div class="override" role="note"><p><b>Override.</b> Downloads of <b>{name}</b>: '
        f"{escape(release.reason)}</p></div>"
    )


def _tiles(evidence: Evidence) -> str:
    chosen = None if evidence.manifest is None else evidence.manifest.height
    stored = 0 if evidence.features is None else evidence.features.height
    drawn = 0 if evidence.sample is None else evidence.sample.height
    figures = (
        ("events detected", number(evidence.events.height)),
        ("chosen for download", number(chosen)),
        ("with trades, quotes and figures", share_of(stored, chosen)),
        ("of the review sample judged", share_of(evidence.standing.height, drawn)),
    )
    tiles = "".join(f'<div class="tile"><b>{v}</b><span>{k}</span></div>' for k, v in figures)
    return f'<div class="tiles">{tiles}</div>'
