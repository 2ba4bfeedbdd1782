"""The package against SPEC §6 read word by word (`plain`), on made-up cases by the hundred."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smallcaps_pipeline.manifest.nbbo_level import NbboLevel
from smallcaps_pipeline.schemas import STORED
from smallcaps_pipeline.windows import extension, plan_windows, reduce_nbbo
from smallcaps_pipeline_tests.windows import plain
from smallcaps_pipeline_tests.windows.make import CONFIG, at, event_id, ns, quotes, trades

BASE = at("13:00")
SETTINGS = CONFIG.model_copy(
    update={
        "provider": CONFIG.provider.model_copy(update={"page_limit": 1_000}),
        "windows": CONFIG.windows.model_copy(
            update={"expected_trades_per_minute": 120.0, "expected_quotes_per_minute": 900.0}
        ),
    }
)
LAGGED = CONFIG.model_copy(
    update={"micro": CONFIG.micro.model_copy(update={"quote_lag_ns": 1_000_000_000})}
)

# plan -----------------------------------------------------------------------------------------

LEVELS = st.sampled_from([(True, 5), (False, 20), (False, None), (True, None), (True, 1)])


@st.composite
def events(draw: st.DrawFn) -> list[plain.Event]:
    """Draw events whose windows hold them, with the windows and NBBO of several cohorts."""
    found = []
    places = draw(st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 90)), max_size=8))
    ranks = draw(st.permutations(range(1, len(places) + 1)))
    for number, ((symbol, minute), rank) in enumerate(zip(places, ranks, strict=True)):
        before, after = draw(st.sampled_from([(3, 7), (5, 15), (0, 2), (1, 1), (10, 30)]))
        kind = draw(st.sampled_from(["flush_down", "volume_spike_up"]))
        event = f"{symbol}_{BASE + timedelta(minutes=minute):%Y%m%d_%H%M%S}_{kind}{number}"
        level = draw(LEVELS)
        found.append(
            plain.Event(symbol, event, minute, minute - before, minute + after, rank, level)
        )
    return found


HELD = st.builds(
    lambda symbol, kind, start, length, level: plain.Held(
        symbol, kind, start, start + length, level if kind == "quotes" else None
    ),
    st.sampled_from("AB"),
    st.sampled_from(["trades", "quotes"]),
    st.integers(-10, 100),
    st.integers(1, 30),
    st.none() | LEVELS,
)


def label(level: plain.Level | None) -> str | None:
    return None if level is None else NbboLevel(*level).label


def instant(minute: int) -> Any:
    return BASE + timedelta(minutes=minute)


def manifest_of(found: list[plain.Event]) -> pl.DataFrame:
    rows = [
        (e.symbol, instant(e.at), e.event_id, e.rank, *e.level, instant(e.start), instant(e.end))
        for e in found
    ]
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "symbol": pl.String,
        "timestamp": pl.Datetime("us", "UTC"),
        "event_id": pl.String,
        "rank": pl.Int64,
        "nbbo_by_change": pl.Boolean,
        "nbbo_max_hz": pl.Int64,
        "window_start": pl.Datetime("us", "UTC"),
        "window_end": pl.Datetime("us", "UTC"),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def stored_of(held: list[plain.Held]) -> pl.DataFrame:
    rows = [(h.symbol, h.kind, instant(h.start), instant(h.end), label(h.level)) for h in held]
    return pl.DataFrame(rows, schema=STORED.schema, orient="row")


@given(events(), st.lists(HELD, max_size=6), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_plan_is_the_rule_read_word_by_word(
    found: list[plain.Event], held: list[plain.Held], random: Any
) -> None:
    expected = plain.plan(
        found, held, merge_minutes=8, per_minute={"trades": 120, "quotes": 900}, page=1_000
    )
    table = manifest_of(random.sample(found, len(found)))
    plan = plan_windows(table, stored=stored_of(random.sample(held, len(held))), settings=SETTINGS)
    assert [
        (
            row.symbol,
            row.kind,
            instant(row.start),
            instant(row.end),
            list(row.events),
            row.priority,
            label(row.level),
            row.requests_min,
            float(row.requests_expected),
            (row.end - row.start) * {"trades": 120 * 12.0, "quotes": 900 * 11.0}[row.kind],
            instant(row.merged[0]),
            instant(row.merged[1]),
            float(row.refetched),
        )
        for row in expected
    ] == plan.rows()


# quotes ---------------------------------------------------------------------------------------

PRICES = st.sampled_from([None, 0.0, 9.99, 10.0, 10.01])
QUOTES = st.lists(
    st.tuples(
        st.integers(-(10**9), 3 * 10**9) | st.integers(0, 12).map(lambda n: n * 250_000_000),
        PRICES,
        PRICES,
        st.sampled_from([1.0, 2.0]),
        st.sampled_from([1.0, 2.0]),
    ),
    max_size=20,
)


@given(
    QUOTES,
    st.booleans(),
    st.sampled_from([None, 1, 3, 5, 20, 7919, 10**9, 10**10]),
    st.lists(st.integers(-(10**9), 4 * 10**9), max_size=5),
    st.sampled_from([0, ns(at("14:00")), 9 * 10**18]),
    st.sampled_from([0, 1, 10**9]),
)
@settings(max_examples=200, deadline=None)
def test_the_reduction_is_the_rule_read_word_by_word(
    rows: list[plain.Quote],
    by_change: bool,
    max_hz: int | None,
    trade_times: list[int],
    base: int,
    lag: int,
) -> None:
    """From before 1970 to 2255, whatever the rate: the bucket is exact."""
    rows = [(base + row[0], *row[1:]) for row in rows]
    frame = quotes(
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[2] for row in rows],
        bid_size=pl.Series([row[3] for row in rows], dtype=pl.Float64),
        ask_size=pl.Series([row[4] for row in rows], dtype=pl.Float64),
    )
    at_trades = [base + t for t in trade_times]
    thin = reduce_nbbo(
        frame, by_change=by_change, max_hz=max_hz, trade_times=[t - lag for t in at_trades]
    )
    order = sorted(range(len(rows)), key=lambda i: (rows[i][0], i))
    expected = plain.reduce([rows[i] for i in order], by_change, max_hz, at_trades, lag)
    assert thin["sequence_number"].to_list() == [order[i] for i in expected]


# extension ------------------------------------------------------------------------------------

COUNTS = st.lists(st.sampled_from([0, 1, 9, 49, 50, 51, 60]), min_size=1, max_size=12)
CENTS = st.lists(
    st.tuples(st.integers(-2, 13 * 60), st.sampled_from([0, 990, 995, 1000, 1010, 1020, 1100])),
    max_size=25,
)


@given(COUNTS, st.integers(1, 60), st.none() | CENTS, st.booleans())
@example(counts=[50] * 3, last_s=60, cents=None, lagged=False)
@settings(max_examples=150, deadline=None)
def test_the_extension_is_the_rule_read_word_by_word(
    counts: list[int], last_s: int, cents: list[tuple[int, int]] | None, lagged: bool
) -> None:
    """Windows of whole minutes and of a last part; trades at each minute's first instants."""
    start = at("13:57")
    end = start + timedelta(minutes=len(counts) - 1, seconds=last_s)
    trade_times = [
        ns(start) + minute * plain.MINUTE + i for minute, n in enumerate(counts) for i in range(n)
    ]
    book: list[plain.Quote] | None = None
    frame = None
    if cents is not None:
        book = sorted(
            (ns(start) + second * plain.NS - 1, bid / 100, (bid + 2) / 100, 1.0, 1.0)
            for second, bid in cents
        )
        frame = quotes([q[0] for q in book], [q[1] for q in book], [q[2] for q in book])
    event = event_id("A", at("14:00"))
    row = {"symbol": "A", "window_start": start, "window_end": end, "events_merged": [event]}
    lag = LAGGED.micro.quote_lag_ns if lagged else 0
    found = extension(row, trades(trade_times), frame, settings=LAGGED if lagged else CONFIG)
    hot_first, hot_last = plain.hot_edges(ns(start), ns(end), trade_times, book, lag)
    wider = (
        min(start, at("13:50")) if hot_first else start,
        max(end, at("14:20")) if hot_last else end,
    )
    assert found == (None if wider == (start, end) else wider)


def test_runs_of_minutes() -> None:
    """The reference itself: stretches of consecutive numbers."""
    assert plain.runs([1, 2, 3, 7, 9, 10]) == [(1, 3), (7, 7), (9, 10)]
    assert all(a[1] + 1 < b[0] for a, b in pairwise(plain.runs([0, 1, 4])))
