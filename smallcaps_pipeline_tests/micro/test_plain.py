"""Every column and every side, against a plain reading of the specification."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smallcaps_pipeline.micro import classify_aggressor, event_features
from smallcaps_pipeline.schemas import MICRO_FEATURES, NEWS
from smallcaps_pipeline.settings import Settings, load_settings
from smallcaps_pipeline_tests.micro import plain
from smallcaps_pipeline_tests.micro.strategies import books, tapes
from smallcaps_pipeline_tests.micro.tables import at, event, quotes, trades

# What the days have: nothing special, an early close at 13:00, the hour after the clocks changed.
DAYS = {
    "open": ("2025-10-07", "09:25:00", "09:30"),
    "early close": ("2025-11-28", "12:50:00", "12:55"),
    "winter time": ("2025-11-03", "09:25:00", "09:31"),
    "after hours": ("2025-10-07", "15:55:00", "15:59"),
}
SECONDS = 1500
BASE = load_settings()  # read once, not for every example
quick = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@pytest.mark.parametrize("name", DAYS)
@quick
@given(data=st.data())
def test_every_column_is_that_of_a_plain_loop(name: str, data: st.DataObject) -> None:
    day, opening, clock = DAYS[name]
    tape = data.draw(tapes(day, opening, SECONDS))
    book = data.draw(books(day, opening, SECONDS))
    lag = data.draw(st.sampled_from([0, 0, 1, 10**8, 5 * 10**9]))
    previous = data.draw(st.sampled_from([None, 11.0, 11.1, 11.1112, 10.5]))
    ages = data.draw(st.lists(st.integers(-60, 25 * 3600), max_size=3))
    rows = pl.concat(
        [event(clock, day=day, before=5, after=14), event(clock, day=day, direction="down")]
    )
    bar_end = at(f"{clock}:00", day) + timedelta(minutes=1)
    published = [bar_end - timedelta(seconds=age) for age in ages]
    found = event_features(
        rows,
        tape.sample(fraction=1, shuffle=True, seed=1),
        book.sample(fraction=1, shuffle=True, seed=2),
        previous_close=previous,
        news=_news(published),
        settings=_with_lag(lag),
    )
    for number, row in enumerate(rows.iter_rows(named=True)):
        expected = plain.features(row, tape, book, previous_close=previous, news=published, lag=lag)
        _compare(found.row(number, named=True), expected)


@pytest.mark.parametrize("name", DAYS)
@quick
@given(data=st.data())
def test_every_side_is_that_of_a_plain_loop(name: str, data: st.DataObject) -> None:
    day, opening, _ = DAYS[name]
    tape = data.draw(tapes(day, opening, SECONDS))
    book = data.draw(st.one_of(st.none(), books(day, opening, SECONDS)))
    method = data.draw(st.sampled_from(["lee_ready", "tick", "quote", "emo", "clnv"]))
    lag = data.draw(st.sampled_from([0, 1, 10**8, 5 * 10**9]))
    found = classify_aggressor(tape, book, method=method, quote_lag_ns=lag)
    expected = _plain_sides(tape, book, lag, method)
    order = found["sequence_number"].to_list()
    got = zip(order, found["aggressor"].to_list(), found["aggressor_rule"].to_list(), strict=True)
    assert {number: (side, rule) for number, side, rule in got} == expected


def _plain_sides(
    tape: pl.DataFrame, book: pl.DataFrame | None, lag: int, method: str
) -> dict[int, tuple[int | None, str | None]]:
    exists = tape.filter(pl.col("correction").is_null() | pl.col("correction").is_in([0, 1]))
    numbers = exists.sort("timestamp", "sequence_number")["sequence_number"].to_list()
    plain_tape = plain.tape_of(tape)
    plain.give_sides(plain_tape, None if book is None else plain.book_of(book), lag, method)
    none: dict[int, tuple[int | None, str | None]]
    none = dict.fromkeys(tape["sequence_number"].to_list(), (None, None))
    return none | {n: (t.side, t.rule) for n, t in zip(numbers, plain_tape, strict=True)}


HALT_CODES: list[list[int]] = [[], [18], [28], [17]]


@settings(quick, max_examples=60)
@given(
    last=st.integers(1030, 1070),
    silence=st.integers(2998, 3002),
    opens=st.sampled_from(HALT_CODES),
    noise=st.sampled_from([None, [15], [37], [16, 41]]),
    mark=st.sampled_from([None, 17, 18]),
    marked=st.sampled_from(["10:05:00", "10:06:00", "end"]),
    skipped=st.sampled_from([None, 0, 2, 4]),
)
def test_silences_at_the_border_of_a_halt_are_those_of_a_plain_loop(
    last: int,
    silence: int,
    opens: list[int],
    noise: list[int] | None,
    mark: int | None,
    marked: str,
    skipped: int | None,
) -> None:
    rows: list[Any] = [
        (f"10:0{m}:{s}", 10.0) for m in range(5) if m != skipped for s in ("00", "30")
    ]
    rows.append(("10:05:00", last / 100))
    if noise is not None:
        rows.append(("10:07:00", 1.0, 10, noise))
    end = datetime.fromisoformat("2025-10-07T10:05:00") + timedelta(seconds=silence / 10)
    rows.append((f"{end:%H:%M:%S.%f}", 11.0, 500, opens))
    clock = f"{end:%H:%M:%S.%f}" if marked == "end" else marked
    marks = [] if mark is None else [(clock, 9.8, 10.9, [mark])]
    tape = trades(*rows)
    last_quote = ("10:09:00", 10.4, 10.6)
    book = quotes(("09:59:00", 10.0, 10.1), *sorted([*marks, last_quote], key=lambda q: q[0]))
    row = event("10:05", before=5, after=15)
    found = event_features(row, tape, book, previous_close=12.0, settings=BASE)
    expected = plain.features(row.row(0, named=True), tape, book, previous_close=12.0)
    _compare(found.row(0, named=True), expected)


def _compare(found: dict[str, Any], expected: dict[str, Any]) -> None:
    own = set(MICRO_FEATURES.columns) - set(found) | set(expected)
    carried = {"event_id", "symbol", "date", "timestamp", "event_type", "direction", "session"}
    assert set(found) == own | carried | {"profile", "window_start", "window_end"}
    for name, value in expected.items():
        got = found[name]
        if name == "label_halts":
            assert [_halt(halt) for halt in got] == value
        elif name == "label_ssr_from":
            assert (None if got is None else plain._ns(got)) == value
        elif isinstance(value, Fraction):
            assert got == pytest.approx(float(value), rel=1e-9, abs=1e-12), name
        else:
            assert got == value, name


def _halt(halt: dict[str, Any]) -> tuple[Any, ...]:
    mids = [None if halt[k] is None else _fraction(halt[k]) for k in ("mid_start", "mid_end")]
    return plain._ns(halt["start"]), plain._ns(halt["end"]), *mids, halt["confirmed"]


def _fraction(mid: float) -> Fraction:
    return Fraction(round(2 * mid * 10**6), 2)


def _news(published: list[datetime]) -> pl.DataFrame:
    count = len(published)
    rows = {"symbol": ["AEMD"] * count, "published_at": published, "news_id": ["1"] * count}
    return pl.DataFrame({**rows, "title": [""] * count}, schema=NEWS.schema)


def _with_lag(lag: int) -> Settings:
    return BASE.model_copy(update={"micro": BASE.micro.model_copy(update={"quote_lag_ns": lag})})
