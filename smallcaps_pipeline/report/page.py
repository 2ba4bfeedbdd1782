"""The GO / NO-GO page: one HTML file that loads nothing.

Belongs here: which sections there are, in which order, and what they say.
Keep out: what the figures are (`decision`, `kpis`, `summary`) and how they look (`style`).

The same input gives the same page: no wall-clock time is on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

import plotly.graph_objects as go
import polars as pl
from plotly.offline import get_plotlyjs

from smallcaps_pipeline.report.candles import event_chart
from smallcaps_pipeline.report.decision import Decision, decide, evaluate_criteria
from smallcaps_pipeline.report.figures import (
    distribution,
    events_by_month,
    events_by_type,
    funnel_figure,
)
from smallcaps_pipeline.report.kpis import event_kpis, window_kpis
from smallcaps_pipeline.report.status import Finding, Status
from smallcaps_pipeline.report.style import STYLE_SHEET
from smallcaps_pipeline.report.summary import event_summary
from smallcaps_pipeline.report.text import number, section, table, threshold, words
from smallcaps_pipeline.schemas import EVENTS, FUNNEL, MANIFEST, MICRO_FEATURES
from smallcaps_pipeline.sessions import NEW_YORK, Session
from smallcaps_pipeline.settings import Settings, load_settings

PLOT_CONFIG: Final = {"displaylogo": False, "responsive": True, "displayModeBar": False}
UNJUDGED: Final = frozenset(  # figures to be read, without an allowed range
    {
        *("events", "spike_x_quantile", "spike_x_above_quantile"),
        *("trades_per_minute_p50", "trades_per_minute_p99"),
    }
)
DECISION_TEXT: Final = {
    Decision.GO: "Every criterion passes on the evidence below",
    Decision.NO_GO: "Fails: ",
    Decision.NOT_YET: "Nothing fails, but evidence is missing: ",
}


def build_report(
    events: pl.DataFrame,
    manifest: pl.DataFrame | None = None,
    *,
    funnel: pl.DataFrame | None = None,
    notes: Sequence[str] = (),
    features: pl.DataFrame | None = None,
    labels: pl.DataFrame | None = None,
    bars: pl.DataFrame | None = None,
    trades: pl.DataFrame | None = None,
    quotes: pl.DataFrame | None = None,
    profile: str = "core",
    simulated: bool = False,
    emulated: bool = False,
    settings: Settings | None = None,
) -> str:
    """Build the page.

    Args:
        events: Rows of `schemas.EVENTS`: all that were detected.
        manifest: Rows of `schemas.MANIFEST` of the profile; None = not made yet.
        funnel: Rows of `schemas.FUNNEL` of that manifest.
        notes: The manifest's notes, in plain words.
        features: Rows of `schemas.MICRO_FEATURES`, one per event whose window is stored.
        labels: One row per reviewed event: `event_id`, `label` (good, bad, unsure).
        bars: Rows of `schemas.BARS` that hold the days of the best events; None = no charts.
        trades: Rows of `schemas.TRADES` with `symbol`, of the best events' windows.
        quotes: Rows of `schemas.QUOTES` with `symbol`, of the same.
        profile: Name of the manifest's profile.
        simulated: Say on top that data come from the simulated market.
        emulated: Say on top that data come from an emulator, of whatever data.
        settings: None takes `load_settings()`.

    Returns:
        A complete HTML document (UTF-8) that needs no network.

    Raises:
        SchemaError: A frame lacks columns.
    """
    chosen = settings or load_settings()
    rows = EVENTS.conform(events, where="report: events")
    planned = None if manifest is None else MANIFEST.conform(manifest, where="report: manifest")
    measured = None if features is None else MICRO_FEATURES.conform(features, where="report")
    criteria = evaluate_criteria(rows, measured, labels, chosen)
    body = [
        _banner(simulated=simulated, emulated=emulated),
        _headline(rows, profile),
        _decision(criteria),
        _tiles(rows, planned, measured),
        _criteria(criteria),
        _funnel(planned, funnel, notes),
        _events(rows),
        _kpis(rows, measured, chosen),
        _windows(planned, measured),
        _best(planned, bars, trades, quotes, chosen.report.best_and_worst),
    ]
    return _document("".join(body), title=f"GO / NO-GO, {profile}")


def _document(body: str, *, title: str) -> str:
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE_SHEET}</style>"
        f"<script>{get_plotlyjs()}</script></head><body><main>{body}</main></body></html>"
    )


def _plot(figure: go.Figure) -> str:
    drawn: str = figure.to_html(full_html=False, include_plotlyjs=False, config=PLOT_CONFIG)
    return f'<div class="figure">{drawn}</div>'


def _banner(*, simulated: bool, emulated: bool) -> str:
    if simulated:
        text = (
            "Simulated data: this market was made up by the emulator. Nothing on this page says "
            "anything about real stocks."
        )
    elif emulated:
        text = (
            "Data from an emulator on this machine, simulated or recorded: not the provider's own "
            "answers."
        )
    else:
        return ""
    return f'<div class="simulated" role="note">{text}</div>'


def _headline(events: pl.DataFrame, profile: str) -> str:
    span = "no events yet"
    if not events.is_empty():
        days = events["date"].unique().sort().to_list()
        span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        span = f"{number(events['symbol'].n_unique())} symbols, trading days {span}"
    return (
        "<h1>Worth the ticks?</h1>"
        f'<p class="sub">GO / NO-GO for profile <b>{escape(profile)}</b>: {escape(span)}</p>'
    )


def _decision(criteria: list[Finding]) -> str:
    decision = decide(criteria)
    kind = decision.value.lower().replace(" ", "-")
    counted = ", ".join(
        f"{sum(c.status is status for c in criteria)} {status.value}" for status in Status
    )
    return (
        f'<div class="decision {kind}"><b>{decision.value}</b>'
        f"<p>{escape(_reason(criteria, decision))}<br>"
        f"<span class='note'>{len(criteria)} criteria: {counted}."
        "</span></p></div>"
    )


def _reason(criteria: list[Finding], decision: Decision) -> str:
    """Say why, naming the criteria that stand in the way of GO."""
    blocking = Status.FAIL if decision is Decision.NO_GO else Status.NOT_YET
    named = "; ".join(c.title for c in criteria if c.status is blocking)
    return f"{DECISION_TEXT[decision]}{named}."


def _tiles(
    events: pl.DataFrame, manifest: pl.DataFrame | None, features: pl.DataFrame | None
) -> str:
    planned = None if manifest is None else manifest.height
    stored = None if features is None else features.height
    in_pm = float((events["session"] == Session.PM).sum())
    pm = in_pm / events.height * 100 if events.height else None
    figures = [
        ("events detected", number(events.height)),
        ("chosen for download", number(planned)),
        ("windows with figures", number(stored)),
        ("of events in premarket", number(pm, "%")),
    ]
    tiles = "".join(f'<div class="tile"><b>{v}</b><span>{k}</span></div>' for k, v in figures)
    return f'<div class="tiles">{tiles}</div>'


def _badge(status: Status) -> str:
    return f'<span class="badge {status.value.replace(" ", "-")}">{status.value}</span>'


def _finding_rows(findings: list[Finding]) -> list[list[str]]:
    return [
        [
            f"{escape(f.title)}<br><span class='note'>{escape(f.note)}</span>"
            if f.note
            else escape(f.title),
            number(f.figure, f.unit),
            threshold(f),
            number(f.n),
            "" if f.name in UNJUDGED else _badge(f.status),
        ]
        for f in findings
    ]


def _criteria(criteria: list[Finding]) -> str:
    header = ("Criterion", "Figure", "Threshold", "Rests on", "Status")
    return section(
        "Criteria",
        table(header, _finding_rows(criteria), numeric=(1, 2, 3), raw=(0, 4)),
        lead="Each figure against its threshold, with the number of events it rests on.",
    )


def _funnel(
    manifest: pl.DataFrame | None, funnel: pl.DataFrame | None, notes: Sequence[str]
) -> str:
    if funnel is None:
        return section("From events to windows", '<p class="note">No manifest yet.</p>')
    stages = FUNNEL.conform(funnel, where="report: funnel")
    said = "".join(f"<li>{escape(note)}</li>" for note in notes)
    fills = ""
    if manifest is not None and manifest.height:
        by_fill = manifest.group_by("fill").len().sort("fill").rows()
        named = ", ".join(f"{number(count)} by {fill}" for fill, count in by_fill)
        fills = f'<p class="note">Taken: {escape(named)}.</p>'
    return section(
        "From events to windows",
        _plot(funnel_figure(stages)),
        fills,
        f"<h3>Notes</h3><ul>{said}</ul>" if said else "",
        lead="How many events each stage of the manifest let through.",
    )


def _events(events: pl.DataFrame) -> str:
    if events.is_empty():
        return section("Events", '<p class="note">None were detected.</p>')
    summary = event_summary(events)
    return section(
        "Events",
        _counts_table(summary),
        '<div class="two"><div><h3>By type</h3>',
        _plot(events_by_type(summary)),
        "</div><div><h3>Dollar volume of the event bar</h3>",
        _plot(distribution(events["dollar_volume"], "USD", logarithmic=True)),
        "</div></div><h3>By month</h3>",
        _plot(events_by_month(summary)),
    )


def _counts_table(summary: pl.DataFrame) -> str:
    """Tabulate counts by type and direction, sessions across."""
    by_session = (
        pl.col("events").filter(pl.col("session") == session).sum().alias(session.value)
        for session in Session
    )
    keys = ("event_type", "direction")
    rows = (
        summary.group_by(keys)
        .agg(*by_session, all=pl.col("events").sum())
        .sort("event_type", "direction", descending=[False, True])
    )
    total = rows.select(
        event_type=pl.lit("all"),
        direction=pl.lit(""),
        **{c: pl.col(c).sum() for c in rows.columns[2:]},
    )
    cells = [
        [words(kind), direction, *(number(count) for count in rest)]
        for kind, direction, *rest in [*rows.rows(), *total.rows()]
    ]
    header = ("Type", "Direction", "Premarket", "Regular hours", "After-hours", "All")
    return table(header, cells, numeric=(2, 3, 4, 5))


def _kpis(events: pl.DataFrame, features: pl.DataFrame | None, settings: Settings) -> str:
    findings = event_kpis(events, settings)
    findings = [f for f in findings if not f.name.startswith("events_") or "hour" in f.name]
    if features is not None and not features.is_empty():
        findings += window_kpis(features, settings)
    header = ("Figure", "Value", "Allowed", "Rests on", "Status")
    return section(
        "Health of the data",
        table(header, _finding_rows(findings), numeric=(1, 2, 3), raw=(0, 4)),
        lead="What the asset checks measure, over all events.",
    )


def _windows(manifest: pl.DataFrame | None, features: pl.DataFrame | None) -> str:
    if manifest is None or features is None or features.is_empty():
        return section("Windows", '<p class="note">No window has been fetched yet.</p>')
    done = manifest.with_columns(stored=pl.col("event_id").is_in(features["event_id"].implode()))
    by_type = (
        done.group_by("event_type").agg(planned=pl.len(), stored=pl.col("stored").sum())
    ).sort("planned", "event_type", descending=[True, False])
    cells = [
        [words(kind), number(planned), number(stored), number(stored / planned * 100, "%")]
        for kind, planned, stored in by_type.rows()
    ]
    spread = distribution(
        features["label_spread_mean_bps"], "bps of mid", of="windows", logarithmic=True
    )
    speed = distribution(
        features["label_tape_speed"], "trades per minute", of="windows", logarithmic=True
    )
    return section(
        "Windows",
        table(("Type", "Planned", "Stored", "Done"), cells, numeric=(1, 2, 3)),
        f'<div class="two"><div><h3>Quoted spread, mean of the window</h3>{_plot(spread)}</div>',
        f"<div><h3>Tape speed</h3>{_plot(speed)}</div></div>",
        lead="How much of the plan is on disk, and what the windows look like.",
    )


def _best(
    manifest: pl.DataFrame | None,
    bars: pl.DataFrame | None,
    trades: pl.DataFrame | None,
    quotes: pl.DataFrame | None,
    how_many: int,
) -> str:
    if manifest is None or manifest.is_empty():
        return ""
    best = manifest.sort("rank").head(how_many)
    charts = []
    if bars is not None:
        charts = [
            f"<h3>{number(row['rank'])}. {escape(_caption(row))}</h3>"
            + _plot(event_chart(row, bars, trades, quotes))
            for row in best.rows(named=True)
        ]
    return section(
        "The best by rank",
        _best_table(best),
        *charts,
        lead="Times are New York. Charts: candles with VWAP, volume, then trades per second "
        "(buyers above the line, sellers below) and the quoted spread where the window is "
        "stored. The window is shaded.",
    )


def _best_table(best: pl.DataFrame) -> str:
    clock = pl.col("timestamp").dt.convert_time_zone(NEW_YORK).dt.strftime("%Y-%m-%d %H:%M")
    shown = best.select(
        "rank",
        "symbol",
        clock,
        "event_type",
        "direction",
        "session",
        "close",
        "spike_x",
        "dollar_volume",
        "score",
    )
    cells = [
        [
            number(rank),
            symbol,
            at,
            f"{words(kind)} {direction}",
            session,
            f"{close:,.2f}",
            "" if spike is None else f"{spike:,.1f}",
            f"{dollars:,.0f}",
            f"{score:.3f}",
        ]
        for rank, symbol, at, kind, direction, session, close, spike, dollars, score in shown.rows()
    ]
    header = (
        "Rank",
        "Symbol",
        "Bar",
        "Event",
        "Session",
        "Close",
        "Spike x",
        "USD of bar",
        "Score",
    )
    return table(header, cells, numeric=(0, 5, 6, 7, 8))


def _caption(row: dict[str, object]) -> str:
    return f"{row['symbol']}, {words(str(row['event_type']))} {row['direction']}, {row['date']}"
