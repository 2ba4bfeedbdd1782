"""Pictures of counts: plotly figures for the report, small static SVG for metadata.

Belongs here: how a table becomes a picture.
Keep out: an event's own chart (`candles`), and the page around them (`page`).

The SVGs need neither script nor style sheet and weigh a few kB: each is stored in Dagster's event
log, so a plotly figure of 4 MB does not belong there.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

import plotly.graph_objects as go
import polars as pl

from smallcaps_pipeline.report.style import ACCENT, DOWN, FONT, GRID, INK, NEUTRAL, UP
from smallcaps_pipeline.report.text import number, words
from smallcaps_pipeline.sessions import Session

SESSION_COLOURS: Final = {Session.PM: "#E69F00", Session.RTH: UP, Session.AH: "#CC79A7"}
DIRECTION_COLOURS: Final = {"up": UP, "down": DOWN}
MOST_BINS: Final = 40
FEWEST_BINS: Final = 8
ROW_HEIGHT: Final = 34  # pixels of one bar with its gap
SVG_ROW: Final = 22
SVG_LABELS: Final = 170
SVG_BARS: Final = 300
SVG_VALUES: Final = 80


def events_by_type(summary: pl.DataFrame) -> go.Figure:
    """Draw events by type, up and down stacked; the most frequent type on top."""
    by = summary.group_by("event_type", "direction").agg(pl.col("events").sum())
    order = by.group_by("event_type").agg(pl.col("events").sum()).sort("events", "event_type")
    figure = go.Figure()
    for direction, colour in DIRECTION_COLOURS.items():
        of_direction = order.select("event_type").join(
            by.filter(pl.col("direction") == direction),
            on="event_type",
            how="left",
            maintain_order="left",
        )
        figure.add_bar(
            x=of_direction["events"].fill_null(0).to_list(),
            y=[words(name) for name in of_direction["event_type"]],
            name=direction,
            orientation="h",
            marker_color=colour,
            hovertemplate="%{y}, " + direction + ": %{x:,}<extra></extra>",
        )
    figure.update_layout(barmode="stack", xaxis_title="events")
    return styled(figure, height=90 + ROW_HEIGHT * max(order.height, 2))


def funnel_figure(funnel: pl.DataFrame) -> go.Figure:
    """Draw what each stage of the manifest let through, the first stage on top."""
    stages = ["events", *funnel["stage"]]
    counts = [*funnel["n_in"].head(1), *funnel["n_out"]]
    figure = go.Figure()
    figure.add_bar(
        x=counts,
        y=[words(stage) for stage in stages],
        orientation="h",
        marker_color=[NEUTRAL, *[UP] * (len(stages) - 2), ACCENT][: len(stages)],
        text=[f"{count:,}" for count in counts],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:,}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(visible=False)
    return styled(figure, height=50 + ROW_HEIGHT * len(stages))


def events_by_month(summary: pl.DataFrame) -> go.Figure:
    """Draw events by month of the trading day, sessions stacked; months without one stay empty."""
    by = summary.group_by("month", "session").agg(pl.col("events").sum()).sort("month")
    figure = go.Figure()
    for session, colour in SESSION_COLOURS.items():
        of_session = by.filter(pl.col("session") == session)
        figure.add_bar(
            x=of_session["month"].to_list(),
            y=of_session["events"].to_list(),
            name=session.value,
            xperiod="M1",
            marker_color=colour,
            hovertemplate="%{x|%B %Y}, " + session.value + ": %{y:,}<extra></extra>",
        )
    figure.update_layout(barmode="stack", yaxis_title="events")
    months = by["month"].n_unique()
    figure.update_xaxes(
        type="date",
        ticklabelmode="period",
        tickformat="%b %Y",
        dtick="M1" if months <= 12 else None,
    )
    return styled(figure, height=280)


def distribution(
    values: pl.Series, title: str, *, of: str = "events", logarithmic: bool = False
) -> go.Figure:
    """Draw how often values occur, in bins; with `logarithmic` of their decimal logarithm."""
    shown = values.drop_nulls()
    if logarithmic:
        shown = shown.filter(shown > 0).log10()
    figure = go.Figure()
    bins = _histogram(shown, min(MOST_BINS, max(FEWEST_BINS, len(shown) // 5)))
    unit = bins["middle"].to_list()
    figure.add_bar(
        x=[10**value for value in unit] if logarithmic else unit,
        y=bins["events"].to_list(),
        width=_widths(bins, logarithmic=logarithmic),
        marker_color=UP,
        hovertemplate="%{x:.3g}: %{y:,}<extra></extra>",
    )
    figure.update_layout(xaxis_title=title, yaxis_title=of, bargap=0)
    if logarithmic:
        figure.update_xaxes(type="log", dtick="D2")  # 1, 2, 5, 10
    return styled(figure, height=260)


def styled(figure: go.Figure, *, height: int) -> go.Figure:
    """Give a figure the report's look."""
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 10, "r": 16, "t": 10, "b": 10},
        font={"family": FONT, "size": 13, "color": INK},
        legend={
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
            "traceorder": "normal",
        },
        hoverlabel={"font": {"family": FONT}},
        separators=".,",
    )
    figure.update_xaxes(gridcolor=GRID, automargin=True, title_font_size=13)
    figure.update_yaxes(gridcolor=GRID, automargin=True, title_font_size=13)
    return figure


def bar_chart_svg(
    labels: Sequence[str], values: Sequence[float], title: str, *, unit: str = ""
) -> str:
    """Return a horizontal bar chart as a static SVG string (UTF-8, no script, no loads).

    Args:
        labels: One per bar, from top to bottom.
        values: Not negative, one per label.
        title: Above the bars, and what a screen reader says.
        unit: Behind each value.
    """
    if len(labels) != len(values):
        raise ValueError(f"{len(labels)} labels for {len(values)} values")
    width, height = SVG_LABELS + SVG_BARS + SVG_VALUES, 34 + SVG_ROW * len(labels)
    full = max(values, default=0) or 1
    rows = "".join(
        _svg_bar(34 + SVG_ROW * index, label, value, value / full, unit)
        for index, (label, value) in enumerate(zip(labels, values, strict=True))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title)}" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family=\'{FONT}\' font-size="12" fill="{INK}">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
        f'<text x="0" y="18" font-size="14" font-weight="600">{escape(title)}</text>'
        f"{rows}</svg>"
    )


def _svg_bar(top: int, label: str, value: float, share: float, unit: str) -> str:
    length, middle = round(share * SVG_BARS, 1), top + 12
    return (
        f'<text x="{SVG_LABELS - 8}" y="{middle}" text-anchor="end">{escape(label)}</text>'
        f'<rect x="{SVG_LABELS}" y="{top + 1}" width="{length}" height="14" fill="{UP}"/>'
        f'<text x="{SVG_LABELS + length + 6}" y="{middle}">{escape(number(value, unit))}</text>'
    )


def _histogram(values: pl.Series, bins: int) -> pl.DataFrame:
    """Count values in bins of equal width: `middle`, `width`, `events`."""
    low, high = values.min(), values.max()
    if values.is_empty() or not isinstance(low, float) or not isinstance(high, float):
        return pl.DataFrame({"middle": [], "width": [], "events": []})
    width = (high - low) / bins or 1.0
    index = ((values - low) / width).floor().clip(0, bins - 1).cast(pl.Int64).alias("bin")
    counted = index.to_frame().group_by("bin").agg(events=pl.len()).sort("bin")
    return counted.select("events", middle=low + (pl.col("bin") + 0.5) * width, width=pl.lit(width))


def _widths(bins: pl.DataFrame, *, logarithmic: bool) -> list[float]:
    """Return the bins' widths on the axis; on a logarithmic one they grow with the value."""
    if not logarithmic:
        return bins["width"].to_list()
    half = pl.col("width") / 2
    ends = bins.select(
        (10.0 ** (pl.col("middle") + half) - 10.0 ** (pl.col("middle") - half)).alias("width")
    )
    return ends["width"].to_list()
