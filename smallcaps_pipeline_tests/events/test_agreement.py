"""The code finds what the plain reference finds, on bars made to be awkward.

The reference (`plain`) walks through one bar at a time and knows nothing of the code.
"""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smallcaps_pipeline.events import detect_events
from smallcaps_pipeline.events.detectors import EVENT_TYPES
from smallcaps_pipeline_tests.events import plain
from smallcaps_pipeline_tests.events.agreement import compare, differences
from smallcaps_pipeline_tests.events.builders import DAY, DAYS, Bar, Market, bar, frame, quiet

few = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
shares = st.sampled_from([0.02, 0.2, 0.6])
markets = st.builds(
    Market,
    seed=st.integers(0, 10**6),
    symbols=st.sampled_from([("AEMD",), ("BAPA", "BApA")]),
    days=st.lists(st.sampled_from(DAYS), min_size=1, max_size=3, unique=True).map(tuple),
    density=st.tuples(shares, shares, shares),
    coarse=st.booleans(),
)
bases: st.SearchStrategy[Literal["day", "so_far"]] = st.sampled_from(["day", "so_far"])
keeps: st.SearchStrategy[Literal["best", "first"]] = st.sampled_from(["best", "first"])


@few
@given(markets, bases, keeps)
def test_random_markets(
    market: Market, basis: Literal["day", "so_far"], keep: Literal["best", "first"]
) -> None:
    assert differences(frame(market.bars()), basis=basis, keep=keep) == []


def test_every_type_and_direction_on_a_hundred_days() -> None:
    """Agreement means little where nothing is found: count what the random days produce."""
    found: Counter[tuple[str, str]] = Counter()
    for seed, coarse in [(0, False), (1, True)]:
        symbols = tuple(f"S{i}" for i in range(9))
        market = Market(seed, symbols, DAYS[:6], density=(0.03, 0.55, 0.03), coarse=coarse)
        rows = market.bars()
        expected = plain.detect(rows)
        assert compare(detect_events(frame(rows)).to_dicts(), expected) == []
        found.update((row["event_type"], row["direction"]) for row in expected)
    directions = {(kind, way) for kind in EVENT_TYPES for way in ("up", "down")}
    assert set(found) == directions - {("flush", "up")}
    assert min(found.values()) >= 5, found


ONE_BAR = [bar("10:00", 5.0, 900_000, open_=4.0, transactions=900)]
UNDER_A_DOLLAR = [*quiet("09:40", 20, 0.9, 90_000), bar("10:00", 0.99, 2e6, open_=0.9)]
ONTO_A_DOLLAR = [*quiet("09:40", 20, 0.9, 90_000), bar("10:00", 1.0, 2e6, open_=0.9)]
ZERO_VOLUME = [*quiet("09:30", 40, 10.0, 0), bar("10:10", 11.0, 0, open_=10.0)]
AT_NIGHT = [bar("02:00", 10.0, 1e6), bar("20:00", 10.0, 1e6), bar("23:59", 12.0, 1e6)]
FIRST_MINUTES = [bar("04:00", 10.0, 1e6, open_=9.0), bar("04:01", 11.0, 1e6, open_=10.0)]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "no bars"),
        (ONE_BAR, "a symbol of one bar"),
        (UNDER_A_DOLLAR, "prices under a dollar: filtered"),
        (ONTO_A_DOLLAR, "exactly a dollar: passes"),
        (ZERO_VOLUME, "VWAP is undefined while no share has traded"),
        (AT_NIGHT, "bars in no session"),
        (FIRST_MINUTES, "spike_x is undefined in the first minute"),
        ([*ONE_BAR, *ONE_BAR], "an equal copy"),
        ([*ONE_BAR, {**ONE_BAR[0], "transactions": None}], "a copy that lacks its count"),
        ([*ONE_BAR, {**ONE_BAR[0], "volume": 950_000.0, "close": 4.5}], "a late print"),
        ([{**ONE_BAR[0], "symbol": s} for s in ("BApA", "BAPA", "BRK.A")], "alike symbols"),
    ],
)
def test_awkward_tables(rows: list[Bar], reason: str) -> None:
    assert differences(frame(rows)) == [], reason


@pytest.mark.parametrize("day", DAYS)
def test_each_awkward_day(day: date) -> None:
    """DST switches, early closes, a holiday and a Saturday; night bars on each of them."""
    market = Market(5, days=(day, DAY), density=(0.3, 0.5, 0.3))
    assert differences(frame(market.bars())) == []
