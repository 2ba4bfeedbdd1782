"""The global filters, each where it lets an event pass and where it just does not."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from smallcaps_pipeline.events import detect, detect_events
from smallcaps_pipeline.schemas import REFERENCE
from smallcaps_pipeline_tests.events.agreement import settings_with
from smallcaps_pipeline_tests.events.builders import DAY, Bar, bar, frame, quiet


def reference(**facts: object) -> pl.DataFrame:
    row = {"symbol": "AEMD", "known_from": date(2025, 1, 2), **facts}
    return pl.DataFrame([row], schema=REFERENCE.schema)


def spike(direction: str, close: float = 10.0, volume: float = 1e6) -> list[Bar]:
    """A volume spike of a given close in a direction, on the day's last bar."""
    before = close * (0.99 if direction == "up" else 1.03)
    return [
        *quiet("09:45", 14, before, 100),
        bar("09:59", before, 100, open_=before * 1.001, high=before * 1.02),
        bar("10:00", close, volume, open_=before),
    ]


def passes(rows: list[Bar], direction: str, facts: pl.DataFrame | None = None) -> bool:
    events = detect_events(frame(rows), reference=facts)
    return not events.filter(event_type="volume_spike", direction=direction).is_empty()


@pytest.mark.parametrize(
    ("close", "expected"),
    [
        (1.0, True),
        (1.0 - 5e-10, True),
        (1.0 - 2e-9, False),
        (0.9999, False),
        (500.0, True),
        (500.01, False),
    ],
)
def test_close_between_1_and_500(close: float, expected: bool) -> None:
    assert passes(spike("up", close), "up") == expected


@pytest.mark.parametrize(
    ("direction", "dollars", "expected"),
    [("up", 500_000, True), ("up", 499_999, False), ("down", 1e6, True), ("down", 999_999, False)],
)
def test_dollar_volume_of_the_whole_day(direction: str, dollars: float, expected: bool) -> None:
    rows = spike(direction, volume=20_000)
    traded = sum(row["close"] * row["volume"] for row in rows)
    later = bar("15:00", 10.0, (dollars - traded) / 10.0)
    assert passes([*rows, later], direction) == expected
    # Up to the event it is 200,000 USD and some: live use has no event in any of these.
    events = detect_events(frame([*rows, later]), settings_with("so_far"))
    assert events.filter(event_type="volume_spike").is_empty()


@pytest.mark.parametrize(("volume", "expected"), [(50_000, True), (49_990, False)])
def test_dollar_volume_so_far_counts_the_event_bar(volume: float, expected: bool) -> None:
    # 10.00 x 50,000 = 500,000 on the bar itself; the quiet bars are left out of the sum by making
    # them trade nothing.
    rows = [{**row, "volume": 0.0} for row in spike("up")[:-1]] + [spike("up", volume=volume)[-1]]
    later = bar("15:00", 10.0, 1e6)
    events = detect_events(frame([*rows, later]), settings_with("so_far"))
    assert events.filter(event_type="volume_spike").is_empty() != expected


@pytest.mark.parametrize(
    ("direction", "facts", "expected", "reason"),
    [
        ("up", {"float_shares": 5e6}, True, "float of 5 million"),
        ("up", {"float_shares": 4_999_999}, False, "a share less"),
        ("down", {"float_shares": 10e6}, True, "float of 10 million"),
        ("down", {"float_shares": 9_999_999}, False, "a share less"),
        ("down", {"float_shares": 10e6, "short_interest_shares": 4e6}, True, "40 % short"),
        ("down", {"float_shares": 10e6, "short_interest_shares": 4_000_001}, False, "more"),
        ("up", {"float_shares": 10e6, "short_interest_shares": 9e6}, True, "down only"),
        ("down", {"short_interest_shares": 9e9}, True, "short of an unknown float"),
        ("down", {"days_to_cover": 5.0}, True, "five days to cover"),
        ("down", {"days_to_cover": 5.01}, False, "more"),
        ("up", {"days_to_cover": 99.0}, True, "down only"),
        ("down", {}, True, "nothing is known"),
    ],
)
def test_facts_of_the_stock(
    direction: str, facts: dict[str, object], expected: bool, reason: str
) -> None:
    assert passes(spike(direction), direction, reference(**facts)) == expected, reason


def test_facts_count_from_the_day_on_which_they_were_public() -> None:
    later = reference(float_shares=1.0).with_columns(known_from=date(2025, 10, 8))
    same_day = later.with_columns(known_from=DAY)
    assert passes(spike("up"), "up", later)
    assert not passes(spike("up"), "up", same_day)
    newer = pl.concat([reference(float_shares=9e9), same_day])
    assert not passes(spike("up"), "up", newer)


def test_facts_of_another_symbol_do_not_count() -> None:
    assert passes(spike("up"), "up", reference(float_shares=1.0).with_columns(symbol=pl.lit("X")))


def test_tier_comes_from_the_reference() -> None:
    events = detect_events(frame(spike("up")), reference=reference(tier=2))
    assert events["tier"].unique().to_list() == [2]


def test_dropped_and_unknown_are_counted() -> None:
    down = spike("down")
    found = detect(frame(down), reference=reference(days_to_cover=9.0))
    before = len(detect_events(frame(down)))
    assert before > 0
    assert found.dropped["days to cover"] == before
    assert found.events.is_empty()
    known_float = detect(frame(down), reference=reference(float_shares=20e6))
    assert known_float.unknown == {
        "float": 0,
        "short interest": before,
        "days to cover": before,
    }
    nothing_known = detect(frame(down))
    assert nothing_known.unknown["float"] == before


def test_reference_rows_in_any_order() -> None:
    rows = pl.concat([reference(float_shares=9e9, tier=i) for i in (1, 2, 3)]).with_columns(
        known_from=pl.Series([date(2025, 3, 1), date(2025, 1, 2), date(2025, 9, 1)])
    )
    for given in (rows, rows.reverse()):
        assert detect_events(frame(spike("up")), reference=given)["tier"].unique().to_list() == [3]
