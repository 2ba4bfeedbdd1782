"""The ranking worked by hand: the four figures, percentiles, eligibility, tiers."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from smallcaps_pipeline.schemas import UNIVERSE
from smallcaps_pipeline.sessions import trading_days
from smallcaps_pipeline.universe import Reason, Unknown, rank_universe
from smallcaps_pipeline_tests.universe.tables import (
    bar,
    daily_bars,
    details,
    settings,
    splits,
    stock,
)

AS_OF = date(2025, 10, 7)
DAYS = trading_days(date(2025, 9, 29), AS_OF)  # Mon .. Fri, Mon, Tue: 7 sessions
# The last four count; the three before them serve means and the first previous close.
SMALL: dict[str, Any] = {"sessions": 4, "volume_mean_sessions": 3}


def ranked(rows: list[dict[str, Any]], *records: dict[str, Any], **changes: Any) -> pl.DataFrame:
    symbols = dict.fromkeys(row["symbol"] for row in rows)
    known = records or tuple(stock(symbol) for symbol in symbols)
    chosen = settings(**SMALL | changes)
    return rank_universe(daily_bars(rows), details(*known), as_of=AS_OF, settings=chosen).frame


def quiet(symbol: str, **by_day: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a week of quiet days, some of them changed: d0 .. d6."""
    return [bar(symbol, day, **by_day.get(f"d{n}", {})) for n, day in enumerate(DAYS)]


@pytest.mark.parametrize(
    ("change", "figure", "expected", "why"),
    [
        ({"d4": {"open": 11.0}}, "gap_days", 1, "11 / 10 - 1 = 10 %, whatever the last bit"),
        ({"d4": {"open": 10.99}}, "gap_days", 0, "9.9 %"),
        ({"d4": {"open": 9.0}}, "gap_days", 1, "down counts as well"),
        ({"d2": {"open": 11.0}}, "gap_days", 0, "before the sessions that count"),
        ({"d3": {"open": 11.0}}, "gap_days", 1, "the first that counts has a close before it"),
        ({"d4": {"high": 11.0, "low": 9.5}}, "range_days", 1, "1.5 / 10 = 15 %"),
        ({"d4": {"high": 11.0, "low": 9.51}}, "range_days", 0, "14.9 %"),
        ({"d4": {"volume": 3_000.0}}, "volume_days", 1, "3 x 1,000"),
        ({"d4": {"volume": 2_999.0}}, "volume_days", 0, "less"),
        # Mean of the three sessions before d5: (1,000 + 1,000 + 4,000) / 3 = 2,000, so d5 needs
        # 6,000; d4 itself is a volume day.
        ({"d4": {"volume": 4_000.0}, "d5": {"volume": 5_999.0}}, "volume_days", 1, "d4 only"),
        ({"d4": {"volume": 4_000.0}, "d5": {"volume": 6_000.0}}, "volume_days", 2, "d4 and d5"),
        # Dollar volumes of d3..d6: 10,000, 10,000, 30,000, 50,000; median 20,000.
        (
            {"d5": {"volume": 3_000.0}, "d6": {"volume": 5_000.0}},
            "median_dollar_volume",
            20_000.0,
            "mean of the middle two",
        ),
    ],
)
def test_figures(change: dict[str, Any], figure: str, expected: float, why: str) -> None:
    assert ranked(quiet("AAA", **change))[figure].item() == expected, why


def test_reverse_split_is_no_gap_no_range_and_no_volume_day() -> None:
    """1-for-10 on d4: 1.00 becomes 10.00 and 10,000 shares become 1,000.

    Without the split it would be a gap of 900 %. Volume of d4, 3,000, is 3 x the adjusted mean.
    """
    before = [bar("AAA", day, 1.0, volume=10_000.0) for day in DAYS[:4]]
    after = [bar("AAA", day, 10.0) for day in DAYS[4:]]
    after[0]["volume"] = 3_000.0
    rows, records = daily_bars(before + after), details(stock("AAA"))
    known = splits(("AAA", DAYS[4], 10, 1))
    with_split = rank_universe(
        rows, records, as_of=AS_OF, splits=known, settings=settings(**SMALL)
    ).frame
    assert with_split.select("gap_days", "range_days", "volume_days").row(0) == (0, 0, 1)
    without = rank_universe(rows, records, as_of=AS_OF, settings=settings(**SMALL)).frame
    assert without["gap_days"].item() == 1


def test_session_without_a_row_is_one_without_volume() -> None:
    """BBB trades on every session, AAA not on d3 and d4.

    On d5 AAA's previous close is d2's 10, so 11 is a gap. Its mean before d5 is
    (1,000 + 0 + 0) / 3 = 333.3, before d6 (0 + 0 + 1,000) / 3: 1,000 shares are 3 times either.
    Of d3..d6 the dollar volumes are 0, 0, 11,000, 11,000: median 5,500.
    """
    rows = quiet("BBB") + [bar("AAA", day) for day in DAYS[:3]]
    rows += [bar("AAA", day, 11.0) for day in DAYS[5:]]
    row = ranked(rows).filter(symbol="AAA").row(0, named=True)
    assert (row["gap_days"], row["range_days"], row["volume_days"]) == (1, 0, 2)
    assert row["median_dollar_volume"] == 5_500.0


def test_new_listing_has_no_volume_day_before_its_mean_is_full() -> None:
    """AAA starts on d2: its mean of three sessions exists on d5 first."""
    rows = quiet("BBB") + [
        bar("AAA", day, volume=10.0 ** (n + 1)) for n, day in enumerate(DAYS[2:])
    ]
    row = ranked(rows).filter(symbol="AAA").row(0, named=True)
    assert row["volume_days"] == 2  # d5 and d6, not d3 and d4


def test_universe_by_hand() -> None:
    """Three stocks; average ranks, ascending, divided by 3.

               gap days  range days  volume days  median $   ranks              sum
        AAA        1          0           1         10,000   2.5  1.5  3  1     8
        BBB        1          1           0         20,000   2.5  3  1.5  2     9
        CCC        0          0           0         30,000   1  1.5  1.5  3     7

    Mean percentiles: 9 / 12, 8 / 12, 7 / 12.
    """
    rows = quiet("AAA", d4={"open": 11.0, "volume": 3_000.0})
    rows += quiet("BBB", d4={"open": 11.0, "high": 11.5})
    for row in rows:
        if row["symbol"] == "BBB":
            row["volume"] = 2_000.0
    rows += [bar("CCC", day, volume=3_000.0) for day in DAYS]
    frame = ranked(rows, tiers=[1, 2])
    assert_frame_equal(
        frame,
        pl.DataFrame(
            [
                ("BBB", 1, 1, 1, 1, 0, 20_000.0, 0.75, AS_OF),
                ("AAA", 2, 2, 1, 0, 1, 10_000.0, 8 / 12, AS_OF),
                ("CCC", 3, 3, 0, 0, 0, 30_000.0, 7 / 12, AS_OF),
            ],
            schema=UNIVERSE.schema,
            orient="row",
        ),
    )


def test_ties_go_by_symbol_and_the_size_cuts_by_rank() -> None:
    rows = [row for symbol in ("CCC", "AAA", "BBB") for row in quiet(symbol)]
    found = rank_universe(
        daily_bars(rows),
        details(*(stock(symbol) for symbol in ["AAA", "BBB", "CCC"])),
        as_of=AS_OF,
        settings=settings(**SMALL, size=2),
    )
    assert found.frame["symbol"].to_list() == ["AAA", "BBB"]
    assert found.left_out[Reason.BEYOND_SIZE] == 1


@pytest.mark.parametrize(
    ("record", "reason", "why"),
    [
        ({}, None, "a common stock"),
        ({"type": "ETF"}, Reason.TYPE, "no stock"),
        ({"primary_exchange": "OTC"}, Reason.EXCHANGE, "not one of the exchanges"),
        ({"list_date": date(2025, 10, 8)}, Reason.NOT_LISTED, "listed the day after"),
        ({"list_date": AS_OF}, None, "listed on the day"),
        (
            {"active": False, "delisted_at": datetime(2025, 10, 6, tzinfo=UTC)},
            Reason.NOT_LISTED,
            "last traded the day before",
        ),
        (
            {"active": False, "delisted_at": datetime(2025, 10, 7, tzinfo=UTC)},
            None,
            "last traded on the day",
        ),
        (
            {"active": False, "delisted_at": datetime(2025, 12, 1, tzinfo=UTC)},
            None,
            "delisted since",
        ),
        ({"active": False}, Reason.NOT_LISTED, "inactive on the day of its record"),
        ({"market_cap": 2e9}, None, "at the limit"),
        ({"market_cap": 2.1e9}, Reason.MARKET_CAP, "above it"),
    ],
)
def test_eligible(record: dict[str, Any], reason: Reason | None, why: str) -> None:
    found = rank_universe(
        daily_bars(quiet("AAA")),
        details(stock("AAA", **record)),
        as_of=AS_OF,
        settings=settings(**SMALL),
    )
    assert found.frame.height == (reason is None), why
    assert sum(found.left_out.values()) == (reason is not None)
    assert reason is None or found.left_out[reason] == 1, why


@pytest.mark.parametrize(
    ("close", "eligible"), [(0.5, True), (0.49, False), (50.0, True), (50.01, False)]
)
def test_price_limits_are_on_the_last_close(close: float, eligible: bool) -> None:
    rows = quiet("AAA")
    rows[-1] = bar("AAA", AS_OF, close)
    assert ranked(rows).height == eligible


def test_bars_after_the_date_are_not_seen() -> None:
    rows = quiet("AAA")
    later = bar("AAA", date(2025, 10, 8), 99.0, volume=1e9)
    assert_frame_equal(ranked([*rows, later]), ranked(rows))


@pytest.mark.parametrize(
    ("record", "fact"),
    [
        ({"type": None}, Unknown.TYPE),
        ({"primary_exchange": None}, Unknown.EXCHANGE),
        ({"list_date": None}, Unknown.LISTING),
        ({"active": False, "as_of": date(2025, 12, 1)}, Unknown.LISTING),
        ({"market_cap": None}, Unknown.MARKET_CAP),
    ],
)
def test_unknown_fact_passes_and_is_counted(record: dict[str, Any], fact: Unknown) -> None:
    found = rank_universe(
        daily_bars(quiet("AAA")),
        details(stock("AAA", **record)),
        as_of=AS_OF,
        settings=settings(**SMALL),
    )
    assert found.frame["symbol"].to_list() == ["AAA"]
    assert {known: count for known, count in found.unknown.items() if count} == {fact: 1}


def test_symbols_without_record_and_without_bars_are_counted() -> None:
    found = rank_universe(
        daily_bars(quiet("AAA")), details(stock("BBB")), as_of=AS_OF, settings=settings(**SMALL)
    )
    assert found.frame.height == 0
    assert found.frame.schema == UNIVERSE.schema
    assert found.left_out[Reason.NO_DETAILS] == 1
    assert found.left_out[Reason.NO_BARS] == 1


def test_missing_sessions_and_bad_bars_are_counted_and_not_used() -> None:
    rows = [row for row in quiet("AAA") if row["date"] != DAYS[4]]
    bad = [
        bar("AAA", DAYS[5], 20.0, volume=-1.0),
        bar("AAA", DAYS[6], 20.0, volume=None),
        bar("AAA", DAYS[3], float("nan")),
        bar("AAA", DAYS[3], 20.0, volume=1.0),  # a second row of that day, with less volume
    ]
    found = rank_universe(
        daily_bars(bad + rows), details(stock("AAA")), as_of=AS_OF, settings=settings(**SMALL)
    )
    assert (found.missing_sessions, found.bars_set_aside) == (1, 4)
    assert found.frame.select("gap_days", "volume_days").row(0) == (0, 0)


@hypothesis_settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_row_order_does_not_matter_and_ranks_are_complete(seed: int) -> None:
    chance = random.Random(seed)
    rows = [
        bar(symbol, day, open=chance.choice([9.0, 10.0, 11.5]), volume=chance.choice([1e3, 9e3]))
        for symbol in ("AAA", "BBB", "CCC", "DDD")
        for day in DAYS
        if chance.random() < 0.8
    ]
    records = [stock(symbol) for symbol in ("AAA", "BBB", "CCC", "DDD")]
    first = ranked(rows, *records)
    chance.shuffle(rows)
    chance.shuffle(records)
    assert_frame_equal(ranked(rows, *records), first)
    assert first["universe_rank"].to_list() == list(range(1, first.height + 1))
    assert first["mean_percentile"].is_sorted(descending=True)
    assert first["mean_percentile"].is_between(0, 1).all()
