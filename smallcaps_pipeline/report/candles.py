"""The chart of one event: candles with VWAP, volume, and tape and spread where fetched.

Belongs here: which rows of the frames a chart shows, and how.
Keep out: which events are shown (`page`).

The chart runs in New York time, from 45 minutes before the event bar to 45 minutes after it, so
that the eye sees the move in its day; the window that was fetched is shaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from smallcaps_pipeline.micro import classify_aggressor
from smallcaps_pipeline.micro.quotes_in_force import is_valid
from smallcaps_pipeline.micro.tape import instant, prepare_book
from smallcaps_pipeline.report.figures import styled
from smallcaps_pipeline.report.style import DOWN, INK, NEUTRAL, UP, VWAP, WINDOW
from smallcaps_pipeline.sessions import NEW_YORK, NEW_YORK_TZ, Session, add_sessions, trading_day

MARGIN: Final = timedelta(minutes=45)
TAPE_STEP: Final = "5s"
TAPE_STEP_S: Final = 5
HEIGHTS: Final = {2: [0.72, 0.28], 4: [0.46, 0.16, 0.19, 0.19]}
Row = Mapping[str, Any]


def event_chart(
    event: Row,
    bars: pl.DataFrame,
    trades: pl.DataFrame | None = None,
    quotes: pl.DataFrame | None = None,
) -> go.Figure:
    """Draw one event.

    Args:
        event: A row of `schemas.MANIFEST`.
        bars: Rows of `schemas.BARS` that hold the event's symbol and day, others are left out.
        trades: Rows of `schemas.TRADES` with `symbol`; None = no window fetched.
        quotes: Rows of `schemas.QUOTES` with `symbol`.
    """
    shown = _bars_around(event, bars)
    tape = _rows_in_window(event, trades)
    rows = 2 if tape.is_empty() else 4
    figure = make_subplots(
        rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.035, row_heights=HEIGHTS[rows]
    )
    _add_candles(figure, shown)
    _add_volume(figure, shown)
    if rows == 4:
        _add_tape(figure, tape, _rows_in_window(event, quotes))
        _add_spread(figure, event, _rows_in_window(event, quotes))
    _mark(figure, event, shown)
    figure.update_layout(xaxis_rangeslider_visible=False, barmode="relative", bargap=0.15)
    figure.update_xaxes(tickformat="%H:%M", hoverformat="%H:%M:%S")
    styled(figure, height=380 if rows == 2 else 620)
    figure.update_layout(margin_t=34)
    return figure


def running_vwap(bars: pl.DataFrame) -> pl.DataFrame:
    """Add `vwap_rth` to one day's bars: volume-weighted price from 09:30, null before.

    The price of a bar is its vwap where that lies within [low, high], else its typical price.
    """
    typical = (pl.col("high") + pl.col("low") + pl.col("close")) / 3
    given = pl.col("vwap").is_between(pl.col("low"), pl.col("high")).fill_null(value=False)
    price = pl.when(given).then("vwap").otherwise(typical)
    since_open = pl.col("session").is_in([Session.RTH, Session.AH]).fill_null(value=False)
    volume = pl.when(since_open).then("volume").otherwise(0.0)
    shares = volume.cum_sum()
    sessions = add_sessions(bars.lazy().sort("timestamp"))
    vwap = pl.when(since_open & (shares > 0)).then((price * volume).cum_sum() / shares)
    return sessions.with_columns(vwap_rth=vwap).collect()


def _bars_around(event: Row, bars: pl.DataFrame) -> pl.DataFrame:
    """Return the day's bars near the event with `vwap_rth` and New York time `at`."""
    of_day = bars.filter(
        (pl.col("symbol") == event["symbol"])
        & (trading_day(pl.col("timestamp")).dt.strftime("%Y-%m-%d") == event["date"])
    )
    near = pl.col("timestamp").is_between(event["timestamp"] - MARGIN, event["timestamp"] + MARGIN)
    return running_vwap(of_day).filter(near).with_columns(at=_wall_clock(pl.col("timestamp")))


def _rows_in_window(event: Row, rows: pl.DataFrame | None) -> pl.DataFrame:
    """Return the rows of the event's own window; an empty frame where nothing was fetched."""
    if rows is None:
        return pl.DataFrame()
    timestamp = pl.col("timestamp")
    inside = (timestamp >= event["window_start"]) & (timestamp < event["window_end"])
    return rows.filter((pl.col("symbol") == event["symbol"]) & inside)


def _add_candles(figure: go.Figure, bars: pl.DataFrame) -> None:
    figure.add_candlestick(
        x=bars["at"].to_list(),
        **{name: bars[name].to_list() for name in ("open", "high", "low", "close")},
        increasing={"line": {"color": UP}, "fillcolor": UP},
        decreasing={"line": {"color": DOWN}, "fillcolor": DOWN},
        name="price",
        showlegend=False,
    )
    figure.add_scatter(
        x=bars["at"].to_list(),
        y=bars["vwap_rth"].to_list(),
        name="VWAP from 09:30",
        mode="lines",
        line={"color": VWAP, "width": 2},
        hovertemplate="VWAP %{y:.4g}<extra></extra>",
    )
    figure.update_yaxes(title_text="USD", row=1, col=1)


def _add_volume(figure: go.Figure, bars: pl.DataFrame) -> None:
    rose = (bars["close"] >= bars["open"]).to_list()
    figure.add_bar(
        x=bars["at"].to_list(),
        y=bars["volume"].to_list(),
        marker_color=[UP if up else DOWN for up in rose],
        marker_line_width=0,
        name="volume",
        showlegend=False,
        hovertemplate="%{y:,.0f} shares<extra></extra>",
        row=2,
        col=1,
    )
    figure.update_yaxes(title_text="shares", tickformat="~s", row=2, col=1)


def _add_tape(figure: go.Figure, trades: pl.DataFrame, quotes: pl.DataFrame) -> None:
    """Add trades per second: buyers above the line, sellers below, unknown sides in grey."""
    sided = classify_aggressor(trades, None if quotes.is_empty() else quotes)
    per_step = (
        sided.group_by(step=pl.col("timestamp").dt.truncate(TAPE_STEP), side="aggressor")
        .agg(per_second=pl.len() / TAPE_STEP_S)
        .sort("step")
        .with_columns(at=_wall_clock(pl.col("step")))
    )
    for side, name, colour in ((1, "buyers", UP), (-1, "sellers", DOWN), (None, "?", NEUTRAL)):
        of_side = per_step.filter(pl.col("side").eq_missing(pl.lit(side, dtype=pl.Int8)))
        if of_side.is_empty():
            continue
        figure.add_bar(
            x=of_side["at"].to_list(),
            y=(of_side["per_second"] * (side or 1)).to_list(),
            marker_color=colour,
            marker_line_width=0,
            width=TAPE_STEP_S * 1000,
            offset=0,
            name="side unknown" if side is None else name,
            hovertemplate=f"%{{y:.1f}} trades/s, {name}<extra></extra>",
            row=3,
            col=1,
        )
    figure.update_yaxes(title_text="trades/s", row=3, col=1)


def _add_spread(figure: go.Figure, event: Row, quotes: pl.DataFrame) -> None:
    """Add the quoted spread of valid quotes, held until the next quote."""
    figure.update_yaxes(title_text="spread, bps", rangemode="tozero", row=4, col=1)
    if quotes.is_empty():
        return
    bid, ask = pl.col("bid_micro"), pl.col("ask_micro")
    book = prepare_book(quotes).select(
        at=_wall_clock(instant(pl.col("at_ns"))),
        bps=pl.when(is_valid()).then((ask - bid) / (ask + bid) * 20_000),
    )
    last_of_second = book.group_by(second=pl.col("at").dt.truncate("1s")).agg(pl.col("bps").last())
    shown = last_of_second.sort("second")
    figure.add_scatter(
        x=shown["second"].to_list(),
        y=shown["bps"].to_list(),
        mode="lines",
        line={"shape": "hv", "color": INK, "width": 1.4},
        connectgaps=False,
        showlegend=False,
        hovertemplate="%{y:.1f} bps<extra></extra>",
        row=4,
        col=1,
    )


def _mark(figure: go.Figure, event: Row, bars: pl.DataFrame) -> None:
    """Shade the window and point at the event bar."""
    start, end = _local(event["window_start"]), _local(event["window_end"])
    figure.add_vrect(x0=start, x1=end, fillcolor=WINDOW, line_width=0, layer="below")
    up = event["direction"] == "up"
    figure.add_annotation(
        x=_local(event["timestamp"]),
        y=event["low"] if up else event["high"],
        text="event",
        showarrow=True,
        arrowhead=2,
        ax=0,
        ay=34 if up else -34,
        font={"size": 12},
        row=1,
        col=1,
    )
    first, last = event["timestamp"] - MARGIN, event["timestamp"] + MARGIN
    figure.update_xaxes(range=[_local(first), _local(last)])


def _wall_clock(timestamp: pl.Expr) -> pl.Expr:
    """Return New York time without its zone: plotly would draw UTC."""
    return timestamp.dt.convert_time_zone(NEW_YORK).dt.replace_time_zone(None)


def _local(instant: datetime) -> datetime:
    return instant.astimezone(NEW_YORK_TZ).replace(tzinfo=None)
