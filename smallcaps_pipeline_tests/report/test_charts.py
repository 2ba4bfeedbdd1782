"""The charts of an event: what they show of bars and ticks, and that they load and run nothing."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

import polars as pl
import pytest

from smallcaps_pipeline.events import detect_events
from smallcaps_pipeline.report import svg
from smallcaps_pipeline.report.facts import event_facts
from smallcaps_pipeline.report.minute_chart import Frame, chart_bars, minute_chart
from smallcaps_pipeline.report.svg import Scale
from smallcaps_pipeline.report.tape_chart import tape_chart
from smallcaps_pipeline.report.text import clock, money, short
from smallcaps_pipeline.schemas import BARS
from smallcaps_pipeline_tests.events.builders import bar, frame, quiet
from smallcaps_pipeline_tests.micro.tables import at
from smallcaps_pipeline_tests.report.tables import (
    bars_around,
    event_row,
    events_of,
    manifest_of,
    ticks_around,
)


def planned(*arguments: str, **columns: Any) -> dict[str, Any]:
    """Make a manifest row of one event."""
    return manifest_of(events_of(event_row(*arguments, **columns))).row(0, named=True)


EVENT = planned("AEMD", "10:30", drop_from_high=0.01, transactions=40)


def marks(drawing: str) -> dict[str, int]:
    """Count the marks of each class; a path of many marks counts its strokes."""
    found: dict[str, int] = {}
    for node in ET.fromstring(drawing).iter():
        kind = node.get("class")
        if kind and kind != "chart":
            found[kind] = found.get(kind, 0) + node.get("d", "M").count("M")
    return found


def texts(drawing: str) -> list[str]:
    return [node.text or "" for node in ET.fromstring(drawing).iter() if node.tag.endswith("text")]


def bars_at(*rows: tuple[str, float, float, float, float]) -> pl.DataFrame:
    """Make bars of AEMD on 2025-10-07 from (clock, high, low, close, volume)."""
    return BARS.conform(
        pl.DataFrame(
            {
                "symbol": "AEMD",
                "timestamp": [at(f"{when}:00") for when, *_ in rows],
                "open": [low for _, _, low, _, _ in rows],
                "high": [high for _, high, *_ in rows],
                "low": [low for _, _, low, _, _ in rows],
                "close": [close for _, _, _, close, _ in rows],
                "volume": [volume for *_, volume in rows],
                "vwap": None,
                "transactions": None,
            }
        )
    )


# minutes --------------------------------------------------------------------------------------


def test_vwap_and_opening_range_are_the_detectors() -> None:
    early = [(f"09:{minute}", 12.0, 9.0, 9.0, 100.0) for minute in range(31, 36)]
    rows = [("09:29", 99.0, 9.0, 9.0, 1e6), *early, ("09:46", 30.0, 10.0, 20.0, 500.0)]
    day = chart_bars(EVENT, bars_at(*rows))
    # Typical prices 10 x 500 shares, then 20 x 500; premarket does not count.
    assert day["vwap_rth"].to_list() == [None, *[10.0] * 5, 15.0]
    assert day["or_high"].to_list() == [*[None] * 6, 12.0]  # known from 09:45 on only
    assert day["or_low"].to_list() == [*[None] * 6, 9.0]


def test_chart_shows_what_the_event_was_detected_on() -> None:
    bars = frame([*quiet("09:30", 30, 10.0), bar("10:00", 10.5, 60_000, open_=10.0)])
    events = detect_events(bars)
    assert events.height > 0
    for event in events.rows(named=True):
        (at_event,) = chart_bars(event, bars).filter(timestamp=event["timestamp"]).rows(named=True)
        assert at_event["vwap_rth"] == event["vwap_at_event"]
        assert at_event["spike_x"] == event["spike_x"]


def test_bars_of_other_symbols_and_days_and_of_the_night_are_left_out() -> None:
    mine = bars_at(("03:59", 11, 9, 10, 1), ("10:00", 11, 9, 10, 1), ("20:00", 11, 9, 10, 1))
    other = mine.with_columns(symbol=pl.lit("NERV"))
    before = mine.with_columns(pl.col("timestamp") - timedelta(days=1))
    day = chart_bars(EVENT, pl.concat([mine, other, before]))
    assert day["minute"].to_list() == [600]


def test_near_chart_shows_45_minutes_to_both_sides_the_day_all() -> None:
    day = chart_bars(EVENT, bars_around(EVENT))
    near, whole = minute_chart(EVENT, day), minute_chart(EVENT, day, whole_day=True)
    bodies = [m.get("body up", 0) + m.get("body down", 0) for m in (marks(near), marks(whole))]
    assert bodies == [91, 120]  # 09:45 to 11:15 of the two hours there are
    assert 'data-first="585"' in near
    for drawing in (near, whole):
        found = marks(drawing)
        assert found["eventband"] == found["arrow"] == found["window"] == 1
        assert "10:00" in texts(drawing)
        assert "window" in texts(drawing)


def test_other_events_of_the_symbol_and_day_are_marked_once_a_minute() -> None:
    events = events_of(
        event_row("AEMD", "10:30"),
        event_row("AEMD", "10:30", event_type="vwap_break"),  # of its own minute
        event_row("AEMD", "10:40"),
        event_row("AEMD", "10:40", event_type="flush", direction="down"),
        event_row("AEMD", "11:20"),  # later than 45 minutes
        event_row("NERV", "10:41"),
        event_row("AEMD", "10:42", day="2025-10-08"),
    )
    day = chart_bars(EVENT, bars_around(EVENT))
    near = minute_chart(EVENT, day, events=events)
    whole = minute_chart(EVENT, day, events=events, whole_day=True)
    assert marks(near)["other"] == 1 + 1  # and its entry in the legend
    assert marks(whole)["other"] == 2 + 1
    assert "other events of the day" in texts(near)
    assert "other" not in marks(minute_chart(EVENT, day, events=events.head(1)))


@pytest.mark.parametrize(("direction", "below"), [("up", True), ("down", False)])
def test_arrow_points_at_the_event_from_its_side(direction: str, below: bool) -> None:
    event = planned("AEMD", "10:30", direction=direction)
    drawing = minute_chart(event, chart_bars(event, bars_around(event)))
    arrow = re.search(r'class="arrow" d="M[\d.]+ ([\d.]+)L[\d.]+ ([\d.]+)', drawing)
    assert arrow is not None
    tip, base = map(float, arrow.groups())
    assert (base > tip) is below


def test_premarket_and_after_hours_are_shaded_also_on_an_early_close() -> None:
    event = planned("AEMD", "13:10", day="2025-11-28", session="AH")  # closed at 13:00
    drawing = minute_chart(event, chart_bars(event, bars_around(event)), whole_day=True)
    assert "after-hours" in texts(drawing)
    assert "premarket" not in texts(drawing)  # bars begin at 12:10


def test_day_without_bars_is_an_empty_chart_not_an_error() -> None:
    day = chart_bars(EVENT, BARS.empty())
    assert marks(minute_chart(EVENT, day))["eventband"] == 1
    assert "no bars" in texts(minute_chart(EVENT, day))
    assert "eventband" in marks(minute_chart(EVENT, day, whole_day=True))


def test_frame_holds_what_lies_beyond_at_its_edges() -> None:
    frame = Frame(600, 699)
    assert frame.x(600) == frame.x(0) == 6
    assert frame.x(700) == frame.x(9999) == 6 + 656
    assert frame.step == pytest.approx(6.56)


# ticks ----------------------------------------------------------------------------------------


def test_tape_shows_sides_quotes_speed_and_spread() -> None:
    drawing = tape_chart(EVENT, *ticks_around(EVENT))
    found = marks(drawing)
    assert {"dot buy odd", "dot sell round", "bar buy", "bar sell", "spread"} <= set(found)
    assert {"quote bid", "quote ask"} <= set(found)
    assert len(drawing) < 120_000
    assert "trades per second" in texts(drawing)


def test_tape_without_quotes_says_so_and_without_trades_is_none() -> None:
    trades, quotes = ticks_around(EVENT)
    assert "no quotes" in texts(tape_chart(EVENT, trades))
    assert "no quotes" in texts(tape_chart(EVENT, trades, quotes.head(0)))
    assert tape_chart(EVENT, trades.head(0), quotes) == ""
    later = trades.with_columns(pl.col("timestamp") + pl.duration(minutes=11))
    assert tape_chart(EVENT, later, quotes) == ""  # outside the event's own window


def test_one_wild_print_does_not_squash_the_tape() -> None:
    trades, quotes = ticks_around(EVENT)
    wild = pl.concat([trades, trades.tail(1).with_columns(price=pl.lit(500.0))])
    prices = [
        float(t) for t in texts(tape_chart(EVENT, wild, quotes)) if re.fullmatch(r"\d+\.\d\d", t)
    ]
    assert max(prices) < 20


def test_charts_run_and_load_nothing_and_escape_what_they_say() -> None:
    event = EVENT | {"symbol": 'A<b>"&'}
    bars = bars_around(EVENT).with_columns(symbol=pl.lit(event["symbol"]))
    trades, quotes = (
        ticks.with_columns(symbol=pl.lit(event["symbol"])) for ticks in ticks_around(EVENT)
    )
    for drawing in (
        minute_chart(event, chart_bars(event, bars)),
        tape_chart(event, trades, quotes),
    ):
        ET.fromstring(drawing)
        assert "A&lt;b&gt;&quot;&amp;" in drawing
        for forbidden in ("<script", "style=", "href", " on", "url("):
            assert forbidden not in drawing.replace("Minutes of", "").replace("Tape of", "")


# parts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "about", "ticks"),
    [
        (0, 10, 5, [0, 2, 4, 6, 8, 10]),
        (9.94, 10.13, 4, [9.95, 10.0, 10.05, 10.1]),
        (49.91, 50.0, 5, [49.92, 49.94, 49.96, 49.98, 50.0]),
        (-3, 7, 3, [0, 5]),
        (5, 5, 3, [5.0]),
    ],
)
def test_ticks_are_round(low: float, high: float, about: int, ticks: list[float]) -> None:
    assert Scale(low, high, 0, 1).ticks(about) == pytest.approx(ticks)


def test_scale_goes_up_and_clamps() -> None:
    scale = Scale(0, 10, 100, 0)
    assert (scale(0), scale(10), scale(2.5)) == (100, 0, 75)
    assert (scale.clamp(-5), scale.clamp(99)) == (100, 0)


def test_lines_have_gaps_and_steps() -> None:
    assert svg.line([(0, 1), (2, 3), None, (4, 5.25)], "k") == (
        '<path class="k" d="M0 1L2 3M4 5.2"/>'
    )
    assert svg.line([(0, 1), (2, 1), (4, 5)], "k", stepped=True) == (
        '<path class="k" d="M0 1H2H4V5"/>'
    )
    assert svg.line([None, None], "k") == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1234, "0.1234"), (0.5, "0.50"), (12.3, "12.30"), (1234.5, "1,234.50")],
)
def test_prices_on_an_axis(value: float, text: str) -> None:
    assert money(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (2.5, "2.5"), (950, "950"), (12_000, "12k"), (3.44e6, "3.4M")]
)
def test_counts_in_few_letters(value: float, text: str) -> None:
    assert short(value) == text


def test_clock_of_minutes() -> None:
    assert (clock(0), clock(571), clock(1199)) == ("00:00", "09:31", "19:59")


def test_facts_leave_out_what_is_unknown() -> None:
    facts = dict(event_facts(EVENT))
    assert facts["spike"] == "8.0x"
    assert facts["bar range"] == "4.0\u202f%"  # (10.1 - 9.7) / 10
    assert "from VWAP" not in facts
    known = event_facts(EVENT | {"vwap_at_event": 12.5, "change_5m": -0.031})
    assert dict(known)["from VWAP"] == "\u201320.0\u202f%"
    assert dict(event_facts(EVENT | {"change_5m": -1e-5}))["5 min"] == "0.0\u202f%"
    assert dict(known)["5 min"] == "\u20133.1\u202f%"
