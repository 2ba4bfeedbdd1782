"""The event row: its columns, ids, bias, sessions; and empty input in the same schema."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

from smallcaps_pipeline.events import detect, detect_events
from smallcaps_pipeline.events.detectors import EVENT_TYPES
from smallcaps_pipeline.schemas import BARS, EVENTS, SchemaError
from smallcaps_pipeline.sessions import CalendarRangeError, NaiveTimestampError
from smallcaps_pipeline_tests.events.agreement import changed
from smallcaps_pipeline_tests.events.builders import DAY, Bar, bar, frame, quiet

SPIKE = [
    *quiet("09:15", 20, 10.0, 2_000),  # 09:15-09:34
    bar("09:35", 10.25, 100_000, open_=10.0, high=10.5, low=9.9, transactions=7),
]


def test_one_row_worked_by_hand() -> None:
    row = detect_events(frame(SPIKE)).to_dicts()[0]
    score = row.pop("score")
    # RTH bars: five of 2,000 shares at 10, then (10.5 + 9.9 + 10.25) / 3 = 10.216667 for 100,000.
    vwap = (5 * 2_000 * 10.0 + 100_000 * 30.65 / 3) / 110_000
    assert row == {
        "event_id": "AEMD_20251007_133500_volume_spike_up",  # 09:35 in New York is 13:35 UTC
        "symbol": "AEMD",
        "date": "2025-10-07",
        "timestamp": datetime(2025, 10, 7, 13, 35, tzinfo=UTC),
        "event_type": "volume_spike",
        "direction": "up",
        "event_bias": "bullish",
        "session": "RTH",
        "is_premarket": False,
        "is_afterhours": False,
        "spike_x": pytest.approx(100_000 / 2_000),
        "open": 10.0,
        "high": 10.5,
        "low": 9.9,
        "close": 10.25,
        "price_at_event": 10.25,
        "volume": 100_000.0,
        "dollar_volume": pytest.approx(1_025_000),
        "dollar_volume_so_far": pytest.approx(1_425_000),  # and 20 x 2,000 x 10
        "label_dollar_volume_day": pytest.approx(1_425_000),
        "transactions": 7,
        "vwap_at_event": pytest.approx(vwap),
        "change_5m": pytest.approx(0.025),
        "drop_from_high": pytest.approx(0.25 / 10.5),
        "flatness_score": None,  # the bars before have no range
        "close_vs_open": "green",
        "event_group_id": "AEMD_20251007T1335",
        "tier": None,
        "window_seconds_before": None,
        "window_seconds_after": None,
    }
    assert 0 < score < 1


@pytest.mark.parametrize(
    ("clock", "session", "premarket", "afterhours"),
    [("09:00", "PM", True, False), ("12:00", "RTH", False, False), ("17:00", "AH", False, True)],
)
def test_sessions(clock: str, session: str, premarket: bool, afterhours: bool) -> None:
    row = detect_events(frame([bar(clock, 10.0, 200_000, open_=9.0)])).to_dicts()[0]
    assert (row["session"], row["is_premarket"], row["is_afterhours"]) == (
        session,
        premarket,
        afterhours,
    )
    assert (row["vwap_at_event"] is None) == premarket


def test_event_ids_are_in_utc_on_both_sides_of_the_switch() -> None:
    for day, expected in [
        (date(2025, 3, 7), "AEMD_20250307_150000_volume_spike_up"),  # EST: five hours
        (date(2025, 3, 10), "AEMD_20250310_140000_volume_spike_up"),  # EDT: four hours
        (date(2025, 11, 3), "AEMD_20251103_150000_volume_spike_up"),
    ]:
        events = detect_events(frame([bar("10:00", 10.0, 200_000, open_=9.0, day=day)]))
        assert events["event_id"].to_list() == [expected]


def test_evening_event_has_the_trading_day_and_the_utc_date_of_its_id() -> None:
    # 19:30 EST on the early-close day's eve is 00:30 UTC of the next day.
    events = detect_events(frame([bar("19:30", 10.0, 200_000, open_=9.0, day=date(2025, 12, 1))]))
    assert events["date"].to_list() == ["2025-12-01"]
    assert events["event_id"].to_list() == ["AEMD_20251202_003000_volume_spike_up"]
    assert events["event_group_id"].to_list() == ["AEMD_20251202T0030"]


def test_downward_events_are_bearish() -> None:
    rows = [
        *quiet("09:40", 20, 10.0, 10_000),
        bar("10:00", 9.5, 10_000, open_=10.0),
        bar("10:01", 9.0, 200_000, open_=9.5),
    ]
    events = detect_events(frame(rows))
    down = events.filter(event_type="volume_spike")
    assert down.select("direction", "event_bias", "close_vs_open").rows() == [
        ("down", "bearish", "red")
    ]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "no bars"),
        ([bar("02:00", 10.0, 1e6, open_=9.0)], "at night"),
        ([bar("20:00", 10.0, 1e6, open_=9.0)], "when the after-hours are over"),
        ([bar("12:00", 10.0, 1e6, open_=9.0, day=date(2025, 7, 4))], "on a holiday"),
        ([bar("17:00", 10.0, 1e6, open_=9.0, day=date(2025, 11, 28))], "4 h after an early close"),
        ([bar("12:00", 10.0, 1e6, open_=-9.0)], "bad bars only"),
        ([bar("12:00", 10.0, 1)], "nothing happens"),
    ],
)
def test_no_events_in_the_schema_of_events(rows: list[Bar], reason: str) -> None:
    events = detect_events(frame(rows))
    assert events.schema == EVENTS.schema, reason
    assert events.is_empty(), reason


def test_schema_of_events() -> None:
    assert detect_events(frame(SPIKE)).schema == EVENTS.schema


def test_all_detectors_off() -> None:
    off = changed({"detectors": dict.fromkeys(EVENT_TYPES)})
    assert detect_events(frame(SPIKE), off).equals(EVENTS.empty())


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_one_detector_off_leaves_the_others_as_they_are(name: str) -> None:
    rows = [*SPIKE, bar("09:46", 11.0, 900_000, open_=10.2, transactions=500)]
    every = detect_events(frame(rows), changed({"duplicates": {"keep": "first"}}))
    without = detect_events(
        frame(rows), changed({"detectors": {name: None}, "duplicates": {"keep": "first"}})
    )
    others = every.filter(pl.col("event_type") != name)
    assert without["event_id"].to_list() == others["event_id"].to_list()


def test_counts_of_what_took_no_part() -> None:
    rows = [
        *SPIKE,
        SPIKE[0],  # an equal copy
        bar("11:00", 10.0, -5),
        bar("02:00", 10.0, 1e6),
        bar("12:00", 10.0, 1e6, day=date(2025, 10, 11)),
    ]
    found = detect(frame(rows))
    assert len(found.events) == 1
    assert found.bars == len(SPIKE)
    assert found.outside_sessions == 2
    assert found.set_aside.height == 2
    assert found.dropped["duplicate"] == 0


def test_bars_outside_sessions_are_no_previous_bars_and_no_volume() -> None:
    """A night bar with a high of 99 and a million shares changes nothing of the day."""
    night = bar("03:59", 50.0, 1e6, high=99.0)
    late = bar("20:00", 50.0, 1e6, high=99.0)
    assert detect_events(frame([night, *SPIKE, late])).equals(detect_events(frame(SPIKE)))


@pytest.mark.parametrize("day", [date(2002, 12, 31), date(2036, 1, 2)])
def test_date_beyond_the_calendar_is_an_error(day: date) -> None:
    with pytest.raises(CalendarRangeError, match=str(day)):
        detect_events(frame([bar("10:00", 10.0, day=day)]))


def test_naive_timestamp_is_an_error() -> None:
    naive = frame(SPIKE).with_columns(pl.col("timestamp").dt.replace_time_zone(None))
    with pytest.raises(NaiveTimestampError, match="timestamp"):
        detect_events(naive)


def test_missing_column_is_an_error() -> None:
    with pytest.raises(SchemaError, match="close"):
        detect_events(BARS.empty().drop("close"))


def test_day_is_a_tuesday_of_a_full_session() -> None:
    """What the tables of these tests take for granted."""
    assert DAY.weekday() == 1
