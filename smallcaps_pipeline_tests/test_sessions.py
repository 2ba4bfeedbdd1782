"""Trading days and sessions: dates with the event beside them, and half-open ends."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import polars as pl
import pytest

from smallcaps_pipeline.schemas import UTC_US
from smallcaps_pipeline.sessions import (
    FIRST_DATE,
    LAST_DATE,
    CalendarRangeError,
    NaiveTimestampError,
    Session,
    add_sessions,
    calendar,
    is_trading_day,
    new_york_time,
    previous_trading_day,
    require_aware,
    session_bounds,
    shift_trading_day,
    trading_day_of,
    trading_days,
)

FULL = date(2025, 10, 7)


def label(*instants: datetime, **options: object) -> list[str | None]:
    frame = pl.LazyFrame({"timestamp": list(instants)}, schema={"timestamp": UTC_US})
    labelled = add_sessions(frame, **options).collect()  # type: ignore[arg-type]
    sessions: list[str | None] = labelled["session"].to_list()
    return sessions


def at(day: date, clock: str) -> datetime:
    return new_york_time(day, time.fromisoformat(clock))


@pytest.mark.parametrize(
    ("day", "is_open", "event"),
    [
        (date(2025, 10, 7), True, "a Tuesday"),
        (date(2025, 10, 11), False, "a Saturday"),
        (date(2025, 7, 4), False, "Independence Day"),
        (date(2025, 1, 9), False, "day of mourning for Jimmy Carter"),
        (date(2018, 12, 5), False, "day of mourning for George H. W. Bush"),
        (date(2012, 10, 29), False, "hurricane Sandy"),
        (date(2012, 10, 30), False, "hurricane Sandy"),
        (date(2012, 10, 31), True, "open again"),
        (date(2007, 1, 2), False, "day of mourning for Gerald Ford"),
        (date(2004, 6, 11), False, "day of mourning for Ronald Reagan"),
        (date(2021, 6, 18), True, "the first Juneteenth was no exchange holiday"),
        (date(2022, 6, 20), False, "Juneteenth observed"),
        (date(2025, 4, 18), False, "Good Friday"),
        (date(2003, 1, 2), True, "the first trading day of the calendar"),
    ],
)
def test_named_days(day: date, is_open: bool, event: str) -> None:
    assert is_trading_day(day) == is_open, event
    assert label(at(day, "12:00")) == (["RTH"] if is_open else [None]), event


@pytest.mark.parametrize(
    ("day", "close", "event"),
    [
        (date(2025, 10, 7), "16:00", "a full day"),
        (date(2025, 11, 28), "13:00", "the day after Thanksgiving"),
        (date(2015, 12, 24), "13:00", "Christmas Eve"),
        (date(2025, 7, 3), "13:00", "before Independence Day"),
        (date(2025, 3, 10), "16:00", "the Monday after clocks went forward"),
        (date(2025, 11, 3), "16:00", "the Monday after clocks went back"),
    ],
)
def test_sessions_are_half_open(day: date, close: str, event: str) -> None:
    hour = int(close[:2])
    cases = [
        ("03:59", None),
        ("04:00", "PM"),
        ("09:29", "PM"),
        ("09:30", "RTH"),
        (f"{hour - 1}:59", "RTH"),
        (close, "AH"),
        (f"{hour + 3}:59", "AH"),
        (f"{hour + 4}:00", None),
        ("23:59", None),
        ("00:00", None),
    ]
    instants = [at(day, clock) for clock, _ in cases]
    assert label(*instants) == [session for _, session in cases], event


@pytest.mark.parametrize(
    ("day", "opens_utc", "event"),
    [
        (date(2025, 3, 7), 14, "EST"),
        (date(2025, 3, 10), 13, "EDT, three weeks before Europe"),
        (date(2025, 10, 31), 13, "EDT"),
        (date(2025, 11, 3), 14, "EST"),
    ],
)
def test_bounds_follow_new_york_clocks(day: date, opens_utc: int, event: str) -> None:
    bounds = session_bounds(day)
    opens = datetime(day.year, day.month, day.day, opens_utc, 30, tzinfo=UTC)
    assert bounds[Session.RTH][0] == opens, event
    assert bounds[Session.PM] == (at(day, "04:00"), at(day, "09:30"))
    assert bounds[Session.RTH] == (at(day, "09:30"), at(day, "16:00"))
    assert bounds[Session.AH] == (at(day, "16:00"), at(day, "20:00"))


def test_bounds_of_an_early_close() -> None:
    day = date(2025, 11, 28)
    assert session_bounds(day)[Session.RTH][1] == at(day, "13:00")
    assert session_bounds(day)[Session.AH] == (at(day, "13:00"), at(day, "17:00"))


def test_bounds_agree_with_labels() -> None:
    """Two ways to the same answer, on every day of a year with both switches."""
    days = trading_days(date(2025, 1, 1), date(2025, 12, 31))
    bounds = [bound for day in days for bound in session_bounds(day).items()]
    sessions = [session for session, _ in bounds]
    after = {Session.PM: "RTH", Session.RTH: "AH", Session.AH: None}
    assert label(*(start for _, (start, _) in bounds)) == sessions
    assert label(*(end for _, (_, end) in bounds)) == [after[session] for session in sessions]


def test_closed_day_has_no_bounds() -> None:
    with pytest.raises(ValueError, match="2025-07-04"):
        session_bounds(date(2025, 7, 4))


def test_trading_day_is_the_new_york_date() -> None:
    evening = datetime(2025, 10, 8, 1, 30, tzinfo=UTC)  # 21:30 on the 7th
    assert trading_day_of(evening) == FULL
    labelled = add_sessions(pl.LazyFrame({"timestamp": [evening]})).collect()
    assert labelled["date"].to_list() == [FULL]
    assert labelled["minute"].to_list() == [21 * 60 + 30]
    assert labelled["close_minute"].to_list() == [960]


def test_other_session_lengths() -> None:
    early, late = at(FULL, "03:30"), at(FULL, "17:59")
    assert label(early, late) == [None, "AH"]
    assert label(early, late, premarket_start=time(3, 30), hours_after_close=1) == ["PM", None]


def test_rows_keep_their_order_and_columns() -> None:
    times = [at(FULL, "12:00"), at(FULL, "05:00"), at(date(2025, 10, 6), "17:00")]
    frame = pl.LazyFrame({"n": [0, 1, 2], "timestamp": times})
    labelled = add_sessions(frame).collect()
    assert labelled["n"].to_list() == [0, 1, 2]
    assert labelled["session"].to_list() == ["RTH", "PM", "AH"]
    assert add_sessions(frame.clear()).collect().columns == labelled.columns


@pytest.mark.parametrize("day", [date(2002, 12, 31), date(2036, 1, 1)])
def test_date_beyond_the_calendar_is_an_error_and_no_holiday(day: date) -> None:
    with pytest.raises(CalendarRangeError, match=str(day)):
        is_trading_day(day)
    with pytest.raises(CalendarRangeError, match=str(day)):
        trading_days(day, day)
    with pytest.raises(CalendarRangeError, match=str(day)):
        session_bounds(day)
    with pytest.raises(CalendarRangeError, match=str(day)):
        label(at(FULL, "12:00"), at(day, "12:00"))


def test_calendar_holds_its_first_and_last_date() -> None:
    assert not is_trading_day(FIRST_DATE)  # New Year's Day 2003
    assert is_trading_day(LAST_DATE)
    days = calendar()["date"]
    assert (days[0], days[-1]) == (date(2003, 1, 2), date(2035, 12, 31))
    assert calendar()["day_number"].to_list() == list(range(len(days)))


@pytest.mark.parametrize(
    ("day", "n", "expected"),
    [
        (date(2025, 10, 7), 1, date(2025, 10, 8)),
        (date(2025, 10, 10), 1, date(2025, 10, 13)),  # over a weekend
        (date(2025, 10, 7), -1, date(2025, 10, 6)),
        (date(2025, 10, 7), 0, date(2025, 10, 7)),
        (date(2025, 10, 11), 0, date(2025, 10, 10)),  # a Saturday: the day before
        (date(2025, 10, 11), 1, date(2025, 10, 13)),
        (date(2025, 10, 11), -1, date(2025, 10, 10)),
        (date(2025, 10, 11), -2, date(2025, 10, 9)),
        (date(2012, 10, 31), -1, date(2012, 10, 26)),  # over Sandy
        (date(2003, 1, 1), 1, date(2003, 1, 2)),
    ],
)
def test_shift_trading_day(day: date, n: int, expected: date) -> None:
    assert shift_trading_day(day, n) == expected


@pytest.mark.parametrize(("day", "n"), [(date(2003, 1, 2), -1), (date(2003, 1, 1), 0)])
def test_shift_beyond_the_calendar_is_an_error(day: date, n: int) -> None:
    with pytest.raises(CalendarRangeError):
        shift_trading_day(day, n)
    with pytest.raises(CalendarRangeError):
        shift_trading_day(LAST_DATE, 1)


def test_previous_trading_day() -> None:
    assert previous_trading_day(date(2025, 1, 10)) == date(2025, 1, 8)  # Carter's day between


def test_trading_days_hold_both_ends() -> None:
    assert trading_days(date(2025, 7, 3), date(2025, 7, 7)) == [date(2025, 7, 3), date(2025, 7, 7)]
    assert trading_days(date(2025, 7, 4), date(2025, 7, 6)) == []


def test_naive_times_are_errors() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        trading_day_of(datetime(2025, 10, 7, 12))  # noqa: DTZ001  the case itself
    schema = pl.Schema([("a", UTC_US), ("b", pl.Datetime("us")), ("c", pl.Int64)])
    require_aware(schema, ["a"], "here")
    with pytest.raises(NaiveTimestampError, match=r"bars\.csv: column 'b'"):
        require_aware(schema, ["a", "b"], "bars.csv")
    with pytest.raises(NaiveTimestampError, match="'c'"):
        require_aware(schema, ["c"], "bars.csv")
