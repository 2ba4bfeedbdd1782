"""No column changes when everything after its moment is cut off, and the schema states the moment.

Each column of the table, the groups on request included, is known at the event bar's end, a minute
later, or at the window's end (`schemas.moments`). Only what is known later than the bar's end may
carry the prefix `label_`, and all of it must.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import get_args

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from smallcaps_pipeline.micro import event_features
from smallcaps_pipeline.schemas import MANIFEST, NEWS, Moment, micro_features_table, moments
from smallcaps_pipeline.settings import ExtraFeatures, Settings, load_settings
from smallcaps_pipeline_tests.micro.strategies import books, tapes
from smallcaps_pipeline_tests.micro.tables import at, event, quotes, trades

GROUPS = get_args(ExtraFeatures)
TABLE, MOMENTS = micro_features_table(GROUPS), moments(GROUPS)
# Start of bars, and windows, in an opening, a quiet hour, an early close and after hours.
CASES = {
    "opening": ("2025-10-07", "09:25:00", "09:30", "up"),
    "midday": ("2025-11-03", "11:58:00", "12:03", "down"),
    "early close": ("2025-11-28", "12:51:00", "12:56", "up"),
    "after hours": ("2025-10-07", "16:05:00", "16:10", "down"),
}


@cache
def everything() -> Settings:
    base = load_settings()
    micro = base.micro.model_copy(update={"extra_features": GROUPS, "slippage_shares": 150.0})
    return base.model_copy(update={"micro": micro})


def columns_of(moment: Moment) -> list[str]:
    return [name for name, known in MOMENTS.items() if known == moment]


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=6, deadline=None, derandomize=True)
@given(data=st.data())
def test_what_comes_after_its_moment_changes_no_column(name: str, data: st.DataObject) -> None:
    day, opening, clock, direction = CASES[name]
    tape = data.draw(tapes(day, opening, 1200))
    book = _with_sizes(data.draw(books(day, opening, 1200)))
    window = event(clock, day=day, before=5, after=14, direction=direction)
    start = at(f"{clock}:00", day)
    bar_end = start + timedelta(minutes=1)
    news = _news([start, bar_end - timedelta(microseconds=1), bar_end])
    ends = {
        Moment.BAR_END: bar_end,
        Moment.MINUTE_AFTER: bar_end + timedelta(minutes=1),
        Moment.WINDOW_END: window["window_end"].item(),
    }
    whole = event_features(
        window, tape, book, previous_close=11.0, news=news, settings=everything()
    )
    for moment, end in ends.items():
        known = pl.col("timestamp") < end
        cut = event_features(
            window,
            tape.filter(known),
            book.filter(known),
            previous_close=11.0,
            news=news.filter(pl.col("published_at") < end),
            settings=everything(),
        )
        columns = columns_of(moment)
        assert_frame_equal(whole.select(columns), cut.select(columns), rel_tol=1e-12, abs_tol=1e-12)


def test_every_column_has_a_moment_and_says_so() -> None:
    assert set(MOMENTS) == set(TABLE.columns)
    carried = {*MANIFEST.columns, "profile"}  # of the manifest: known before there is a window
    for name, moment in MOMENTS.items():
        assert name.startswith("label_") == (moment != Moment.BAR_END), name
        stated = TABLE.columns[name].meaning.endswith(f"known {moment.value}")
        assert stated or name in carried, name


def test_labels_do_look_ahead() -> None:
    """A cut that no column notices would prove nothing: here every label but few changes."""
    day, clock = "2025-10-07", "10:03"
    rows = [
        (f"10:{m:02d}:{s:02d}", 10 + (m * 7 % 5) / 10, 150.0 * (1 + m % 9))
        for m in range(10)
        for s in ((3, 31) if m != 6 else (3, 4, 5, 31))  # a burst after the bar
    ]
    tape = trades(*rows, day=day)
    book = _with_sizes(
        quotes(*((f"10:{m:02d}:00", 9.9 + m / 50, 10.1 + m / 40) for m in range(10)), day=day)
    )
    window = event(clock, day=day)
    known = pl.col("timestamp") < at("10:04:00", day)
    whole = event_features(window, tape, book, previous_close=11.0, settings=everything())
    cut = event_features(
        window, tape.filter(known), book.filter(known), previous_close=11.0, settings=everything()
    )
    same = {name for name in whole.columns if whole[name].equals(cut[name], null_equal=True)}
    changed = set(MOMENTS) - same
    assert changed <= {name for name in MOMENTS if name.startswith("label_")}
    unmoved = {"label_halts", "label_ssr_from", "label_odd_lot_share", "label_odd_lot_volume"}
    assert {name for name in MOMENTS if name.startswith("label_")} - changed <= unmoved


def _with_sizes(book: pl.DataFrame) -> pl.DataFrame:
    number = pl.col("sequence_number").cast(pl.Float64)
    return book.with_columns(bid_size=number % 7 + 1, ask_size=number % 5 + 1)


def _news(published: list[object]) -> pl.DataFrame:
    count = len(published)
    rows = {"symbol": ["AEMD"] * count, "published_at": published, "news_id": ["1"] * count}
    return pl.DataFrame({**rows, "title": [""] * count}, schema=NEWS.schema)
