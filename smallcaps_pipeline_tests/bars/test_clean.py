"""Cleaning of bars: each reason where it fires and where it just does not; nothing is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from smallcaps_pipeline.bars import Reason, clean_bars, trusted_vwap
from smallcaps_pipeline.schemas import BARS, SET_ASIDE, SchemaError
from smallcaps_pipeline.sessions import NaiveTimestampError

NOON = datetime(2025, 10, 7, 16, 0, tzinfo=UTC)
SOUND: dict[str, Any] = {
    "symbol": "AEMD",
    "timestamp": NOON,
    "open": 10.0,
    "high": 10.5,
    "low": 9.5,
    "close": 10.2,
    "volume": 1_000.0,
    "vwap": 10.1,
    "transactions": 12,
}
INF, NAN = float("inf"), float("nan")


def bars(*changes: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([{**SOUND, **change} for change in changes], schema=BARS.schema)


def reasons(frame: pl.DataFrame) -> list[str]:
    return clean_bars(frame)[1]["reason"].to_list()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"symbol": None}, Reason.NO_SYMBOL),
        ({"timestamp": None}, Reason.NO_TIMESTAMP),
        ({"timestamp": NOON + timedelta(seconds=1)}, Reason.NOT_A_WHOLE_MINUTE),
        ({"timestamp": NOON + timedelta(microseconds=1)}, Reason.NOT_A_WHOLE_MINUTE),
        ({"timestamp": NOON + timedelta(seconds=59)}, Reason.NOT_A_WHOLE_MINUTE),
        ({"open": None}, Reason.NOT_FINITE),
        ({"high": NAN}, Reason.NOT_FINITE),
        ({"high": INF}, Reason.NOT_FINITE),
        ({"low": -INF}, Reason.NOT_FINITE),
        ({"close": NAN}, Reason.NOT_FINITE),
        ({"volume": None}, Reason.NOT_FINITE),
        ({"volume": INF}, Reason.NOT_FINITE),
        ({"low": 0.0}, Reason.PRICE_NOT_POSITIVE),
        ({"low": -1.0}, Reason.PRICE_NOT_POSITIVE),
        ({"low": 10.01}, Reason.OUT_OF_ORDER),  # above the open of 10.00
        ({"low": 10.1, "open": 10.3}, None),  # below open and close
        ({"low": 10.21, "open": 10.3}, Reason.OUT_OF_ORDER),  # above the close of 10.20
        ({"high": 10.19}, Reason.OUT_OF_ORDER),  # below the close
        ({"high": 10.2, "open": 10.3}, Reason.OUT_OF_ORDER),  # below the open
        ({"high": 9.0, "low": 11.0}, Reason.OUT_OF_ORDER),
        ({"volume": -0.001}, Reason.VOLUME_NEGATIVE),
        # sound:
        ({}, None),
        ({"timestamp": NOON + timedelta(minutes=1)}, None),
        ({"low": 0.0001}, None),
        ({"low": 10.0, "high": 10.2}, None),  # the bounds themselves
        ({"open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0}, None),
        ({"volume": 0.0}, None),
        ({"volume": 0.5}, None),
        ({"vwap": None, "transactions": None}, None),
        ({"vwap": 99.0}, None),  # not trusted, but the bar is good
    ],
)
def test_each_reason(change: dict[str, Any], reason: Reason | None) -> None:
    good, aside = clean_bars(bars(change))
    assert aside["reason"].to_list() == ([] if reason is None else [reason.value])
    assert len(good) == (1 if reason is None else 0)


def test_every_reason_is_tested() -> None:
    copies = [*reasons(bars({}, {})), *reasons(bars({}, {"close": 10.3}))]
    assert copies == [Reason.DUPLICATE, Reason.CONFLICT]
    marks = test_each_reason.pytestmark
    tested = {reason for _, reason in marks[0].args[1]} | {*map(Reason, copies)}
    assert tested == {*Reason, None}


def test_good_bars_of_the_same_input_go_on() -> None:
    minute = timedelta(minutes=1)
    given = bars({}, {"timestamp": NOON + minute, "low": -1.0}, {"timestamp": NOON + 2 * minute})
    good, aside = clean_bars(given)
    assert good["timestamp"].to_list() == [NOON, NOON + 2 * minute]
    assert aside["timestamp"].to_list() == [NOON + minute]


@pytest.mark.parametrize(
    ("stays", "goes", "why"),
    [
        ({"volume": 1_001.0, "transactions": 1}, {"transactions": 99}, "the larger volume"),
        ({"transactions": 13, "high": 10.4}, {"high": 11.0}, "then more transactions"),
        ({"transactions": 0, "high": 10.4}, {"transactions": None}, "no count is least"),
        ({"high": 10.6, "low": 9.4}, {"low": 9.6}, "then the higher high"),
        ({"low": 9.6, "close": 10.1}, {"close": 10.3}, "then the higher low"),
        ({"close": 10.3, "open": 9.9}, {"open": 10.1}, "then the higher close"),
        ({"open": 10.1, "vwap": 10.0}, {"vwap": 10.4}, "then the higher open"),
        ({"vwap": 10.2}, {"vwap": 10.1}, "then the higher vwap"),
        ({"vwap": 9.6}, {"vwap": None}, "no vwap is least"),
        ({"vwap": 9.6}, {"vwap": 99.0}, "nor does one outside the bar count as given"),
    ],
)
def test_which_copy_stays(stays: dict[str, Any], goes: dict[str, Any], why: str) -> None:
    for copies in (bars(stays, goes), bars(goes, stays)):
        good, aside = clean_bars(copies)
        assert_frame_equal(good, bars(stays))
        assert aside["reason"].to_list() == [Reason.CONFLICT], why


def test_equal_copies_are_duplicates_and_differing_ones_conflicts() -> None:
    late = {"volume": 2_000.0}
    found = reasons(bars({}, late, {}, late, {}))
    # The late print stays once. Its copy and two of the three others equal another bar.
    assert sorted(found) == sorted([Reason.DUPLICATE] * 3 + [Reason.CONFLICT])


def test_bad_copy_never_displaces_a_good_bar() -> None:
    good, aside = clean_bars(bars({}, {"volume": 9e9, "low": -1.0}))
    assert_frame_equal(good, bars({}))
    assert aside["reason"].to_list() == [Reason.PRICE_NOT_POSITIVE]


def test_same_minute_of_two_symbols_is_no_copy() -> None:
    good, aside = clean_bars(bars({"symbol": "BAPA"}, {"symbol": "BApA"}, {}))
    assert good["symbol"].to_list() == ["AEMD", "BAPA", "BApA"]
    assert aside.is_empty()


@pytest.mark.parametrize(("vwap", "expected"), [(NAN, None), (INF, None), (10.1, 10.1)])
def test_vwap_that_is_no_number_is_null(vwap: float, expected: float | None) -> None:
    good, _ = clean_bars(bars({"vwap": vwap}))
    assert good["vwap"].to_list() == [expected]


def test_vwap_is_trusted_within_its_bar_only() -> None:
    vwaps = [9.5, 10.5, 9.49, 10.51, None]
    frame = bars(*({"vwap": vwap} for vwap in vwaps))
    assert frame.select(trusted_vwap()).to_series().to_list() == [9.5, 10.5, None, None, None]


def test_naive_timestamp_names_its_column() -> None:
    naive = bars({}).with_columns(pl.col("timestamp").dt.replace_time_zone(None))
    with pytest.raises(NaiveTimestampError, match="'timestamp'"):
        clean_bars(naive)
    with pytest.raises(NaiveTimestampError, match="'timestamp'"):
        clean_bars(naive.clear())
    with pytest.raises(NaiveTimestampError, match="'timestamp'"):
        clean_bars(bars({}).with_columns(timestamp=pl.lit("2025-10-07T12:00")))


def test_timestamp_in_another_zone_and_unit_is_the_same_instant() -> None:
    local = pl.col("timestamp").dt.convert_time_zone("America/New_York").dt.cast_time_unit("ns")
    good, _ = clean_bars(bars({}).with_columns(local))
    assert_frame_equal(good, bars({}))


def test_nanoseconds_past_the_minute_are_seen_before_they_are_cut_off() -> None:
    late = pl.col("timestamp").dt.cast_time_unit("ns").dt.offset_by("1ns")
    assert reasons(bars({}).with_columns(late)) == [Reason.NOT_A_WHOLE_MINUTE]


def test_optional_columns_may_be_absent_and_others_may_not() -> None:
    good, _ = clean_bars(bars({}).drop("vwap", "transactions"))
    assert_frame_equal(good, bars({"vwap": None, "transactions": None}))
    with pytest.raises(SchemaError, match="volume"):
        clean_bars(bars({}).drop("volume"))


def test_text_in_a_number_column_is_an_error() -> None:
    with pytest.raises(SchemaError, match="close"):
        clean_bars(bars({}).with_columns(close=pl.lit("ten")))


def test_integers_and_further_columns_are_accepted() -> None:
    given = bars({}).with_columns(pl.col("volume").cast(pl.Int64), note=pl.lit("x"))
    assert_frame_equal(clean_bars(given)[0], bars({}))
    assert_frame_equal(clean_bars(given.lazy())[0], bars({}))


def test_no_bars() -> None:
    good, aside = clean_bars(BARS.empty())
    assert good.schema == BARS.schema
    assert aside.schema == SET_ASIDE.schema


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "symbol": st.sampled_from(["AEMD", "BAPA", None]),
                "timestamp": st.sampled_from([NOON, NOON + timedelta(seconds=60), None]),
                "high": st.sampled_from([10.5, 10.1, NAN]),
                "volume": st.sampled_from([0.0, 5.0, 5.5, -1.0]),
                "vwap": st.sampled_from([None, 10.0, 99.0, NAN]),
                "transactions": st.sampled_from([None, 1, 2]),
            }
        ),
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_nothing_is_lost_and_order_never_matters(rows: list[dict[str, Any]], random: Any) -> None:
    good, aside = clean_bars(bars(*rows))
    assert len(good) + len(aside) == len(rows)
    assert not good.select(BARS.key).is_duplicated().any()
    assert aside["reason"].null_count() == 0
    again, again_aside = clean_bars(good)
    assert_frame_equal(again, good)
    assert again_aside.is_empty()
    shuffled = [*rows]
    random.shuffle(shuffled)
    other_good, other_aside = clean_bars(bars(*shuffled))
    assert_frame_equal(other_good, good)
    assert_frame_equal(other_aside, aside)
